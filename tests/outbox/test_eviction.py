"""Room is made when there is too little, of what may go first, and not one row more."""

from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.core import Draft, Stream, StreamLevel
from edge.outbox.database import PAGE_SIZE
from edge.outbox.diskoutbox import DiskOutbox
from edge.outbox.eviction import (
    COLUMNS,
    EVICT_BATCH_ROWS,
    EVICT_MARGIN_BYTES,
    PackedDraft,
    evict_margin,
    evict_rows,
    fit_drafts,
    row_bytes,
)
from edge.outbox.rowformat import STREAM_LEVELS
from tests.kit.outbox import MARK, drafts, opened

LIMIT = 10_000  # its hundredth is made free beyond what is needed


class EvictableRows:
    """Stands for the database: so many rows of 100 bytes of each stream."""

    def __init__(self, free: int, **rows: int) -> None:
        self.free, self.left = free, dict(rows)
        self.asked = 0

    def room(self) -> int:
        return self.free

    def tally(self) -> dict[str, int]:
        self.asked += 1
        return dict(self.left)

    def oldest(
        self, streams: Collection[str], limit: int, need: int, in_flight: Callable[[int], bool]
    ) -> list[str]:
        assert limit == EVICT_BATCH_ROWS
        found = [name for name in streams for _ in range(self.left.get(name, 0))]
        return found[: min(limit, -(-need // 100))]

    def lose(self, rows: Any) -> None:
        for name in rows:
            self.left[name] -= 1
            self.free += 100

    def make(self, need: int, highest: int, gains: int = 0) -> bool:
        """`gains`: so often 100 bytes come from merging."""
        self.gains = gains

        def downsample() -> bool:
            if not self.gains:
                return False
            self.gains -= 1
            self.free += 100
            return True

        return evict_rows(cast("DiskOutbox", self), need, highest, LIMIT, self.lose, downsample)


def test_where_there_is_just_enough_nothing_is_touched() -> None:
    disk = EvictableRows(500, air=9)
    assert disk.make(500, 4)
    assert (disk.asked, disk.left) == (0, {"air": 9})
    assert disk.make(501, 4)
    assert disk.left == {"air": 7}, "what was missing, and a margin"


def test_what_may_go_first_goes_first_and_nothing_above_what_needs_the_room() -> None:
    disk = EvictableRows(0, raw=2, health=1, air=3, manifest=9, event=5)
    assert disk.make(400, STREAM_LEVELS[Stream.AIR])
    assert disk.left == {"raw": 0, "health": 0, "air": 1, "manifest": 9, "event": 5}
    assert not disk.make(700, STREAM_LEVELS[Stream.AIR])
    assert disk.left == {"raw": 0, "health": 0, "air": 0, "manifest": 9, "event": 5}
    assert disk.make(700, STREAM_LEVELS[Stream.EVENT])
    assert disk.left["event"] == 5, "the manifests were enough"


def test_what_can_merge_merges_before_any_of_it_goes() -> None:
    disk = EvictableRows(0, air=9)
    assert disk.make(400, STREAM_LEVELS[Stream.AIR], gains=50)
    assert (disk.left["air"], disk.free, disk.gains) == (9, 400 + evict_margin(LIMIT), 45)
    disk = EvictableRows(0, air=9)
    assert disk.make(400, STREAM_LEVELS[Stream.AIR], gains=2)
    assert disk.left["air"] == 6


def drafts_of(*streams: Stream) -> list[PackedDraft]:
    """Each takes some 100 bytes, as a row of this database does."""
    return [(Draft(stream, "s", 0, 0, {}), b"x" * (100 - COLUMNS)) for stream in streams]


def fitted(free: int, rows: dict[str, int], packed: list[PackedDraft]) -> tuple[Any, set[int]]:
    """The database afterwards, and which drafts it has no room for."""
    disk = EvictableRows(free + EVICT_MARGIN_BYTES, **rows)
    lost = fit_drafts(
        cast("DiskOutbox", disk), packed, LIMIT, disk.lose, lambda: False, lambda row: False
    )
    return disk, lost


def test_a_draft_pushes_out_nothing_of_a_higher_class_whatever_it_comes_with() -> None:
    size = row_bytes(b"x" * (100 - COLUMNS))
    packed = drafts_of(*[Stream.RAW] * 5, Stream.EVENT)
    disk, lost = fitted(size, {"air": 9, "event": 9}, packed)
    assert (disk.left, lost) == ({"air": 9, "event": 9}, {0, 1, 2, 3, 4})
    disk, lost = fitted(0, {"raw": 1, "air": 9, "event": 9}, packed)
    assert disk.left["event"] == 9
    assert disk.left["raw"] == 0
    assert 5 not in lost


streams = st.sampled_from(list(Stream))


@given(
    st.integers(0, 1500),
    st.dictionaries(streams.map(str), st.integers(0, 9)),
    st.lists(streams, max_size=12),
    st.sampled_from(StreamLevel),
)
def test_what_becomes_of_a_class_does_not_depend_on_what_is_worth_less(
    free: int, rows: dict[str, int], come: list[Stream], level: StreamLevel
) -> None:
    disk, lost = fitted(free, rows, drafts_of(*come))
    above = [place for place, stream in enumerate(come) if stream.level >= level]
    alone, lost_alone = fitted(free, rows, drafts_of(*(come[place] for place in above)))

    def left(of: Any) -> dict[str, int]:
        return {name: n for name, n in of.left.items() if Stream(name).level >= level}

    assert left(disk) == left(alone)
    assert [place in lost for place in above] == [n in lost_alone for n in range(len(above))]
    kept = sum(place not in lost for place in range(len(come)))
    assert not kept or disk.free >= EVICT_MARGIN_BYTES + kept * row_bytes(b"x" * (100 - COLUMNS))
    lowest = min((s.level for p, s in enumerate(come) if p not in lost), default=5)
    assert all(come[place].level <= lowest for place in lost), "the worth less, the sooner"


@pytest.mark.parametrize("missing", [1, 100, 101])
def test_a_margin_is_made_free_too(missing: int) -> None:
    disk = EvictableRows(0, raw=99)
    assert disk.make(missing, 0)
    assert disk.free - missing >= evict_margin(LIMIT) == 100
    assert disk.free - missing < evict_margin(LIMIT) + 100


def test_one_transaction_drops_so_many_rows_and_not_one_more(tmp_path: Path) -> None:
    outbox = opened(tmp_path)
    outbox.begin()
    outbox.commit(drafts(7), clock=MARK)
    disk = outbox._storage.disk
    assert disk is not None
    assert [row.seq for row in disk.oldest(["air"], 3, 1 << 30)] == [1, 2, 3]
    outbox.close()


def test_the_database_leaves_room_for_declaring_losses_out(tmp_path: Path) -> None:
    """A fiftieth of its pages, and 16 at least: what is lost must be told when it is full."""
    for limit in (4 << 20, 1 << 18):
        outbox = opened(tmp_path / str(limit), limit=limit)
        outbox.begin()
        disk = outbox._storage.disk
        assert disk is not None
        pages = disk.one("PRAGMA max_page_count")
        left_out = pages * PAGE_SIZE - disk.room() - disk.used_bytes()
        assert left_out == max(16, pages // 50) * PAGE_SIZE
        outbox.close()
