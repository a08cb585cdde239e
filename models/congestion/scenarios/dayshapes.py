"""Demand as real roads have it: shapes of a day from public counts, and how a day differs.

A shape is 24 numbers, one for each hour, as a share of its highest. The tables are means of public
counts, in the folder `dayshapes` with their source in each.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np

from models.congestion.scenarios.scene import BEFORE_S, STEP_S, demand_profile

FOLDER: Final = Path(__file__).parent / "dayshapes"
BICYCLES: Final = "bicycles_us_workday"
HOURS: Final = 24
RISING: Final = 0.55  # of the highest: where the peak of a day begins
TYPICAL: Final = 0.65  # how many streets have a shape of a real day; the others rise by themselves


class Demand(NamedTuple):
    """How much traffic there is in each STEP_S, as shares of its highest; whose shape it has."""

    shares: tuple[float, ...]
    shape: str
    start_h: float | None  # when the street begins


@cache
def day_shapes() -> dict[str, tuple[float, ...]]:
    """All tables, by their names: the shares of each hour."""
    out = {}
    for path in sorted(FOLDER.glob("*.csv")):
        rows = [
            line.split(",")
            for line in path.read_text(encoding="utf-8").splitlines()
            if line and line[0].isdigit()
        ]
        counts = np.array([float(count) for _, count in rows])
        out[path.stem] = tuple((counts / counts.max()).tolist())
    return out


def draw_demand(random: np.random.Generator, hours: float) -> Demand:
    """A street's own demand: a piece of a real day about a peak, or a rise of its own."""
    if random.random() >= TYPICAL:
        low = float(random.uniform(0.25, 0.6))
        return Demand(demand_profile(random, hours, low, 1.0), "a rise", None)
    shapes = day_shapes()
    names = sorted(name for name in shapes if name != BICYCLES)
    name = names[int(random.integers(len(names)))]
    shape = shapes[name]
    start_h = _start(random, shape, hours)
    return Demand(day_shares(random, shape, start_h, hours), name, round(start_h, 2))


def bicycle_demand(random: np.random.Generator, cars: Demand, hours: float) -> Demand:
    """Bicycles of the same hours; where the cars have no day, they come as the cars do."""
    if cars.start_h is None:
        return cars
    shares = day_shares(random, day_shapes()[BICYCLES], cars.start_h, hours)
    return Demand(shares, BICYCLES, cars.start_h)


def _start(random: np.random.Generator, shape: tuple[float, ...], hours: float) -> float:
    """A time from which a peak of the day begins within the street, or is on its way."""
    peaks = [
        h
        for h in range(HOURS)
        if shape[h] >= max(shape[h - 1], shape[(h + 1) % HOURS]) and shape[h] >= RISING
    ]
    peak = peaks[int(random.integers(len(peaks)))] + 0.5
    return float((peak - float(random.uniform(0.35, 0.85)) * hours) % HOURS)


def day_shares(
    random: np.random.Generator, shape: tuple[float, ...], start_h: float, hours: float
) -> tuple[float, ...]:
    """Shares of the highest within this time, in each STEP_S.

    A day is not the mean day: it is a little early or late, more or less peaked, and what comes in
    five minutes depends on what came in those before.
    """
    count = int(np.ceil((hours * 3600 + BEFORE_S) / STEP_S))
    at_h = start_h - BEFORE_S / 3600 + (np.arange(count) + 0.5) * STEP_S / 3600
    late_h = float(random.normal(0.0, 0.2))
    # An hour's count is that of its middle; the day goes round.
    middle = np.arange(-1, HOURS + 1) + 0.5
    around = np.array([shape[h % HOURS] for h in range(-1, HOURS + 1)])
    level = np.interp((at_h - late_h) % HOURS, middle, around)
    level = (level / level.max()) ** float(random.uniform(1.0, 2.2))
    level = level / level.max()
    uneven, kept = float(random.uniform(0.03, 0.1)), float(random.uniform(0.0, 0.7))
    change = np.zeros(count)
    for i in range(count):
        before = change[i - 1] if i else 0.0
        change[i] = kept * before + random.normal(0, uneven * np.sqrt(1 - kept**2))
    return tuple((level * np.exp(change)).clip(0.0, 1.25).tolist())
