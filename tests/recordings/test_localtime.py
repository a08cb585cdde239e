"""Times of logs: what controllers write, summer time, and what cannot be known."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.core import ConfigError
from edge.recordings.localtime import EPOCH, MS, LogClock, read_moment, read_zone
from edge.recordings.tablefile import LoggedTime
from tests.long import examples

OREGON = ZoneInfo("America/Los_Angeles")
LORD_HOWE = ZoneInfo("Australia/Lord_Howe")  # its clock goes back by half an hour


def wall(moment: datetime, zone: ZoneInfo) -> LoggedTime:
    """What a clock there shows at a moment of UTC."""
    local = moment.astimezone(zone).replace(tzinfo=None)
    return LoggedTime((local - datetime(1970, 1, 1)) // MS, False)  # noqa: DTZ001


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("2026-11-30 07:00:00.1", "2026-11-30T07:00:00.100"),
        ("2026-11-30T07:00:00.123456", "2026-11-30T07:00:00.123"),
        ("11/30/2026 07:00:00.1", "2026-11-30T07:00:00.100"),
        ("1/3/2026 7:00:00", "2026-01-03T07:00:00.000"),
        ("1/3/2026 12:00:00 AM", "2026-01-03T00:00:00.000"),
        ("1/3/2026 1:02:03.4 pm", "2026-01-03T13:02:03.400"),
    ],
)
def test_a_time_without_an_offset_is_that_of_a_wall_clock(text: str, shown: str) -> None:
    found = read_moment(text)
    assert found is not None
    assert not found.utc
    assert (EPOCH + found.ms * MS).isoformat("T", "milliseconds") == f"{shown}+00:00"


def test_an_offset_makes_it_a_moment_of_utc() -> None:
    assert read_moment("2026-11-30 07:00:00.1-08:00") == read_moment("2026-11-30T15:00:00.1Z")
    assert read_moment("2026-11-30T15:00:00.1Z") == LoggedTime(1_796_050_800_100, True)


@pytest.mark.parametrize(
    "text",
    ["", "yesterday", "2026-11-30", "30/11/2026 07:00:00", "13/1/2026 7:00:00", "07:00:00",
     "1/3/2026 13:00:00 PM", "2026-13-01 00:00:00", "1796050800", "2/30/2026 7:00:00"],
)  # fmt: skip
def test_what_is_no_time_is_none(text: str) -> None:
    assert read_moment(text) is None


@given(st.text(max_size=40))
@settings(max_examples=examples(400))
def test_no_text_is_too_strange(text: str) -> None:
    read_moment(text)


@pytest.mark.parametrize("name", ["", "Mars/Olympus", "../etc/passwd", "/etc/passwd", "x" * 5000])
def test_what_is_no_zone_is_said_with_examples(name: str) -> None:
    with pytest.raises(ConfigError, match="Europe/Berlin"):
        read_zone(name)


@pytest.mark.parametrize("zone", [OREGON, LORD_HOWE, ZoneInfo("Europe/Berlin"), ZoneInfo("UTC")])
@pytest.mark.parametrize("month", [3, 4, 10, 11])
def test_a_log_in_order_keeps_its_time_through_both_changes(zone: ZoneInfo, month: int) -> None:
    clock = LogClock(zone)
    moment = datetime(2026, month, 1, tzinfo=UTC)
    for _ in range(30 * 24 * 6):
        assert clock.utc_ms(wall(moment, zone)) == (moment - EPOCH) // MS, moment
        moment += timedelta(minutes=10, seconds=0.1)
    assert clock.unclear() == []


def doubled(order: list[int]) -> LogClock:
    """Oregon's clock of 1 November 2026, read at these minutes after midnight of that day."""
    clock = LogClock(OREGON)
    midnight = (datetime(2026, 11, 1) - datetime(1970, 1, 1)) // MS  # noqa: DTZ001
    for minute in order:
        clock.utc_ms(LoggedTime(midnight + minute * 60_000, False))
    return clock


@pytest.mark.parametrize(
    ("order", "unclear"),
    [
        ([30, 61, 90, 118, 62, 90, 119, 121, 180], False),  # in the order of time
        ([30, 61, 90], False),  # the log ends within the hour
        ([30, 61, 61, 90, 90, 119, 119, 121, 180], True),  # sorted by what the clock showed
        ([61, 119, 61, 119, 61, 119], True),  # by detector
        ([61, 119, 200, 61, 119, 200], True),  # by detector, with more than that hour
    ],
)
def test_an_hour_that_was_shown_twice_is_kept_where_the_order_tells_which(
    order: list[int], unclear: bool
) -> None:
    spans = doubled(order).unclear()
    assert bool(spans) is unclear
    for from_ms, to_ms in spans:
        assert (EPOCH + from_ms * MS).isoformat() == "2026-11-01T08:00:00+00:00"
        assert to_ms - from_ms == 2 * 3_600_000


def test_a_time_that_no_clock_shows_is_counted() -> None:
    clock = LogClock(OREGON)
    night = (datetime(2026, 3, 8, 2, 30) - datetime(1970, 1, 1)) // MS  # noqa: DTZ001
    clock.utc_ms(LoggedTime(night, False))
    assert clock.skipped == 1
