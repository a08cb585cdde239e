"""Wall times, added at sending: the clock map of a boot turns monotonic times into them."""

from collections.abc import Sequence
from typing import Final, Protocol

from edge.core import Envelope, TimeQuality
from edge.wire.clockmoments import SAME_US, KnownBounds, wall_times

MARKS_LIMIT: Final = 16  # of a boot
SAME_NS: Final = SAME_US * 1000
CORRECTION_NS: Final = 86_400_000_000_000  # a clock that is corrected by less was not wrong


class ClockMarkLike(Protocol):
    """One moment on both clocks."""

    @property
    def mono_ns(self) -> int: ...
    @property
    def wall_ns(self) -> int: ...
    @property
    def tq(self) -> TimeQuality: ...


class ClockMap:
    """The marks of the boot that runs: one for each offset and quality that its clock has had.

    Both clocks are slewed alike, so an offset holds until the wall is set. Bounded.
    """

    def __init__(self, marks: Sequence[ClockMarkLike] = ()) -> None:
        self.marks = sorted(marks, key=lambda mark: mark.mono_ns)[-MARKS_LIMIT:]

    def holds(self, now: ClockMarkLike) -> bool:
        """Whether the last mark says the same as the clock does."""
        last = self.marks[-1] if self.marks else None
        return last is not None and last.tq == now.tq and abs(_shift(now) - _shift(last)) <= SAME_NS

    def see(self, now: ClockMarkLike) -> bool:
        """Look at the clock. True when it has become certain, or is certain of something else."""
        if self.holds(now):
            return False
        if len(self.marks) >= MARKS_LIMIT:  # what a certain one can stand for goes first
            unsure = (n for n, mark in enumerate(self.marks) if not mark.tq.is_synchronised)
            del self.marks[next(unsure, 0)]
        self.marks.append(now)
        return now.tq.is_synchronised


def best_mark(marks: Sequence[ClockMarkLike], to_ns: int) -> ClockMarkLike | None:
    """The mark to date a record by that ended at `to_ns`; None when the boot has none.

    The one that held then, if it was certain; else the first certain one after it: that is what
    the clock should have shown. In a boot that has none, the first after it that is trusted more.
    A record that ended at the very moment of a mark was cut there, and belongs to what was before.
    A certain one that the last certain one contradicts by more than a day was wrong: it is none.
    """
    found: ClockMarkLike | None = None
    for mark in sorted(_without_overruled(marks), key=lambda mark: mark.mono_ns):
        if mark.mono_ns >= to_ns and found is not None:
            if found.tq.is_synchronised:
                break
            if mark.tq.rank <= found.tq.rank:
                continue
        found = mark
    return found


def make_envelope(
    marks: Sequence[ClockMarkLike],
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
    mark: ClockMarkLike | None,
    from_ns: int,
    to_ns: int,
    known: KnownBounds | None,
    *,
    backfilled: bool,
    redelivered: bool,
) -> Envelope:
    """By this mark."""
    if mark is None:  # 1970 by itself; `dated` puts it between its bounds
        start_ns, end_ns, bounds = wall_times(-from_ns, TimeQuality.NONE, known, from_ns, to_ns)
        return Envelope(start_ns, end_ns, TimeQuality.NONE, backfilled, redelivered, bounds)
    start_ns, end_ns, bounds = wall_times(_shift(mark), mark.tq, known, from_ns, to_ns)
    return Envelope(start_ns, end_ns, mark.tq, backfilled, redelivered, bounds)


def _without_overruled(marks: Sequence[ClockMarkLike]) -> Sequence[ClockMarkLike]:
    """Without those that were overruled. At most one boot's, and nearly always all of them."""
    sure = [mark for mark in marks if mark.tq.is_synchronised]
    if len(sure) < 2:
        return marks
    shift = _shift(max(sure, key=lambda mark: mark.mono_ns))
    return [
        mark
        for mark in marks
        if not mark.tq.is_synchronised or abs(_shift(mark) - shift) <= CORRECTION_NS
    ]


def _shift(mark: ClockMarkLike) -> int:
    return mark.wall_ns - mark.mono_ns
