"""How long the room lasts, as a calculation and in the counts."""

from pathlib import Path

import pytest

from edge.core import Stream
from edge.store import Mark, Outbox
from edge.store.rate import Inflow, Rate, forecast, forecast_thinned, row_bytes
from edge.store.rows import pack
from tests.store.test_outbox import MARK, S, drafts
from tests.store.test_thin import MINUTE, live, opened


def minutes(rate: Rate, first: int, last: int, size: int = 600) -> None:
    for number in range(first, last):
        rate.add(number * MINUTE, size, 0, 1)


def test_room_lasts_as_long_as_the_rate_says() -> None:
    rate = Rate()
    assert forecast(10_000, rate.inflow()) is None, "nothing has come yet"
    minutes(rate, 0, 2)
    assert forecast(10_000, rate.inflow()) is None, "too short to say"
    minutes(rate, 2, 31)
    assert rate.inflow() == Inflow(30 * MINUTE, 18_000, 0, 30)
    assert forecast(10_000, rate.inflow()) == 1000.0
    assert forecast(-5, rate.inflow()) == 0.0


def test_only_the_last_hour_counts_and_little_is_kept_of_it() -> None:
    rate = Rate()
    for second in range(7200):
        rate.add(second * S, 0, 1000 if second < 3600 else 10, 0)
    inflow = rate.inflow()
    assert 3500 * S < inflow.over_ns <= 3660 * S
    assert inflow.others == pytest.approx(inflow.over_ns / S * 10, rel=0.2)
    assert len(rate._slots) <= 62


def test_without_records_it_never_ends_and_a_clock_that_begins_anew_is_no_rate() -> None:
    rate = Rate()
    minutes(rate, 0, 60, size=0)
    assert forecast(10_000, rate.inflow()) is None
    minutes(rate, 100, 160)
    minutes(rate, 3, 4)
    assert rate.inflow() == Inflow(0, 0, 0, 0)


def test_thinning_makes_it_last_longer() -> None:
    inflow = Inflow(600 * S, 15_000, 0, 1)
    assert forecast_thinned(15_000, inflow, 0, 15.0) == 9000.0
    assert forecast_thinned(1000, inflow, 15_000, 15.0) == 9000.0
    assert forecast_thinned(15_000, inflow._replace(others=1000), 0, 15.0) == 4500.0
    assert forecast_thinned(15_000, inflow, 15_000, 1.0) == forecast(15_000, inflow)


def test_the_counts_tell_it(tmp_path: Path) -> None:
    outbox = opened(tmp_path, 4 << 20)
    assert (outbox.counts().forecast_s, outbox.counts().forecast_thinned_s) == (None, None)
    live(outbox, range(90), size=450)
    counts = outbox.counts()
    assert counts.forecast_s is not None
    assert counts.forecast_thinned_s is not None
    assert counts.forecast_thinned_s > 10 * counts.forecast_s
    assert (counts.commits, counts.thinned) == (90, 0)
    assert counts.bytes_in > 270 * 450
    assert 0 < counts.wal < counts.size
    # it comes true: within a tenth
    number = 90
    while not outbox.counts().thinned:
        live(outbox, [number], size=450)
        number += 1
    assert (number - 90) * 60 == pytest.approx(counts.forecast_s, rel=0.1)
    outbox.close()


def test_in_memory_nobody_knows(tmp_path: Path) -> None:
    (tmp_path / "outbox").write_text("")
    outbox = Outbox.open(tmp_path / "outbox", limit_bytes=4 << 20, boot_id="b")
    outbox.begin()
    for second in range(0, 600, 60):
        outbox.commit(drafts(3), clock=Mark(second * S + 1, 0, "none"))
    counts = outbox.counts()
    assert (counts.forecast_s, counts.commits, counts.wal, counts.ballast) == (None, 10, 0, 0)
    outbox.close()


@pytest.mark.parametrize("size", [200, 450, 700, 950, 1000, 1500, 5000])
def test_what_a_row_takes_is_known_before(tmp_path: Path, size: int) -> None:
    outbox = Outbox.open(tmp_path / "o", limit_bytes=64 << 20, boot_id="b", ballast_bytes=0)
    outbox.begin()
    disk = outbox._disk
    assert disk is not None
    outbox.commit(drafts(300, Stream.RAW, size), clock=MARK)
    before = disk.used_bytes()
    made = outbox.commit(drafts(1000, Stream.RAW, size), clock=MARK)
    told = sum(row_bytes(pack(drafts(1, Stream.RAW, size)[0])) for _ in made)
    assert told == pytest.approx(disk.used_bytes() - before, rel=0.15)
    outbox.close()
