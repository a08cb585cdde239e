"""A simulated SEN66: the other side of the I2C wire of `drivers/chips/sen66.py`.

It answers start, stop, data-ready, measured values, status (and its clearing), serial number,
reset, altitude (idle only), fan cleaning (idle only; it starts no measurement meanwhile) and the
state of its VOC algorithm, which it keeps until it loses its supply.

Source: Sensirion SEN6x datasheet; Sensirion/embedded-i2c-sen66.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Final

from drivers.sim._sensirion import Values, arguments, flip_bit
from drivers.sim._sensirion_air import LAYOUT, AirModule
from drivers.sim._sensirion_module import FAULTS, RESET, STOP

__all__ = ["CHIP", "FAULTS", "Sen66", "Values", "flip_bit"]

ALTITUDE: Final = 0x6736


@dataclass
class Sen66(AirModule):
    """One module at 0x6B; see `Module` for its faults. `altitude_m` is what it was told.

    `cleanings` are the moments when its fan was told to be cleaned, and `refuses_cleaning` is an
    older one that cannot.
    """

    ADDRESS: ClassVar[int] = 0x6B
    PRODUCT: ClassVar[Mapping[int, bytes]] = {0xD014: b"SEN66".ljust(32, b"\0")}
    READ: ClassVar[int] = 0x0300
    DELAYS: ClassVar[Mapping[int, float]] = {0x0021: 0.05, STOP: 1.0, RESET: 1.2}
    STICKY: ClassVar[frozenset[int]] = frozenset({4, 6, 7, 9, 11})
    FIRST_S: ClassVar[float] = 1.1
    BROKEN: ClassVar[int] = 11
    LAYOUT: ClassVar[tuple[tuple[str, int, bool], ...]] = (*LAYOUT, ("co2", 1, False))
    KEEPS_STATE: ClassVar[bool] = True

    altitude_m: int = 0
    refuses_cleaning: bool = False
    cleanings: list[float] = field(default_factory=list)

    def _does(self, command: int, data: bytes, now: float) -> bool:
        if command != ALTITUDE:
            return super()._does(command, data, now)
        if self.measuring or len(arguments(data)) != 2:
            return False
        self.altitude_m = int.from_bytes(arguments(data))
        return True

    def _starts(self, data: bytes) -> bool:
        return super()._starts(data) and self.clock() >= self._clean_until

    def _may_clean(self) -> bool:
        may = not self.measuring and not self.refuses_cleaning
        if may:
            self.cleanings.append(self.clock())
        return may

    def _forget(self, now: float) -> None:
        self.altitude_m = 0
        super()._forget(now)


CHIP: Final = Sen66
