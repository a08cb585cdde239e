"""What a simulated device measures as time goes by: its plausible values, breathing slowly.

Values of one device move together: all particles by one factor, current and powers by another.
Registers of energy grow as the power says. A moment gives the same values each time it is asked.
"""

import math
from collections.abc import Iterable, Mapping
from typing import Final

from edge.core import Point, Quantity
from edge.core.point import opposite_key

AIR_S: Final = 900.0  # a slow breath of the air
GUST_S: Final = 47.0  # and a fast one
LOAD_S: Final = 120.0  # a load that comes and goes
AIR_SHARE: Final = 0.08
LOAD_SHARE: Final = 0.15
PARTICLES: Final = {Quantity.MASS_CONCENTRATION, Quantity.NUMBER_CONCENTRATION}
AIR: Final = {
    Quantity.GAS_FRACTION, Quantity.CARBON_DIOXIDE, Quantity.RESISTANCE, Quantity.INDEX,
}  # fmt: skip
LOADED: Final = {
    Quantity.CURRENT, Quantity.POWER, Quantity.APPARENT_POWER, Quantity.REACTIVE_POWER,
}  # fmt: skip
COUNTED: Final = {Quantity.ENERGY, Quantity.REACTIVE_ENERGY, Quantity.APPARENT_ENERGY}
STEPS: Final = {Quantity.TEMPERATURE: 0.3, Quantity.RELATIVE_HUMIDITY: 1.0, Quantity.PRESSURE: 20.0}
HEAT: Final = ("temperature_flow", "temperature_return", "temperature_difference")  # fit together
IMPORTED: Final = "energy_import"
JOULES: Final = 3.6e6  # in a kWh


class Variation:
    """`values(t_s)` for a device with these points, from what it measures on the average.

    `t_s` is counted from the moment at which its registers hold `base`. A meter that is mounted
    `backwards` shows what flows in as flowing out.
    """

    def __init__(
        self, points: Iterable[Point], base: Mapping[str, float], backwards: bool = False
    ) -> None:
        self._kinds = {point.key: point.quantity for point in points}
        self._base, self._backwards = dict(base), backwards

    def values(self, t_s: float) -> dict[str, float]:
        """All points at this moment, within the bounds of nothing but the device itself."""
        air = 1 + AIR_SHARE * _wave(t_s, AIR_S) + 0.2 * AIR_SHARE * _wave(t_s, GUST_S, 1.0)
        load = 1 + LOAD_SHARE * _wave(t_s, LOAD_S)
        breath = _wave(t_s, 2 * AIR_S, 0.5)
        found = {}
        for key, value in self._base.items():
            kind = self._kinds.get(key)
            if kind in PARTICLES or kind in AIR:
                value *= air
            elif kind in LOADED:
                value *= load
            elif kind in STEPS and key not in HEAT:
                value += STEPS[kind] * breath
            elif kind in COUNTED and key == IMPORTED:
                value += self._base.get("power", 0.0) * _load_integral_s(t_s) / JOULES
            found[key] = value
        return self._turned(found) if self._backwards else found

    def _turned(self, found: Mapping[str, float]) -> dict[str, float]:
        signed = {Quantity.POWER, Quantity.CURRENT, Quantity.REACTIVE_POWER}
        return {
            opposite_key(key): -value if self._kinds.get(key) in signed else value
            for key, value in found.items()
        }


def _wave(t_s: float, period_s: float, phase: float = 0.0) -> float:
    return math.sin(math.tau * t_s / period_s + phase)


def _load_integral_s(t_s: float) -> float:
    """The load's factor, summed up from 0 to this moment."""
    whole = math.tau / LOAD_S
    return t_s + LOAD_SHARE * (1 - math.cos(whole * t_s)) / whole
