"""Sensirion SEN55: particulate matter, humidity, temperature, VOC and NOx index, I2C.

Source: Sensirion SEN5x datasheet (measured values, device status register, specifications);
drivers Sensirion/python-i2c-sen5x and Sensirion/embedded-i2c-sen5x.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Final

from drivers.chips._sensirion_air import AIR, GAS, MASS, POINTS, STATE, AirModule, decode_words
from drivers.chips._sensirion_profile import Profile, StatusFlag
from drivers.chips._sensirion_profile import explain as explain_with
from edge.core import Condition, Point, Reason, Sample


def decode(frame: bytes, unknown: Reason = Reason.WARMUP) -> tuple[Sample, ...]:
    """The 24 bytes of measured values. `unknown` is the reason for what the module does not know.

    A damaged word spoils its own point only. Raises DataError for another length.
    """
    return decode_words(POINTS, frame, unknown)


@dataclass(slots=True)
class Sen55(AirModule):
    """One module. `settle_reads` fresh samples after a start are uncertain for the particles."""

    points: ClassVar[Sequence[Point]] = POINTS
    address: ClassVar[int] = 0x69  # that of an SPS30 too: only one of them fits on a bus
    profile: ClassVar[Profile] = Profile(
        points=POINTS,
        start=(b"\x00\x21",),
        start_s=0.05,
        stop_s=0.16,
        wait_s=0.02,
        read=b"\x03\xc4",
        read_bytes=24,
        decode=decode,
        settling=frozenset(MASS),
        flags=(
            StatusFlag(4, frozenset(MASS), Condition.FAN, "the fan stands still"),
            StatusFlag(5, frozenset(MASS), Condition.LASER, "the laser's current is out of range"),
            StatusFlag(6, frozenset(AIR), Condition.SENSOR, "the humidity sensor does not answer"),
            # which the indices are corrected with
            StatusFlag(6, frozenset(GAS), Condition.SENSOR, "", usable=True),
            StatusFlag(7, frozenset(GAS), Condition.SENSOR, "the gas sensor does not work"),
            StatusFlag(
                19,
                frozenset(MASS),
                Condition.CLEANING,
                "the fan is cleaning itself: no new values for about ten seconds",
                usable=True,
                reason=Reason.STALE,
            ),
            StatusFlag(
                21,
                frozenset(MASS),
                Condition.FAN,
                "the fan turns too slowly or too fast: check supply and inlet",
                usable=True,
            ),
        ),
        writes=frozenset({STATE}),
        asks=frozenset({STATE}),
    )


def explain(frames: Sequence[bytes]) -> dict[str, Sample]:
    """What a recorded conversation means: commands, each followed by its answer, if any."""
    return explain_with(Sen55.profile, frames)


DRIVER: Final = Sen55
