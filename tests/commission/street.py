"""Vehicles over the loops of a site as they lie, and the lines that a wiring makes of them.

    street = DrivenStreet({"a": (4.0, 2.0), "b": (4.0, 2.0)})
    street.vehicle("a", at_s=5.0, speed_kmh=30.0, length_m=4.5)
    trace = street.trace(wires={"a.lead": "a.trail", "a.trail": "a.lead"}, inverted={"b.lead"})

A wire leads from the loop in the road to the line that the configuration calls so.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from edge.commission.drivejudgement import loops_of
from edge.commission.looptrace import DriveTrace, LoopTrace
from edge.core import Contact
from edge.process.enginesetup import LaneSetup

S = 1_000_000_000


@dataclass
class DrivenStreet:
    """`lanes`: name -> spacing and loop length, as they lie in the road (m)."""

    lanes: Mapping[str, tuple[float, float]]
    start_ns: int = 1000 * S
    _spans: dict[str, list[tuple[int, int]]] = field(default_factory=dict)

    def vehicle(
        self, lane: str, at_s: float, speed_kmh: float, length_m: float, *, trail: bool = True,
        back: bool = False,
    ) -> None:  # fmt: skip
        """Its front reaches the first loop then, at a steady speed; `back`: against traffic."""
        spacing, loop = self.lanes[lane]
        speed = speed_kmh / 3.6
        first, second = ("trail", "lead") if back else ("lead", "trail")
        on = self.start_ns + round(at_s * S)
        over = round((length_m + loop) / speed * S)
        self._add(f"{lane}.{first}", on, on + over)
        if trail:
            later = round(spacing / speed * S)
            self._add(f"{lane}.{second}", on + later, on + later + over)

    def _add(self, loop: str, on: int, off: int) -> None:
        self._spans.setdefault(loop, []).append((on, off))

    def free(self, lane: str, from_s: float, to_s: float) -> bool:
        """Nobody is on the lane in that time."""
        begin, end = (self.start_ns + round(t * S) for t in (from_s, to_s))
        return not any(
            on < end and off > begin
            for part in ("lead", "trail")
            for on, off in self._spans.get(f"{lane}.{part}", ())
        )

    def trace(
        self,
        setups: Collection[LaneSetup],
        wires: Mapping[str, str] | None = None,
        inverted: Collection[str] = (),
    ) -> DriveTrace:
        """What the lines say from the start on. `inverted` are lines."""
        wires = wires or {}
        sources = [source for setup in setups for source in loops_of(setup)]
        lines: dict[str, list[tuple[int, bool]]] = {source: [] for source in sources}
        for loop, spans in self._spans.items():
            line = wires.get(loop, loop)
            if line not in lines:
                continue
            for on, off in merged(spans):
                lines[line] += [(on, True), (off, False)]
        trace = DriveTrace(
            self.start_ns,
            [LoopTrace(source, source in inverted, self.start_ns - 5 * S) for source in sources],
        )
        contacts = [
            Contact(source, on is not (source in inverted), at)
            for source, changes in lines.items()
            for at, on in changes
        ]
        trace.take(sorted(contacts, key=lambda one: one.mono_ns))
        return trace


def merged(spans: Collection[tuple[int, int]]) -> list[tuple[int, int]]:
    """A loop is occupied while anybody is on it."""
    found: list[tuple[int, int]] = []
    for on, off in sorted(spans):
        if found and on <= found[-1][1]:
            found[-1] = (found[-1][0], max(off, found[-1][1]))
        else:
            found.append((on, off))
    return found
