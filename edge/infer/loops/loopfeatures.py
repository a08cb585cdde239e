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
    EQUAL,
    LoopLately,
    add_flow,
    add_lengths,
    add_now,
    add_pair,
    add_recent,
    add_shared,
    loop_lately,
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
        self._asked = {
            key
            for place in self.places.values()
            for key in (*place.beside, *place.along, place.partner)
        }
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
        lately = {key: loop_lately(self.memory[key], asked=key in self._asked) for key in stays}
        return {
            key: self._row(key, h.tick, new[key], lately, across.get(self.places[key].group, none))
            for key, h in stays.items()
        }

    def missing(self, gap_s: float) -> None:
        """Nobody watched any loop for `gap_s`."""
        for memory in self.memory.values():
            memory.forget(gap_s)

    def _row(
        self,
        key: LoopKey,
        tick: LoopTick,
        new: Sums,
        lately: Mapping[LoopKey, LoopLately],
        across: Sequence[float],
    ) -> list[float]:
        memory, place, own = self.memory[key], self.places[key], lately[key]
        mate = lately.get(place.partner) if place.partner is not None else None
        beside = [lately[k] for k in place.beside if k in lately]
        around = [k for k in memory.shares if k in lately]
        z = {k: memory.shares[k].z(own.counts, lately[k].counts) for k in around}
        z_beside = [z[k] for k in place.beside if k in z]
        z_along = [z[k] for k in place.along if k in z]
        z_pair = EQUAL.z(own.counts, mate.counts) if mate is not None else None
        odd = [max(each) for each in zip(*[lately[k].odd for k in around], strict=True)]
        row: list[float] = []
        for i, scale in enumerate(own.scales):
            add_shared(row, scale)
            add_pair(row, scale, mate.scales[i] if mate is not None else None)
            add_flow(row, i, z_pair, z_beside, z_along, across[i])
            add_lengths(row, i, own, beside)
            row += (
                mate.odd[i] if mate is not None else 0.0,
                odd[i] if odd else 0.0,
                math.log1p(scale[E.N]),
            )
            if i < 2:
                add_recent(row, memory, i)
        standing = [stay_so_far_s(tick.to_ns, self.memory[k].since_ns) for k in around]
        add_now(row, memory, tick, new, max(standing, default=0.0))
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
