"""Making room, a bounded number of rows at a time.

First `raw` goes, then `health`; then summaries are downsampled, and only then the oldest of them
go; then manifests; then events and registers. A draft never pushes out a row of a higher class. Of
a class those go last that are on their way at this moment: they are the oldest, and may arrive.
"""

from collections import deque
from collections.abc import Callable, Sequence
from typing import Final

from edge.core import Draft
from edge.outbox.database import PAGE_SIZE
from edge.outbox.diskoutbox import DiskOutbox
from edge.outbox.rowformat import STREAM_LEVELS, SUMMARY_LEVEL, OutboxRow

COLUMNS: Final = 60  # bytes of a row besides its body
DOWNSAMPLE_RATIO: Final = (
    15.0  # of summary bytes before and after downsampling, until it is measured
)
EVICT_BATCH_ROWS: Final = 500  # rows that one transaction may drop
EVICT_MARGIN_BYTES: Final = 64 << 10  # bytes for pages that are not quite full, and for states

PackedDraft = tuple[Draft, bytes]
OnEvicted = Callable[[Sequence[OutboxRow]], None]
"""Takes rows out and declares them."""
DownsampleStep = Callable[[], bool]
"""Merges some rows; whether another call may gain more."""

DropLast = Callable[[int], bool]
"""Whether a row is on its way."""


def row_bytes(body: bytes) -> int:
    """What a row takes of the database, with the rest of its pages that stays empty.

    As SQLite lays out a table of small pages: as many whole rows as fit, and of one that does not
    fit a part, and pages of its own for the rest.
    """
    size, pages = len(body) + COLUMNS, 0
    if size > PAGE_SIZE - 35:
        least = (PAGE_SIZE - 12) * 32 // 255 - 23
        here = least + (size - least) % (PAGE_SIZE - 4)
        if here > PAGE_SIZE - 35:
            here = least
        pages = -(-(size - here) // (PAGE_SIZE - 4))
        size = here
    return pages * PAGE_SIZE + PAGE_SIZE // ((PAGE_SIZE - 8) // (size + 7))


def fit_drafts(
    disk: DiskOutbox,
    packed: Sequence[PackedDraft],
    limit_bytes: int,
    on_evicted: OnEvicted,
    downsample: DownsampleStep,
    drop_last: DropLast,
) -> set[int]:
    """Which drafts cannot be kept, by their places. Raises sqlite3.Error.

    Class by class, the highest first: for each only those rows go that may go for it.
    """
    levels = [STREAM_LEVELS[draft.stream] for draft, _ in packed]
    sizes = [row_bytes(body) for _, body in packed]
    need = EVICT_MARGIN_BYTES
    if disk.room() >= need + sum(sizes):
        return set()
    kept: set[int] = set()
    for level in sorted(set(levels), reverse=True):
        places = deque(place for place, each in enumerate(levels) if each == level)
        class_bytes, came = sum(sizes[place] for place in places), len(places)
        while places and not evict_rows(
            disk, need + class_bytes, level, limit_bytes, on_evicted, downsample, drop_last
        ):
            class_bytes -= sizes[places.popleft()]
        need += class_bytes
        kept.update(places)
        if len(places) < came:
            break  # what is worth less goes before it
    return set(range(len(packed))) - kept


def evict_margin(limit_bytes: int) -> int:
    """Bytes that are made free at once when room has run out."""
    return limit_bytes // 100


def evict_rows(
    disk: DiskOutbox,
    need: int,
    highest: int,
    limit_bytes: int,
    on_evicted: OnEvicted,
    downsample: DownsampleStep,
    drop_last: DropLast = lambda row: False,
) -> bool:
    """Whether `need` bytes are free in the end. Raises sqlite3.Error."""
    if disk.room() >= need:
        return True
    goal = need + evict_margin(limit_bytes)  # so that it is not again at the very next commit
    present = disk.tally()
    for level in range(highest + 1):
        streams = [str(name) for name, rank in STREAM_LEVELS.items() if rank == level]
        if not any(present.get(stream) for stream in streams):
            continue  # looking for the first of them would read the whole database
        if level == SUMMARY_LEVEL:
            while disk.room() < goal and downsample():
                pass
        while (missing := goal - disk.room()) > 0:
            victims = disk.oldest(streams, EVICT_BATCH_ROWS, missing, drop_last)
            if not victims:
                break
            on_evicted(victims)
    return disk.room() >= need
