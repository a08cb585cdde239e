"""Wall times, added at sending: the clock map of a boot turns monotonic times into them."""

from collections.abc import Sequence
from typing import Final, Protocol

from edge.core import Envelope

TRUST: Final = ("none", "floor", "rtc", "ntp", "nts")
CERTAIN: Final = TRUST.index("ntp")  # from there on a wall time is one
UNSURE: Final = ("none", "floor")  # these are sent with bounds
MARKS: Final = 16  # of a boot
SAME_NS: Final = 10_000_000  # two looks at an offset that has not changed
CORRECTION_NS: Final = 86_400_000_000_000  # a clock that is corrected by less was not wrong

Known = tuple[int | None, int | None]
"""Wall times (Unix ns) that are certain: the latest of the boots before, and the earliest start of
a boot after. None for what nobody knows."""


class Mark(Protocol):
    """One moment on both clocks."""

    @property
    def mono_ns(self) -> int: ...
    @property
    def wall_ns(self) -> int: ...
    @property
    def tq(self) -> str: ...


class ClockMap:
    """The marks of the boot that runs: one for each offset and quality that its clock has had.

    Both clocks are slewed alike, so an offset holds until the wall is set. Bounded.
    """

    def __init__(self, marks: Sequence[Mark] = ()) -> None:
        self.marks = sorted(marks, key=lambda mark: mark.mono_ns)[-MARKS:]

    def see(self, now: Mark) -> bool:
        """Look at the clock. True when it has become certain, or is certain of something else."""
        last = self.marks[-1] if self.marks else None
        if last is not None and last.tq == now.tq and abs(_shift(now) - _shift(last)) <= SAME_NS:
            return False
        if len(self.marks) >= MARKS:  # what a certain one can stand for goes first
            unsure = (n for n, mark in enumerate(self.marks) if _trust(mark) < CERTAIN)
            del self.marks[next(unsure, 0)]
        self.marks.append(now)
        return _trust(now) >= CERTAIN


def best_mark(marks: Sequence[Mark], to_ns: int) -> Mark | None:
    """The mark to date a record by that ended at `to_ns`; None when the boot has none.

    The one that held then, if it was certain; else the first certain one after it: that is what
    the clock should have shown. In a boot that has none, the first after it that is trusted more.
    A record that ended at the very moment of a mark was cut there, and belongs to what was before.
    A certain one that the last certain one contradicts by more than a day was wrong: it is none.
    """
    found: Mark | None = None
    for mark in sorted(_standing(marks), key=lambda mark: mark.mono_ns):
        if mark.mono_ns >= to_ns and found is not None:
            if _trust(found) >= CERTAIN:
                break
            if _trust(mark) <= _trust(found):
                continue
        found = mark
    return found


def envelope(
    marks: Sequence[Mark],
    from_ns: int,
    to_ns: int,
    *,
    late: bool = False,
    again: bool = False,
    known: Known | None = None,
) -> Envelope:
    """Wall times of a record. With `known` those that are unsure keep between their bounds.

    A boot without a mark has no wall time: the lower bound, or else 1970, and `none` say so.
    """
    mark, length_ns = best_mark(marks, to_ns), to_ns - from_ns
    tq = mark.tq if mark else "none"
    start_ns = from_ns + _shift(mark) if mark else 0
    bounds = _bounds(known, from_ns, length_ns) if known and tq in UNSURE else None
    if known and tq == "none":
        start_ns = 0  # this wall cannot be right
    if bounds is not None:
        low, high = bounds
        if high is not None:
            start_ns = min(start_ns, high - length_ns)
        start_ns = max(start_ns, low or 0)
    return Envelope(start_ns, start_ns + length_ns, tq, late, again, bounds)


def _bounds(known: Known, from_ns: int, length_ns: int) -> Known | None:
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


def _standing(marks: Sequence[Mark]) -> Sequence[Mark]:
    """Without those that were overruled. At most one boot's, and nearly always all of them."""
    sure = [mark for mark in marks if _trust(mark) >= CERTAIN]
    if len(sure) < 2:
        return marks
    shift = _shift(max(sure, key=lambda mark: mark.mono_ns))
    return [
        mark
        for mark in marks
        if _trust(mark) < CERTAIN or abs(_shift(mark) - shift) <= CORRECTION_NS
    ]


def _trust(mark: Mark) -> int:
    return TRUST.index(mark.tq)


def _shift(mark: Mark) -> int:
    return mark.wall_ns - mark.mono_ns
