"""Sensirion SPS30: mass and number of particles and their typical size, I2C.

Source: Sensirion SPS30 datasheet (measured values as floats, device status register,
specifications, automatic fan cleaning); driver Sensirion/embedded-sps.

After each week of measuring, the fan cleans itself for about ten seconds, and the sensor has no new
values. No bit reports this: the driver concludes it from the missing values. If all values are
zero, also the typical size, the module has not drawn in any air yet.
"""

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Final

from drivers.chips._sensirion import checked_sample, checked_words
from drivers.chips._sensirion_module import ParticleModule
from drivers.chips._sensirion_profile import CLEANING_TEXT, Profile, StatusFlag, mark_warming
from drivers.chips._sensirion_profile import explain as explain_with
from edge.core import Bad, Condition, Point, Quantity, Reason, Sample

MASS: Final = ("pm1_0", "pm2_5", "pm4_0", "pm10")
NUMBER: Final = ("nc0_5", "nc1_0", "nc2_5", "nc4_0", "nc10")  # from 0.3 um up to this size
KEYS: Final = frozenset({*MASS, *NUMBER, "typical_size"})

POINTS: Final = (
    *(Point(key, Quantity.MASS_CONCENTRATION, low=0, high=1000) for key in MASS),
    *(Point(key, Quantity.NUMBER_CONCENTRATION, low=0, high=3000) for key in NUMBER),
    Point("typical_size", Quantity.PARTICLE_SIZE, low=0, high=10),
)


def decode(frame: bytes, unknown: Reason = Reason.WARMUP) -> tuple[Sample, ...]:
    """The 60 bytes of measured values: a float is two words, each with its checksum.

    A damaged word spoils its own point only. Raises DataError for another length. The module
    has no word for "unknown"; what is no number is bad:range, and all zeros are bad:warmup.
    """
    found = checked_words(frame, 2 * len(POINTS))
    samples = tuple(
        _sample(point, high, low)
        for point, high, low in zip(POINTS, found[::2], found[1::2], strict=True)
    )
    return mark_warming(POINTS, KEYS, samples)


def _sample(point: Point, high: bytes | None, low: bytes | None) -> Sample:
    if high is None or low is None:
        return Bad(Reason.CRC)
    value: float = struct.unpack(">f", high + low)[0]
    return checked_sample(point, value)


@dataclass(slots=True)
class Sps30(ParticleModule):
    """One module, its SEL pin low. `settle_reads` fresh samples after a start are uncertain."""

    points: ClassVar[Sequence[Point]] = POINTS
    address: ClassVar[int] = 0x69  # that of a SEN55 too: only one of them fits on a bus
    profile: ClassVar[Profile] = Profile(
        points=POINTS,
        start=(b"\x00\x10\x03\x00\xac",),  # 0x0300: floats
        start_s=0.02,
        stop_s=0.02,
        wait_s=0.005,
        read=b"\x03\x00",
        read_bytes=60,
        decode=decode,
        settling=KEYS,
        flags=(
            StatusFlag(4, KEYS, Condition.FAN, "the fan stands still"),
            StatusFlag(5, KEYS, Condition.LASER, "the laser's current is out of range"),
            StatusFlag(
                21,
                KEYS,
                Condition.FAN,
                "the fan turns too slowly or too fast: check supply and inlet",
                usable=True,
            ),
        ),
    )

    def _doing(self) -> Mapping[Condition, str]:
        quiet = self._silence.is_long and not self._status
        return {Condition.CLEANING: CLEANING_TEXT} if quiet else {}


def explain(frames: Sequence[bytes]) -> dict[str, Sample]:
    """What a recorded conversation means: commands, each followed by its answer, if any."""
    return explain_with(Sps30.profile, frames)


DRIVER: Final = Sps30
