"""A loop and the card behind it, in a simulated cabinet: vehicles over it become its contact.

What a fault looks like is taken from docs/traffic.md (loop health) and the sources named there.
"""

from collections.abc import Callable
from typing import ClassVar, Final, Literal

from drivers.sim.drivencontact import FAULTS as CONTACT_FAULTS
from drivers.sim.drivencontact import NS, Drive, DrivenContact
from drivers.sim.timeline import Timeline

FAULTS: Final = (
    *CONTACT_FAULTS,
    "crosstalk",  # it answers together with the card of the lane beside it
    "splashover",  # it reaches into the lane beside it, and feels some of the vehicles there
    "breakup",  # it loses long vehicles in their middle
    "late_release",  # after some of the vehicles it stays closed for seconds
    "undercount",  # it does not feel every third vehicle
    "inverted",  # closed while nobody is there
)
PULSE_S: Final = 0.125
LONG_M: Final = 4.8
HOLE_AT: Final = 0.6  # of the time over it: there a long vehicle is not felt for a moment
HOLE_S: Final = 0.06
PULLED_S: Final = 0.02  # after the other card: later than it, and off before it
PULLED_FOR: Final = 0.8  # of the time of the other one
PULLED_SHARE: Final = 0.6
BESIDE_FROM, BESIDE_UNTIL = 0.2, 0.8  # of its time over the other loop it is felt here, too
BESIDE_SHARE: Final = 0.4  # of the vehicles there drive so near
LATE_S: Final = 4.0
LATE_EACH: Final = 2
MISSED_EACH: Final = 3


class LoopCard(DrivenContact):
    """One loop. `over` says of a vehicle from when to when it is over it, before that happens."""

    FAULTS: ClassVar[tuple[str, ...]] = FAULTS

    def __init__(
        self,
        timeline: Timeline,
        drive: Drive,
        active_high: bool,
        mode: Literal["presence", "pulse"] = "presence",
        seed: int = 1,
    ) -> None:
        super().__init__(timeline, drive, active_high, seed)
        self.mode = mode
        self.neighbour: LoopCard | None = None
        self.listeners: list[Callable[[int, int], None]] = []  # whom it pulls along
        self.felt = 0  # vehicles over it now
        self.passed = 0  # since the start, felt or not
        self._now_ns = self._pulse_until_ns = self._late_until_ns = 0

    def beside(self, other: "LoopCard") -> None:
        """The loop of the lane beside this one: crosstalk and splashover come from there."""
        self.neighbour = other
        other.listeners.append(self._beside)

    def over(self, from_ns: int, to_ns: int, length_m: float) -> None:
        """A vehicle will be over it."""
        self.timeline.at(from_ns, lambda t_ns: self._comes(t_ns, to_ns, length_m))

    def closed(self) -> bool:
        now_ns = self._now_ns
        feels = now_ns < self._pulse_until_ns if self.mode == "pulse" else self.felt > 0
        match self.fault:
            case "late_release":
                return feels or now_ns < self._late_until_ns
            case "inverted":
                return not feels
        self.wanted = feels
        return super().closed()

    def show(self, t_ns: int) -> None:
        self._now_ns = max(self._now_ns, t_ns)
        super().show(t_ns)

    def _comes(self, t_ns: int, to_ns: int, length_m: float) -> None:
        self.passed += 1
        if self.fault == "undercount" and self.passed % MISSED_EACH == 0:
            return
        self._begins(t_ns)
        middle_ns = t_ns + round(HOLE_AT * (to_ns - t_ns))
        if self.fault == "breakup" and length_m >= LONG_M and middle_ns + HOLE_S * NS < to_ns:
            self.timeline.at(middle_ns, lambda at_ns: self._change(-1, at_ns))
            back_ns = middle_ns + round(HOLE_S * NS)
            self.timeline.at(back_ns, lambda at_ns: self._change(1, at_ns))
        for listener in self.listeners:
            listener(t_ns, to_ns)
        late = self.fault == "late_release" and self.passed % LATE_EACH == 0
        self.timeline.at(to_ns, lambda at_ns: self._goes(at_ns, late))

    def _begins(self, t_ns: int) -> None:
        """It feels something, and in pulse mode says so with a pulse."""
        self._pulse_until_ns = t_ns + round(PULSE_S * NS)
        if self.mode == "pulse":
            self.timeline.at(self._pulse_until_ns, self.show)
        self._change(1, t_ns)

    def _goes(self, t_ns: int, late: bool) -> None:
        if late:
            self._late_until_ns = t_ns + round(LATE_S * NS)
            self.timeline.at(self._late_until_ns, self.show)
        self._change(-1, t_ns)

    def _change(self, by: int, t_ns: int) -> None:
        self.felt += by
        self.show(t_ns)

    def _beside(self, t_ns: int, to_ns: int) -> None:
        """A vehicle is over the loop beside it, from now on until then."""
        over_ns = to_ns - t_ns
        if self.fault == "crosstalk" and self._chance.random() < PULLED_SHARE:
            from_ns = t_ns + round(PULLED_S * NS)
            until_ns = from_ns + round(PULLED_FOR * over_ns)
        elif self.fault == "splashover" and self._chance.random() < BESIDE_SHARE:
            from_ns = t_ns + round(BESIDE_FROM * over_ns)
            until_ns = t_ns + round(BESIDE_UNTIL * over_ns)
        else:
            return
        self.timeline.at(from_ns, self._begins)
        self.timeline.at(until_ns, lambda at_ns: self._change(-1, at_ns))
