"""Why a newer street jams, if it does: too much traffic, a vehicle that stands, something else."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import numpy as np

from models.congestion.scenarios.dayshapes import Demand, draw_demand
from models.congestion.scenarios.drivers import Population
from models.congestion.scenarios.loopstandards import LoopStandard
from models.congestion.scenarios.scene import BlockedLane, Flow, Road

CALM: Final = (0.3, 0.8)  # of capacity, where nothing is to happen
OVER: Final = (1.05, 1.35)  # where there is too much traffic
BUSY: Final = (0.6, 0.92)  # where something else is the cause


class JamCause(NamedTuple):
    """Why it jams, if it does; how much traffic comes at most, as a share of capacity; and when."""

    name: str
    peak: float
    demand: Demand


def draw_cause(
    random: np.random.Generator, causes: tuple[str, ...], hours: float, calm: bool
) -> JamCause:
    name = "none" if calm else causes[int(random.integers(len(causes)))]
    peaks = {"none": CALM, "demand": OVER}
    peak = float(random.uniform(*peaks.get(name, BUSY)))
    return JamCause(name, peak, draw_demand(random, hours))


def traffic_flow(roads: tuple[str, ...], demand: Demand, level: float, who: str = "mix") -> Flow:
    """Traffic of at most `level` vehicles a second, when the demand has it."""
    return Flow(roads, tuple(level * share for share in demand.shares), who)


def stopped_vehicle(
    random: np.random.Generator, roads: tuple[str, ...], here: Road, hours: float, k: int
) -> BlockedLane:
    """A vehicle that stands in a lane of the first road: the k-th incident of a street."""
    begin = (0.15 + 0.4 * k + 0.2 * float(random.random())) * hours * 3600
    # Where there is one lane, all is closed, so not for long.
    length = float(
        random.uniform(240, 600) if here.general_lanes == 1 else random.uniform(400, 1700)
    )
    at_m = float(random.uniform(0.5, 0.88)) * here.length_m
    first = len(here.uses) and here.uses[0] in ("bus", "bicycle")
    lane = int(random.integers(int(first), here.lanes))
    return BlockedLane(roads, lane, at_m, begin, length)


def about_street(
    cause: JamCause, who: Population, standard: LoopStandard, **more: Any
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
