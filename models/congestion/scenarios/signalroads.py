"""Draws roads with signals as they are run today: actuated, coordinated, with buses, with bicycles.

All are one main road with crossings. They differ in what is special of them:

- actuated: greens last as long as vehicles follow closely; turn lanes; side roads watched, too;
- coordinated: a green wave, with another plan after some time of the day;
- buses: bus lines, with stops in the lane or with a bus lane;
- bicycles: many bicycles that ride among the cars, and are overtaken within the lane.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from edge.infer.sites import Role
from models.congestion.scenarios.buslines import draw_buses
from models.congestion.scenarios.dayshapes import Demand, bicycle_demand
from models.congestion.scenarios.drivers import CYCLE, GENERAL, draw_population
from models.congestion.scenarios.jamcauses import (
    JamCause,
    about_street,
    draw_cause,
    stopped_vehicle,
    traffic_flow,
)
from models.congestion.scenarios.loopstandards import (
    LoopStandard,
    approach_loops,
    draw_senses,
    draw_standard,
)
from models.congestion.scenarios.scene import (
    ActuatedSignal,
    BlockedLane,
    BusRun,
    BusStop,
    CoordinatedSignal,
    FixedTimeSignal,
    Flow,
    Scene,
    Signal,
    SignalPlan,
    SpeedLimit,
)
from models.congestion.scenarios.setgeometry import Roads, draw_town_roads
from models.congestion.scenarios.simstreet import Kind, LoopPlace, Split
from models.congestion.scenarios.townplan import DrawRanges, TownPlan, lay_out, roads_after

RIGHT: Final = {"E": "S", "S": "W", "W": "N", "N": "E"}
LEFT: Final = {"E": "N", "N": "W", "W": "S", "S": "E"}
AHEAD: Final = {"E": "E", "W": "W", "N": "N", "S": "S"}
SERVED: Final = 0.93  # of what a green could: it takes time to begin, and some turn
CAUSES: Final = ("demand", "demand", "incident", "exit")


@dataclass(frozen=True)
class _Road:
    """The main road: `lanes` go through, `turning` have a lane more, `bus_lane` the slow one."""

    plan: TownPlan
    lanes: int
    turning: frozenset[str]
    bus_lane: bool
    watched: tuple[tuple[str, int], ...]

    def line(self, way: str) -> list[str]:
        return self.plan.lines[way, 0]


def draw_signal_road(
    kind: Kind, name: str, split: Split, seed: int, hours: float, calm: bool
) -> Scene:
    """A main road of two to five crossings, of one of four kinds."""
    random = np.random.default_rng([seed, 21])
    drawn = draw_town_roads(random, split)
    road = _lay(random, kind, drawn)
    limit_ms = drawn.limit_kmh / 3.6
    who = draw_population(random, limit_ms, (0.01, 0.15))
    standard = draw_standard(random, split)
    cause = draw_cause(random, CAUSES, hours, calm)
    share = float(random.uniform(0.42, 0.62))
    signals, cycle_s = _signals(random, kind, road, share, hours, drawn)
    capacity = SERVED * _lanes_served(kind, road) * share / who.headway_s
    flows = _flows(random, road, cause, capacity * cause.peak)
    stops, buses = _buses(random, kind, road, hours)
    loops = _loops(random, road, standard)
    reach, senses = draw_senses(random, loops)
    incidents, slows = _troubles(random, road, cause, hours)
    if kind == "bicycles":
        flows += _cycles(random, road, bicycle_demand(random, cause.demand, hours))
    about = about_street(
        cause, who, standard, limit_kmh=drawn.limit_kmh, cycle_s=cycle_s,
        green_share=round(share, 2), lanes=road.lanes, turn_lanes=bool(road.turning),
        bus_lane=road.bus_lane, buses=len(buses), signals=type(signals[0]).__name__,
    )  # fmt: skip
    return Scene(
        name, kind, split, seed, hours, road.plan.nodes, tuple(road.plan.roads.values()),
        tuple(flows), tuple(loops), reach, who.mix, "best", who.pace, signals=tuple(signals),
        links=tuple(_joins(road)), incidents=tuple(incidents), slows=tuple(slows),
        stops=tuple(stops), buses=tuple(buses), senses=senses, counted=GENERAL,
        beside=kind == "bicycles", about=about,
    )  # fmt: skip


def _lay(random: np.random.Generator, kind: Kind, drawn: Roads) -> _Road:
    columns = int(random.integers(2, 6))
    lanes = int(random.integers(1, 4 if kind == "coordinated" else 3))
    bus_lane = kind == "buses" and random.random() < 0.4
    watched = [("E", 0)]
    if random.random() < 0.35:
        watched.append(("W", 0))
    if kind == "actuated" and random.random() < 0.6:
        watched.append(("N", int(random.integers(columns))))
    ranges = DrawRanges(1, columns, drawn.block_m, lanes, drawn.limit_kmh, 0)
    plan = lay_out(random, ranges, watched, False)
    turns = kind == "actuated" or (kind == "coordinated" and random.random() < 0.6)
    main = [name for way in "EW" for name in plan.lines[way, 0]]
    roads = dict(plan.roads)
    lane_m = round(float(random.uniform(3.5, 4.6)), 2) if kind == "bicycles" else None
    for name in main:
        more = int(turns) + int(bus_lane)
        uses = ("bus", *[""] * lanes) if bus_lane else ()
        roads[name] = replace(roads[name], lanes=lanes + more, uses=uses, lane_m=lane_m)
    plan = plan._replace(roads=roads)
    return _Road(plan, lanes, frozenset(main if turns else ()), bus_lane, tuple(watched))


def _lanes_served(kind: Kind, road: _Road) -> float:
    """Lanes that a green serves in full: found by driving, so that a usual day has few jams."""
    lanes = float(road.lanes)
    if not road.turning:  # who waits to turn left keeps others waiting
        lanes -= 0.4 if road.lanes > 1 else 0.25
    if kind == "bicycles" and road.lanes == 1:  # not all can be overtaken at once
        lanes *= 0.85
    if kind == "buses" and not road.bus_lane:
        lanes *= 0.9
    return lanes


def _joins(road: _Road) -> Iterable[tuple[str, int, str, int]]:
    """Which lane leads where, on main roads that have a lane for buses or for the left turn."""
    if not road.turning and not road.bus_lane:
        return
    for name in (name for way in "EW" for name in road.line(way)[:-1]):
        way = name[0].upper()
        last = road.plan.roads[name].lanes - 1
        after = roads_after(road.plan, name, AHEAD[way])[0]
        for lane in range(last + (name not in road.turning)):
            yield name, lane, after, lane
        right = roads_after(road.plan, name, RIGHT[way])[0]
        yield name, int(road.bus_lane), right, 0
        left = roads_after(road.plan, name, LEFT[way])[0]
        yield name, last, left, road.plan.roads[left].lanes - 1


def _signals(
    random: np.random.Generator,
    kind: Kind,
    road: _Road,
    share: float,
    hours: float,
    drawn: Roads,
) -> tuple[list[Signal], int]:
    """The signals, and the cycle that they have or come to."""
    main = frozenset(name for way in "EW" for name in road.line(way))
    nodes = [road.plan.roads[name].end for name in road.line("E")[:-1]]
    cycle = int(random.integers(55, 131))
    actuated = kind == "actuated" or (kind in ("buses", "bicycles") and random.random() < 0.4)
    if actuated:
        gap, ahead = float(random.uniform(2.0, 4.0)), float(random.uniform(1.0, 3.5))
        return [_actuated(random, node, main, cycle, share, gap, ahead) for node in nodes], cycle
    away_s = np.cumsum([road.plan.roads[name].length_m for name in road.line("E")[:-1]])
    away_s = away_s / (drawn.limit_kmh / 3.6)
    starts = [0.0]
    if kind == "coordinated" and random.random() < 0.6:
        starts.append(float(random.uniform(0.3, 0.7)) * hours * 3600)
    wave = kind == "coordinated" or random.random() < 0.3
    times = [(cycle, share)]
    while len(times) < len(starts):
        other = int(np.clip(cycle * random.uniform(0.7, 1.4), 50, 150))
        times.append((other, float(np.clip(share + random.normal(0, 0.07), 0.35, 0.7))))
    signals: list[Signal] = []
    for k, node in enumerate(nodes):
        plans = []
        for start, (length, part) in zip(starts, times, strict=True):
            uneven = float(np.clip(part + random.normal(0, 0.03), 0.3, 0.72))
            at = away_s[k] + random.normal(0, 2) if wave else random.uniform(0, length)
            plans.append(SignalPlan(start, length, uneven, int(at) % length))
        if kind == "coordinated":
            signals.append(CoordinatedSignal(node, main, tuple(plans)))
        else:
            one = plans[0]
            signals.append(FixedTimeSignal(node, one.cycle_s, one.share, one.offset_s, main))
    return signals, cycle


def _actuated(
    random: np.random.Generator,
    node: str,
    main: frozenset[str],
    cycle: int,
    share: float,
    gap: float,
    ahead: float,
) -> ActuatedSignal:
    """Greens that come to `share` of a cycle of this length when all of them last."""
    most = (round(cycle * share, 1), round(max(cycle * (0.9 - share), 10.0), 1))
    main_least, side_least = float(random.uniform(5, 15)), float(random.uniform(4, 8))
    least = (min(round(main_least, 1), most[0]), round(side_least, 1))
    return ActuatedSignal(node, main, least, most, round(gap, 1), round(ahead, 1))


def _flows(random: np.random.Generator, road: _Road, cause: JamCause, level: float) -> list[Flow]:
    """Through all of it, and turns at each crossing. The watched directions carry most."""
    flows = []
    for key, names in road.plan.lines.items():
        much = level if key in road.watched else level * float(random.uniform(0.2, 0.5))
        if key[0] in "NS":
            much = level / road.lanes * float(random.uniform(0.25, 0.6))
        demand = cause.demand
        # Who waits to turn left in the only lane stops all others, so few may.
        most = 0.14 if road.turning else 0.04 if road.lanes > 1 else 0.012
        lefts = float(random.uniform(0.4, 1.0)) * most
        rights = float(random.uniform(0.04, 0.12))
        flows.append(traffic_flow(tuple(names), demand, much * (1 - lefts - rights)))
        crossings = range(len(names) - 1)
        for way, part in ((LEFT, lefts), (RIGHT, rights)):
            for k in crossings:
                turn = (*names[: k + 1], *roads_after(road.plan, names[k], way[key[0]]))
                flows.append(traffic_flow(turn, demand, much * part / len(crossings)))
    return flows


def _cycles(random: np.random.Generator, road: _Road, demand: Demand) -> list[Flow]:
    """Bicycles along the main road, and some across it."""
    level = float(random.uniform(40, 350 if road.lanes > 1 else 220)) / 3600
    flows = [traffic_flow(tuple(road.line(way)), demand, level, CYCLE) for way in "EW"]
    for way in "NS":
        names = road.plan.lines[way, 0]
        flows.append(traffic_flow(tuple(names), demand, 0.3 * level, CYCLE))
    return flows


def _buses(
    random: np.random.Generator, kind: Kind, road: _Road, hours: float
) -> tuple[list[BusStop], list[BusRun]]:
    if kind != "buses":
        return [], []
    stops: list[BusStop] = []
    runs: list[BusRun] = []
    for way in "EW":
        line = [road.plan.roads[name] for name in road.line(way)]
        some, buses = draw_buses(random, line, hours, float(random.uniform(100, 480)))
        stops, runs = stops + some, runs + buses
    return stops, sorted(runs, key=lambda run: run.from_s)


def _loops(random: np.random.Generator, road: _Road, standard: LoopStandard) -> list[LoopPlace]:
    paired = random.random() < 0.2
    out: list[LoopPlace] = []
    for each in road.plan.roads.values():
        if each.watched:
            roles: dict[int, Role] = {}
            if each.name in road.turning:
                roles[each.lanes - 1] = "turn"
            if each.uses and each.uses[0] == "bus":
                roles[0] = "bus"
            out += approach_loops(random, standard, each, roles, paired=paired)
    return out


def _troubles(
    random: np.random.Generator, road: _Road, cause: JamCause, hours: float
) -> tuple[list[BlockedLane], list[SpeedLimit]]:
    incidents, slows = [], []
    if cause.name == "incident":
        for k in range(int(random.integers(1, 3))):
            names = road.plan.lines[road.watched[int(random.integers(len(road.watched)))]]
            i = int(random.choice([i for i, n in enumerate(names) if road.plan.roads[n].watched]))
            here = road.plan.roads[names[i]]
            incidents.append(stopped_vehicle(random, (names[i], names[i + 1]), here, hours, k))
    elif cause.name == "exit":
        begin = float(random.uniform(0.2, 0.5)) * hours * 3600
        until = begin + float(random.uniform(500, 1500))
        last = road.line("E")[-1]
        slows.append(SpeedLimit(last, begin, until, float(random.uniform(0.8, 2.2))))
    return incidents, slows
