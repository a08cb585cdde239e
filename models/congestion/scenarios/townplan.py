"""Lays out a town: crossings at uneven distances, and roads in both directions between them."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import Final, NamedTuple

import numpy as np

from models.congestion.scenarios.scene import Road

STEPS: Final = {"E": (0, 1), "W": (0, -1), "N": (1, 0), "S": (-1, 0)}
CROSSING_M: Final = 16.0  # across it


class DrawRanges(NamedTuple):
    """What is drawn from."""

    rows: int
    columns: int
    block_m: tuple[float, float]
    lanes: int
    limit: float
    cycle_s: int


class TownPlan(NamedTuple):
    """What was laid out."""

    nodes: dict[str, tuple[float, float]]
    roads: dict[str, Road]
    lines: dict[tuple[str, int], list[str]]  # roads of each street, in the order of driving


def lay_out(
    random: np.random.Generator, ranges: DrawRanges, streets: list[tuple[str, int]], grid: bool
) -> TownPlan:
    """All nodes and roads. `streets` are those whose roads are watched."""
    rows, columns = ranges.rows, ranges.columns
    x = np.cumsum(random.uniform(*ranges.block_m, columns + 1))
    y = np.cumsum(random.uniform(*ranges.block_m, rows + 1))
    # Roads into the town are long, so that queues have room before vehicles cannot enter.
    x = np.concatenate([[x[0] - 300 - ranges.block_m[1]], x[:columns], [x[columns - 1] + 300]])
    y = np.concatenate([[y[0] - 300 - ranges.block_m[1]], y[:rows], [y[rows - 1] + 300]])
    if not grid:
        x[0] = x[1] - random.uniform(*ranges.block_m) - 150
    nodes = {
        f"c{r}_{c}": (float(x[c]), float(y[r]))
        for r in range(rows + 2)
        for c in range(columns + 2)
        if not (r in (0, rows + 1) and c in (0, columns + 1))
    }
    side = ranges.lanes if grid else int(random.integers(1, 3))
    lines: dict[tuple[str, int], list[str]] = {}
    roads: dict[str, Road] = {}
    for way, (dr, dc) in STEPS.items():
        for line in range(rows if dc else columns):
            along = [
                (line + 1, c) if dc else (c, line + 1) for c in range((columns if dc else rows) + 2)
            ]
            if dr + dc < 0:
                along.reverse()
            lines[way, line] = []
            lanes = ranges.lanes if dc or grid else side
            for k, ((r0, c0), (r1, c1)) in enumerate(pairwise(along)):
                length = abs(float(x[c1] - x[c0])) + abs(float(y[r1] - y[r0])) - CROSSING_M
                inner = k < len(along) - 2
                watched = (way, line) in streets and inner and (k > 0 or not grid)
                name = f"{way.lower()}{line}_{k}"
                roads[name] = Road(
                    name, f"c{r0}_{c0}", f"c{r1}_{c1}", lanes, round(length, 1),
                    ranges.limit / 3.6, watched, signal=inner,
                )  # fmt: skip
                lines[way, line].append(name)
    for key in streets:
        names = lines[key]
        for here, after in pairwise(names):
            if roads[here].watched and roads[after].watched:
                far = round(roads[after].length_m + CROSSING_M, 1)
                roads[here] = replace(roads[here], downstream=after, distance_m=far)
    return TownPlan(nodes, roads, lines)


def roads_after(plan: TownPlan, road: str, way: str) -> tuple[str, ...]:
    """The roads on from the end of `road`, in another direction."""
    crossing = plan.roads[road].end
    for (other, _), names in plan.lines.items():
        if other == way:
            for k, name in enumerate(names):
                if plan.roads[name].begin == crossing:
                    return tuple(names[k:])
    raise AssertionError(f"no way {way} from {crossing}")
