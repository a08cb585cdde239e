"""The traffic of one lane in a simulated cabinet: vehicles come to its loops as time goes by."""

from collections.abc import Callable
from typing import Final

from drivers.sim.drivencontact import NS
from drivers.sim.loopcard import LoopCard
from drivers.sim.loops import true_times
from drivers.sim.timeline import Timeline
from drivers.sim.traffic import VehicleStream

FAULTS: Final = ("swapped",)
"""Faults of a pair: the loop that a vehicle reaches second is wired as the first."""
LOOK_NS: Final = 5 * NS  # an empty road is looked at again so often


class LaneTraffic:
    """One lane: `lead`, and `trail` of a pair. `per_hour` is asked before each vehicle.

    Nothing is planned beyond the next vehicle, so it holds no more than what is on the loops.
    """

    def __init__(
        self,
        timeline: Timeline,
        stream: VehicleStream,
        lead: LoopCard,
        trail: LoopCard | None,
        per_hour: Callable[[], float],
    ) -> None:
        self.timeline, self.stream = timeline, stream
        self.lead, self.trail = lead, trail
        self._per_hour = per_hour
        self._zero_ns = 0
        self.fault = ""
        self.vehicles = 0

    def begin(self, t_ns: int) -> None:
        """From now on vehicles come."""
        self._zero_ns = t_ns
        self._plan(t_ns)

    def misbehave(self, fault: str) -> None:
        """One of FAULTS until told otherwise, "" for none. Raises ValueError for another."""
        known = FAULTS if self.trail is not None else ()
        if fault and fault not in known:
            raise ValueError(f"{fault!r} is no fault of this lane: {', '.join(known) or 'none'}")
        self.fault = fault

    def _plan(self, t_ns: int) -> None:
        per_hour = self._per_hour()
        if self.stream.empty or per_hour <= 0:
            self.timeline.at(t_ns + LOOK_NS, self._plan)
            return
        vehicle = self.stream.next((t_ns - self._zero_ns) / NS, per_hour)
        layout = self.stream.layout
        (true,) = true_times([vehicle], layout.spacing_m, layout.loop_m)
        first, second = self.lead, self.trail
        if self.fault == "swapped" and second is not None:
            first, second = second, first
        first.over(self._zero_ns + true.lead_on_ns, self._zero_ns + true.lead_off_ns,
                   vehicle.length_m)  # fmt: skip
        if second is not None:
            second.over(self._zero_ns + true.trail_on_ns, self._zero_ns + true.trail_off_ns,
                        vehicle.length_m)  # fmt: skip
        self.vehicles += 1
        self.timeline.at(self._zero_ns + true.lead_on_ns, self._plan)
