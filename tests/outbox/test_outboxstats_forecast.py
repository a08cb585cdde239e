"""How long the room lasts, as a calculation and in the counts."""

import itertools
from pathlib import Path

import pytest

from edge.core import Draft, Stamp, Stream
from edge.outbox import Outbox
from edge.outbox.eviction import row_bytes
from edge.outbox.outboxstats import (
    DownsampleOutlook,
    FillRate,
    Inflow,
    count_rows,
    forecast_drop,
    forecast_full,
)
from edge.outbox.rowformat import INFINITE, pack_body
from tests.kit.clock import NONE, NTP
from tests.kit.outbox import MARK, S, drafts, everything, text
from tests.outbox.test_downsample import MINUTE, WALL, live, opened


def minutes(rate: FillRate, first: int, last: int, size: int = 600) -> None:
    for number in range(first, last):
        rate.add(number * MINUTE, size, 0, 1)


def test_room_lasts_as_long_as_the_rate_says() -> None:
    rate = FillRate()
    assert forecast_full(10_000, rate.inflow()) is None, "nothing has come yet"
    minutes(rate, 0, 2)
    assert forecast_full(10_000, rate.inflow()) is None, "too short to say"
    minutes(rate, 2, 31)
    assert rate.inflow() == Inflow(30 * MINUTE, 18_000, 0, 30)
    assert forecast_full(10_000, rate.inflow()) == 1000.0
    assert forecast_full(-5, rate.inflow()) == 0.0


def test_only_the_last_hour_counts_and_little_is_kept_of_it() -> None:
    rate = FillRate()
    for second in range(7200):
        rate.add(second * S, 0, 1000 if second < 3600 else 10, 0)
    inflow = rate.inflow()
    assert 3500 * S < inflow.over_ns <= 3660 * S
    assert inflow.others == pytest.approx(inflow.over_ns / S * 10, rel=0.2)
    assert len(rate._slots) <= 62


def test_without_records_it_never_ends_and_a_clock_that_begins_anew_is_no_rate() -> None:
    rate = FillRate()
    minutes(rate, 0, 60, size=0)
    assert forecast_full(10_000, rate.inflow()) is None
    minutes(rate, 100, 160)
    minutes(rate, 3, 4)
    assert rate.inflow() == Inflow(0, 0, 0, 0)


def merging(gain: float = 0.0, ratio: float = 15.0, **other: bool) -> DownsampleOutlook:
    return DownsampleOutlook(gain, ratio, other.get("coming", True), 100)


def test_downsampling_makes_it_last_longer() -> None:
    inflow = Inflow(600 * S, 15_000, 0, 1)
    # room for 600 s, in which come 14,000 that can be saved; each 100 of it last another 60 s,
    # until the last 100, which last 4 s
    assert forecast_drop(15_000, inflow, merging()) == 600 + 4 + 13_900 * 600 / 1000
    assert forecast_drop(0, inflow, merging(14_000)) == 4 + 13_900 * 600 / 1000
    others = inflow._replace(others=15_000)
    assert forecast_drop(30_000, others, merging()) == pytest.approx(
        602 + 13_900 * 600 / 16_000, abs=0.1
    )
    nothing = forecast_full(15_000, inflow)
    assert forecast_drop(15_000, inflow, merging(ratio=1.0)) == nothing
    assert forecast_drop(15_000, inflow, merging(coming=False)) == nothing
    assert forecast_drop(0, inflow, merging(99.0)) == 0.0, "too little to make room with"
    assert forecast_drop(0, inflow, merging(600.0, coming=False)) == 24.0
    assert forecast_drop(9, Inflow(600 * S, 0, 0, 0), merging(600.0)) is None


FIVE = 5 * MINUTE


def five(outbox: Outbox, number: int) -> None:
    """Every five minutes: three of them are a quarter hour, and few rows fill an outbox."""
    body = {"from": number, "to": number + 1, "n": 1, "text": text(number, 900)}
    draft = Draft(Stream.AIR, "hut", number * FIVE, (number + 1) * FIVE, body)
    now_ns = (number + 1) * FIVE
    outbox.commit([draft], clock=Stamp(now_ns, WALL + now_ns, NTP))


@pytest.mark.long
def test_it_comes_true_while_it_fills_while_it_downsamples_and_after_that(tmp_path: Path) -> None:
    """To within a quarter of what is left."""
    outbox = opened(tmp_path, 3 << 20)
    downsampler = outbox._handover.downsampler
    assert downsampler is not None
    reported: dict[
        int, tuple[float, float]
    ] = {}  # after so many rows: rows until full, until a drop
    full = dropped = number = 0
    drops: list[int] = []
    while len(drops) < 6:
        five(outbox, number)
        number += 1
        full = full or number * bool(downsampler.rows)
        if outbox._stats.dropped > dropped:
            dropped = outbox._stats.dropped
            drops.append(number)
        if number % 50 == 0 or number in drops:
            counts = outbox.counts()
            assert counts.forecast_s is not None
            assert counts.forecast_downsampled_s is not None
            reported[number] = counts.forecast_s / 300, counts.forecast_downsampled_s / 300
    filling = [at for at in reported if 350 <= at < full * 0.9]
    downsampling = [at for at in reported if full <= at < drops[0] * 0.95]
    assert min(len(filling), len(downsampling)) > 20
    for at in filling:
        assert reported[at] == pytest.approx((full - at, drops[0] - at), rel=0.25)
    for at in downsampling:
        assert reported[at][1] == pytest.approx(drops[0] - at, rel=0.25)
    for at, then in itertools.pairwise(drops):  # now it is downsampled
        assert reported[at][1] == pytest.approx(then - at, rel=0.25)
    outbox.close()


