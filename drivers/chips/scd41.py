"""Sensirion SCD41 (also SCD40, SCD43): CO2, temperature and humidity, I2C.

Source: Sensirion SCD4x datasheet (commands, timing, conversion); drivers
Sensirion/embedded-i2c-scd4x and Sensirion/python-i2c-scd4x; ESPHome scd4x.

While the sensor measures, it accepts only three commands: are there new values, read them, stop.
The driver does not change its automatic self-calibration, never starts its self-test (10 s, not for
a site), and writes nothing to its EEPROM. The sensor has no status register. No air on earth has
less than 250 ppm of CO2; the sensor sends 0 before its first measurement.
"""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Annotated, ClassVar, Final, Literal

from drivers.chips._sensirion import (
    SerialQuery,
    celsius,
    decimal_serial,
    encode_command,
    word_samples,
)
from drivers.chips._sensirion_module import Module
from drivers.chips._sensirion_profile import Profile
from drivers.chips._sensirion_profile import explain as explain_with
from edge.core import BusError, Point, Quantity, Reason, Sample

START: Final = (b"\x21\xb1", b"\x21\xac")
PACES_S: Final = (5.0, 30.0)  # a sample each
ALTITUDE: Final = 0x2427

POINTS: Final = (  # in the order on the wire
    # what it can tell; it is specified from 400 to 5000, and may be set wrong by some
    Point("co2", Quantity.CARBON_DIOXIDE, low=250, high=40000),
    # what it may be stored at; it is specified from -10 to 60
    Point("temperature", Quantity.TEMPERATURE, low=-40, high=70),
    Point("humidity", Quantity.RELATIVE_HUMIDITY, low=0, high=100),
)


def decode(frame: bytes, unknown: Reason = Reason.WARMUP) -> tuple[Sample, ...]:
    """The 9 bytes of measured values. What it does not know is 0 ppm; for others it has no word.

    A damaged word spoils its own point only. Raises DataError for another length.
    """
    return word_samples(POINTS, (_ppm, celsius, _percent), frame)


def _ppm(word: bytes) -> int | None:
    return int.from_bytes(word) or None


def _percent(word: bytes) -> float:
    return 100 * int.from_bytes(word) / 65535


@dataclass(slots=True)
class Scd41(Module):
    """One sensor. In normal `mode` it has a sample each 5 s, in low_power each 30 s.

    Poll it as often as that: in between it has nothing new, which is bad:stale. `altitude_m` above
    the sea is what CO2 is corrected for; 0 leaves what the sensor has.
    """

    points: ClassVar[Sequence[Point]] = POINTS
    address: ClassVar[int] = 0x62
    every_s: ClassVar[float] = 5.0
    profile: ClassVar[Profile] = Profile(
        points=POINTS,
        start=START,
        start_s=0.001,
        stop_s=0.5,
        wait_s=0.001,
        read=b"\xec\x05",
        read_bytes=9,
        decode=decode,
        stop=b"\x3f\x86",
        ready=b"\xe4\xb8",
        ready_mask=0x07FF,
        serial=SerialQuery(b"\x36\x82", 3, 0.001, decimal_serial),
        writes=frozenset({ALTITUDE.to_bytes(2)}),
    )

    mode: Annotated[
        Literal["normal", "low_power"],
        "`normal` measures every 5 s, `low_power` every 30 s; set `every_s` to the same",
    ] = "normal"
    altitude_m: Annotated[
        int,
        (0, 3000),
        "altitude in metres for which CO2 is corrected; 0 keeps the setting of the sensor",
    ] = 0
    _met: bool = field(default=False, init=False, repr=False)

    @property
    def pace_s(self) -> float:
        """How often it has something new."""
        return PACES_S[self.mode == "low_power"]

    async def _come_to_rest(self) -> None:
        """Who finds it measuring knows neither its serial number nor its mode: it starts anew."""
        if not self._met:
            with suppress(BusError):  # who is not there refuses the start, too
                await self._send(self.profile.stop, self.profile.stop_s)

    def _named_first(self) -> bool:
        return True

    def _settings(self) -> Sequence[bytes]:
        return (encode_command(ALTITUDE, self.altitude_m),) if self.altitude_m else ()

    def _start(self) -> bytes:
        return START[self.mode == "low_power"]

    def _began(self) -> None:
        self._met = True


def explain(frames: Sequence[bytes]) -> dict[str, Sample]:
    """What a recorded conversation means: commands, each followed by its answer, if any."""
    return explain_with(Scd41.profile, frames)


DRIVER: Final = Scd41
