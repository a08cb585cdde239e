"""A simulated SPS30: the other side of the I2C wire of `drivers/chips/sps30.py`.

It answers start, stop, data-ready, measured values as floats, status (and its clearing) from
firmware 2.2 on, serial number, fan cleaning and reset.

Source: Sensirion SPS30 datasheet, I2C commands, float output.
"""

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Final

from drivers.sim._sensirion import Values, flip_bit
from drivers.sim._sensirion_module import FAULTS, RESET, STATUS, STOP, Module

__all__ = ["CHIP", "FAULTS", "Sps30", "Values", "flip_bit"]

KEYS: Final = (
    *("pm1_0", "pm2_5", "pm4_0", "pm10"),
    *("nc0_5", "nc1_0", "nc2_5", "nc4_0", "nc10"),
    "typical_size",
)


@dataclass
class Sps30(Module):
    """One module at 0x69; see `Module` for its faults. `firmware` before 2.2 has no status."""

    ADDRESS: ClassVar[int] = 0x69
    PRODUCT: ClassVar[Mapping[int, bytes]] = {0xD002: b"00080000"}
    PARTICLES: ClassVar[frozenset[str]] = frozenset(KEYS)
    START: ClassVar[bytes] = b"\x00\x10\x03\x00\xac"
    READ: ClassVar[int] = 0x0300
    DELAYS: ClassVar[Mapping[int, float]] = {0x0010: 0.02, STOP: 0.02, RESET: 0.1}
    DELAY_S: ClassVar[float] = 0.005

    firmware: tuple[int, int] = (2, 3)

    def encode(self, sample: Mapping[str, float]) -> bytes:
        """Floats; before the first sample, and for what is missing, zeros."""
        return struct.pack(">10f", *(sample.get(key, 0.0) for key in KEYS))

    def _does(self, command: int, data: bytes, now: float) -> bool:
        if command == STATUS and self.firmware < (2, 2):
            return False
        return super()._does(command, data, now)


CHIP: Final = Sps30
