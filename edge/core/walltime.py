"""Wall times, added when a record is sent: a few moments on both clocks of its boot say which.

A moment of a boot (`Stamp`) is a mark; all that are kept of one boot are its clock map. A record is
dated by one of them. A boot that never learnt the time lies between the boots before and after it.
"""

from collections.abc import Collection, Iterable, Sequence
from typing import Final

from edge.core.clock import Stamp, TimeQuality
from edge.core.record import Envelope

MARKS_LIMIT: Final = 16  # of a boot
SAME_NS: Final = 10_000_000  # two looks at an offset that has not changed
CORRECTION_NS: Final = 86_400_000_000_000  # a clock that is corrected by less was not wrong
QUARTER_NS: Final = 900_000_000_000  # a quarter hour of the wall clock: minutes merge into it

KnownBounds = tuple[int | None, int | None]
"""Wall times (Unix ns) that are certain: the latest of the boots before, and the earliest start of
a boot after. None for what nobody knows."""


class ClockMap:
    """The marks of the boot that runs: one for each offset and quality that its clock has had.

    Both clocks are slewed alike, so an offset holds until the wall is set. Bounded.
    """

    def __init__(self, marks: Iterable[Stamp] = ()) -> None:
        self.marks = sorted(marks, key=lambda mark: mark.mono_ns)[-MARKS_LIMIT:]

    def holds(self, now: Stamp) -> bool:
        """Whether the last mark says the same as the clock does."""
        last = self.marks[-1] if self.marks else None
        return (
            last is not None
            and last.tq == now.tq
            and abs(now.offset_ns - last.offset_ns) <= SAME_NS
        )

    def see(self, now: Stamp) -> bool:
        """Look at the clock. True when it has become certain, or is certain of something else."""
        if self.holds(now):
            return False
        if len(self.marks) >= MARKS_LIMIT:  # what a certain one can stand for goes first
            unsure = (n for n, mark in enumerate(self.marks) if not mark.tq.is_synchronised)
            del self.marks[next(unsure, 0)]
        self.marks.append(now)
        return now.tq.is_synchronised


def best_mark(marks: Collection[Stamp], to_ns: int) -> Stamp | None:
    """The mark to date a record by that ended at `to_ns`; None when the boot has none.

    The one that held then, if it was certain; else the first certain one after it: that is what
    the clock should have shown. In a boot that has none, the first after it that is trusted more.
    A record that ended at the very moment of a mark was cut there, and belongs to what was before.
    A certain one that the last certain one contradicts by more than a day was wrong: it is none.
    """
    found: Stamp | None = None
    for mark in sorted(without_overruled(marks), key=lambda mark: mark.mono_ns):
        if mark.mono_ns >= to_ns and found is not None:
            if found.tq.is_synchronised:
                break
            if mark.tq.rank <= found.tq.rank:
                continue
        found = mark
    return found


def without_overruled(marks: Collection[Stamp]) -> Collection[Stamp]:
    """Of one boot, without those that the last certain one contradicts."""
    sure = [mark for mark in marks if mark.tq.is_synchronised]
    if len(sure) < 2:
        return marks  # nearly always
    last = max(sure, key=lambda mark: mark.mono_ns)
    return [
        mark
        for mark in marks
        if not mark.tq.is_synchronised or abs(mark.offset_ns - last.offset_ns) <= CORRECTION_NS
    ]


def make_envelope(
    marks: Sequence[Stamp],
    from_ns: int,
    to_ns: int,
    *,
    backfilled: bool = False,
    redelivered: bool = False,
    known: KnownBounds | None = None,
) -> Envelope:
    """Wall times of a record. With `known` those that are unsure keep between their bounds.

    A boot without a mark has no wall time: the lower bound, or else 1970, and `none` say so.
    """
    return envelope_by(
        best_mark(marks, to_ns),
        from_ns,
        to_ns,
        known,
        backfilled=backfilled,
        redelivered=redelivered,
    )


def envelope_by(
    mark: Stamp | None,
    from_ns: int,
    to_ns: int,
    known: KnownBounds | None,
    *,
    backfilled: bool,
    redelivered: bool,
) -> Envelope:
    """By this mark. Without one it is 1970, unless bounds are known."""
    offset_ns, tq = (-from_ns, TimeQuality.NONE) if mark is None else (mark.offset_ns, mark.tq)
    start_ns, end_ns, bounds = wall_times(offset_ns, tq, known, from_ns, to_ns)
    return Envelope(start_ns, end_ns, tq, backfilled, redelivered, bounds)


def wall_times(
    offset_ns: int, tq: TimeQuality, known: KnownBounds | None, from_ns: int, to_ns: int
) -> tuple[int, int, KnownBounds | None]:
    """From, to and bounds (Unix ns) of a record, by wall - monotonic of its boot.

    With `known` those that are unsure keep between their bounds.
    """
    length_ns, start_ns, bounds = to_ns - from_ns, from_ns + offset_ns, None
    if known and tq is TimeQuality.NONE:
        start_ns = 0  # this wall cannot be right
    if known and tq.is_guessed:
        bounds = _bounds(known, from_ns, length_ns)
    if bounds is not None:
        low, high = bounds
        if high is not None:
            start_ns = min(start_ns, high - length_ns)
        start_ns = max(start_ns, low or 0)
    return start_ns, start_ns + length_ns, bounds


def _bounds(known: KnownBounds, from_ns: int, length_ns: int) -> KnownBounds | None:
    """When it can have been: the boot began after what was known before, and the record began
    `from_ns` after its boot. None when nothing is known, or when what is known contradicts itself.
    """
    before_ns, high_ns = known
    low_ns = None if before_ns is None else before_ns + from_ns
    if low_ns is None and high_ns is None:
        return None
    if low_ns is not None and high_ns is not None and low_ns + length_ns > high_ns:
        return None  # a clock that was taken for certain was wrong
    return low_ns, high_ns
