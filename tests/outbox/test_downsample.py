"""Downsampling: minutes become quarter hours bit for bit, every number stays accounted for."""

import itertools
import random
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edge.core import Draft, Stamp, Stream, TimeQuality
from edge.core.numbers import decode_steps
from edge.outbox import Outbox, StoredRecord
from edge.outbox.downsample import Downsampler, QuarterHours, merge_groups
from edge.outbox.rowformat import SUMMARY_LEVEL, RowHead
from tests.kit.clock import NONE, NTP, RTC
from tests.kit.outbox import everything, kill, text
from tests.long import examples, one_in

S = 1_000_000_000
MINUTE = 60 * S
QUARTER = 900 * S
WALL = 1_790_000_100 * S // QUARTER * QUARTER  # a quarter begins
LIMIT = 1 << 20
SOURCES = ("hut", "shed", "pole")


def summed(a: Mapping[str, Any], b: Mapping[str, Any]) -> dict[str, Any]:
    """A merger for bodies of these tests: what it is handed must follow each other."""
    if a["to"] != b["from"] or "covers" in a or "covers" in b:
        raise AssertionError("wrong order, or the covers were passed on")
    if a.get("odd") or b.get("odd"):
        raise ValueError("odd ones stay as they are")
    return {"from": a["from"], "to": b["to"], "n": a["n"] + b["n"], "text": a["text"]}


def minute(number: int, source: str, size: int = 300, **more: Any) -> Draft:
    body = {"from": number, "to": number + 1, "n": 1, "text": text(number, size), **more}
    stream = Stream.ENERGY if source == "pole" else Stream.AIR
    return Draft(stream, source, number * MINUTE, (number + 1) * MINUTE, body)


def opened(folder: Path, limit: int = LIMIT, boot: str = "b1") -> Outbox:
    outbox = Outbox.open(
        folder / "outbox", limit_bytes=limit, boot_id=boot, merge=summed, ballast_bytes=0
    )
    outbox.begin()
    return outbox


def mark(number: int, tq: TimeQuality = NTP, wall: int = WALL) -> Stamp:
    return Stamp((number + 1) * MINUTE, wall + (number + 1) * MINUTE, tq)


def live(outbox: Outbox, minutes: Iterable[int], tq: TimeQuality = NTP, **more: Any) -> None:
    """As the daemon does: one commit a minute."""
    for number in minutes:
        drafts = [minute(number, source, **more) for source in SOURCES]
        outbox.commit(drafts, clock=mark(number, tq))


def covered(stored: StoredRecord) -> list[int]:
    body = stored.record.body
    return decode_steps(body["covers"]) if "covers" in body else [stored.record.key.seq]


def air(rows: Iterable[StoredRecord]) -> list[StoredRecord]:
    return [stored for stored in rows if stored.record.key.stream is Stream.AIR]


