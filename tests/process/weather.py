"""A weather station, a counter of particles and an ADC with two gas cells: who corrects whom."""

from edge.core.point import Point, Quantity
from edge.core.reading import Sample, Sweep, sweep
from edge.core.record import Stream
from edge.process.aan803 import AlphasenseCell
from edge.process.calibration import Correction, GasCell, InputPoint
from edge.process.engine import DeviceSetup
from tests.kit.engine import PM25, TEMPERATURE, S

HUMIDITY = Point("humidity", Quantity.RELATIVE_HUMIDITY, low=0, high=100)
VOLTS = tuple(Point(f"ain{n}", Quantity.VOLTAGE, -5, 5, resolution=0.0001) for n in range(4))
HUT, DUST, GAS = "hut", "dust", "gas"
RH = InputPoint(HUT, "humidity")
WARM = InputPoint(HUT, "temperature")
WEATHER = DeviceSetup(HUT, Stream.AIR, (TEMPERATURE, HUMIDITY), 1.0)
NO2 = AlphasenseCell("NO2-B43F", 224, 226, 3, 1, 0.223)
OX = AlphasenseCell("OX-B431", 227, 219, 2, 4, 0.334)
DRY = Correction("pm2_5", (0.0, 1.0), 0.35, RH)
CELLS = DeviceSetup(
    GAS, Stream.AIR, VOLTS, 1.0,
    cells=(
        GasCell("o3", OX, "ain2", "ain3", WARM, InputPoint(GAS, "no2"), 0.3),
        GasCell("no2", NO2, "ain0", "ain1", WARM),
    ),
)  # fmt: skip


def counter(*corrections: Correction) -> DeviceSetup:
    return DeviceSetup(DUST, Stream.AIR, (PM25,), 1.0, corrections=corrections)


def weather(at_s: float, cel: Sample = 21.0, percent: Sample = 80.0) -> Sweep:
    return sweep(HUT, round(at_s * S), (cel, percent))


def dust(at_s: float, value: Sample) -> Sweep:
    return sweep(DUST, round(at_s * S), (value,))
