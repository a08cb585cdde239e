"""Turns slots into one row of numbers for each loop, from what it and those around it did.

Everything is relative to what the loop itself and its neighbours do: nothing in a row tells the
site, its lanes or its limits. What is not there (a pair, a neighbour, traffic) reads as nothing
unusual. `FEATURES` names the columns; `_fast` is over some 90 s, `_mid` 10 min, `_slow` 45 min.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from edge.core.looptick import LoopTick
from edge.infer.loops.evidence import E, LoopKey, LoopStays, Sums, loop_stays, slot_sums
from edge.infer.loops.featurerow import (
    add_flow,
    add_lengths,
    add_now,
    add_pair,
    add_recent,
    add_shared,
    odd_share,
    stay_so_far_s,
)
from edge.infer.loops.groupflow import GroupFlow
from edge.infer.loops.loopmemory import (
    SCALES_S,
    LoopMemory,
    add_slot,
    compare,
    restore_memory,
    snapshot_memory,
)
from edge.infer.loops.surroundings import loop_surroundings
from edge.infer.sites import ApproachSite, LaneSite

_SCALED: Final = (
    "near",  # begun with one beside, beyond chance, of all
    "near_z",  # the same in deviations
    "near_short",  # 1: all of these are shorter than the other, -1: longer
    "midst", "midst_z", "midst_short",  # amid one beside, in the same three ways
    "echo", "amid",  # of those beside, begun with one here, or amid it, beyond chance
    "lone",  # of the quick ones, without a partner in the pair
    "lone_near", "lone_midst",  # and near, or amid, one beside
    "missed",  # of the partner's quick ones, without one here, and not near one beside
    "before",  # of pairs, where the trail loop was first
    "ratio",  # log(own time / partner's), mean of pairs
    "against_mate",  # count against the partner's, in deviations; below 0: too few
    "against_beside", "against_along",  # mean of these
    "across",  # count of all lanes here against those along, the nearest to too many
    "least", "most",  # of all of them, the nearest to too many, and to too few
    "broken", "tailed",  # begun within 80 ms after another; and shorter than that
    "length", "length_vs",  # log of the time on the loop over the usual; less that of those beside
    "occupancy_vs",  # log of occupancy over that of those beside
    "odd_mate", "odd_others",  # how odd stays are there: then it is they who count too many
    "count",  # log1p
)  # fmt: skip
_BRIEF: Final = ("occupancy", "rate", "short", "tiny", "close", "ratio_sd")
_NOW: Final = (
    "slot_count", "slot_occupancy",
    "on", "on_usual", "on_mate", "on_beside", "on_green",  # of a stay that lasts
    "on_others",  # and how long one lasts around it
    "idle", "idle_usual", "due", "due_mate", "due_beside", "due_along",  # of a silence that lasts
    "age", "paired", "beside",
)  # fmt: skip
FEATURES: Final = (
    *(f"{name}_fast" for name in _SCALED + _BRIEF),
    *(f"{name}_mid" for name in _SCALED + _BRIEF),
    *(f"{name}_slow" for name in _SCALED),
    *_NOW,
)
WIDTH: Final = len(FEATURES)


class LoopFeatures:
    """All loops of a site. `step` takes the ticks of one slot and gives a row for each."""

    def __init__(self, lanes: Iterable[LaneSite], approaches: Iterable[ApproachSite] = ()) -> None:
        sites, next_to = tuple(lanes), tuple(approaches)
        self.places = loop_surroundings(sites, next_to)
        self._across = GroupFlow(sites, next_to)
        self.memory = {key: LoopMemory(place) for key, place in self.places.items()}

    def step(self, ticks: Sequence[LoopTick]) -> dict[LoopKey, list[float]]:
        """Ticks of loops that the site does not know are passed over."""
        stays: dict[LoopKey, LoopStays] = {}
        for tick in ticks:
            key: LoopKey = (tick.lane, tick.part)
            if key in self.memory:
                stays[key] = loop_stays(tick, self.memory[key].tail)
        new = {
            key: slot_sums(key, stays, self.places[key], self.memory[key].usual_ns())
            for key in stays
        }
        for key, h in stays.items():
            add_slot(self.memory[key], h, new[key])
        for key, h in stays.items():
            compare(self.memory[key], h, self.places[key], new, self.memory)
        length_s = ticks[0].length_s if ticks else 0.0
        across = self._across.step(self.memory, stays.keys(), length_s)
        none = [0.0] * len(SCALES_S)
        return {
            key: self._row(key, stays[key].tick, new, across.get(self.places[key].group, none))
            for key in stays
        }

    def missing(self, gap_s: float) -> None:
        """Nobody watched any loop for `gap_s`."""
        for memory in self.memory.values():
            memory.forget(gap_s)

    def _row(
        self, key: LoopKey, tick: LoopTick, new: Mapping[LoopKey, Sums], across: Sequence[float]
    ) -> list[float]:
        memory, place = self.memory[key], self.places[key]
        around = {k: self.memory[k] for k in memory.shares if k in new}
        beside = [self.memory[k] for k in place.beside if k in new]
        partner = place.partner
        mate = self.memory[partner] if partner is not None and partner in new else None
        row: list[float] = []
        for i, scale in enumerate(memory.scales):
            theirs = mate.scales[i] if mate is not None else None
            add_shared(row, scale)
            add_pair(row, scale, theirs)
            add_flow(row, memory, i, place, around, mate, across[i])
            add_lengths(row, memory, i, beside)
            row += (
                odd_share(theirs) if theirs is not None else 0.0,
                max([odd_share(other.scales[i]) for other in around.values()]) if around else 0.0,
                math.log1p(scale[E.N]),
            )
            if i < 2:
                add_recent(row, memory, i)
        standing = [stay_so_far_s(tick.to_ns, other.since_ns) for other in around.values()]
        add_now(row, memory, tick, new[key], max(standing, default=0.0))
        row += (float(mate is not None), float(len(beside)))
        return row

    def snapshot(self) -> dict[str, object]:
        """JSON-like, five digits of each number."""
        loops = {"|".join(key): snapshot_memory(memory) for key, memory in self.memory.items()}
        return {"loops": loops, "across": self._across.snapshot()}

    def restore(self, saved: Mapping[str, Any]) -> None:
        """Back from `snapshot`; loops that are new begin anew.

        Raises KeyError, TypeError or ValueError for what is none, and then nothing has changed.
        """
        loops = saved["loops"]
        found = {
            key: restore_memory(loops["|".join(key)], place)
            for key, place in self.places.items()
            if "|".join(key) in loops
        }
        self._across.restore(saved["across"])
        self.memory.update(found)
