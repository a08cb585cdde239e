"""Sensirion SEN66: particulate matter, humidity, temperature, VOC and NOx index, CO2, I2C.

Source: Sensirion SEN6x datasheet (measured values, device status register); drivers
Sensirion/embedded-i2c-sen66 and Sensirion/python-i2c-sen66. The numbers of the status bits were
seen in this one family of drivers only. Its fan is cleaned by a command when it is idle, never by
itself, and nothing here gives that command.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, ClassVar, Final

from drivers.chips._sensirion import command
from drivers.chips._sensirion_air import AIR, GAS, MASS, STATE, AirModule, decode_words
from drivers.chips._sensirion_air import POINTS as SHARED
from drivers.chips._sensirion_profile import Flag, Profile
from drivers.chips._sensirion_profile import explain as explain_with
from edge.core import Condition, Point, Quantity, Reason, Sample

ALTITUDE: Final = 0x6736
CO2: Final = frozenset({"co2"})
POINTS: Final = (*SHARED, Point("co2", Quantity.CARBON_DIOXIDE, low=0, high=40000))


def decode(frame: bytes, unknown: Reason = Reason.WARMUP) -> tuple[Sample, ...]:
    """The 27 bytes of measured values. `unknown` is the reason for what the module does not know.

    A damaged word spoils its own point only. Raises DataError for another length.
    """
    return decode_words(POINTS, frame, unknown)


@dataclass(slots=True)
class Sen66(AirModule):
    """One module. `settle_reads` fresh samples after a start are uncertain for the particles.

    `altitude_m` above the sea is what CO2 is corrected for; the module forgets it with its supply.
    """

    points: ClassVar[Sequence[Point]] = POINTS
    address: ClassVar[int] = 0x6B
    profile: ClassVar[Profile] = Profile(
        points=POINTS,
        start=(b"\x00\x21",),
        start_s=0.05,
        stop_s=1.0,
        wait_s=0.02,
        read=b"\x03\x00",
        read_bytes=27,
        decode=decode,
        settling=frozenset(MASS),
        flags=(
            Flag(4, frozenset(MASS), Condition.FAN, "the fan stands still"),
            Flag(6, frozenset(AIR), Condition.SENSOR, "the humidity sensor does not work"),
            # which the others are corrected with
            Flag(6, frozenset(GAS) | CO2, Condition.SENSOR, "", usable=True),
            Flag(7, frozenset(GAS), Condition.SENSOR, "the gas sensor does not work"),
            Flag(9, CO2, Condition.SENSOR, "the CO2 sensor does not work"),
            Flag(11, frozenset(MASS), Condition.SENSOR, "the particle sensor does not work"),
            Flag(
                21,
                frozenset(MASS),
                Condition.FAN,
                "the fan turns too slowly or too fast: check supply and inlet",
                usable=True,
            ),
        ),
        writes=frozenset({STATE, ALTITUDE.to_bytes(2)}),
        asks=frozenset({STATE}),
    )

    altitude_m: Annotated[int, (0, 3000)] = 0

    def _settings(self) -> Sequence[bytes]:
        return (command(ALTITUDE, self.altitude_m),) if self.altitude_m else ()


def explain(frames: Sequence[bytes]) -> dict[str, Sample]:
    """What a recorded conversation means: commands, each followed by its answer, if any."""
    return explain_with(Sen66.profile, frames)


DRIVER: Final = Sen66
