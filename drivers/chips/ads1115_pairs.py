"""Texas Instruments ADS1115, inputs in pairs: two voltages between two pins each, I2C.

Source: Texas Instruments ADS1115 datasheet (registers, single-shot mode);
adafruit/Adafruit_CircuitPython_ADS1x15; ESPHome ads1115.

For boards with a return wire for each output, such as Alphasense's individual sensor boards:
working electrode on AIN0 and AIN1, auxiliary electrode on AIN2 and AIN3.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Final

from drivers.chips._ads1115 import PINS_V, Ads1115Chip, voltage
from drivers.chips._ads1115 import explain as explain_with
from edge.core import Point, Sample

POINTS: Final = tuple(voltage(key, low=-PINS_V) for key in ("ain0_1", "ain2_3"))


@dataclass(slots=True)
class Ads1115Pairs(Ads1115Chip):
    """One chip; see `Ads1115Chip` for its options. The second pin of a pair is taken away."""

    points: ClassVar[Sequence[Point]] = POINTS
    muxes: ClassVar[Sequence[int]] = (0, 3)


def explain(frames: Sequence[bytes]) -> dict[str, Sample]:
    """What a recorded conversation means; see `_ads1115.explain`."""
    return explain_with(POINTS, Ads1115Pairs.muxes, frames)


DRIVER: Final = Ads1115Pairs
