"""A contact of a simulated cabinet: what opens and closes it, and how it misbehaves.

Source of the faults: docs of detector cards (NTCIP 1209: an output that fails closes and stays so);
a contact whose wire is cut never closes; a worn or loose one flutters; one of metal springs back
for milliseconds whenever it closes or opens.
"""

import random
from collections.abc import Callable
from typing import ClassVar, Final

from drivers.sim.timeline import Timeline

Drive = Callable[[bool, int], None]
"""The level of its line from a moment on."""
NS: Final = 1_000_000_000
FLUTTER_S: Final = (0.05, 0.4)  # between two changes of a contact that chatters
PULSE_FLUTTER_S: Final = (0.005, 0.06)
"""The same of a pulse output: slower, it could not be told from pulses."""
BOUNCES: Final = 3
BOUNCE_S: Final = (0.000_5, 0.002)  # away and back again: together less than 15 ms
FAULTS: Final = ("stuck_on", "dead", "chatter", "bounce")


class DrivenContact:
    """One contact. `active_high` is the level of its line while it is closed.

    All methods are called in the timeline's thread. `fault` is one of FAULTS until told otherwise.
    """

    FAULTS: ClassVar[tuple[str, ...]] = FAULTS

    def __init__(
        self,
        timeline: Timeline,
        drive: Drive,
        active_high: bool,
        seed: int = 1,
        flutter_s: tuple[float, float] = FLUTTER_S,
    ) -> None:
        self.timeline, self.drive, self.active_high = timeline, drive, active_high
        self.fault = ""
        self.wanted = False  # as what stands behind it would have it
        self.recorded = False  # it follows a recording, and nothing else stands behind it
        self.wishes = 0  # how often that has changed it
        self.changes = 0  # how often its line has changed
        self._closed: bool | None = None  # as the wire shows it
        self._flutter, self._turns, self._flutter_s = False, 0, flutter_s
        self._chance = random.Random(seed)

    def begin(self, t_ns: int) -> None:
        """Show how it is before anything happens."""
        self._closed = None
        self.show(t_ns)

    def set(self, closed: bool, t_ns: int) -> None:
        """What stands behind it opens or closes it."""
        if not self.recorded:
            self._wish(closed, t_ns)

    def replay(self, closed: bool, t_ns: int) -> None:
        """A recording does."""
        self._wish(closed, t_ns)

    def _wish(self, closed: bool, t_ns: int) -> None:
        self.wishes += closed is not self.wanted
        self.wanted = closed
        self.show(t_ns)

    def misbehave(self, fault: str, t_ns: int) -> None:
        """One of FAULTS until told otherwise, "" for none. Raises ValueError for another."""
        if fault and fault not in self.FAULTS:
            raise ValueError(f"{fault!r} is no fault of this contact: {', '.join(self.FAULTS)}")
        if self.fault == "bounce":
            self._closed = None  # it may have sprung away just now
        self.fault = fault
        self._turns += 1  # a flutter that has begun ends
        if fault == "chatter":
            self._fluttered(self._turns, t_ns)
        self.show(t_ns)

    def closed(self) -> bool:
        """What comes out of it, with its fault."""
        match self.fault:
            case "stuck_on":
                return True
            case "dead":
                return False
            case "chatter":
                return self._flutter
        return self.wanted

    def show(self, t_ns: int) -> None:
        """Drive the line if that has changed."""
        closed = self.closed()
        if closed is not self._closed:
            self._closed = closed
            self.changes += 1
            self.drive(closed is self.active_high, t_ns)
            if self.fault == "bounce":
                self._turns += 1
                self._springs(self._turns, closed, 2 * BOUNCES, t_ns)

    def _springs(self, turn: int, closed: bool, left: int, t_ns: int) -> None:
        """It will spring away and back, so many changes more, and stay as it was told."""

        def change(at_ns: int) -> None:
            if turn == self._turns:
                away = left % 2 == 0
                self.changes += 1
                self.drive((closed is not away) is self.active_high, at_ns)
                self._springs(turn, closed, left - 1, at_ns)

        if left > 0:
            self.timeline.at(t_ns + round(self._chance.uniform(*BOUNCE_S) * NS), change)

    def _fluttered(self, turn: int, t_ns: int) -> None:
        if turn != self._turns:
            return
        self._flutter = not self._flutter
        self.show(t_ns)
        wait_s = self._chance.uniform(*self._flutter_s)
        self.timeline.at(t_ns + round(wait_s * NS), lambda at_ns: self._fluttered(turn, at_ns))
