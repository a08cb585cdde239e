"""Texas Instruments ADS1115: four voltages against ground, I2C. Two Alphasense cells fit on one.

Source: Texas Instruments ADS1115 datasheet (registers, single-shot mode);
adafruit/Adafruit_CircuitPython_ADS1x15; ESPHome ads1115.

The points are the voltages at the pins. The calibration calculates gas concentrations from them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Final

from drivers.chips._ads1115 import Ads1115Chip, voltage
from drivers.chips._ads1115 import explain as explain_with
from edge.core import Point, Sample

# a pin bears 0.3 V below ground, and a signal at ground may seem to be a little below
POINTS: Final = tuple(voltage(f"ain{pin}", low=-0.3) for pin in range(4))


@dataclass(slots=True)
class Ads1115(Ads1115Chip):
    """One chip; see `Ads1115Chip` for its options."""

    points: ClassVar[Sequence[Point]] = POINTS
    muxes: ClassVar[Sequence[int]] = (4, 5, 6, 7)


def explain(frames: Sequence[bytes]) -> dict[str, Sample]:
    """What a recorded conversation means; see `_ads1115.explain`."""
    return explain_with(POINTS, Ads1115.muxes, frames)


DRIVER: Final = Ads1115
