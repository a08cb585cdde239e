"""Plantower PMS5003T: particulate matter, temperature, humidity, UART, sends without being asked.

Source: Plantower PMS5003T datasheet, transport protocol in active mode; drivers avaldebe/PyPMS,
ESPHome pmsx003.

Its frames are as long as those of a PMS5003, with temperature and humidity in place of the two
largest particle sizes: only the label shows the model. The temperature is that of its own warm
case. Its laser runs all the time; the datasheet gives it three years on average.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Final

from drivers.chips._plantower import Layout, ParticleSensor, ValueWord, mass_words, number_words
from edge.core import Point, Quantity, Sample

LAYOUT: Final = Layout(
    (
        *mass_words(),
        *number_words("n0_3", "n0_5", "n1_0", "n2_5"),
        ValueWord(
            Point("temperature", Quantity.TEMPERATURE, low=-40, high=85, resolution=0.1),
            at=10,
            per_unit=10,
            signed=True,
        ),
        ValueWord(
            Point("humidity", Quantity.RELATIVE_HUMIDITY, low=0, high=100, resolution=0.1),
            at=11,
            per_unit=10,
        ),
    ),
    size=32,
)


@dataclass(slots=True)
class Pms5003t(ParticleSensor):
    """One sensor. `settle_reads` readings after a start are uncertain for the particles."""

    layout: ClassVar[Layout] = LAYOUT
    points: ClassVar[Sequence[Point]] = LAYOUT.points


def explain(frames: Sequence[bytes]) -> dict[str, Sample]:
    """What the last of these frames means, for a sensor that has settled."""
    return LAYOUT.explain(frames)


DRIVER: Final = Pms5003t
