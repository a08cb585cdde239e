"""Compares all lanes of a place with all lanes of the places before and after it.

When a lane is closed its vehicles pass beside it, and the sum stays; when a loop misses vehicles
the sum does not.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from edge.infer.loops.evidence import LaneGroup, LoopKey
from edge.infer.loops.loopmemory import (
    SCALES_S,
    LoopMemory,
    UsualRatio,
    restore_ratios,
    snapshot_ratios,
)
from edge.infer.loops.surroundings import neighbour_groups
from edge.infer.sites import ApproachSite, LaneSite


class GroupFlow:
    """The groups of lanes of a site, approach and position, and their usual shares."""

    def __init__(self, lanes: Iterable[LaneSite], approaches: Iterable[ApproachSite]) -> None:
        sites = tuple(lanes)
        self._shares = {
            group: {other: UsualRatio() for other in others}
            for group, others in neighbour_groups(sites, approaches).items()
        }
        compared = {other for shares in self._shares.values() for other in shares}
        self._leads: dict[LaneGroup, list[LoopKey]] = {}
        for lane in sites:
            group = lane.approach, lane.position
            if self._shares[group] or group in compared:
                self._leads.setdefault(group, []).append((lane.name, "lead"))

    def step(
        self, memory: Mapping[LoopKey, LoopMemory], keys: Collection[LoopKey], length_s: float
    ) -> dict[LaneGroup, list[float]]:
        """After a slot: how far each group is from what is due, at each scale.

        By the neighbour that makes it least, in deviations; 0 where there is none. Below 0: too
        few.
        """
        sums = {
            group: [sum(each) for each in zip(*[memory[k].counts() for k in leads], strict=True)]
            for group, leads in self._leads.items()
            if all(k in keys for k in leads)
        }
        out: dict[LaneGroup, list[float]] = {}
        for group, own in sums.items():
            shares = {g: share for g, share in self._shares[group].items() if g in sums}
            for other, share in shares.items():
                share.learn(own[1], sums[other][1], length_s)
            z = [share.z(own, sums[other]) for other, share in shares.items()]
            out[group] = [max(each) for each in zip(*z, strict=True)] or [0.0] * len(SCALES_S)
        return out

    def snapshot(self) -> dict[str, object]:
        """JSON-like."""
        return {"|".join(group): snapshot_ratios(s) for group, s in self._shares.items()}

    def restore(self, saved: Mapping[str, Any]) -> None:
        """Raises TypeError or ValueError for what is no snapshot."""
        for group, shares in self._shares.items():
            restore_ratios(shares, saved.get("|".join(group), ()))
