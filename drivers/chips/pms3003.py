"""Plantower PMS3003 ("G3"): particulate matter, UART, talks by itself and obeys nothing.

Source: Plantower PMS3003 datasheet, transport protocol; driver avaldebe/PyPMS. Frames of 24 bytes,
without counts of particles and without an error code: three words before the sum are reserved.
The layout has one public source beside the datasheet. Its laser runs all the time and cannot be
told to rest: what spares it is its SET pin.
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
