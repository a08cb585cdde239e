"""A simulated SGP41: the other side of the I2C wire of `drivers/chips/sgp41.py`.

It answers conditioning, measurement of raw signals, heater off, self-test and serial number.
Conditioned for more than ten seconds since its heater was off, in one piece or in many, it is
`damaged`, and then tells no NOx any more. It is given the raw ticks; the indices are the driver's.

Source: Sensirion SGP41 datasheet; Sensirion/embedded-i2c-sgp41.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Final

from drivers.sim._sensirion import FAULTS as COMMON
from drivers.sim._sensirion import Sensirion, Values, arguments, flip_bit, with_checksums

__all__ = ["CHIP", "FAULTS", "Sgp41", "Values", "flip_bit"]

CONDITION, MEASURE, HEATER_OFF, SERIAL, SELF_TEST = 0x2612, 0x2619, 0x3615, 0x3682, 0x280E
FAULTS: Final = (*COMMON, "sensor")
BEARS_S: Final = 10.0
CLEAN_AIR: Final = {"voc_ticks": 30000.0, "nox_ticks": 16000.0}


@dataclass
class Sgp41(Sensirion):
    """One sensor at 0x59; see `Sensirion` for its faults. `compensation` is the air that was set.

    The low bits of `failed` are pixels that do not pass its self-test; the fault "sensor" is one.
    """

    ADDRESS: ClassVar[int] = 0x59
    DELAYS: ClassVar[Mapping[int, float]] = {CONDITION: 0.05, MEASURE: 0.05, SELF_TEST: 0.32}
    DELAY_S: ClassVar[float] = 0.001
    BOOT_S: ClassVar[float] = 0.001
    FAULTS: ClassVar[tuple[str, ...]] = FAULTS
    BROKEN_BY: ClassVar[tuple[str, ...]] = ("sensor",)

    serial: int = 0x0000_0123_4567
    hot: bool = False
    damaged: bool = False
    failed: int = 0
    compensation: tuple[float, float] = (0.0, 0.0)
    _conditioned_at: float | None = field(default=None, init=False, repr=False)
    _conditioned_s: float = field(default=0.0, init=False, repr=False)  # before that

    def _mend(self) -> None:
        self.failed = 0

    def _break(self, fault: str) -> None:
        if fault == "sensor":
            self.failed = 1
        else:
            super()._break(fault)

    def encode(self, sample: Mapping[str, float]) -> bytes:
        """The two words of a measurement."""
        voc, nox = (round({**CLEAN_AIR, **sample}[key]) for key in CLEAN_AIR)
        if self.damaged:
            nox = 0xFFFF
        return b"".join(max(0, min(0xFFFF, count)).to_bytes(2) for count in (voc, nox))

    def _does(self, command: int, data: bytes, now: float) -> bool:
        self._wear(now)
        given = arguments(data)
        if command in (CONDITION, MEASURE) and len(given) == 4:
            humidity, temperature = int.from_bytes(given[:2]), int.from_bytes(given[2:])
            self.compensation = (humidity * 100 / 65535, temperature * 175 / 65535 - 45)
            self.hot = True
            values = self.encode(self._measured(now))
            self._answer = with_checksums(values[:2] if command == CONDITION else values)
            if command == MEASURE:
                self._conditioned_s += now - (self._conditioned_at or now)
                self._conditioned_at = None
            elif self._conditioned_at is None:
                self._conditioned_at = now
        elif command == HEATER_OFF:
            self._forget(now)
        elif command == SELF_TEST and not self.hot:
            self._answer = with_checksums(bytes((0xD4, self.failed)))
        elif command == SERIAL and not self.hot:
            self._answer = with_checksums(self.serial.to_bytes(6))
        else:
            return False
        return True

    def _wear(self, now: float) -> None:
        since = self._conditioned_at
        if since is not None and self._conditioned_s + now - since > BEARS_S:
            self.damaged = True

    def _forget(self, now: float) -> None:
        self.hot = False
        self._conditioned_at = None
        self._conditioned_s = 0.0


CHIP: Final = Sgp41
