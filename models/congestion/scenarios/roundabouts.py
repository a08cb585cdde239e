"""Draws roads with roundabouts: nobody has a signal, and who is on the ring goes first.

One to three roundabouts in a row, with one or two lanes and three or four arms. Approaches of the
main road are watched, sometimes those of a side road, too. Capacity follows the Highway Capacity
Manual (6th edition, chapter 22: an entry serves 1,380 exp(-0.00102 q) vehicles an hour and lane,
where q drive past it on the ring). Where level of service E begins (35 s of delay, chapter 20), the
usual wait of an entry ends: see `truth.congestion_speeds`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Final

import numpy as np

from models.congestion.scenarios.drivers import CYCLE, GENERAL, draw_population
from models.congestion.scenarios.jamcauses import (
    about_street,
    draw_cause,
    stopped_vehicle,
    traffic_flow,
)
from models.congestion.scenarios.loopstandards import approach_loops, draw_senses, draw_standard
from models.congestion.scenarios.scene import BlockedLane, Ring, Road, Scene, SpeedLimit
from models.congestion.scenarios.setgeometry import Roads, draw_town_roads
from models.congestion.scenarios.simstreet import LoopPlace, Split

GIVE_WAY_S: Final = 35.0
ENTRY: Final = (1280 / 3600, 0.00102 * 3600)  # of seconds; a little less, for SUMO's drivers wait
RING_MS: Final = (6.5, 9.0)  # how fast one drives on a ring
ARMS: Final = ("E", "N", "W", "S")  # against the clock, as one drives on the right
ANGLE: Final = {"E": 0.0, "N": 90.0, "W": 180.0, "S": 270.0}
CAUSES: Final = ("demand", "demand", "demand", "incident", "exit")


@dataclass
class _Plan:
    """Roads by name; the arms of each ring; who comes in and goes out at each arm."""

    lanes: int
    nodes: dict[str, tuple[float, float]] = field(default_factory=dict)
    roads: dict[str, Road] = field(default_factory=dict)
    rings: list[Ring] = field(default_factory=list)
    arms: list[list[str]] = field(default_factory=list)
    into: dict[tuple[int, str], str] = field(default_factory=dict)
    out: dict[tuple[int, str], str] = field(default_factory=dict)


def draw_roundabouts(name: str, split: Split, seed: int, hours: float, calm: bool) -> Scene:
    """A road with roundabouts, driven from west to east."""
    random = np.random.default_rng([seed, 22])
    drawn = draw_town_roads(random, split)
    limit_ms = drawn.limit_kmh / 3.6
    count = int(random.integers(1, 4))
    plan = _lay(random, count, drawn, int(random.random() < 0.35) + 1)
    who = draw_population(random, limit_ms, (0.01, 0.15))
    standard = draw_standard(random, split)
    cause = draw_cause(random, CAUSES, hours, calm)
    routes = _routes(random, plan)
    flows = [
        traffic_flow(roads, cause.demand, cause.peak * level)
        for roads, level in _levels(plan, routes).items()
    ]
    if random.random() < 0.3:
        through = next(iter(routes))
        flows.append(
            traffic_flow(through, cause.demand, float(random.uniform(10, 60)) / 3600, CYCLE)
        )
    loops: list[LoopPlace] = []
    paired = random.random() < 0.2
    for road in plan.roads.values():
        if road.watched:
            loops += approach_loops(random, standard, road, paired=paired)
    reach, senses = draw_senses(random, loops)
    incidents, slows = _troubles(random, plan, count, cause.name, hours)
    about = about_street(
        cause, who, standard, limit_kmh=drawn.limit_kmh, roundabouts=count, lanes=plan.lanes,
        arms=[len(arms) for arms in plan.arms],
    )  # fmt: skip
    return Scene(
        name, "roundabout", split, seed, hours, plan.nodes, tuple(plan.roads.values()),
        tuple(flows), tuple(loops), reach, who.mix, "best", who.pace,
        incidents=tuple(incidents), slows=tuple(slows), rings=tuple(plan.rings), senses=senses,
        counted=GENERAL, about=about,
    )  # fmt: skip


def _lay(random: np.random.Generator, count: int, drawn: Roads, lanes: int) -> _Plan:
    """Rings in a row, roads between them in both directions, and arms to the sides."""
    plan = _Plan(lanes)
    limit_ms = drawn.limit_kmh / 3.6
    at_m = 0.0
    for k in range(count):
        at_m += float(random.uniform(*drawn.block_m)) + 60 if k else 0.0
        arms = list(ARMS)
        if random.random() < 0.25:
            arms.remove(str(random.choice(["N", "S"])))
        plan.arms.append(arms)
        _ring(random, plan, k, at_m)
    watch_side = random.random() < 0.4
    for k, arms in enumerate(plan.arms):
        for arm in arms:
            inner = (arm == "E" and k + 1 < count) or (arm == "W" and k > 0)
            if inner:
                if arm == "E":
                    _between(plan, k, limit_ms)
                continue
            far_m = float(random.uniform(*drawn.block_m)) + (150 if arm == "W" else 60)
            watched = arm == "W" or (watch_side and arm in "NS" and k == 0)
            _arm(plan, k, arm, far_m, limit_ms, watched)
    _watch_on(plan, count)
    return plan


def _ring(random: np.random.Generator, plan: _Plan, k: int, x: float) -> None:
    radius = float(random.uniform(13, 20) if plan.lanes == 1 else random.uniform(20, 32))
    arms = plan.arms[k]
    names = [f"r{k}{arm}" for arm in arms]
    for name, arm in zip(names, arms, strict=True):
        turn = np.radians(ANGLE[arm])
        plan.nodes[name] = (x + radius * float(np.cos(turn)), radius * float(np.sin(turn)))
    roads = []
    for i, name in enumerate(names):
        after = names[(i + 1) % len(names)]
        step = (ANGLE[arms[(i + 1) % len(arms)]] - ANGLE[arms[i]]) % 360
        length = round(float(np.radians(step)) * radius, 1)
        ring = f"q{k}{arms[i]}"
        slow = float(random.uniform(*RING_MS))
        plan.roads[ring] = Road(ring, name, after, plan.lanes, length, slow)
        roads.append(ring)
    plan.rings.append(Ring(tuple(names), tuple(roads)))


def _arm(plan: _Plan, k: int, arm: str, far_m: float, limit_ms: float, watched: bool) -> None:
    turn = np.radians(ANGLE[arm])
    x, y = plan.nodes[f"r{k}{arm}"]
    end = f"e{k}{arm}"
    plan.nodes[end] = (x + far_m * float(np.cos(turn)), y + far_m * float(np.sin(turn)))
    lanes = plan.lanes if arm in "EW" else 1
    length = round(far_m, 1)
    into, out = f"in{k}{arm}", f"out{k}{arm}"
    plan.roads[into] = Road(
        into, end, f"r{k}{arm}", lanes, length, limit_ms, watched, give_way_s=GIVE_WAY_S
    )
    plan.roads[out] = Road(out, f"r{k}{arm}", end, lanes, length, limit_ms)
    plan.into[k, arm], plan.out[k, arm] = into, out


def _between(plan: _Plan, k: int, limit_ms: float) -> None:
    """The road from a ring to the next, and back."""
    here, there = f"r{k}E", f"r{k + 1}W"
    length = round(plan.nodes[there][0] - plan.nodes[here][0], 1)
    on, back = f"on{k}", f"back{k}"
    plan.roads[on] = Road(
        on, here, there, plan.lanes, length, limit_ms, True, give_way_s=GIVE_WAY_S
    )
    plan.roads[back] = Road(back, there, here, plan.lanes, length, limit_ms, give_way_s=GIVE_WAY_S)
    plan.out[k, "E"], plan.into[k + 1, "W"] = on, on
    plan.out[k + 1, "W"], plan.into[k, "E"] = back, back


def _watch_on(plan: _Plan, count: int) -> None:
    """The watched roads from west to east know the next one."""
    chain = [plan.into[0, "W"], *(f"on{k}" for k in range(count - 1))]
    for here, after in pairwise(chain):
        far = round(plan.roads[after].length_m + 40, 1)
        plan.roads[here] = replace(plan.roads[here], downstream=after, distance_m=far)


def _round(plan: _Plan, k: int, arm: str, to: str) -> tuple[str, ...]:
    """The roads of a ring from one arm to another."""
    arms = plan.arms[k]
    i, out = arms.index(arm), []
    while arms[i] != to:
        out.append(f"q{k}{arms[i]}")
        i = (i + 1) % len(arms)
    return tuple(out)


def _routes(random: np.random.Generator, plan: _Plan) -> dict[tuple[str, ...], float]:
    """Ways through the plan, with their shares of the traffic. The first is all along the road."""
    count = len(plan.rings)
    routes: dict[tuple[str, ...], float] = {}

    def way(begin: tuple[int, str], end: tuple[int, str]) -> tuple[str, ...]:
        step = 1 if end[0] >= begin[0] else -1
        roads = [plan.into[begin]]
        k, arm = begin
        while k != end[0]:
            leave, enter = ("E", "W") if step > 0 else ("W", "E")
            roads += [*_round(plan, k, arm, leave), plan.out[k, leave]]
            k, arm = k + step, enter
        return (*roads, *_round(plan, k, arm, end[1]), plan.out[end])

    west, east = (0, "W"), (count - 1, "E")
    routes[way(west, east)] = 1.0
    routes[way(east, west)] = float(random.uniform(0.4, 1.0))
    sides = [(k, arm) for k, arms in enumerate(plan.arms) for arm in arms if arm in "NS"]
    for side in sides:
        much = float(random.uniform(0.1, 0.45))
        ends = [west, east, *(other for other in sides if other[0] == side[0] and other != side)]
        for end in ends:
            routes[way(side, end)] = much * float(random.uniform(0.2, 0.6))
            if end in (west, east):
                routes[way(end, side)] = much * float(random.uniform(0.1, 0.4))
    return routes


def _levels(plan: _Plan, routes: Mapping[tuple[str, ...], float]) -> dict[tuple[str, ...], float]:
    """Vehicles a second of each way, so that the busiest watched entry has just its capacity."""

    def fullest(scale: float) -> float:
        load: dict[str, float] = {}
        for roads, share in routes.items():
            for road in roads:
                load[road] = load.get(road, 0.0) + scale * share
        out = 0.0
        for (k, arm), into in plan.into.items():
            if not plan.roads[into].watched:
                continue
            arms = plan.arms[k]
            passing = load.get(f"q{k}{arms[arms.index(arm) - 1]}", 0.0)
            leaving = load.get(plan.out[k, arm], 0.0)
            past = max(passing - leaving, 0.0) / plan.lanes
            capacity = plan.roads[into].lanes * ENTRY[0] * float(np.exp(-ENTRY[1] * past))
            out = max(out, load.get(into, 0.0) / capacity)
        return out

    low, high = 0.0, 2.0
    for _ in range(40):
        middle = (low + high) / 2
        low, high = (middle, high) if fullest(middle) < 1 else (low, middle)
    return {roads: low * share for roads, share in routes.items()}


def _troubles(
    random: np.random.Generator, plan: _Plan, count: int, cause: str, hours: float
) -> tuple[list[BlockedLane], list[SpeedLimit]]:
    if cause == "incident":
        name = plan.into[int(random.integers(count)), "W"]
        road = plan.roads[name]
        on = f"q{road.end[1:-1]}W"
        return [stopped_vehicle(random, (name, on), road, hours, 0)], []
    if cause == "exit":
        begin = float(random.uniform(0.2, 0.5)) * hours * 3600
        until = begin + float(random.uniform(400, 1200))
        last = plan.out[count - 1, "E"]
        return [], [SpeedLimit(last, begin, until, float(random.uniform(0.8, 2.2)))]
    return [], []
