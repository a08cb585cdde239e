"""What a calibration does to one value. Pure functions, and what they need.

Humidity: an optical counter sees particles that have taken up water. By kappa-Koehler theory the
mass of wet particles is that of dry ones times 1 + (kappa / density) / (1 / a - 1), where a is the
activity of water, here the relative humidity.

Source: Crilley et al., Atmos. Meas. Tech. 11 (2018) 709, equations 3 and 4, with 1.65 g/cm3 for the
dry particles; kappa of urban particles is 0.3 to 0.4 there. Petters and Kreidenweis, Atmos. Chem.
Phys. 7 (2007) 1961 for kappa.
"""

from dataclasses import dataclass
from math import isfinite
from typing import Final

from edge.core.point import Point, Quantity
from edge.process.aan803 import AlphasenseCell, compensate, compensate_ozone

DENSITY: Final = 1.65  # of dry particles against water
MAX_HUMIDITY: Final = (
    0.95  # above this activity a per cent of humidity moves the result by a quarter
)
RAW: Final = "_raw"  # what the key of a measured value ends with, when both are published
GAS_LOW_PPB, GAS_HIGH_PPB = -500.0, 100_000.0  # noise about clean air goes below zero


@dataclass(frozen=True, slots=True)
class InputPoint:
    """A point of a device that another one is corrected with."""

    device: str
    point: str


@dataclass(frozen=True, slots=True)
class Correction:
    """One point, corrected: first for humidity, then by c0 + c1 x + c2 x^2 ...

    With `keep_raw` the measured value is published beside it. Raises ValueError for what cannot be.
    """

    point: str
    polynomial: tuple[float, ...] = (0.0, 1.0)
    kappa: float = 0.0
    humidity: InputPoint | None = None
    keep_raw: bool = False

    def __post_init__(self) -> None:
        if not all(isfinite(c) for c in (*self.polynomial, self.kappa)) or not self.polynomial:
            raise ValueError(f"calibration of {self.point}: a coefficient is no number")
        if self.kappa < 0 or (self.kappa > 0) is not (self.humidity is not None):
            raise ValueError(f"calibration of {self.point}: kappa and humidity go together")


@dataclass(frozen=True, slots=True)
class GasCell:
    """A new point: the concentration that a cell's two voltages stand for.

    `working` and `auxiliary` are points of the same device, in V. A cell for ozone sees NO2 as
    well: `no2` is what it has to be told, `no2_mv_ppb` its sensitivity to it.
    """

    point: str
    cell: AlphasenseCell
    working: str
    auxiliary: str
    temperature: InputPoint
    no2: InputPoint | None = None
    no2_mv_ppb: float = 0.0

    @property
    def published(self) -> Point:
        """The point that it makes."""
        return Point(self.point, Quantity.GAS_FRACTION, GAS_LOW_PPB, GAS_HIGH_PPB, resolution=0.1)

    def ppb(self, we_v: float, ae_v: float, temperature_cel: float, no2_ppb: float | None) -> float:
        """The concentration."""
        if no2_ppb is None:
            return compensate(self.cell, we_v, ae_v, temperature_cel)
        return compensate_ozone(self.cell, we_v, ae_v, temperature_cel, no2_ppb, self.no2_mv_ppb)


def humidity_growth(kappa: float, humidity_percent: float) -> float:
    """By how much water makes particles heavier. Beyond MAX_HUMIDITY it is that at MAX_HUMIDITY."""
    activity = min(max(humidity_percent / 100, 0.0), MAX_HUMIDITY)
    if activity == 0:
        return 1.0
    return 1 + kappa / DENSITY / (1 / activity - 1)


def evaluate_polynomial(coefficients: tuple[float, ...], x: float) -> float:
    """c0 + c1 x + c2 x^2 ..., by Horner's rule."""
    total = 0.0
    for coefficient in reversed(coefficients):
        total = total * x + coefficient
    return total
