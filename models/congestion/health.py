"""Who says which loops are broken while streets are played: a simulated judge, or the real one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from edge.core.loop import LoopTick
from edge.infer.guard import Guard
from edge.infer.loops.judge import Loops
from edge.infer.seen import Scores
from edge.infer.sites import ApproachSite
from models import BUNDLES
from models.congestion.rows import Health, lanes_of, simulated, sound
from models.congestion.scenarios.faults import LoopFault
from models.congestion.scenarios.street import Street

Maker = Callable[[Street, Sequence[LoopFault], int], Health]


def _simulated(street: Street, faults: Sequence[LoopFault], seed: int) -> Health:
    return simulated(faults, street, seed)


def _judged(street: Street, _: Sequence[LoopFault], __: int) -> Health:
    """As the gateway does it: by the judge of loop health that ships."""
    lanes = lanes_of(street)
    sites = [ApproachSite(link.name, link.downstream, link.distance_m) for link in street.links]
    guard = Guard("loopfault", BUNDLES / "loopfault", hurry=False)
    guard.load()
    loops = Loops(lanes.values(), sites, guard)

    def health(end_ns: int, slot: Sequence[LoopTick]) -> Scores:
        loops.step(end_ns, slot)
        return loops.weights()

    return health


def _nobody(street: Street, faults: Sequence[LoopFault], seed: int) -> Health:
    return sound


HEALTHS: Final[dict[str, Maker]] = {
    "simulated": _simulated, "judged": _judged, "nobody": _nobody,
}  # fmt: skip
