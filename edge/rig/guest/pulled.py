"""When each change of a line is pulled in the guest, so that two of them stay as far apart as they
are in the street.

What plays the street is on a machine that may be late, and so may the guest. A pulse that got
shorter by that is another vehicle, or none: the kernel debounces the line. So each change comes a
while behind its moment, and one that is later than that holds up all that follow it. From then on
the street is played a little faster, until it has caught up.
"""

import heapq
import itertools
from typing import Final

LATE_NS: Final = 20_000_000  # a change that is later was held up
SETTLE_NS: Final = (
    50_000_000  # after that the kernel has so long for what waits, as a debounce does
)
CATCH_UP: Final = 0.02  # of the time: by so much speeds are off meanwhile

Pull = tuple[str, bool]
"""A line, and whether it is high."""


class PullPlan:
    """All times are in ns of the guest's monotonic clock. `worst_ns`: how far behind its moment a
    change was pulled at most."""

    def __init__(self) -> None:
        self.worst_ns = 0
        self._waiting: list[tuple[int, int, Pull]] = []
        self._turn = itertools.count()  # of one moment, what was told first goes first
        self._behind_ns = 0
        self._last_ns = 0  # the moment of the last change

    def take(self, line: str, high: bool, due_ns: int) -> None:
        """A change, and its moment."""
        heapq.heappush(self._waiting, (due_ns, next(self._turn), (line, high)))

    def next_ns(self) -> int | None:
        """When there will be something to pull; None: not before something is told."""
        if not self._waiting:
            return None
        due_ns = self._waiting[0][0]
        return due_ns + self._behind(due_ns)

    def pull(self, now_ns: int) -> Pull | None:
        """What is to be pulled now, if anything. Ask again until there is nothing."""
        at_ns = self.next_ns()
        if at_ns is None or now_ns < at_ns:
            return None
        due_ns = self._waiting[0][0]
        self._behind_ns, self._last_ns = self._behind(due_ns), max(self._last_ns, due_ns)
        if now_ns - at_ns > LATE_NS:
            self._behind_ns = now_ns - due_ns + SETTLE_NS
            return None
        self.worst_ns = max(self.worst_ns, now_ns - due_ns)
        return heapq.heappop(self._waiting)[2]

    def _behind(self, due_ns: int) -> int:
        passed_ns = max(0, due_ns - self._last_ns)
        return max(0, self._behind_ns - int(passed_ns * CATCH_UP))
