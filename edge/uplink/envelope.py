"""Wall times, added at sending: the clock map of a boot turns monotonic times into them."""

from collections.abc import Sequence
from typing import Final, Protocol

from edge.core import Envelope

TRUST: Final = ("none", "floor", "rtc", "ntp", "nts")


class Mark(Protocol):
    """One moment on both clocks."""

    @property
    def mono_ns(self) -> int: ...
    @property
    def wall_ns(self) -> int: ...
    @property
    def tq(self) -> str: ...


def best_mark(marks: Sequence[Mark], to_ns: int) -> Mark | None:
    """The mark to date a record by that ended at `to_ns`; None when the boot has none.

    The one trusted most; but when trust was lost later, a record from after that says so.
    """
    found: Mark | None = None
    for mark in sorted(marks, key=lambda mark: mark.mono_ns):
        better = found is None or TRUST.index(mark.tq) >= TRUST.index(found.tq)
        if better or (found is not None and to_ns > mark.mono_ns):
            found = mark
    return found


def envelope(
    marks: Sequence[Mark], from_ns: int, to_ns: int, *, late: bool = False, again: bool = False
) -> Envelope:
    """A boot without a mark has no wall time: 1970 and `none` say so."""
    mark = best_mark(marks, to_ns)
    if mark is None:
        return Envelope(0, to_ns - from_ns, "none", late, again)
    shift = mark.wall_ns - mark.mono_ns
    return Envelope(from_ns + shift, to_ns + shift, mark.tq, late, again)
