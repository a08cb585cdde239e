"""What a simulated device measures when nobody says otherwise: one plausible value a quantity.

Values of one device fit together: volts and amperes are the apparent power, of which watts and vars
are what the power factor says; what is of three phases is their sum, and heat is what the flow
loses in kelvins.
"""

from collections.abc import Iterable, Mapping
from typing import Final

from edge.core import Point, Quantity

VALUES: Final[Mapping[Quantity, float]] = {
    Quantity.TEMPERATURE: 21.5,
    Quantity.RELATIVE_HUMIDITY: 48.0,
    Quantity.PRESSURE: 101_300.0,
    Quantity.MASS_CONCENTRATION: 12.0,
    Quantity.NUMBER_CONCENTRATION: 80.0,
    Quantity.PARTICLE_SIZE: 0.6,
    Quantity.GAS_FRACTION: 20.0,
    Quantity.CARBON_DIOXIDE: 620.0,
    Quantity.RESISTANCE: 52_000.0,
    Quantity.INDEX: 100.0,
    Quantity.VOLTAGE: 230.0,
    Quantity.CURRENT: 4.0,
    Quantity.POWER: 874.0,
    Quantity.APPARENT_POWER: 920.0,
    Quantity.REACTIVE_POWER: 287.3,
    Quantity.POWER_FACTOR: 0.95,
    Quantity.ANGLE: 18.2,
    Quantity.FREQUENCY: 50.0,
    Quantity.ENERGY: 1234.5,
    Quantity.REACTIVE_ENERGY: 321.0,
    Quantity.APPARENT_ENERGY: 1300.0,
    Quantity.VOLUME: 87.5,
    Quantity.VOLUME_FLOW: 0.4,
    Quantity.DISTORTION: 1.5,
}  # counts and states are none of ours to invent, but for some of these
BY_KEY: Final = {
    "power_failures": 4.0, "long_power_failures": 1.0,
    "voltage_angle_l2": 120.0, "voltage_angle_l3": 240.0,
}  # fmt: skip
PHASES: Final = ("_l1", "_l2", "_l3")
SUMMED: Final = ("power", "apparent_power", "reactive_power", "current", "current_sum")
CLEAN: Final = {"nox_index": 1.5}  # the index of air that is as it always was is 1, and not 100
HEAT: Final = {"temperature_flow": 27.2, "temperature_difference": 5.7}  # the return is 21.5
ELECTRODE_V: Final = 0.3  # of a gas cell, on a converter that bears no mains


def typical(points: Iterable[Point]) -> dict[str, float]:
    """Point -> a value within its range; nothing for what cannot be guessed."""
    found = {}
    for point in points:
        value = BY_KEY.get(point.key, VALUES.get(point.quantity))
        if value is not None and not point.low <= value <= point.high:
            value = ELECTRODE_V if point.quantity is Quantity.VOLTAGE else None
        if value is not None:
            found[point.key] = value
    phases = sum("current" + phase in found for phase in PHASES) or 1
    for key in SUMMED:
        if key in found:
            found[key] *= phases
    return found | {key: value for key, value in {**HEAT, **CLEAN}.items() if key in found}
