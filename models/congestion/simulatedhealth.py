"""Who says which loops are broken while streets are played: a simulated judge, or the real one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from edge.core.looptick import LoopTick
from edge.infer.loops.loopjudge import LoopJudge
from edge.infer.modelguard import ModelGuard
from edge.infer.observation import Scores
from edge.infer.sites import ApproachSite
from models import BUNDLES
from models.congestion.approachrows import Health, all_sound, lanes_of, simulated_judge
from models.congestion.scenarios.loopfaults import LoopFault
from models.congestion.scenarios.simstreet import SimStreet

Maker = Callable[[SimStreet, Sequence[LoopFault], int], Health]


def _simulated_judge(street: SimStreet, faults: Sequence[LoopFault], seed: int) -> Health:
    return simulated_judge(faults, street, seed)


def _shipped_judge(street: SimStreet, _: Sequence[LoopFault], __: int) -> Health:
    """As the gateway does it: by the judge of loop health that ships."""
    lanes = lanes_of(street)
    sites = [ApproachSite(link.name, link.downstream, link.distance_m) for link in street.links]
    guard = ModelGuard("loopfault", BUNDLES / "loopfault", hurry=False)
    guard.load()
    loops = LoopJudge(lanes.values(), sites, guard)

    def health(end_ns: int, slot: Sequence[LoopTick]) -> Scores:
        loops.step(end_ns, slot)
        return loops.weights()

    return health


def _no_judge(street: SimStreet, faults: Sequence[LoopFault], seed: int) -> Health:
    return all_sound


HEALTHS: Final[dict[str, Maker]] = {
    "simulated": _simulated_judge, "judged": _shipped_judge, "nobody": _no_judge,
}  # fmt: skip
