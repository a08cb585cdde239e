"""Draws open roads without crossings: motorways with several ramps, and roads with work zones.

- ramps: several junctions: acceleration lanes, lanes from an entry to the next exit (auxiliary
  lanes, weaving), exits that back up onto the road; some ramps have loops, too;
- workzone: lanes that are closed at the slow or the fast side, with a lower limit; works that come
  and go within the hour; or a road of one lane that both directions share by signals.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any, Final

import numpy as np

from edge.infer.sites import Role
from models.congestion.scenarios.corridors import chain_roads, join_lanes
from models.congestion.scenarios.drivers import GENERAL, draw_population
from models.congestion.scenarios.jamcauses import (
    JamCause,
    about_street,
    draw_cause,
    stopped_vehicle,
    traffic_flow,
)
from models.congestion.scenarios.loopstandards import (
    approach_loops,
    draw_senses,
    draw_standard,
    station_loops,
)
from models.congestion.scenarios.scene import (
    BlockedLane,
    Flow,
    Road,
    Scene,
    ShuttleSignal,
    Signal,
    SpeedLimit,
)
from models.congestion.scenarios.setgeometry import draw_road_limit
from models.congestion.scenarios.simstreet import Kind, Split

RAMP_CAUSES: Final = ("demand", "demand", "incident", "exit")
ZONE_CAUSES: Final = ("demand", "demand", "incident", "works")
BEFORE_M: Final = 700.0  # in which traffic sorts itself
AFTER_M: Final = 500.0
SERVED: Final = 1.15  # of what the headway says: SUMO's drivers merge well
RAMP_Y_M: Final = -35.0  # where a ramp begins or ends: at a small angle, or SUMO has it turn slowly

Joins = list[tuple[str, int, str, int]]


@dataclass
class _Layout:
    """What was laid: roads in the order of driving, ramps beside them, and special lanes."""

    limit_ms: float
    main: list[Road]
    nodes: dict[str, tuple[float, float]] = field(default_factory=dict)
    ramps: list[Road] = field(default_factory=list)
    joins: Joins = field(default_factory=list)
    roles: dict[tuple[str, int], Role] = field(default_factory=dict)
    signals: list[Signal] = field(default_factory=list)
    narrow: float = 0.0  # lanes that carry traffic where there are fewest

    @property
    def through(self) -> tuple[str, ...]:
        return tuple(road.name for road in self.main)

    @property
    def roads(self) -> list[Road]:
        return [*self.main, *self.ramps]


def draw_ramps(name: str, split: Split, seed: int, hours: float, calm: bool) -> Scene:
    """A motorway between several junctions."""
    random = np.random.default_rng([seed, 23])
    limit = draw_road_limit(random, split)
    lanes = int(random.integers(2, 5 if split == "final" else 4))
    layout = _lay_ramps(random, split, limit / 3.6, lanes)
    cause = draw_cause(random, RAMP_CAUSES, hours, calm)
    about = {"limit_kmh": limit, "lanes": lanes, "ramps": [r.name for r in layout.ramps]}
    return _scene("ramps", random, name, split, seed, hours, layout, cause, about)


def draw_workzone(name: str, split: Split, seed: int, hours: float, calm: bool) -> Scene:
    """A road with a work zone, or with works that come and go."""
    random = np.random.default_rng([seed, 24])
    shuttle = random.random() < 0.3
    causes = tuple(c for c in ZONE_CAUSES if not shuttle or c != "works")
    cause = draw_cause(random, causes, hours, calm)
    if shuttle:
        limit = float(random.choice([60.0, 70.0, 80.0]))
        layout = _lay_shuttle(random, limit / 3.6)
    else:
        limit = draw_road_limit(random, split)
        layout = _lay_zone(random, limit / 3.6, works=cause.name == "works")
    about = {"limit_kmh": limit, "shuttle": shuttle, "zone": [r.name for r in layout.main]}
    return _scene("workzone", random, name, split, seed, hours, layout, cause, about)


def _scene(
    kind: Kind,
    random: np.random.Generator,
    name: str,
    split: Split,
    seed: int,
    hours: float,
    layout: _Layout,
    cause: JamCause,
    about: dict[str, Any],
) -> Scene:
    who = draw_population(random, layout.limit_ms, (0.02, 0.3))
    standard = draw_standard(random, split)
    level = SERVED * cause.peak * layout.narrow / who.headway_s
    flows = _flows(random, layout, cause, level)
    incidents, slows = _troubles(random, layout, cause, hours)
    lit = [road for road in layout.roads if road.watched and road.signal]
    free = [road for road in layout.roads if road.watched and not road.signal]
    loops = station_loops(random, standard, free, layout.roles)
    for road in lit:
        loops += approach_loops(random, standard, road)
    reach, senses = draw_senses(random, loops)
    told = about_street(cause, who, standard, **about)
    return Scene(
        name, kind, split, seed, hours, layout.nodes, tuple(layout.roads), tuple(flows),
        tuple(loops), reach, who.mix, "best", who.pace, signals=tuple(layout.signals),
        links=tuple(layout.joins), incidents=tuple(incidents), slows=tuple(slows), senses=senses,
        counted=GENERAL, missed_exits=True, about=told,
    )  # fmt: skip


def _lay_ramps(random: np.random.Generator, split: Split, limit_ms: float, lanes: int) -> _Layout:
    """Sections of the road. What is between two of them is drawn for each border."""
    lengths = random.uniform(350, 1100 if split == "final" else 850, int(random.integers(4, 7)))
    plan = [Road("l00", "", "", lanes, BEFORE_M, limit_ms)]
    ons: list[str] = []  # roads at whose start a ramp joins
    offs: list[str] = []  # roads at whose end one leaves
    roles: dict[tuple[str, int], Role] = {}
    for i, length in enumerate(lengths.round(1).tolist(), start=1):
        # what this section begins with: no junction, an entry, or a lane from an entry to an exit
        what = str(random.choice(["none", "entry", "auxiliary", "auxiliary"]))
        if i == len(lengths) and not ons:
            what = "auxiliary"
        # Where one lane leaves, no other comes: their ways would cross.
        if i == 1 or (offs and offs[-1] == plan[-1].name):
            what = "none"
        if what == "entry":
            beside = f"l{i:02d}a"
            plan.append(
                Road(beside, "", "", lanes + 1, round(float(random.uniform(160, 320)), 1), limit_ms)
            )
            ons.append(beside)
        here = f"l{i:02d}"
        wide = lanes + (what == "auxiliary")
        plan.append(Road(here, "", "", wide, length, limit_ms, True))
        if what == "auxiliary":
            ons.append(here)
            offs.append(here)
            roles[here, 0] = "auxiliary"
    plan.append(Road(f"l{len(lengths) + 1:02d}", "", "", lanes, AFTER_M, limit_ms))
    nodes, roads = chain_roads(plan)
    # Lane 0 of an auxiliary lane leads to its exit alone.
    joins = [join for join in join_lanes(roads) if (join[0] not in offs or join[1])]
    layout = _Layout(limit_ms, roads, nodes, joins=joins, roles=roles, narrow=lanes)
    by_name = {road.name: road for road in roads}
    slow = limit_ms * float(random.uniform(0.55, 0.75))
    for name in ons:
        _entry(random, layout, by_name[name], slow)
    for name in offs:
        _exit(random, layout, by_name[name], slow)
    return layout


def _entry(random: np.random.Generator, layout: _Layout, road: Road, slow: float) -> None:
    x, _ = layout.nodes[road.begin]
    length = round(float(random.uniform(220, 420)), 1)
    name = f"on_{road.name}"
    layout.nodes[name] = (x - length, RAMP_Y_M)
    watched = random.random() < 0.6
    layout.ramps.append(
        Road(
            name, name, road.begin, 1, length, slow, watched,
            downstream=road.name if watched and road.watched else None,
            distance_m=road.length_m if watched and road.watched else None,
        )
    )  # fmt: skip
    layout.joins.append((name, 0, road.name, 0))


def _exit(random: np.random.Generator, layout: _Layout, road: Road, slow: float) -> None:
    x, _ = layout.nodes[road.end]
    length = round(float(random.uniform(220, 420)), 1)
    name = f"off_{road.name}"
    layout.nodes[name] = (x + length, RAMP_Y_M)
    layout.ramps.append(Road(name, road.end, name, 1, length, slow, bool(random.random() < 0.5)))
    layout.joins.append((road.name, 0, name, 0))


def _lay_zone(random: np.random.Generator, limit_ms: float, *, works: bool) -> _Layout:
    """Roads before, in and after the zone. `works` alone: a road on which they come and go."""
    lanes = int(random.integers(2, 4))
    before = random.uniform(400, 850, int(random.integers(2, 4))).round(1).tolist()
    inside = random.uniform(350, 900, int(random.integers(1, 3))).round(1).tolist()
    after = random.uniform(400, 800, 1).round(1).tolist()
    fast_side = bool(random.random() < 0.4)
    left = lanes if works else lanes - 1
    zone_ms = limit_ms if works else limit_ms * float(random.uniform(0.55, 0.8))
    plan = [Road("l00", "", "", lanes, BEFORE_M, limit_ms)]
    for length in before:
        plan.append(Road(f"l{len(plan):02d}", "", "", lanes, length, limit_ms, True))
    for length in inside:
        plan.append(Road(f"l{len(plan):02d}", "", "", left, length, zone_ms, True))
    for length in after:
        plan.append(Road(f"l{len(plan):02d}", "", "", lanes, length, limit_ms, True))
    plan.append(Road(f"l{len(plan):02d}", "", "", lanes, AFTER_M, limit_ms))
    nodes, roads = chain_roads(plan)
    joins = _fast_side(roads) if fast_side else join_lanes(roads)
    return _Layout(limit_ms, roads, nodes, joins=joins, narrow=left)


def _fast_side(roads: list[Road]) -> Joins:
    """Lanes that end, and begin again, at the fast side."""
    return [
        (here.name, lane, after.name, lane)
        for here, after in pairwise(roads)
        for lane in range(min(here.lanes, after.lanes))
    ]


def _lay_shuttle(random: np.random.Generator, limit_ms: float) -> _Layout:
    """A road of one lane; at works the two directions drive in turn. One of them is looked at."""
    before = random.uniform(300, 700, int(random.integers(1, 4))).round(1).tolist()
    narrow_m = round(float(random.uniform(60, 350)), 1)
    slow = float(random.choice([30.0, 50.0])) / 3.6
    plan = [Road("l00", "", "", 1, BEFORE_M, limit_ms)]
    for length in before:
        plan.append(Road(f"l{len(plan):02d}", "", "", 1, length, limit_ms, True))
    plan[-1] = replace(plan[-1], signal=True)
    plan.append(Road(f"l{len(plan):02d}", "", "", 1, narrow_m, slow))
    after_m = round(float(random.uniform(300, 600)), 1)
    plan.append(Road(f"l{len(plan):02d}", "", "", 1, after_m, limit_ms, True))
    plan.append(Road(f"l{len(plan):02d}", "", "", 1, AFTER_M, limit_ms))
    nodes, roads = chain_roads(plan)
    lit = next(road for road in roads if road.signal)
    clear_s = int(narrow_m / slow * 1.2) + 4  # until the last one is out
    green, other = (int(s) for s in random.integers(20, 61, 2))
    signal = ShuttleSignal(lit.end, green, other + 2 * clear_s + 3, int(random.integers(0, 60)))
    share = green / (signal.green_s + 3 + signal.red_s)
    return _Layout(limit_ms, roads, nodes, joins=join_lanes(roads), signals=[signal], narrow=share)


def _flows(
    random: np.random.Generator, layout: _Layout, cause: JamCause, level: float
) -> list[Flow]:
    """All the way, from each entry, and to each exit, so that no section has more than `level`."""
    ways: dict[tuple[str, ...], float] = {layout.through: 1.0}
    through = layout.through
    for ramp in layout.ramps:
        much = float(random.uniform(0.06, 0.22))
        if ramp.name.startswith("on_"):
            begin = through.index(ramp.name.removeprefix("on_"))
            ways[ramp.name, *through[begin:]] = much
        else:
            end = through.index(ramp.name.removeprefix("off_"))
            ways[*through[: end + 1], ramp.name] = much
    load: dict[str, float] = {}
    for roads, share in ways.items():
        for road in roads:
            load[road] = load.get(road, 0.0) + share
    fullest = max(load[name] for name in through)
    return [
        traffic_flow(roads, cause.demand, level * share / fullest) for roads, share in ways.items()
    ]


def _troubles(
    random: np.random.Generator, layout: _Layout, cause: JamCause, hours: float
) -> tuple[list[BlockedLane], list[SpeedLimit]]:
    incidents: list[BlockedLane] = []
    slows: list[SpeedLimit] = []
    watched = [i for i, road in enumerate(layout.main) if road.watched]
    if cause.name == "incident":
        for k in range(int(random.integers(1, 3))):
            i = int(random.choice(watched[len(watched) // 2 :]))
            names = (layout.main[i].name, layout.main[i + 1].name)
            incidents.append(stopped_vehicle(random, names, layout.main[i], hours, k))
    elif cause.name == "works":
        # A works vehicle stands in a lane for long, and all drive slower on the way there.
        i = int(random.choice(watched[1:]))
        road = layout.main[i]
        begin = float(random.uniform(0.2, 0.45)) * hours * 3600
        length = float(random.uniform(0.25, 0.45)) * hours * 3600
        at_m = float(random.uniform(0.6, 0.9)) * road.length_m
        lane = int(random.choice([0, road.lanes - 1]))
        names = (road.name, layout.main[i + 1].name)
        incidents.append(BlockedLane(names, lane, at_m, begin, length))
        for near in layout.main[i - 1 : i + 1]:
            slows.append(SpeedLimit(near.name, begin, begin + length, 0.8 * near.limit_ms))
    elif cause.name == "exit":
        begin = float(random.uniform(0.25, 0.55)) * hours * 3600
        until = begin + float(random.uniform(600, 1800))
        exits = [ramp.name for ramp in layout.ramps if ramp.name.startswith("off_")]
        last = layout.through[-1]
        where = str(random.choice(exits)) if exits and random.random() < 0.6 else last
        slows.append(SpeedLimit(where, begin, until, float(random.uniform(1.5, 4.0))))
    return incidents, slows
