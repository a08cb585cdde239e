"""Geometry by set: each set has limits and blocks that the others do not have.

All sets are drawn from all over the ranges of drivers, weather and demand.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np

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
