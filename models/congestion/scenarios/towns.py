"""Draws streets with signals: arterials (one row of crossings) and urban grids (several)."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from models.congestion.scenarios.scene import (
    BlockedLane,
    FixedTimeSignal,
    Flow,
    Scene,
    SpeedLimit,
    demand_profile,
    draw_drivers,
)
from models.congestion.scenarios.simstreet import LoopPlace, Position, Split, trail_of
from models.congestion.scenarios.townplan import DrawRanges, TownPlan, lay_out, roads_after

RIGHT: Final = {"E": "S", "S": "W", "W": "N", "N": "E"}
LEFT: Final = {"E": "N", "N": "W", "W": "S", "S": "E"}
SITES: Final[tuple[tuple[Position, ...], ...]] = (
    ("stop", "advance", "mid"),
    ("stop", "advance", "mid"),
    ("stop", "advance", "mid"),
    ("stop", "advance"),
    ("advance", "mid"),
    ("stop",),
    ("advance",),
    ("mid",),
)


def draw_town(name: str, split: Split, seed: int, hours: float, calm: bool, grid: bool) -> Scene:
    """An arterial, or with `grid` a grid of 3 to 4 by 3 to 4 crossings."""
    random = np.random.default_rng([seed, 12])
    ranges = _ranges(random, split == "held_out", grid)
    streets = _watched(random, ranges, grid)
    plan = lay_out(random, ranges, streets, grid)
    wet = random.random() < 0.25
    trucks = float(random.uniform(0.02, 0.12 if grid else 0.25))
    share = float(random.uniform(0.38, 0.5) if grid else random.uniform(0.42, 0.65))
    signals = _signals(random, ranges, plan, streets, share)
    causes = ["demand", "incident", "exit", "exit"] if grid else ["demand", "incident", "exit"]
    cause = "none" if calm else str(random.choice(causes))
    bikes = float(random.uniform(0.01, 0.08))
    who = draw_drivers(random, trucks, bikes, wet, ranges.limit / 3.6)
    capacity = ranges.lanes * share / who.headway_s
    peak = {"none": (0.3, 0.8), "demand": (1.1, 1.35)}.get(cause, (0.55, 0.85))
    level = float(random.uniform(*peak)) * capacity
    flows = _flows(random, plan, streets, hours, level, grid)
    loops = _loops(random, plan)
    incidents, slows = [], []
    if cause == "incident":
        incidents = _incidents(random, plan, streets, hours)
    elif cause == "exit":
        for street in streets[: 1 if random.random() < 0.6 else 2]:
            begin = random.uniform(0.2, 0.5) * hours * 3600
            until = begin + random.uniform(500, 1500)
            last = plan.lines[street][-1]
            slows.append(SpeedLimit(last, begin, until, float(random.uniform(0.8, 2.2))))
    about: dict[str, Any] = {
        "cause": cause, "wet": wet, "truck_share": round(trucks, 3), "cycle_s": ranges.cycle_s,
        "green_share": round(share, 2), "peak_of_capacity": round(level / capacity, 2),
        "limit_kmh": ranges.limit, "rows": ranges.rows, "columns": ranges.columns,
    }  # fmt: skip
    return Scene(
        name, "grid" if grid else "arterial", split, seed, hours, plan.nodes,
        tuple(plan.roads.values()), tuple(flows), tuple(loops),
        tuple(random.normal(0.3, 0.15, len(loops)).clip(-0.2, 0.8).tolist()),
        who.types, "best", who.pace,
        signals=tuple(signals), incidents=tuple(incidents), slows=tuple(slows), about=about,
    )  # fmt: skip


def _ranges(random: np.random.Generator, held: bool, grid: bool) -> DrawRanges:
    cycle = int(random.integers(50, 141))
    if grid and held:
        block = (100.0, 180.0) if random.random() < 0.5 else (220.0, 330.0)
        size = (int(random.integers(3, 5)), 4)
        return DrawRanges(*size, block, int(random.integers(1, 3)), float(random.choice([40, 60])),
                       min(cycle, 120))  # fmt: skip
    if grid:
        size = (3, int(random.integers(3, 5)))
        return DrawRanges(*size, (130.0, 260.0), int(random.integers(1, 3)),
                       float(random.choice([30, 50])), min(cycle, 120))  # fmt: skip
    if held:
        block = (160.0, 260.0) if random.random() < 0.5 else (420.0, 650.0)
        return DrawRanges(1, int(random.integers(3, 5)), block, int(random.choice([1, 2, 3, 3])),
                       float(random.choice([40, 70, 80])), cycle)  # fmt: skip
    return DrawRanges(1, int(random.integers(2, 5)), (200.0, 480.0), int(random.integers(1, 3)),
                   float(random.choice([50, 60])), cycle)  # fmt: skip


def _watched(random: np.random.Generator, ranges: DrawRanges, grid: bool) -> list[tuple[str, int]]:
    """The streets that have loops: a direction, and the row or column."""
    if not grid:
        return [("E", 0)]
    row = int(random.integers(0, ranges.rows))
    column = int(random.integers(0, ranges.columns))
    return [(str(random.choice(["E", "W"])), row), (str(random.choice(["N", "S"])), column)]


def _signals(
    random: np.random.Generator,
    ranges: DrawRanges,
    plan: TownPlan,
    streets: list[tuple[str, int]],
    share: float,
) -> list[FixedTimeSignal]:
    """One cycle for the town, offsets as they come or as a green wave along the first street."""
    wave = random.random() < 0.5
    row = "EW" if streets[0][0] in "EW" else "NS"
    main = frozenset(name for (way, _), names in plan.lines.items() if way in row for name in names)
    signals = []
    for r in range(1, ranges.rows + 1):
        for c in range(1, ranges.columns + 1):
            away = c if streets[0][0] != "W" else ranges.columns - c
            drive = away * np.mean(ranges.block_m) / (ranges.limit / 3.6)
            offset = int(drive if wave else random.integers(0, ranges.cycle_s)) % ranges.cycle_s
            uneven = float(np.clip(share + random.normal(0, 0.04), 0.3, 0.7))
            signals.append(FixedTimeSignal(f"c{r}_{c}", ranges.cycle_s, uneven, offset, main))
    return signals


def _flows(
    random: np.random.Generator,
    plan: TownPlan,
    streets: list[tuple[str, int]],
    hours: float,
    level: float,
    grid: bool,
) -> list[Flow]:
    """Straight through each street, and some who turn once. Watched streets carry most."""
    flows = []
    for key, names in plan.lines.items():
        high = level if key in streets else level * float(random.uniform(0.25, 0.5))
        rates = demand_profile(random, hours, high * float(random.uniform(0.25, 0.5)), high)
        turns = [
            (*names[: k + 1], *roads_after(plan, names[k], way))
            for k in range(len(names) - 1)
            for way in ((RIGHT[key[0]],) if not grid or random.random() < 0.7 else (LEFT[key[0]],))
        ]
        turning = float(random.uniform(0.06, 0.18))
        flows.append(Flow(tuple(names), tuple(r * (1 - turning) for r in rates)))
        flows += [Flow(turn, tuple(r * turning / len(turns) for r in rates)) for turn in turns]
    return flows


def _incidents(
    random: np.random.Generator, plan: TownPlan, streets: list[tuple[str, int]], hours: float
) -> list[BlockedLane]:
    incidents = []
    for k in range(int(random.integers(1, 3))):
        names = plan.lines[streets[int(random.integers(len(streets)))]]
        able = [i for i, name in enumerate(names) if plan.roads[name].watched]
        i = int(random.choice(able))
        road = plan.roads[names[i]]
        begin = (0.15 + 0.4 * k + 0.2 * float(random.random())) * hours * 3600
        # A road of one lane is closed altogether, so not for long.
        length = float(random.uniform(240, 600) if road.lanes == 1 else random.uniform(400, 1500))
        at_m = float(random.uniform(0.5, 0.85)) * road.length_m
        lane = int(random.integers(0, road.lanes))
        incidents.append(BlockedLane(tuple(names[i : i + 2]), lane, at_m, begin, length))
    return incidents


def _loops(random: np.random.Generator, plan: TownPlan) -> list[LoopPlace]:
    loop_m = round(float(random.uniform(1.5, 2.5)), 2)
    pairs = random.random() < 0.2
    spacing = round(float(random.uniform(loop_m + 1, 5.0)), 2)
    loops = []
    for road in plan.roads.values():
        if not road.watched:
            continue
        site = SITES[int(random.integers(len(SITES)))]
        at = {
            "stop": road.length_m - float(random.uniform(1, 3)) - loop_m,
            "advance": road.length_m - float(random.uniform(30, 60)),
            "mid": road.length_m * float(random.uniform(0.35, 0.55)),
        }
        for position in site:
            gap = spacing if pairs and position != "stop" else None
            for lane in range(road.lanes):
                name = f"{road.name}{position[0]}_{lane}"
                at_m = round(at[position], 1)
                lead = LoopPlace(name, road.name, position, lane, "lead", at_m, loop_m, gap)
                loops += [lead, *trail_of(lead)]
    return loops
