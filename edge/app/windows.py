"""When windows end: on the wall's boundaries once the wall is known, on the boot's before."""

from typing import Final

from edge.core import Stamp

SYNCED: Final = ("ntp", "nts")
STEP_NS: Final = 1_000_000_000  # the wall moved by more than this against the monotonic clock
GRACE_NS: Final = 250_000_000  # how long after its end a window waits for what is under way
SHORTEST: Final = 4  # a window is never shorter than a quarter of the period, unless cut


class Windows:
    """Knows the end of the open window, and says when it has to be cut short."""

    def __init__(self, period_ns: int, now: Stamp) -> None:
        self._period_ns = period_ns
        self._synced = now.tq in SYNCED
        self._offset_ns = now.wall_ns - now.mono_ns
        self.end_ns = self._next(now)

    def opened(self, at: Stamp) -> None:
        """A window opens at this moment."""
        self.end_ns = self._next(at)

    def cut(self, now: Stamp) -> str | None:
        """Why the open window has to end now: `synchronised`, `step`, or not at all."""
        synced, offset_ns = now.tq in SYNCED, now.wall_ns - now.mono_ns
        first, self._synced = synced and not self._synced, synced
        # slewing moves the offset by at most 500 ppm; compare with the last look, a second ago
        stepped = abs(offset_ns - self._offset_ns) > STEP_NS
        self._offset_ns = offset_ns
        if first:
            return "synchronised"
        return "step" if stepped and synced else None  # unsynchronised windows follow the boot

    def _next(self, now: Stamp) -> int:
        clock_ns = now.wall_ns if now.tq in SYNCED else now.mono_ns
        left_ns = self._period_ns - clock_ns % self._period_ns
        if left_ns < self._period_ns // SHORTEST:  # the wall is slewed: this boundary has been
            left_ns += self._period_ns
        return now.mono_ns + left_ns
