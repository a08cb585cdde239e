"""Making room, a bounded number of rows at a time.

First `raw` goes, then `health`; then summaries are downsampled, and only then the oldest of them
go; then manifests; then events and registers. A draft never pushes out a row of a higher class. Of
a class those go last that are on their way at this moment: they are the oldest, and may arrive.

`FillRate` says how fast the outbox fills, and how long its room lasts.
"""

from collections import deque
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from edge.core import Draft
from edge.outbox.database import PAGE_SIZE
from edge.outbox.diskoutbox import DiskOutbox
from edge.outbox.rowformat import STREAM_LEVELS, SUMMARY_LEVEL, OutboxRow

HOUR_NS: Final = 3_600_000_000_000
SLOT_WIDTH_NS: Final = 60_000_000_000  # commits of a minute are one entry
MIN_SPAN_NS: Final = 120_000_000_000  # a rate of less than that says nothing
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


class Inflow(NamedTuple):
    """Bytes that came within `over_ns`: of summaries, and of the rest; rows of any kind."""

    over_ns: int
    summaries: int
    others: int
    rows: int


class FillRate:
    """The bytes of the last hour, by the monotonic times of the commits. Bounded."""

    def __init__(self) -> None:
        # [first ns, last ns, summary bytes, other bytes, rows] of some commits
        self._slots: deque[list[int]] = deque()

    def add(self, mono_ns: int, summary_bytes: int, other_bytes: int, rows: int) -> None:
        """One commit."""
        slots = self._slots
        if slots and mono_ns < slots[-1][1]:  # another clock: begin anew
            slots.clear()
        if not slots or mono_ns - slots[-1][0] >= SLOT_WIDTH_NS:
            slots.append([mono_ns, mono_ns, 0, 0, 0])
        slot = slots[-1]
        slot[1] = mono_ns
        slot[2] += summary_bytes
        slot[3] += other_bytes
        slot[4] += rows
        while len(slots) > 1 and mono_ns - slots[1][0] >= HOUR_NS:
            slots.popleft()

    def inflow(self) -> Inflow:
        """What came after the first entry: that one says when the time begins."""
        if not self._slots:
            return Inflow(0, 0, 0, 0)
        first, *rest = self._slots
        over_ns = self._slots[-1][1] - first[1]
        sums = [sum(slot[place] for slot in rest) for place in (2, 3, 4)]
        return Inflow(over_ns, *sums)


class DownsampleOutlook(NamedTuple):
    """What merging can still do."""

    gain: float  # bytes that the rows that wait would give back
    ratio: float  # by which summaries shrink
    coming: bool  # those that are to come will merge, too
    margin: int  # bytes: when room runs out and merging gives less back, the oldest rows go


def forecast_full(room: int, inflow: Inflow) -> float | None:
    """Seconds until `room` bytes are used up; None when nobody can say, or never."""
    return _rounded(room, inflow.summaries + inflow.others, inflow.over_ns)


def forecast_drop(room: int, inflow: Inflow, outlook: DownsampleOutlook) -> float | None:
    """Seconds until the first row is dropped, as above.

    Each time that room runs out merging makes `margin` of it, from what waited and what has come
    since; the last time it cannot, and what it has left is of no use.
    """
    came, ratio = inflow.summaries + inflow.others, outlook.ratio
    saved = inflow.summaries * (1 - 1 / ratio) if outlook.coming else 0.0
    if came <= 0:
        return None
    room = max(0, room)
    left = outlook.gain + room * saved / came - outlook.margin
    if left < 0:
        return forecast_full(room, inflow)
    lasts = room + outlook.margin + left * came / (came - saved)
    return _rounded(lasts, came, inflow.over_ns)


def _rounded(room: float, came: float, over_ns: int) -> float | None:
    if over_ns < MIN_SPAN_NS or came <= 0:
        return None
    return round(max(0.0, room) * over_ns / came / 1e9, 1)


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
