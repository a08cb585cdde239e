"""How far the monotonic clock of a guest is ahead of the rig's, and how far off that may be.

A question and its answer bound it: the guest read its clock between the two. The shortest way of
the last ones counts, and the guest's clock may run a little faster or slower in between.
"""

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

KEPT: Final = 20
FIRST: Final = 10
DRIFT_PPM: Final = 500  # more than any kernel lets a clock be off


@dataclass(frozen=True, slots=True)
class ClockAnswer:
    """At `at_ns` of the rig's clock `ahead_ns` was right within `bound_ns`."""

    at_ns: int
    ahead_ns: int
    bound_ns: int


class GuestClock:
    """`ask` gives the guest's monotonic clock in ns; `mono_ns` is the rig's."""

    def __init__(
        self, ask: Callable[[], int], mono_ns: Callable[[], int] = time.monotonic_ns
    ) -> None:
        self._ask, self._mono_ns = ask, mono_ns
        self._answers: deque[ClockAnswer] = deque(maxlen=KEPT)
        self._low_ns = self._high_ns = 0

    def begin(self) -> None:
        """Of a machine that has just booted: what was known of another one is forgotten."""
        self._answers.clear()
        for _ in range(FIRST):
            self.look()

    def look(self) -> None:
        """Ask once."""
        before_ns = self._mono_ns()
        said_ns = self._ask()
        after_ns = self._mono_ns()
        bound_ns = (after_ns - before_ns + 1) // 2
        ahead_ns = said_ns - (before_ns + after_ns) // 2
        if not self._answers:
            self._low_ns = self._high_ns = ahead_ns
        self._answers.append(ClockAnswer(after_ns, ahead_ns, bound_ns))
        best_ns = self.ahead_ns
        self._low_ns, self._high_ns = min(self._low_ns, best_ns), max(self._high_ns, best_ns)

    @property
    def ahead_ns(self) -> int:
        """By the best of the last answers. 0 before the first one. Any thread may ask."""
        return min([*self._answers], key=self._bound, default=NONE).ahead_ns

    @property
    def bound_ns(self) -> int:
        """How far off that may be now, and by how much it has moved since the machine began: times
        of records that waited are of then."""
        if not self._answers:
            return 0
        return min(map(self._bound, self._answers)) + self._high_ns - self._low_ns

    def _bound(self, answer: ClockAnswer) -> int:
        age_ns = max(0, self._mono_ns() - answer.at_ns)
        return answer.bound_ns + age_ns * DRIFT_PPM // 1_000_000


NONE: Final = ClockAnswer(0, 0, 0)
