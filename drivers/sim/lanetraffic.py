"""The traffic of one lane in a simulated cabinet: vehicles come to its loops as time goes by.

At a stop line with a signal they wait on the loops while it is not green, one behind the other, and
leave as the queue lets them.
"""

from collections.abc import Callable
from typing import Final, Protocol

from drivers.sim.drivencontact import NS
from drivers.sim.loopcard import LoopCard
from drivers.sim.loops import SimVehicle, Spell, TrueTimes, true_times
from drivers.sim.timeline import Timeline
from drivers.sim.traffic import VehicleStream

FAULTS: Final = ("swapped", "dead_pair")
"""Faults of a pair: the loop that a vehicle reaches second is wired as the first; neither feels
who comes, as when their common feeder is cut."""
LOOK_NS: Final = 5 * NS  # an empty road is looked at again so often
START_NS: Final = 3 * NS // 2  # from green until the first one moves
MOVE_UP_NS: Final = 8 * NS // 10  # from the tail of one to the front of the next on the loop
QUEUE_KMH: Final = 20.0
LONGEST_NS: Final = 600 * NS  # whoever would wait for longer takes another road


class Signal(Protocol):
    """What the traffic sees of it: its colour, and until when it shows that."""

    def colour(self, t_ns: int) -> tuple[str, int]: ...


class LaneTraffic:
    """One lane: `lead`, and `trail` of a pair. `per_hour` is asked before each vehicle.

    `signal` is that of a lane whose loops lie at its stop line. Nothing is planned beyond the next
    vehicle, so it holds no more than what is on the loops.
    """

    def __init__(
        self,
        timeline: Timeline,
        stream: VehicleStream,
        lead: LoopCard,
        trail: LoopCard | None,
        per_hour: Callable[[], float],
        signal: Signal | None = None,
    ) -> None:
        self.timeline, self.stream, self.signal = timeline, stream, signal
        self.lead, self.trail = lead, trail
        self._per_hour = per_hour
        self._zero_ns = 0
        self._arrived_ns = 0  # the last one, at the end of the queue
        self._free_ns = 0  # from then on the first loop may be driven on
        self.fault = ""
        self.card_dead = False  # the card that its loops share with others feels nobody
        self.vehicles = 0

    def begin(self, t_ns: int) -> None:
        """From now on vehicles come."""
        self._zero_ns = self._arrived_ns = t_ns
        self._plan(t_ns)

    def misbehave(self, fault: str) -> None:
        """One of FAULTS until told otherwise, "" for none. Raises ValueError for another."""
        known = FAULTS if self.trail is not None else ()
        if fault and fault not in known:
            raise ValueError(f"{fault!r} is no fault of this lane: {', '.join(known) or 'none'}")
        self.fault = fault

    def drive(self, t_ns: int, speed_kmh: float, length_m: float) -> None:
        """One vehicle comes now, whatever else does: the technician's."""
        layout = self.stream.layout
        vehicle = SimVehicle(0.0, speed_kmh, length_m)
        (true,) = true_times([vehicle], layout.spacing_m, layout.loop_m)
        over_ns = true.lead_off_ns - true.lead_on_ns
        self._over(t_ns, t_ns + over_ns, true.trail_on_ns - true.lead_on_ns, length_m)

    def _plan(self, t_ns: int) -> None:
        per_hour = self._per_hour()
        if self.stream.empty or per_hour <= 0:
            self._arrived_ns = t_ns
            self.timeline.at(t_ns + LOOK_NS, self._plan)
            return
        begin_ns = max(self._arrived_ns, t_ns - LONGEST_NS)
        vehicle = self.stream.next((begin_ns - self._zero_ns) / NS, per_hour)
        layout = self.stream.layout
        (true,) = true_times([vehicle], layout.spacing_m, layout.loop_m)
        self._arrived_ns = self._zero_ns + true.lead_on_ns
        on_ns = self._pass(vehicle, true)
        self.vehicles += 1
        self.timeline.at(on_ns, self._plan)

    def _pass(self, vehicle: SimVehicle, true: TrueTimes) -> int:
        """Let it come over the loops; gives when it comes onto the first."""
        layout, zero_ns = self.stream.layout, self._zero_ns
        at_ns = zero_ns + true.lead_on_ns
        over_ns = true.lead_off_ns - true.lead_on_ns
        later_ns = true.trail_on_ns - true.lead_on_ns
        stands_ns = 0
        if self.signal is not None:
            queued = self._free_ns > at_ns
            at_ns = max(at_ns, self._free_ns)
            colour, until_ns = self.signal.colour(at_ns)
            if colour != "green":
                stands_ns = _green_ns(self.signal, until_ns) + START_NS - at_ns
            if queued or stands_ns:
                slow = min(vehicle.speed_kmh, QUEUE_KMH)
                over_ns = round((vehicle.length_m + layout.loop_m) * 3.6 / slow * NS)
                later_ns = round(layout.spacing_m * 3.6 / slow * NS)
            self._free_ns = at_ns + stands_ns + over_ns + MOVE_UP_NS
        self._over(at_ns, at_ns + stands_ns + over_ns, later_ns, vehicle.length_m)
        return at_ns

    def _over(self, on_ns: int, off_ns: int, later_ns: int, length_m: float) -> None:
        self.cover((on_ns, off_ns), (on_ns + later_ns, off_ns + later_ns), length_m)

    def cover(self, lead_ns: Spell, trail_ns: Spell, length_m: float) -> None:
        """Somebody is over each loop from then to then; one with a single loop has no second."""
        if self.card_dead or self.fault == "dead_pair":
            return
        first, second = self.lead, self.trail
        if self.fault == "swapped" and second is not None:
            first, second = second, first
        first.over(*lead_ns, length_m)
        if second is not None:
            second.over(*trail_ns, length_m)


def _green_ns(signal: Signal, t_ns: int) -> int:
    """The first moment from then on at which it is green."""
    colour, until_ns = signal.colour(t_ns)
    while colour != "green":
        t_ns = until_ns
        colour, until_ns = signal.colour(t_ns)
    return t_ns
