"""How fast a register can grow, by what it counts: more than that did not come.

Energies are bounded by the power that the device can tell, volumes by its flow; where their ranges
are made for devices of any size, and for all others, by what a cabinet at a roadside can see.
"""

from collections.abc import Iterable, Mapping, Sequence
from math import isfinite
from typing import Final

from edge.core.point import Point, Quantity

ENERGIES: Final = (Quantity.ENERGY, Quantity.REACTIVE_ENERGY, Quantity.APPARENT_ENERGY)
POWERS: Final = (Quantity.POWER, Quantity.APPARENT_POWER, Quantity.REACTIVE_POWER)
MAX_POWER_W: Final = 1_000_000.0
"""No cabinet at a roadside draws a megawatt; energy that came faster did not come."""
W_PER_KWH_AN_HOUR: Final = 1000.0
FULL_SCALE: Final[Mapping[Quantity, float]] = {
    **dict.fromkeys(POWERS, 5e6),
    Quantity.VOLUME_FLOW: 1e5,
}
"""A range as wide as this is made for meters of any size, and bounds nothing."""
GROWTH_PER_HOUR: Final[Mapping[Quantity, float]] = {
    # Q3 of a water meter DN 150 (ISO 4064), the most through a gas meter G160 (EN 12480)
    Quantity.VOLUME: 250.0,
    Quantity.COUNT: 36_000.0,  # ten a second: neither vehicles nor failures come faster
    Quantity.DURATION: 2 * 3600.0,  # time in seconds, and a clock that is read a little late
}


def full_scale_power_w(points: Iterable[Point]) -> float | None:
    """What all powers of a device together can tell, however much that is."""
    highs = [point.high for point in points if point.quantity in POWERS]
    return sum(high for high in highs if isfinite(high) and high > 0) or None


def growth_per_hour(
    point: Point, points: Sequence[Point], max_power_w: float | None = None
) -> float | None:
    """By how much a register of this device can grow in an hour; None for what nobody knows."""
    if point.quantity in ENERGIES:
        watts = max_power_w or _reach(points, POWERS) or MAX_POWER_W
        return watts / W_PER_KWH_AN_HOUR
    most = GROWTH_PER_HOUR.get(point.quantity)
    if point.quantity is Quantity.VOLUME:
        return _reach(points, (Quantity.VOLUME_FLOW,)) or most
    return most


def _reach(points: Iterable[Point], quantities: Sequence[Quantity]) -> float:
    """What all of these together can tell; 0 when one of them could be anything."""
    highs = [point.high for point in points if point.quantity in quantities]
    known = [high for high in highs if isfinite(high) and high > 0]
    wide = min(FULL_SCALE[quantity] for quantity in quantities)
    return 0.0 if any(high >= wide for high in known) else sum(known)
