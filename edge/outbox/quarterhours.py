"""Quarter hours: by the wall where a boot knew the time, else by its own clock."""

from collections.abc import Callable, Sequence
from typing import Final

from edge.outbox.rowformat import TIME_QUALITY_RANK, ClockMark

QUARTER_NS: Final = 900_000_000_000
TRUSTED: Final = 2  # of `TIME_QUALITY_RANK`: rtc or better
QUARTER_SLACK_NS: Final = (
    1_000_000_000  # so far a mark may lie beside another one without being a step
)


class QuarterHours:
    """`marks` gives the clock map of a boot; it is asked once for each."""

    def __init__(self, marks: Callable[[int], Sequence[ClockMark]]) -> None:
        self._ask = marks
        self._shifts: dict[int, list[tuple[int, int]]] = {}  # from a monotonic time on, the oldest

    def of(self, boot: int, to_ns: int) -> int:
        """The quarter in which a row ends. Its end belongs to it, its beginning does not.

        A window that ends with the quarter does so by the clock of that moment; the mark by which
        it is dated now may lie a second beside it.
        """
        shifts = self._shifts.get(boot)
        if shifts is None:
            shifts = self._shifts[boot] = sorted(
                (mark.mono_ns, mark.wall_ns - mark.mono_ns)
                for mark in self._ask(boot)
                if TIME_QUALITY_RANK[mark.tq] >= TRUSTED
            )
        if not shifts:
            return (to_ns - 1) // QUARTER_NS
        shift = shifts[0][1]
        for from_ns, each in shifts:
            if from_ns > to_ns:
                break
            shift = each
        return (to_ns + shift - 1 - QUARTER_SLACK_NS) // QUARTER_NS
