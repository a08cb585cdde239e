"""What the newer kinds of streets have in common: geometry by set, causes, levels, incidents."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import numpy as np

from models.congestion.scenarios.dayshapes import Demand, draw_demand
from models.congestion.scenarios.drivers import Population
from models.congestion.scenarios.loopstandards import LoopStandard
from models.congestion.scenarios.scene import BEFORE_S, BlockedLane, BusRun, BusStop, Flow, Road
from models.congestion.scenarios.simstreet import Split

TOWN_LIMITS: Final[dict[Split, tuple[float, ...]]] = {
    "training": (50.0, 60.0),
    "choosing": (40.0, 56.3, 70.0),  # 56.3: 35 mph
    "final": (30.0, 48.3, 64.4, 72.4),  # 30, 40 and 45 mph
}
ROAD_LIMITS: Final[dict[Split, tuple[float, ...]]] = {
    "training": (80.0, 100.0, 120.0),
    "choosing": (90.0, 110.0, 112.7),  # 70 mph
    "final": (88.5, 104.6, 130.0),  # 55 and 65 mph
}
BLOCKS_M: Final[dict[Split, tuple[tuple[float, float], ...]]] = {
    "training": ((180.0, 450.0),),
    "choosing": ((140.0, 240.0), (400.0, 560.0)),
    "final": ((120.0, 200.0), (240.0, 360.0), (520.0, 700.0)),
}
"""Each set has streets that the others do not have. All three are drawn from all over the ranges
of drivers, loops and weather."""

STOP_M: Final = 22.0  # of a bus stop: one bus, or two short ones
CALM: Final = (0.3, 0.8)  # of capacity, where nothing is to happen
OVER: Final = (1.05, 1.35)  # where there is too much traffic
BUSY: Final = (0.6, 0.92)  # where something else is the cause


class Roads(NamedTuple):
    """Geometry that was drawn for a street."""

    limit_kmh: float
    block_m: tuple[float, float]


def draw_town_roads(random: np.random.Generator, split: Split) -> Roads:
    limits = TOWN_LIMITS.get(split, TOWN_LIMITS["training"])
    blocks = BLOCKS_M.get(split, BLOCKS_M["training"])
    return Roads(
        float(limits[int(random.integers(len(limits)))]), blocks[int(random.integers(len(blocks)))]
    )


def draw_road_limit(random: np.random.Generator, split: Split) -> float:
    limits = ROAD_LIMITS.get(split, ROAD_LIMITS["training"])
    return float(limits[int(random.integers(len(limits)))])


class Cause(NamedTuple):
    """Why it jams, if it does; how much traffic comes at most, as a share of capacity; and when."""

    name: str
    peak: float
    demand: Demand


def draw_cause(
    random: np.random.Generator, causes: tuple[str, ...], hours: float, calm: bool
) -> Cause:
    name = "none" if calm else causes[int(random.integers(len(causes)))]
    peaks = {"none": CALM, "demand": OVER}
    peak = float(random.uniform(*peaks.get(name, BUSY)))
    return Cause(name, peak, draw_demand(random, hours))


def flow(roads: tuple[str, ...], demand: Demand, level: float, who: str = "mix") -> Flow:
    """Traffic of at most `level` vehicles a second, when the demand has it."""
    return Flow(roads, tuple(level * share for share in demand.shares), who)


def stopped_vehicle(
    random: np.random.Generator, roads: tuple[str, ...], here: Road, hours: float, k: int
) -> BlockedLane:
    """A vehicle that stands in a lane of the first road: the k-th incident of a street."""
    begin = (0.15 + 0.4 * k + 0.2 * float(random.random())) * hours * 3600
    # A road of one lane is closed altogether, so not for long.
    length = float(random.uniform(240, 600) if here.lanes == 1 else random.uniform(400, 1700))
    at_m = float(random.uniform(0.5, 0.88)) * here.length_m
    first = len(here.uses) and here.uses[0] in ("bus", "bicycle")
    lane = int(random.integers(int(first), here.lanes))
    return BlockedLane(roads, lane, at_m, begin, length)


def draw_buses(
    random: np.random.Generator, line: list[Road], hours: float, every_s: float
) -> tuple[list[BusStop], list[BusRun]]:
    """Stops along a line, at the near or the far side of crossings, and buses that serve them."""
    stops: list[BusStop] = []
    for road in line[1:-1]:
        if random.random() < 0.75 and road.length_m > 90:
            near = random.random() < 0.5
            end = road.length_m - 25.0 if near else min(70.0, road.length_m - 25.0)
            stops.append(_stop(road, end))
    if not stops:
        longest = max(line[1:-1], key=lambda each: each.length_m)
        stops = [_stop(longest, longest.length_m / 2 + 15.0)]
    dwell = float(random.uniform(12, 35))
    late = float(random.uniform(0.05, 0.5))
    runs = []
    at = float(random.uniform(0, every_s))
    while at < BEFORE_S + hours * 3600:
        begin = max(0.0, at + float(random.normal(0, late * every_s)))
        waits = (random.lognormal(np.log(dwell), 0.45, len(stops))).clip(6, 120).round(1).tolist()
        served = [(s.name, w) for s, w in zip(stops, waits, strict=True) if random.random() < 0.9]
        runs.append(BusRun(tuple(road.name for road in line), round(begin, 1), tuple(served)))
        at += every_s
    return stops, sorted(runs, key=lambda run: run.from_s)


def _stop(road: Road, end_m: float) -> BusStop:
    return BusStop(f"stop_{road.name}", road.name, round(end_m - STOP_M, 1), round(end_m, 1))


def about_street(
    cause: Cause, who: Population, standard: LoopStandard, **more: Any
) -> dict[str, Any]:
    """What is told of every newer street."""
    return {
        "cause": cause.name,
        "peak_of_capacity": round(cause.peak, 2),
        "weather": who.weather,
        "truck_share": round(who.truck_share, 3),
        "loops": standard.name,
        "demand": cause.demand.shape,
        "start_h": cause.demand.start_h,
        **more,
    }
