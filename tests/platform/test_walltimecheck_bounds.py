"""Wall times held against a clock map: to the bound, at the ends of the calendar, unsure ones."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from edge.platform import walltimecheck
from edge.platform.receivedrecord import WallTimes
from edge.platform.walltimecheck import BOUND_US, RedatedMoments, WallTimeCheck
from edge.wire.clockmoments import Moment
from edge.wire.records import MAX_WALL_NS
from tests.kit.clock import NONE, NTP
from tests.kit.records import E1, GW, entry, record
from tests.platform.seals import KEY, seal

AT = datetime(2026, 11, 25, 12, tzinfo=UTC)
AT_US = int(AT.timestamp()) * 1_000_000


def text(us: int) -> str:
    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=us)).isoformat()


def dates(clock: Moment, *walls: WallTimes, mono: tuple[int, int] = (0, 60_000_000)) -> list[bool]:
    """Of each whether it is wrong."""
    found = []
    for wall in walls:
        looking = WallTimeCheck(seal(1, clock=(clock,)), RedatedMoments())
        one = replace(entry(record(1)), boot=clock.boot, mono=mono, wall=wall)
        looking.look(one, {"from": wall.start, "to": wall.end, "tq": wall.tq})
        finding = looking.finding()
        assert (finding is not None) == (looking.wrong == 1)
        found.append(finding is not None)
    return found


def test_a_date_may_differ_by_its_bound_and_no_more() -> None:
    clock = Moment(1, 0, AT_US, NTP)
    end = AT_US + 60_000_000

    def moved(first: int, second: int = 0) -> WallTimes:
        return WallTimes(text(AT_US + first), text(end + second), "ntp")

    near = [moved(BOUND_US), moved(-BOUND_US), moved(0, BOUND_US), moved(0)]
    assert dates(clock, *near) == [False] * 4
    far = [moved(BOUND_US + 1), moved(-BOUND_US - 1), moved(0, BOUND_US + 1)]
    other = [replace(moved(0), tq="rtc"), replace(moved(0), start="x"), replace(moved(0), end="")]
    assert dates(clock, *far, *other) == [True] * 6
    assert dates(replace_boot(clock), moved(0)) == [False]


def replace_boot(clock: Moment) -> Moment:
    return clock._replace(boot=clock.boot + 1)


def test_dates_end_where_the_calendar_does() -> None:
    last = datetime.fromtimestamp(MAX_WALL_NS // 1_000_000_000, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    end = f"{last}.999Z"
    beyond = Moment(1, 0, MAX_WALL_NS // 1000 + 5_000_000, NTP)
    assert dates(beyond, WallTimes(end, end, "ntp")) == [False]
    before = Moment(1, 100_000_000, 0, NTP)
    zero = "1970-01-01T00:00:00.000Z"
    assert dates(before, WallTimes(zero, zero, "ntp")) == [False]


def test_bounds_are_held_against_the_map_too() -> None:
    clock = Moment(1, 0, 0, NONE, AT_US, None)
    start, end = text(AT_US), text(AT_US + 60_000_000)
    reported = [
        f'["{start}", null]', f'["{text(AT_US + BOUND_US + 1)}", null]', f'["{start}", "{end}"]',
        "[null, null]", f'["{start}"]', "7", None,
    ]  # fmt: skip
    walls = [WallTimes(start, end, "none", bounds) for bounds in reported]
    looking = [WallTimeCheck(seal(1, clock=(clock,)), RedatedMoments()) for _ in walls]
    for each, wall in zip(looking, walls, strict=True):
        each.look(replace(entry(record(1)), mono=(0, 60_000_000), wall=wall), {})
    assert [each.wrong for each in looking] == [0, 1, 1, 1, 1, 1, 1]


def test_corrections_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(walltimecheck, "CORRECTIONS", 3)
    moments = [Moment(1, n, n, NTP) for n in range(5)]
    known = RedatedMoments()
    known.add(7, [moments[0], moments[0], *moments])
    assert known.of(7, 1) == moments[:3]
    assert known.of(7, 2) == []
    looking = WallTimeCheck(seal(1), known)
    looking.look(replace(entry(record(1)), boot=3), {})
    finding = looking.finding()
    assert finding is not None
    assert "has no clock of boot 3" in finding.text
    assert finding.text.startswith("1 records")


def test_the_first_that_is_wrong_is_told_with_what_would_be_right() -> None:
    clock = tuple(Moment(1, 0, AT_US + n * 1_000_000, NTP) for n in range(5))
    looking = WallTimeCheck(seal(1, 2, clock=clock), RedatedMoments())
    for number in (1, 2):
        wall = WallTimes(text(AT_US - number * 3_600_000_000), text(AT_US), "rtc")
        looking.look(replace(entry(record(number)), mono=(0, 1), wall=wall), {})
    finding = looking.finding()
    assert finding is not None
    assert finding.place == KEY
    assert finding.text == (
        f"2 records that the manifest {GW} {E1}/manifest/1 seals have wall times that differ from"
        f" those of the gateway, for example {GW} {E1}/air/1: 2026-11-25T11:00:00+00:00 (rtc) in"
        " the store, 2026-11-25T12:00:00.000+00:00 (ntp) or 2026-11-25T12:00:01.000+00:00 (ntp) or"
        " 2026-11-25T12:00:02.000+00:00 (ntp) by the manifest"
    )


def test_what_no_calendar_can_say_is_said_as_its_ends() -> None:
    ends = ((-5_000_000, "1970-01-01T00:00:00.000"), (1 << 61, "9999-12-31T23:59:59"))
    for wall_us, says in ends:
        looking = WallTimeCheck(seal(1, clock=(Moment(1, 0, wall_us, NTP),)), RedatedMoments())
        wall = WallTimes(text(AT_US), text(AT_US), "ntp")
        looking.look(replace(entry(record(1)), mono=(0, 1), wall=wall), {})
        assert f"in the store, {says}" in str(looking.finding())
