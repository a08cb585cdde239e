"""Plantower PMS3003 ("G3"): particulate matter, UART, sends without being asked, takes no commands.

Source: Plantower PMS3003 datasheet, transport protocol; driver avaldebe/PyPMS. Its frames have 24
bytes, no counts of particles and no error code: the three words before the sum are reserved.
Besides the datasheet, one public source has the layout. The laser runs all the time; only the SET
pin can switch it off.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Final

from drivers.chips._plantower import Layout, ParticleSensor, mass_words
from edge.core import Point, Sample

LAYOUT: Final = Layout(mass_words(), size=24, errors=False)


@dataclass(slots=True)
class Pms3003(ParticleSensor):
    """One sensor. `settle_reads` readings after a start are uncertain."""

    layout: ClassVar[Layout] = LAYOUT
    points: ClassVar[Sequence[Point]] = LAYOUT.points


def explain(frames: Sequence[bytes]) -> dict[str, Sample]:
    """What the last of these frames means, for a sensor that has settled."""
    return LAYOUT.explain(frames)


DRIVER: Final = Pms3003
