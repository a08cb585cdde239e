"""Plantower PMS5003 (also PMSA003): particulate matter, UART, sends without being asked.

Source: Plantower PMS5003 datasheet, transport protocol in active mode; drivers avaldebe/PyPMS,
pimoroni/pms5003-python, adafruit/Adafruit_CircuitPython_PM25, ESPHome pmsx003.

The PMS5003T sends frames that look the same, with other values in them: the driver cannot tell them
apart. Its laser runs all the time; the datasheet gives it three years on average.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Final

from drivers.chips._plantower import Layout, ParticleSensor, mass_words, number_words
from edge.core import Point, Sample

LAYOUT: Final = Layout(
    (*mass_words(), *number_words("n0_3", "n0_5", "n1_0", "n2_5", "n5_0", "n10")),
    size=32,
)


@dataclass(slots=True)
class Pms5003(ParticleSensor):
    """One sensor. `settle_reads` readings after a start are uncertain."""

    layout: ClassVar[Layout] = LAYOUT
    points: ClassVar[Sequence[Point]] = LAYOUT.points


def explain(frames: Sequence[bytes]) -> dict[str, Sample]:
    """What the last of these frames means, for a sensor that has settled."""
    return LAYOUT.explain(frames)


DRIVER: Final = Pms5003
