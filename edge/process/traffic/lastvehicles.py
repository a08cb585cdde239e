"""The last vehicles of a lane, one by one, for people who stand beside it.

The last edges of its loops are played through the very code that counts and measures for the
records, when somebody asks. Nothing of it is stored or sent.
"""

from collections.abc import Sequence
from typing import NamedTuple

from edge.core.edge import Contact
from edge.process.enginesetup import LaneSetup
from edge.process.traffic.lanewindow import LaneWindow
from edge.process.traffic.pairing import Presence
from edge.process.traffic.passage import Passage, class_of


class LastVehicle(NamedTuple):
    """A vehicle on the lead loop. What was not measured is None; `on_ns` is None while it is there.

    Speed in km/h, length in m, its class by length.
    """

    at_ns: int
    on_ns: int | None
    speed_kmh: float | None = None
    length_m: float | None = None
    length_class: str | None = None


class _PlayedLane(LaneWindow):
    """A lane that keeps what its records only count."""

    def __init__(self, setup: LaneSetup) -> None:
        super().__init__(setup)
        self.vehicles: list[Presence] = []

    def play(self, loops: Sequence[Sequence[Contact]], now_ns: int) -> dict[int, Passage]:
        """Passages by the moment at which the vehicle rose on the lead loop."""
        begin_ns = min((loop[0].mono_ns for loop in loops if loop), default=now_ns) - 1
        self.begin(begin_ns)
        for (source, line), contacts in zip(self.lines.items(), loops, strict=True):
            if contacts:  # each edge was a change: before the first it was the other way round
                before = Contact(source, not contacts[0].on, begin_ns, initial=True)
                line.fold([before, *contacts], begin_ns)
        self._run(now_ns + 1)
        if self._pairing is None:
            return {}
        self._pairing.settle(now_ns)
        return dict(zip(self._pairing.fronts, self._pairing.passages, strict=True))

    def _enter(self, at: int) -> None:
        super()._enter(at)
        last = self._headways.last
        if last is not None and (not self.vehicles or self.vehicles[-1] is not last):
            self.vehicles.append(last)


def last_vehicles(
    setup: LaneSetup, loops: Sequence[Sequence[Contact]], now_ns: int
) -> list[LastVehicle]:
    """Of the last edges of each loop of the lane, the lead loop first; the oldest vehicle first.

    A vehicle has a speed once it has left the second loop.
    """
    lane = _PlayedLane(setup)
    passages = lane.play(loops, now_ns)
    return [_vehicle(setup, each, passages.get(each.on)) for each in lane.vehicles]


def _vehicle(setup: LaneSetup, seen: Presence, passage: Passage | None) -> LastVehicle:
    on_ns = None if seen.off is None else seen.off - seen.on
    if passage is None:
        return LastVehicle(seen.on, on_ns)
    length = passage.length
    return LastVehicle(
        seen.on,
        on_ns,
        passage.speed / 10,
        None if length is None else length / 100,
        class_of(setup.classes, length) if length is not None and setup.kind == "vehicle" else None,
    )
