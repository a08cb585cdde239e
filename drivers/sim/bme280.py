"""A simulated BME280: the other side of the I2C wire of `drivers/chips/bme280.py`.

Source: Bosch BME280 datasheet, memory map, measurement time and the compensation formulas in whole
numbers. The filter is not simulated. Calibration: temperature and pressure are those of the worked
example in Bosch's datasheet.

Faults: `silent` acknowledges nothing; `endless` measures without an end; `forgetful` loses its
settings while it measures; `dry` has no humidity part; `bmp280` is a BMP280.
"""

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Final

from drivers.sim._bosch import SKIPPED, BoschChip, Values, count_for

__all__ = ["CHIP", "FAULTS", "Bme280", "Values"]

FAULTS: Final = ("silent", "endless", "forgetful", "dry", "bmp280")

T: Final = (27504, 26435, -1000)
P: Final = (36477, -10685, 3024, 2855, 140, -7, 15500, -14600, 6000)
H: Final = (75, 376, 0, 286, 50, 30)

CTRL_HUM, STATUS, CTRL_MEAS, CONFIG, DATA = 0xF2, 0xF3, 0xF4, 0xF5, 0xF7
TIMES: Final = (0, 1, 2, 4, 8, 16, 16, 16)  # oversampling
STANDBY_S: Final = (0.0005, 0.0625, 0.125, 0.25, 0.5, 1.0, 0.01, 0.02)


def packed(h: tuple[int, ...] = H) -> bytes:
    """The second block of the calibration, where two values share a register."""
    _, h2, h3, h4, h5, h6 = h
    return struct.pack("<hBbBbb", h2, h3, h4 >> 4, (h4 & 15) | (h5 & 15) << 4, h5 >> 4, h6)


@dataclass
class Bme280(BoschChip):
    """One chip at 0x76; see `BoschChip` for its faults. It takes its time to the last."""

    FAULTS: ClassVar[tuple[str, ...]] = FAULTS
    OTHERS: ClassVar[frozenset[str]] = frozenset({"bmp280"})
    CHIP_ID: ClassVar[int] = 0x60
    WRITABLE: ClassVar[frozenset[int]] = frozenset({CTRL_HUM, CTRL_MEAS, CONFIG})
    TRIM: ClassVar[Mapping[int, bytes]] = {
        0x88: struct.pack("<HhhH8hxB", *T, *P, H[0]),
        0xE1: packed(),
    }

    def cleared(self) -> None:
        """Asleep, and nothing measured."""
        self._done_at: float | None = None
        self._humid = 0  # the oversampling that counts: written, and confirmed by CTRL_MEAS
        self.put(DATA, SKIPPED, SKIPPED, SKIPPED >> 4)
        if self.fault == "bmp280":
            self.registers[0xD0] = 0x58

    def written(self, register: int, now: float) -> None:
        """CTRL_MEAS starts a measurement, and lets CTRL_HUM count."""
        if register != CTRL_MEAS:
            return
        self._humid = self.registers[CTRL_HUM] & 7
        if self.registers[CTRL_MEAS] & 3 and self._done_at is None:
            self._done_at = now + self._takes_s()

    def catch_up(self, now: float) -> None:
        """One measurement in forced mode, the latest in normal mode."""
        if self._done_at is not None and now >= self._done_at and self.fault != "endless":
            self._finish(self._done_at)
            if self.registers[CTRL_MEAS] & 3 == 3:
                cycle_s = self._takes_s() + STANDBY_S[self.registers[CONFIG] >> 5]
                self._done_at += (int((now - self._done_at) / cycle_s) + 1) * cycle_s
            else:
                self.registers[CTRL_MEAS] &= 0xFC
                self._done_at = None
        measuring = self._done_at is not None and self._done_at - now <= self._takes_s()
        self.registers[STATUS] = measuring << 3 | self.copying(now)

    def _takes_s(self) -> float:
        times = [TIMES[self._ctrl >> 5], TIMES[self._ctrl >> 2 & 7], TIMES[self._humid]]
        return 1.25e-3 + 2.3e-3 * sum(times) + 0.575e-3 * (bool(times[1]) + bool(times[2]))

    @property
    def _ctrl(self) -> int:
        return self.registers[CTRL_MEAS]

    def _finish(self, at: float) -> None:
        if self.fault == "forgetful":
            self._reset(at)
            return
        found = self.sample(at)
        raw_t, raw_p, raw_h = SKIPPED, SKIPPED, SKIPPED >> 4
        if self._ctrl >> 5 and "temperature" in found:
            raw_t = count_for(found["temperature"], lambda raw: temperature(fine(raw)))
        now_fine = fine(raw_t)
        if self._ctrl >> 2 & 7 and "pressure" in found:
            raw_p = count_for(found["pressure"], lambda raw: pressure(now_fine, raw))
        if self._humid and "humidity" in found and self.fault != "dry":
            raw_h = count_for(found["humidity"], lambda raw: humidity(now_fine, raw), 0xFFFF)
        self.put(DATA, raw_p, raw_t, raw_h)


def fine(raw: int) -> int:
    """The temperature as the other two formulas want it."""
    t1, t2, t3 = T
    near = (((raw >> 3) - (t1 << 1)) * t2) >> 11
    return near + ((((((raw >> 4) - t1) * ((raw >> 4) - t1)) >> 12) * t3) >> 14)


def temperature(fine: int) -> float:
    """Cel, in hundredths."""
    return ((fine * 5 + 128) >> 8) / 100


def pressure(fine: int, raw: int) -> float:
    """Pa, in 1/256; the formula for 64 bits."""
    p1, p2, p3, p4, p5, p6, p7, p8, p9 = P
    var1 = fine - 128000
    var2 = var1 * var1 * p6 + ((var1 * p5) << 17) + (p4 << 35)
    var1 = ((var1 * var1 * p3) >> 8) + ((var1 * p2) << 12)
    var1 = (((1 << 47) + var1) * p1) >> 33
    p = (((1048576 - raw) << 31) - var2) * 3125 // var1
    var1 = (p9 * (p >> 13) * (p >> 13)) >> 25
    return (((p + var1 + ((p8 * p) >> 19)) >> 8) + (p7 << 4)) / 256


def humidity(fine: int, raw: int) -> float:
    """%, in 1/1024, cut off at 0 and 100."""
    h1, h2, h3, h4, h5, h6 = H
    var = fine - 76800
    left = ((raw << 14) - (h4 << 20) - h5 * var + 16384) >> 15
    right = ((((var * h6) >> 10) * (((var * h3) >> 11) + 32768)) >> 10) + 2097152
    var = left * ((right * h2 + 8192) >> 14)
    var -= ((((var >> 15) * (var >> 15)) >> 7) * h1) >> 4
    return (min(419430400, max(0, var)) >> 12) / 1024


CHIP: Final = Bme280
