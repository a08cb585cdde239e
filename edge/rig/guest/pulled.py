"""When each change of a line is pulled in the guest, so that two of them stay as far apart as they
are in the street.

What plays the street is on a machine that may be late, and so may the guest. A pulse that got
shorter by that is another vehicle, or none: the kernel debounces the line. So each change comes a
while behind its moment, and one that is later than that holds up what follows it on the same lane:
its two loops give a speed. Where nothing happens there for a while, that is shorter.
"""

import heapq
import itertools
from dataclasses import dataclass
from typing import Final

LATE_NS: Final = 20_000_000  # a change that is later was held up
SETTLE_NS: Final = (
    50_000_000  # after that the kernel has so long for what waits, as a debounce does
)
QUIET_NS: Final = 1_000_000_000  # what is shorter than that is as long as in the street
Pull = tuple[str, bool]
"""A line, and whether it is high."""


@dataclass(slots=True)
class _Lane:
    """Lines that belong together: how far behind they are, and the moment of the last change."""

    behind_ns: int = 0
    last_ns: int = 0

    def behind(self, due_ns: int) -> int:
        """At the next change."""
        return max(0, self.behind_ns - max(0, due_ns - self.last_ns - QUIET_NS))


class PullPlan:
    """All times are in ns of the guest's monotonic clock. `worst_ns`: how far behind its moment a
    change was pulled at most."""

    def __init__(self) -> None:
        self.worst_ns = 0
        self._waiting: list[tuple[int, int, int, str, Pull]] = []  # when, moment, turn, lane, pull
        self._turn = itertools.count()  # of one moment, what was told first goes first
        self._lanes: dict[str, _Lane] = {}

    def take(self, lane: str, line: str, high: bool, due_ns: int) -> None:
        """A change, and its moment. `lane`: a name of all lines that belong together."""
        at_ns = due_ns + self._lanes.setdefault(lane, _Lane()).behind(due_ns)
        heapq.heappush(self._waiting, (at_ns, due_ns, next(self._turn), lane, (line, high)))

    def next_ns(self) -> int | None:
        """When there will be something to pull; None: not before something is told."""
        return self._waiting[0][0] if self._waiting else None

    def pull(self, now_ns: int) -> Pull | None:
        """What is to be pulled now, if anything. Ask again until there is nothing."""
        while self._waiting and self._waiting[0][0] <= now_ns:
            _, due_ns, turn, name, found = heapq.heappop(self._waiting)
            lane = self._lanes[name]
            sure_ns = due_ns + lane.behind(due_ns)
            if sure_ns <= now_ns <= sure_ns + LATE_NS:
                lane.behind_ns, lane.last_ns = lane.behind(due_ns), max(lane.last_ns, due_ns)
                self.worst_ns = max(self.worst_ns, now_ns - due_ns)
                return found
            if sure_ns < now_ns:  # the lane was held up
                lane.behind_ns, lane.last_ns = now_ns - due_ns + SETTLE_NS, due_ns
                sure_ns = now_ns + SETTLE_NS
            heapq.heappush(self._waiting, (sure_ns, due_ns, turn, name, found))
        return None
