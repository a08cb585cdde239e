"""Draws motorways and rural roads without signals: ramps, lane drops, incidents, blocked exits."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from models.congestion.scenarios.scene import (
    BlockedLane,
    Flow,
    Road,
    Scene,
    SpeedLimit,
    demand_profile,
    draw_drivers,
)
from models.congestion.scenarios.simstreet import LoopPlace, Split, trail_of


class _Layout(NamedTuple):
    """The road. `drop` is where a lane ends, `ramp` where one joins, `off` whether one leaves."""

    limit: float  # km/h
    lanes: int
    drop: int | None
    ramp: int | None
    off: bool
    plan: list[Road]  # in the order of driving, without ramps

    @property
    def narrow(self) -> int:
        """Lanes where there are fewest."""
        return min(road.lanes for road in self.plan)

    @property
    def through(self) -> tuple[str, ...]:
        return tuple(road.name for road in self.plan)


def draw_corridor(name: str, split: Split, seed: int, hours: float, calm: bool) -> Scene:
    """A corridor of four to seven stations. Calm ones have no cause to jam."""
    random = np.random.default_rng([seed, 11])
    layout = _layout(random, split == "held_out")
    nodes, roads, joins = _build(layout)
    wet = random.random() < 0.25
    trucks = float(random.uniform(0.02, 0.3))
    bikes = float(random.uniform(0.005, 0.04))
    who = draw_drivers(random, trucks, bikes, wet, layout.limit / 3.6)
    cause = "none" if calm else _cause(random, layout)
    blocked = int(random.integers(1, layout.lanes)) if cause == "incident" else 0
    blocked = min(blocked, layout.narrow - 1)
    capacity = (layout.narrow - blocked) / who.headway_s
    peaks = {"none": (0.3, 0.75), "demand": (1.1, 1.4), "incident": (0.8, 1.5)}
    level = float(random.uniform(*peaks.get(cause, (0.6, 0.95)))) * capacity
    if cause == "incident":
        level = min(level, 0.9 * layout.narrow / who.headway_s)
    flows = _flows(random, layout, hours, level)
    incidents: list[BlockedLane] = []
    if cause == "incident":
        for k in range(int(random.integers(1, 3))):
            incidents += _incident(random, layout.plan, blocked, hours, k)
    slows = []
    if cause == "exit":
        begin = random.uniform(0.25, 0.55) * hours * 3600
        length = random.uniform(600, 1800)
        slows.append(
            SpeedLimit(layout.through[-1], begin, begin + length, random.uniform(1.5, 4.0))
        )
    loops = _loops(random, roads)
    return Scene(
        name, "corridor", split, seed, hours, nodes, tuple(roads), tuple(flows), tuple(loops),
        tuple(random.normal(0.3, 0.15, len(loops)).clip(-0.2, 0.8).tolist()),
        who.types, "random", who.pace,
        links=tuple(joins), incidents=tuple(incidents), slows=tuple(slows),
        about={
            "cause": cause, "wet": wet, "truck_share": round(trucks, 3), "drop": layout.drop,
            "ramp": layout.ramp, "peak_of_capacity": round(level / capacity, 2),
            "limit_kmh": layout.limit,
        },
    )  # fmt: skip


def _layout(random: np.random.Generator, held: bool) -> _Layout:
    if held and random.random() < 0.5:
        lanes, limit = 4, float(random.choice([90, 110, 130]))
        lengths = random.uniform(850, 1200, int(random.integers(4, 6)))
    elif held:
        lanes, limit = int(random.integers(2, 4)), float(random.choice([70, 90, 110]))
        lengths = random.uniform(400, 1150, int(random.integers(4, 7)))
    else:
        lanes, limit = int(random.integers(2, 4)), float(random.choice([80, 100, 120, 130]))
        lengths = random.uniform(420, 950, int(random.integers(4, 8)))
    last = len(lengths)  # watched roads are 1..last, before them 0, after them last + 1
    drop = int(random.integers(3, last + 2)) if lanes > 2 and random.random() < 0.4 else None
    ramp = int(random.integers(2, last + 1)) if drop is None and random.random() < 0.65 else None
    off = ramp is not None and random.random() < 0.4
    plan = []
    for i, length_m in enumerate([700.0, *lengths.round(1).tolist(), 500.0]):
        left = lanes - (drop is not None and i >= drop)
        watched = 1 <= i <= last
        plan.append(Road(f"l{i:02d}", "", "", left, length_m, limit / 3.6, watched))
    if ramp is not None:
        beside_m = round(float(random.uniform(180, 350)), 1)
        plan.insert(ramp, Road("beside", "", "", lanes + 1, beside_m, limit / 3.6))
    return _Layout(limit, lanes, drop, ramp, off, plan)


def _build(
    layout: _Layout,
) -> tuple[dict[str, tuple[float, float]], list[Road], list[tuple[str, int, str, int]]]:
    """Nodes, roads with their ramps, and which lane continues as which."""
    nodes, roads = chain_roads(layout.plan)
    joins = join_lanes(roads)
    slow = layout.limit / 3.6 * 0.7
    if layout.ramp is not None:
        nodes["on"] = (nodes[f"n{layout.ramp}"][0] - 250, -90.0)
        roads.append(Road("ramp", "on", f"n{layout.ramp}", 1, 260.0, slow))
        joins.append(("ramp", 0, "beside", 0))
    if layout.ramp is not None and layout.off:
        nodes["off"] = (nodes[f"n{layout.ramp + 1}"][0] + 250, -90.0)
        roads.append(Road("leave", f"n{layout.ramp + 1}", "off", 1, 260.0, slow))
        joins.append(("beside", 0, "leave", 0))
    return nodes, roads, joins


def _flows(random: np.random.Generator, layout: _Layout, hours: float, level: float) -> list[Flow]:
    """Vehicles that drive all of it, that join, and that leave."""
    through, ramp = layout.through, layout.ramp
    joining = float(random.uniform(0.1, 0.25)) if ramp is not None else 0.0
    rates = demand_profile(random, hours, level * float(random.uniform(0.25, 0.6)), level)
    flows = [Flow(through, tuple(r * (1 - joining) for r in rates))]
    if ramp is not None:
        flows.append(Flow(("ramp", *through[ramp:]), tuple(r * joining for r in rates)))
    if ramp is not None and layout.off:
        leaving = float(random.uniform(0.05, 0.2))
        flows.append(Flow((*through[: ramp + 1], "leave"), tuple(r * leaving for r in rates)))
    return flows


def _cause(random: np.random.Generator, layout: _Layout) -> str:
    if layout.drop is not None or layout.ramp is not None:
        return str(random.choice(["demand", "demand", "incident", "exit"]))
    return str(random.choice(["incident", "incident", "exit"]))


def chain_roads(plan: list[Road]) -> tuple[dict[str, tuple[float, float]], list[Road]]:
    """Nodes n0, n1, ... along a line; each watched road knows the next."""
    edges = np.concatenate([[0.0], np.cumsum([road.length_m for road in plan])]).tolist()
    nodes = {f"n{i}": (x, 0.0) for i, x in enumerate(edges)}
    watched = [i for i, road in enumerate(plan) if road.watched]
    after = dict(pairwise(watched))
    roads = []
    for i, road in enumerate(plan):
        placed = replace(road, begin=f"n{i}", end=f"n{i + 1}")
        if i in after:
            far = edges[after[i] + 1] - edges[i + 1]
            name = plan[after[i]].name
            placed = replace(placed, downstream=name, distance_m=round(far, 1))
        roads.append(placed)
    return nodes, roads


def join_lanes(roads: list[Road]) -> list[tuple[str, int, str, int]]:
    """Which lane continues as which. Lanes are added and dropped at the slow side."""
    return [
        (here.name, lane, after.name, lane + after.lanes - here.lanes)
        for here, after in pairwise(roads)
        for lane in range(here.lanes)
        if lane + after.lanes - here.lanes >= 0
    ]


def _incident(
    random: np.random.Generator, plan: list[Road], blocked: int, hours: float, k: int
) -> list[BlockedLane]:
    """Vehicles beside each other, in the second half of the corridor."""
    able = [i for i, road in enumerate(plan) if road.watched]
    i = int(random.choice(able[len(able) // 2 :]))
    blocked = min(blocked, plan[i].lanes - 1)
    first = int(random.integers(0, plan[i].lanes - blocked + 1))
    begin = (0.15 + 0.4 * k + 0.2 * float(random.random())) * hours * 3600
    length = float(random.uniform(400, 1700))
    at_m = float(random.uniform(0.55, 0.9)) * plan[i].length_m
    names = (plan[i].name, plan[i + 1].name)
    return [BlockedLane(names, first + n, at_m, begin, length) for n in range(blocked)]


def _loops(random: np.random.Generator, roads: list[Road]) -> list[LoopPlace]:
    loop_m = round(float(random.uniform(1.5, 2.5)), 2)
    spacing = round(float(random.uniform(max(3.0, loop_m + 1), 6.0)), 2)
    pairs = random.random() < 0.65
    loops = []
    for road in roads:
        if not road.watched:
            continue
        at_m = round(float(random.uniform(0.35, 0.65)) * road.length_m, 1)
        for lane in range(road.lanes):
            name = f"{road.name}_{lane}"
            gap = spacing if pairs else None
            lead = LoopPlace(name, road.name, "corridor", lane, "lead", at_m, loop_m, gap)
            loops += [lead, *trail_of(lead)]
    return loops
