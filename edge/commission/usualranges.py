"""What values are usual in a street cabinet and around it, and which wrong units make others.

A driver's own range says what the device can tell; these say what it tells where it stands. A value
outside is doubtful, and wrong where one of the usual mistakes of units explains it.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from edge.core.point import Point, Quantity

GRID_HZ: Final = (50.0, 60.0)
GRID_HZ_BY: Final = 1.5
NOMINAL_V: Final = (100.0, 110.0, 120.0, 127.0, 220.0, 230.0, 240.0, 277.0)
LINE_V: Final = (173.0, 190.0, 208.0, 220.0, 380.0, 400.0, 415.0, 480.0)
VOLTAGE_SHARE: Final = 0.12  # EN 50160: within 10 % in 95 % of a week
BETWEEN: Final = re.compile(r"_(ll|l[123]_?l?[123])(_|$)")  # voltage_l12, voltage_ll_avg
HEATED: Final = ("temperature_flow", "temperature_return")


@dataclass(frozen=True, slots=True)
class UsualRange:
    """In the quantity's own unit. `mistakes`: by what a wrong unit multiplies, and what it is."""

    low: float
    high: float
    mistakes: Sequence[tuple[float, str]] = ()


USUAL: Final = {
    Quantity.TEMPERATURE: UsualRange(-40, 70),
    Quantity.PRESSURE: UsualRange(
        75_000, 110_000,
        ((0.01, "hPa told as Pa"), (0.001, "kPa told as Pa"), (100, "Pa multiplied by 100"),
         (0.00750062, "mmHg told as Pa")),
    ),
    Quantity.RELATIVE_HUMIDITY: UsualRange(3, 100, ((0.01, "a share of 1 told as %"),)),
    Quantity.CARBON_DIOXIDE: UsualRange(
        300, 10_000, ((1000, "ppb told as ppm"), (0.0001, "% told as ppm")),
    ),
    Quantity.MASS_CONCENTRATION: UsualRange(
        0, 1000, ((1000, "ng/m3 told as ug/m3"),),
    ),
    Quantity.POWER_FACTOR: UsualRange(-1.01, 1.01, ((100, "% told as a share"), (1000, "1/1000"))),
    Quantity.VOLTAGE: UsualRange(
        0, 530, ((10, "tenths of a volt"), (100, "hundredths of a volt"), (1000, "mV told as V"),
                 (0.001, "kV told as V")),
    ),
    Quantity.FREQUENCY: UsualRange(
        48.5, 61.5, ((10, "tenths of a hertz"), (100, "hundredths of a hertz"),
                     (1000, "mHz told as Hz"), (0.001, "kHz told as Hz")),
    ),
    Quantity.CURRENT: UsualRange(
        -500, 500, ((1000, "mA told as A"),),
    ),
}  # fmt: skip
"""Quantities that are not here may be anything."""


def usual_range(point: Point) -> UsualRange | None:
    """None: nothing is usual for it."""
    found = USUAL.get(point.quantity)
    if found is None or not mains(point):
        return None
    if point.key in HEATED:
        return UsualRange(-40, 150)
    return found


def shown_range(point: Point, value: float) -> tuple[float, float] | None:
    """Between which ends a picture shows a value; None: nothing is usual for it. Of a grid around
    what it should be."""
    usual = usual_range(point)
    if usual is None or point.quantity is Quantity.CURRENT:
        return None
    if point.quantity is Quantity.VOLTAGE:
        nominal = near_nominal(value, nominal_voltages(point))
        if nominal is not None:
            return round(nominal * (1 - VOLTAGE_SHARE)), round(nominal * (1 + VOLTAGE_SHARE))
    if point.quantity is Quantity.FREQUENCY:
        grid = next((hz for hz in GRID_HZ if abs(value - hz) <= GRID_HZ_BY), None)
        if grid is not None:
            return grid - GRID_HZ_BY, grid + GRID_HZ_BY
    if point.quantity is Quantity.POWER_FACTOR:
        return -1.0, 1.0
    return usual.low, usual.high


def mains(point: Point) -> bool:
    """A voltage or a current of the grid; that of an electrode or a battery is another thing."""
    if point.quantity not in (Quantity.VOLTAGE, Quantity.CURRENT):
        return True
    return point.key.split("_")[0] in ("voltage", "current") and point.high >= 1


def nominal_voltages(point: Point) -> tuple[float, ...]:
    """Of this point: between two phases, or against the neutral."""
    return LINE_V if BETWEEN.search(point.key) else NOMINAL_V


def unit_mistakes(point: Point, value: float) -> Iterator[tuple[float, str, float]]:
    """Mistakes that explain a value: by what it was multiplied, what it is, and the right one.

    Of a voltage and a frequency the right one must be one that a grid has.
    """
    usual = usual_range(point)
    if usual is None or not value:
        return
    for factor, mistake in usual.mistakes:
        right = value / factor
        if point.quantity is Quantity.VOLTAGE:
            fits = near_nominal(right, nominal_voltages(point)) is not None
        elif point.quantity is Quantity.FREQUENCY:
            fits = any(abs(right - hz) <= GRID_HZ_BY for hz in GRID_HZ)
        else:
            fits = usual.low <= right <= usual.high
        if fits:
            yield factor, mistake, right


def near_nominal(value: float, nominal: Sequence[float]) -> float | None:
    """The nominal voltage that it is near enough to; None: to none."""
    best = min(nominal, key=lambda each: abs(value / each - 1))
    return best if abs(value / best - 1) <= VOLTAGE_SHARE else None


def celsius_of(fahrenheit: float) -> float:
    """The other scale."""
    return (fahrenheit - 32) / 1.8
