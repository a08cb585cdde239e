"""A simulated SCD41: the other side of the I2C wire of `drivers/chips/scd41.py`.

It answers start (normal and low power), stop, data-ready and measured values; idle, serial number
and altitude too. A measurement can be read once; without one it does not acknowledge.

Source: Sensirion SCD4x datasheet; Sensirion/embedded-i2c-scd4x; what Sensirion said of it in
Sensirion/raspberry-pi-i2c-scd4x issue 6: measuring, it answers nothing else; 1 s to boot.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Final

from drivers.sim._sensirion import (
    FAULTS,
    Sensirion,
    Values,
    arguments,
    flip_bit,
    ticks,
    with_checksums,
)

__all__ = ["CHIP", "FAULTS", "Scd41", "Values", "flip_bit"]

INTERVALS_S: Final = {0x21B1: 5.0, 0x21AC: 30.0}  # by the command that starts it
STOP, READY, READ, SERIAL, ALTITUDE = 0x3F86, 0xE4B8, 0xEC05, 0x3682, 0x2427


@dataclass
class Scd41(Sensirion):
    """One sensor at 0x62; see `Sensirion` for its faults. `starts` counts them."""

    ADDRESS: ClassVar[int] = 0x62
    DELAYS: ClassVar[Mapping[int, float]] = {STOP: 0.5}
    DELAY_S: ClassVar[float] = 0.001
    BOOT_S: ClassVar[float] = 1.0

    serial: int = 273325796834238
    starts: int = 0
    altitude_m: int = 0
    _every_s: float = field(default=0.0, init=False, repr=False)  # 0 while it is idle
    _started_at: float = field(default=0.0, init=False, repr=False)
    _taken: int = field(default=0, init=False, repr=False)  # samples since
    _sample: bytes = field(default=b"", init=False, repr=False)  # until it is read

    @property
    def measuring(self) -> bool:
        """Whether it is started, for tests."""
        return self._every_s > 0

    def encode(self, sample: Mapping[str, float]) -> bytes:
        """The three words of a measurement."""
        co2 = max(0, min(0xFFFF, round(sample.get("co2", 0.0)))).to_bytes(2)
        temperature = ticks(sample.get("temperature", 0.0), -45, 175)
        return co2 + temperature + ticks(sample.get("humidity", 0.0), 0, 100)

    def _does(self, command: int, data: bytes, now: float) -> bool:
        self._catch_up(now)
        match command:
            case _ if command in INTERVALS_S and not self.measuring:
                self._every_s, self._started_at, self._taken = INTERVALS_S[command], now, 0
                self.starts += 1
            case _ if command == STOP:
                self._forget(now)
            case _ if command == READY:
                self._answer = with_checksums(b"\x80\x06" if self._sample else b"\x80\x00")
            case _ if command == READ and self._sample:
                self._answer, self._sample = with_checksums(self._sample), b""
            case _ if command == SERIAL and not self.measuring:
                self._answer = with_checksums(self.serial.to_bytes(6))
            case _ if command == ALTITUDE and not self.measuring and len(arguments(data)) == 2:
                self.altitude_m = int.from_bytes(arguments(data))
            case _:
                return False
        return True

    def _forget(self, now: float) -> None:
        self._every_s = 0.0
        self._started_at = now
        self._taken = 0
        self._sample = b""

    def _catch_up(self, now: float) -> None:
        count = int((now - self._started_at) / self._every_s) if self.measuring else 0
        if count > self._taken:
            self._taken = count
            at = self._started_at + count * self._every_s
            self._sample = self.encode(self._measured(at))


CHIP: Final = Scd41