@one_in(3)
@pytest.mark.parametrize(("tq", "offset"), [(NTP, 0), (NONE, 0), (RTC, 5)])
def test_minutes_become_quarter_hours_before_any_is_lost(
    tmp_path: Path, tq: TimeQuality, offset: int
) -> None:
    outbox = opened(tmp_path)
    for number in range(900):
        drafts = [minute(number, source) for source in SOURCES]
        outbox.commit(drafts, clock=mark(number, tq, WALL + offset * MINUTE))
        assert outbox.counts().size <= LIMIT
    counts = outbox.counts()
    assert (counts.dropped, counts.rows) == (0, sum(counts.streams.values()))
    assert counts.downsampled > 1000
    left = everything(outbox)
    assert len(left) == counts.rows == 2700 - counts.downsampled
    assert {s.record.key.stream: 0 for s in left}.keys() == {"air", "energy"}
    for stream, last in (("air", 1800), ("energy", 900)):
        mine = [s for s in left if s.record.key.stream == stream]
        assert sorted(n for s in mine for n in covered(s)) == list(range(1, last + 1))
    for source in SOURCES:
        one = [s.record for s in left if s.record.source == source]
        assert all(a.to_ns == b.from_ns for a, b in itertools.pairwise(one))
        merged = [r for r in one if "covers" in r.body]
        assert all(r.body["n"] == len(decode_steps(r.body["covers"])) for r in merged)
        assert all(r.body["to"] - r.body["from"] == r.body["n"] for r in merged)
        # by the wall where it is known, else by the boot; the first one may be short
        assert {r.to_ns // MINUTE % 15 for r in merged[:-1]} == {-offset % 15 if offset else 0}
        assert {r.body["n"] for r in merged[1:-1]} == {15}
    kill(outbox)
    outbox = opened(tmp_path)
    assert [s.record for s in everything(outbox)] == [s.record for s in left]
    outbox.close()


def test_only_then_the_oldest_are_lost_and_all_that_they_cover_is_declared(tmp_path: Path) -> None:
    outbox = opened(tmp_path)
    events = outbox.commit([Draft(Stream.EVENT, "x", 0, 0, {"n": 0})], clock=mark(0))
    count = 2600
    live(outbox, range(count), size=450)
    counts = outbox.counts()
    assert counts.dropped > 0
    assert counts.size <= LIMIT
    left = everything(outbox)
    assert left[0].row == events[0].row
    kept = {n for s in air(left) for n in covered(s)}
    assert max(kept) == 2 * count
    assert min(kept) > 1
    declared = [
        s.record.body for s in outbox.commit([], confirmed=[events[0].row], clock=mark(count))
    ]
    assert {b["reason"] for b in declared} == {"full"}
    (drop,) = [b for b in declared if b["stream_of"] == "air"]
    assert drop["count"] == 2 * count - len(kept)
    assert set(range(drop["range"][0], drop["range"][1] + 1)) | kept == set(range(1, 2 * count + 1))
    assert sum(b["count"] for b in declared) == counts.dropped
    outbox.close()


def test_only_the_latest_start_may_still_add_to_a_quarter() -> None:
    """Of one before it the last quarter is as whole as it will ever be."""

    def heads(epoch: int, minutes: range) -> list[RowHead]:
        return [
            RowHead((epoch << 32) + n, SUMMARY_LEVEL, epoch, "air", n, "hut", 1, at, at + MINUTE)
            for n, at in ((n, n * MINUTE) for n in minutes)
        ]  # fmt: skip

    found, growing = merge_groups(
        [*heads(1, range(18)), *heads(2, range(18, 33))], QuarterHours(no_marks)
    )
    whole = [[head.seq for head in group] for group in found if group[-1].id not in growing]
    rest = [[head.seq for head in group] for group in found if group[-1].id in growing]
    assert whole == [[*range(15)], [15, 16, 17], [*range(18, 30)]]
    assert rest == [[30, 31, 32]]


def no_marks(boot: int) -> list[Stamp]:
    return []


@pytest.mark.parametrize(
    ("boot", "end", "merges"),
    [("b1", kill, True), ("b2", kill, False), ("b2", Outbox.close, True)],
)
def test_rows_that_may_have_gone_from_a_read_only_card_stay_as_they_are(
    tmp_path: Path, boot: str, end: Callable[[Outbox], None], merges: bool
) -> None:
    """Of a start that said no goodbye only its own boot still knows whether they went."""
    outbox = opened(tmp_path, 8 << 20)
    live(outbox, range(60))
    end(outbox)
    outbox = opened(tmp_path, 8 << 20, boot)
    while outbox.downsample():
        pass
    assert (outbox.counts().downsampled > 100) == merges
    assert (outbox.counts().downsampled > 0) == merges
    outbox.close()


def test_one_transaction_touches_at_most_500_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    outbox = opened(tmp_path, 16 << 20)
    for start in range(0, 1200, 100):  # one source, a row each second: 900 in a quarter
        drafts = [
            Draft(
                Stream.AIR, "hut", n * S, (n + 1) * S, {"from": n, "to": n + 1, "n": 1, "text": ""}
            )
            for n in range(start, start + 100)
        ]
        outbox.commit(drafts, clock=Stamp((start + 100) * S, WALL + (start + 100) * S, NTP))
    outbox.commit([], {"x": (1, b"")}, clock=Stamp(2000 * S, WALL + 2000 * S, NTP))
    disk, downsampler = outbox._storage.disk, outbox._handover.downsampler
    assert disk is not None
    assert downsampler is not None
    sizes = []
    rows = 1200
    while outbox._handover.make_room(disk):
        sizes.append(rows - sum(disk.tally().values()) + 1)
        rows = sum(disk.tally().values())
    assert max(sizes) == 500
    left = everything(outbox)
    # the first one ends a second after the border: by less than a mark may be wrong
    assert [s.record.body["n"] for s in left[:2]] == [1, 900]
    assert sorted(n for s in left for n in covered(s)) == list(range(1, 1201))
    outbox.close()


@settings(deadline=None, max_examples=examples(25), suppress_health_check=list(HealthCheck))
@given(st.integers(0, 1 << 30))
def test_holes_restarts_odd_and_damaged_rows_never_stop_it_and_lose_no_number(
    tmp_path: Path, seed: int
) -> None:
    rng = random.Random(seed)
    folder = tmp_path / str(len(list(tmp_path.iterdir())))
    outbox = opened(folder)
    numbers: dict[tuple[int, str], int] = {}
    at = 0
    for _ in range(rng.randrange(2, 6)):
        for _ in range(rng.randrange(10, 80)):
            at += rng.choice((1, 1, 1, 1, 2, 20))
            drafts = [minute(at, s, 40, **({"odd": True} if rng.random() < 0.1 else {}))
                      for s in SOURCES if rng.random() < 0.9]  # fmt: skip
            for s in outbox.commit(drafts, clock=mark(at)):
                key = (s.record.key.epoch, str(s.record.key.stream))
                numbers[key] = max(numbers.get(key, 0), s.record.key.seq)
        disk = outbox._storage.disk
        assert disk is not None
        if rng.random() < 0.5:
            disk._db.execute("UPDATE record SET crc = 0 WHERE id % 17 = ?", (rng.randrange(17),))
        steps = 0
        while outbox._handover.make_room(disk):
            steps += 1
            assert steps < 1000
        if rng.random() < 0.5:
            kill(outbox)
            outbox = opened(folder, boot=f"b{rng.randrange(2)}")
    found: dict[tuple[int, str], list[int]] = {key: [] for key in numbers}
    for s in everything(outbox):
        found[s.record.key.epoch, str(s.record.key.stream)] += covered(s)
    for (epoch, stream, _), drop in outbox._losses.pending.items():
        assert drop.count is not None
        found[epoch, stream] += [0] * drop.count
    for key, last in numbers.items():
        assert len(found[key]) == last, "each number once, or declared"
        assert len({n for n in found[key] if n}) == sum(n > 0 for n in found[key])
    outbox.close()


def test_more_sources_than_one_look_holds_do_not_stop_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edge.outbox.downsample.SCAN_ROWS", 20)
    outbox = opened(tmp_path)
    for n in range(40):
        body = {"from": n, "to": n + 1, "n": 1, "text": ""}
        outbox.commit(
            [Draft(Stream.AIR, f"s{s}", n * MINUTE, (n + 1) * MINUTE, body) for s in range(30)],
            clock=mark(n),
        )
    disk = outbox._storage.disk
    assert disk is not None
    steps = 0
    while outbox._handover.make_room(disk):
        steps += 1
        assert steps < 1000
    assert sorted(n for s in everything(outbox) for n in covered(s)) == list(range(1, 1201))
    outbox.close()


def test_without_a_merger_nothing_is_downsampled(tmp_path: Path) -> None:
    outbox = Outbox.open(tmp_path / "o", limit_bytes=LIMIT, boot_id="b", ballast_bytes=0)
    outbox.begin()
    live(outbox, range(600), size=400)
    assert outbox.counts().downsampled == 0
    assert outbox.counts().dropped > 0
    outbox.close()


def test_raw_goes_first_then_health_and_raw_never_downsamples_what_was_measured(
    tmp_path: Path,
) -> None:
    outbox = opened(tmp_path)
    live(outbox, range(200))
    health = [Draft(Stream.HEALTH, "h", 0, 1, {"text": text(n, 300)}) for n in range(100)]
    outbox.commit(health, clock=mark(200))
    for n in range(60):
        raw = [Draft(Stream.RAW, "", n, n + 1, {"x": text(n + 1000 * k, 1000)}) for k in range(20)]
        outbox.commit(raw, clock=mark(201 + n))
    counts = outbox.counts()
    assert counts.streams["health"] == 100
    assert (counts.downsampled, counts.streams["air"] + counts.streams["energy"]) == (0, 600)
    raw_left, had = counts.streams["raw"], []
    for number in range(300, 1500):
        live(outbox, [number])
        reported = outbox.counts()
        had.append(
            (
                reported.streams.get("raw", 0),
                reported.streams.get("health", 0),
                reported.downsampled,
            )
        )
    assert raw_left > had[0][0] - 1
    for raw_rows, health_rows, downsampled in had:
        assert health_rows == 100 or raw_rows == 0, "raw before health"
        assert downsampled == 0 or health_rows == 0, "health before downsampling"
    assert had[-1][2] > 0
    outbox.close()


def test_the_ratio_is_measured(tmp_path: Path) -> None:
    outbox = opened(tmp_path)
    downsampler = outbox._handover.downsampler
    assert isinstance(downsampler, Downsampler)
    assert downsampler.ratio == 15
    live(outbox, range(900))
    assert 10 < downsampler.ratio < 15.01
    outbox.close()


@pytest.mark.parametrize(("boot", "merges"), [("b1", True), ("b2", False)])
def test_after_a_power_cut_what_was_before_does_not_merge_while_there_is_room(
    tmp_path: Path, boot: str, merges: bool
) -> None:
    """Its disk may have been read-only at the end, and rows gone from it. After a kill the run
    directory would have said so."""
    outbox = opened(tmp_path)
    live(outbox, range(60))
    kill(outbox)
    outbox = opened(tmp_path, boot=boot)
    while outbox.downsample():
        pass
    assert (outbox.counts().downsampled > 0) == merges
    live(outbox, range(60, 120))
    before = outbox.counts().downsampled
    while outbox.downsample():
        pass
    assert outbox.counts().downsampled > before, "what is of this start does"
    outbox.close()


def test_after_a_power_cut_what_was_before_merges_when_room_is_needed(tmp_path: Path) -> None:
    """Minutes of it may have gone; to lose what did not would be worse."""
    outbox = opened(tmp_path)
    live(outbox, range(60))
    kill(outbox)
    outbox = opened(tmp_path, boot="b2")
    disk = outbox._storage.disk
    assert disk is not None
    while outbox._handover.make_room(disk):
        pass
    assert max(len(covered(s)) for s in everything(outbox)) == 15
    outbox.close()


def test_where_all_was_looked_at_and_nothing_merges_no_other_step_is_asked_for(
    tmp_path: Path,
) -> None:
    outbox = opened(tmp_path)
    live(outbox, range(0, 150, 15))  # one of each source in a quarter
    assert not outbox.downsample()
    assert outbox.counts().downsampled == 0
    outbox.close()
