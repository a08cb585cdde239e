"""A simulated SEN55: the other side of the I2C wire of `drivers/chips/sen55.py`.

It answers start, stop, data-ready, measured values, status (and its clearing), serial number, fan
cleaning, reset and the state of its VOC algorithm, which it loses with each start.

Source: Sensirion SEN5x datasheet.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Final

from drivers.sim._sensirion import Values, flip_bit
from drivers.sim._sensirion_air import AirModule
from drivers.sim._sensirion_module import FAULTS, RESET, STOP

__all__ = ["CHIP", "FAULTS", "Sen55", "Values", "flip_bit"]


@dataclass
class Sen55(AirModule):
    """One module at 0x69; see `Module` for its faults."""

    ADDRESS: ClassVar[int] = 0x69
    PRODUCT: ClassVar[Mapping[int, bytes]] = {0xD014: b"SEN55".ljust(32, b"\0")}
    READ: ClassVar[int] = 0x03C4
    DELAYS: ClassVar[Mapping[int, float]] = {0x0021: 0.05, STOP: 0.16, RESET: 0.1}
    CLEANING: ClassVar[int | None] = 19


CHIP: Final = Sen55
