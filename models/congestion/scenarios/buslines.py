"""Bus lines: stops along a road, and buses that serve them, early and late."""

from __future__ import annotations

from typing import Final

import numpy as np

from models.congestion.scenarios.scene import BEFORE_S, BusRun, BusStop, Road

STOP_M: Final = 22.0  # of a bus stop: one bus, or two short ones


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
