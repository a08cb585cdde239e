"""What can be measured, and in which unit."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Final


class Quantity(Enum):
    """A kind of value. Each has exactly one unit (SenML symbol) and a usual resolution."""

    TEMPERATURE = ("temperature", "Cel", 0.01)
    RELATIVE_HUMIDITY = ("relative_humidity", "%RH", 0.01)
    PRESSURE = ("pressure", "Pa", 1.0)
    MASS_CONCENTRATION = ("mass_concentration", "ug/m3", 0.1)
    NUMBER_CONCENTRATION = ("number_concentration", "1/cm3", 0.01)
    PARTICLE_SIZE = ("particle_size", "um", 0.001)
    GAS_FRACTION = ("gas_fraction", "ppb", 1.0)
    CARBON_DIOXIDE = ("carbon_dioxide", "ppm", 1.0)  # a thousand times more of it than of others
    RESISTANCE = ("resistance", "Ohm", 1.0)
    INDEX = ("index", "1", 0.1)
    VOLTAGE = ("voltage", "V", 0.01)
    CURRENT = ("current", "A", 0.001)
    POWER = ("power", "W", 0.1)
    APPARENT_POWER = ("apparent_power", "VA", 0.1)
    REACTIVE_POWER = ("reactive_power", "var", 0.1)
    POWER_FACTOR = ("power_factor", "/", 0.001)
    ANGLE = ("angle", "deg", 0.1)
    FREQUENCY = ("frequency", "Hz", 0.001)
    ENERGY = ("energy", "kWh", 0.001)
    REACTIVE_ENERGY = ("reactive_energy", "kvarh", 0.001)
    APPARENT_ENERGY = ("apparent_energy", "kVAh", 0.001)
    VOLUME = ("volume", "m3", 0.001)
    VOLUME_FLOW = ("volume_flow", "m3/h", 0.001)
    DISTORTION = ("distortion", "%", 0.01)
    SPEED = ("speed", "km/h", 0.1)
    LENGTH = ("length", "m", 0.1)
    DURATION = ("duration", "s", 0.001)
    OCCUPANCY = ("occupancy", "/", 0.0001)
    COUNT = ("count", "1", 1.0)
    STATE = ("state", "1", 1.0)

    def __init__(self, label: str, unit: str, resolution: float) -> None:
        self.label = label
        self.unit = unit
        self.resolution = resolution


SIGNED_QUANTITIES: Final = (
    Quantity.CURRENT,
    Quantity.POWER,
    Quantity.REACTIVE_POWER,
)  # have a direction
OPPOSITE_KEYS: Final[Mapping[str, str]] = {  # quadrants as in IEC 62053-23: both signs turn
    "import": "export", "export": "import", "q1": "q3", "q2": "q4", "q3": "q1", "q4": "q2",
}  # fmt: skip


class PointKind(Enum):
    """How a point may be summed up: a gauge by its mean, a total by its growth."""

    GAUGE = "gauge"
    TOTAL = "total"  # a register that only grows


@dataclass(frozen=True, slots=True)
class Point:
    """One measured value of a device: its key, its quantity and its plausible range.

    `resolution` is the step of one count in summaries, in the quantity's unit.
    """

    key: str
    quantity: Quantity
    low: float = float("-inf")
    high: float = float("inf")
    resolution: float = 0.0  # 0: the quantity's usual one
    kind: PointKind = PointKind.GAUGE

    @property
    def step(self) -> float:
        """The resolution that counts: the point's own, or the quantity's."""
        return self.resolution or self.quantity.resolution


def opposite_key(key: str) -> str:
    """What a register counts behind a transformer that is mounted backwards; else the key itself.

    `energy_import_l1` is `energy_export_l1` then, `reactive_energy_q1` is `reactive_energy_q3`.
    """
    return "_".join(OPPOSITE_KEYS.get(word, word) for word in key.split("_"))


def is_directed(points: Iterable[Point]) -> bool:
    """Does a device tell which way it flows: by a sign, or by a register for each way?"""
    known = list(points)
    keys = {point.key for point in known}
    return any(
        (point.quantity in SIGNED_QUANTITIES and point.low < 0)
        or (opposite_key(point.key) != point.key and opposite_key(point.key) in keys)
        for point in known
    )