def test_what_has_merged_or_gone_is_not_counted_twice(tmp_path: Path) -> None:
    outbox = opened(tmp_path, 16 << 20)
    live(outbox, range(600))
    outbox.linked()
    live(outbox, range(600, 700))
    counts = outbox.counts()
    assert counts.forecast_downsampled_s == counts.forecast_s, "all of it may have gone"
    outbox.unlinked(everything(outbox)[-1].row)
    live(outbox, range(700, 1000))
    some = outbox.counts().forecast_downsampled_s
    while outbox._storage.disk is not None and outbox._handover.make_room(outbox._storage.disk):
        pass
    assert some is not None
    assert outbox.counts().forecast_downsampled_s == pytest.approx(some, rel=0.25)
    outbox.close()
    outbox = opened(tmp_path, 16 << 20)
    live(outbox, range(1000, 1030))
    disk, downsampler = outbox._storage.disk, outbox._handover.downsampler
    assert disk is not None
    assert downsampler is not None
    assert count_rows(disk, outbox._handover.ranges.spans) > 900
    assert (
        count_rows(disk, downsampler.mergeable_ranges(disk, outbox._handover.ranges.spans)) < 150
    ), "of the former start too"
    outbox.counts()
    assert downsampler.ratio > 10, (
        "what is downsampled already does not say how much the rest shrinks"
    )
    outbox.close()


def test_the_counts_tell_it(tmp_path: Path) -> None:
    outbox = opened(tmp_path, 4 << 20)
    assert (outbox.counts().forecast_s, outbox.counts().forecast_downsampled_s) == (None, None)
    live(outbox, range(90), size=450)
    counts = outbox.counts()
    assert counts.forecast_s is not None
    assert counts.forecast_downsampled_s is not None
    assert counts.forecast_downsampled_s > 10 * counts.forecast_s
    assert (counts.commits, counts.downsampled) == (90, 0)
    assert counts.bytes_in > 270 * 400
    assert 0 < counts.wal < counts.size
    # it comes true: within a tenth
    number = 90
    last = counts
    while not (now := outbox.counts()).downsampled:
        last = now
        live(outbox, [number], size=450)
        number += 1
    assert (number - 90) * 60 == pytest.approx(counts.forecast_s, rel=0.1)
    assert last.forecast_s == 0.0, "there is no room for the next commit"
    outbox.close()


def test_in_memory_nobody_knows(tmp_path: Path) -> None:
    (tmp_path / "outbox").write_text("")
    outbox = Outbox.open(tmp_path / "outbox", limit_bytes=4 << 20, boot_id="b")
    outbox.begin()
    for second in range(0, 600, 60):
        outbox.commit(drafts(3), clock=Stamp(second * S + 1, 0, NONE))
    counts = outbox.counts()
    assert (counts.forecast_s, counts.commits, counts.wal, counts.ballast) == (None, 10, 0, 0)
    assert (counts.size, counts.dead_letters) == (0, 0)
    outbox.close()


@pytest.mark.parametrize("size", [200, 450, 700, 950, 1000, 1500, 5000])
def test_what_a_row_takes_is_known_before(tmp_path: Path, size: int) -> None:
    outbox = Outbox.open(tmp_path / "o", limit_bytes=64 << 20, boot_id="b", ballast_bytes=0)
    outbox.begin()
    disk = outbox._storage.disk
    assert disk is not None
    outbox.commit(drafts(300, Stream.RAW, size), clock=MARK)
    before = disk.used_bytes()
    made = outbox.commit(drafts(1000, Stream.RAW, size), clock=MARK)
    reported = sum(row_bytes(pack_body(drafts(1, Stream.RAW, size)[0])) for _ in made)
    assert reported == pytest.approx(disk.used_bytes() - before, rel=0.15)
    outbox.close()


def test_rows_of_several_starts_are_counted_without_reading_them(tmp_path: Path) -> None:
    for boot, count in (("b1", 3), ("b2", 1), ("b3", 5)):
        outbox = opened(tmp_path, boot=boot)
        outbox.commit(drafts(count))
        disk = outbox._storage.disk
        assert disk is not None
        everywhere = ((0, INFINITE),)
        assert count_rows(disk, everywhere) == outbox.counts().rows
        newest = outbox.pending(0, 99)[-1].row
        assert count_rows(disk, ((0, newest - 1),)) == outbox.counts().rows - 1
        assert count_rows(disk, ((newest, newest),)) == 1
        assert count_rows(disk, ((newest + 1, INFINITE),)) == count_rows(disk, ()) == 0
        outbox.close()
