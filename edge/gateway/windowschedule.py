"""When windows end: on the wall's boundaries once the wall is known, on the boot's before."""

from collections import deque
from collections.abc import Mapping
from typing import Final

from edge.core import Draft, Stamp, Stream
from edge.wire.contract.boxevent import ClockCut, CutReason

# The wall moved by more than this against the monotonic clock. A leap second is no step: the next
# boundary is one second off, and that is all.
STEP_NS: Final = 1_100_000_000
SLEW: Final = 2000  # a clock is slewed by 500 ppm at most; Linux slews both alike
GRACE_NS: Final = 250_000_000  # how long after its end a window waits for what is under way
SHORTEST_PART: Final = 4  # a window is never shorter than a quarter of the period, unless cut
APART_NS: Final = 1_000_000_000  # between two cuts
CUTS_PER_HOUR: Final = 12  # an hour; each costs an event, a record of every source, and a commit
HOUR_NS: Final = 3_600_000_000_000
CUT_TEXTS: Final[Mapping[CutReason, str]] = {
    "synchronised": "The clock is synchronised now: windows follow the wall clock.",
    "step": "The clock was set while it was trusted: the window around it is marked.",
}


def cut_event(why: CutReason, at_ns: int) -> Draft:
    """What the city is told of it."""
    body = ClockCut(reason=why, text=CUT_TEXTS[why])
    return Draft(Stream.EVENT, "gateway", at_ns, at_ns, body)


class WindowSchedule:
    """Knows the end of the open window, and says when it has to be cut short.

    A clock that was trusted once and is not now is taken to stand where it stood: losing the time
    service moves no boundary, and getting it back moves none unless time itself has moved.
    """

    def __init__(self, period_ns: int, now: Stamp) -> None:
        self._period_ns = period_ns
        self._held_ns = (
            now.offset_ns if now.tq.is_synchronised else None
        )  # wall - monotonic, trusted
        self._looked_ns = self._opened_ns = now.mono_ns
        self._due: CutReason | None = None
        self._cuts: deque[int] = deque(maxlen=CUTS_PER_HOUR)
        self._doubt_ns: tuple[int, int] | None = None  # between these looks the wall was set
        self.end_ns = self._next(now)

    def opened(self, at: Stamp) -> None:
        """A window opens at this moment."""
        self._opened_ns = at.mono_ns
        self.end_ns = self._next(at)

    @property
    def stepped(self) -> bool:
        """The open window straddles a step, or may, whether it is cut for it or not."""
        if self._doubt_ns is None:
            return False
        from_ns, to_ns = self._doubt_ns
        return from_ns < self.end_ns and to_ns > self._opened_ns

    def cut(self, now: Stamp) -> CutReason | None:
        """Why the open window has to end now: `synchronised`, `step`, or not at all.

        A window whose end has come is closed there first, and the next one is cut. Of a clock
        that jumps again and again only the first steps cut; `stepped` is true after each.
        """
        self._look(now)
        why = self._due
        if why is None or not self._opened_ns < now.mono_ns < self.end_ns:
            return None
        if self._cuts and now.mono_ns - self._cuts[-1] < APART_NS:
            return None
        self._due = None
        if len(self._cuts) == CUTS_PER_HOUR and now.mono_ns - self._cuts[0] < HOUR_NS:
            return None
        self._cuts.append(now.mono_ns)
        return why

    def _look(self, now: Stamp) -> None:
        """Compare with the last look, half a second ago; with more patience after a standstill."""
        looked_ns, self._looked_ns = self._looked_ns, now.mono_ns
        if not now.tq.is_synchronised:
            return
        held_ns, self._held_ns = self._held_ns, now.offset_ns
        if held_ns is None:
            self._due = "synchronised"
        elif abs(self._held_ns - held_ns) > STEP_NS + (now.mono_ns - looked_ns) // SLEW:
            self._due = self._due or "step"
            # of several steps in one window the first look counts
            self._doubt_ns = (
                self._doubt_ns[0] if self.stepped and self._doubt_ns else looked_ns,
                now.mono_ns,
            )

    def _next(self, at: Stamp) -> int:
        offset_ns = at.offset_ns if at.tq.is_synchronised else self._held_ns or 0
        left_ns = self._period_ns - (at.mono_ns + offset_ns) % self._period_ns
        if left_ns < self._period_ns // SHORTEST_PART:  # the wall was set back: this one has been
            left_ns += self._period_ns
        return at.mono_ns + left_ns
