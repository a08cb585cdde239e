"""Sensirion SEN55: particulate matter, humidity, temperature, VOC and NOx index, I2C.

Source: Sensirion SEN5x datasheet (measured values, device status register, specifications);
drivers Sensirion/python-i2c-sen5x and Sensirion/embedded-i2c-sen5x.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Final

from drivers.chips._sensirion import Flag, ParticleModule, Profile, words
from drivers.chips._sensirion import explain as explain_with
from edge.core import Bad, Point, Quantity, Reason, Sample

MASS: Final = ("pm1_0", "pm2_5", "pm4_0", "pm10")
AIR: Final = ("humidity", "temperature")
GAS: Final = ("voc_index", "nox_index")
SCALES: Final = (10, 10, 10, 10, 100, 200, 10, 10)  # counts in one unit, in the order on the wire
UNKNOWN: Final = {False: 0xFFFF, True: 0x7FFF}  # signed?

POINTS: Final = (
    *(Point(key, Quantity.MASS_CONCENTRATION, low=0, high=1000) for key in MASS),
    Point("humidity", Quantity.RELATIVE_HUMIDITY, low=0, high=100),
    # measured by what may be stored at these temperatures, and is specified for -10 to 50
    Point("temperature", Quantity.TEMPERATURE, low=-40, high=70, resolution=0.005),
    *(Point(key, Quantity.INDEX, low=1, high=500) for key in GAS),
)


def decode(frame: bytes, unknown: Reason = Reason.WARMUP) -> tuple[Sample, ...]:
    """The 24 bytes of measured values. `unknown` is the reason for what the module does not know.

    A damaged word spoils its own point only. Raises DataError for another length.
    """
    return tuple(
        _sample(point, scale, word, unknown)
        for point, scale, word in zip(POINTS, SCALES, words(frame, len(POINTS)), strict=True)
    )


def _sample(point: Point, scale: int, word: bytes | None, unknown: Reason) -> Sample:
    if word is None:
        return Bad(Reason.CRC)
    signed = point.key not in MASS
    count = int.from_bytes(word, signed=signed)
    if count == UNKNOWN[signed]:
        return Bad(unknown)
    if count == 0 and point.key in GAS:  # no index yet: its algorithm learns for 45 s
        return Bad(Reason.WARMUP)
    value = count / scale
    return value if point.low <= value <= point.high else Bad(Reason.RANGE)


@dataclass(slots=True)
class Sen55(ParticleModule):
    """One module. `settle_reads` fresh samples after a start are uncertain for the particles."""

    points: ClassVar[Sequence[Point]] = POINTS
    profile: ClassVar[Profile] = Profile(
        points=POINTS,
        start=b"\x00\x21",
        start_s=0.05,
        stop_s=0.16,
        wait_s=0.02,
        read=b"\x03\xc4",
        read_bytes=24,
        decode=decode,
        settling=frozenset(MASS),
        flags=(
            Flag(4, frozenset(MASS)),  # the fan stands still
            Flag(5, frozenset(MASS)),  # laser current out of range
            Flag(6, frozenset(AIR)),  # the humidity sensor does not answer
            Flag(6, frozenset(GAS), usable=True),  # which the indices are corrected with
            Flag(7, frozenset(GAS)),
            Flag(19, frozenset(MASS), usable=True, reason=Reason.STALE),  # the fan cleans itself
            Flag(21, frozenset(MASS), usable=True),  # fan too slow or too fast
        ),
    )


def explain(frames: Sequence[bytes]) -> dict[str, Sample]:
    """What a recorded conversation means: commands, each followed by its answer, if any."""
    return explain_with(Sen55.profile, frames)


DRIVER: Final = Sen55
