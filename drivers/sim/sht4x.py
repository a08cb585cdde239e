"""A simulated SHT4x: the other side of the I2C wire of `drivers/chips/sht4x.py`.

It answers the three measurements (high, medium, low precision), serial number and reset. It does
not acknowledge while it measures.

Source: Sensirion SHT4x datasheet, timing and conversion.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Final

from drivers.sim._sensirion import FAULTS, Sensirion, Values, flip_bit, ticks, with_checksums
from drivers.sim.i2c import Nack

__all__ = ["CHIP", "FAULTS", "Sht4x", "Values", "flip_bit"]

MEASURES: Final = {0xFD: 0.01, 0xF6: 0.005, 0xE0: 0.002}  # seconds
SERIAL, RESET = 0x89, 0x94


@dataclass
class Sht4x(Sensirion):
    """One sensor, by default at 0x44; see `Sensirion` for its faults."""

    ADDRESS: ClassVar[int] = 0x44
    DELAYS: ClassVar[Mapping[int, float]] = MEASURES
    DELAY_S: ClassVar[float] = 0.001
    BOOT_S: ClassVar[float] = 0.001

    serial: int = 0x0B1C2D3E

    def encode(self, sample: Mapping[str, float]) -> bytes:
        """The two words of a measurement."""
        temperature = ticks(sample.get("temperature", 0.0), -45, 175)
        return temperature + ticks(sample.get("humidity", 0.0), -6, 125)

    def _command(self, data: bytes) -> int:
        if len(data) != 1:
            raise Nack
        return data[0]

    def _does(self, command: int, data: bytes, now: float) -> bool:
        if command in MEASURES:
            self._answer = with_checksums(self.encode(self._measured(now)))
        elif command == SERIAL:
            self._answer = with_checksums(self.serial.to_bytes(4))
        else:
            return command == RESET
        return True


CHIP: Final = Sht4x
