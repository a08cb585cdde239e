"""A simulated BME688: the other side of the I2C wire of `drivers/chips/bme688.py`.

Source: boschsensortec/BME68x_SensorAPI, memory map, measurement time and the compensation formulas
in whole numbers; that a heater needs 20 ms is an assumption. Filter, and the modes in which the
chip measures by itself, are not simulated. The calibration is made up.

Faults: `silent` acknowledges nothing; `forgetful` loses its settings while it measures; `cold` is
a heater that does not get hot; `open` converts no gas; `dry` has no humidity part; `bme680` is a
BME680.
"""

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Final

from drivers.sim._bosch import SKIPPED, BoschChip, Values, count_for, quotient

__all__ = ["CHIP", "FAULTS", "Bme688", "Values"]

FAULTS: Final = ("silent", "forgetful", "cold", "open", "dry", "bme680")

T: Final = (26041, 26469, 3)
P: Final = (36214, -10343, 88, 7004, -103, 30, 41, -2231, -1980, 30)
H: Final = (772, 1021, 0, 45, 20, 120, -100)
G: Final = (-30, -5969, 18)
HEAT_VALUE, HEAT_RANGE = 38, 1

FIELD, DATA, GAS = 0x1D, 0x1F, 0x2C
RES_HEAT, GAS_WAIT = 0x5A, 0x64
CTRL_GAS_0, CTRL_GAS_1, CTRL_HUM, CTRL_MEAS, CONFIG = 0x70, 0x71, 0x72, 0x74, 0x75
VARIANT: Final = 0xF0
TIMES: Final = (0, 1, 2, 4, 8, 16, 16, 16)
HEATER_S: Final = 0.020


def _first() -> bytes:
    t, p = T, P
    return struct.pack(
        "<hbxHhbxhhbbxxhhB", t[1], t[2], p[0], p[1], p[2], p[3], p[4], p[6], p[5], p[7], p[8], p[9]
    )


def _second() -> bytes:
    h, both = H, (H[1] & 15) << 4 | H[0] & 15
    bend = struct.pack("<bbbBb", *h[2:])
    return bytes((h[1] >> 4, both, h[0] >> 4)) + bend + struct.pack("<Hhbb", T[0], G[1], G[0], G[2])


@dataclass
class Bme688(BoschChip):
    """One chip at 0x76; see `BoschChip` for its faults.

    `heater_cel` is how hot the heater got in the last measurement.
    """

    FAULTS: ClassVar[tuple[str, ...]] = FAULTS
    OTHERS: ClassVar[frozenset[str]] = frozenset({"bme680"})
    CHIP_ID: ClassVar[int] = 0x61
    WRITABLE: ClassVar[frozenset[int]] = frozenset(
        {*range(0x50, 0x70), CTRL_GAS_0, CTRL_GAS_1, CTRL_HUM, CTRL_MEAS, CONFIG}
    )
    TRIM: ClassVar[Mapping[int, bytes]] = {
        0x8A: _first(),
        0xE1: _second(),
        0x00: struct.pack("<bBBBb", HEAT_VALUE, 0, HEAT_RANGE << 4, 0, 0),
    }

    def cleared(self) -> None:
        """Asleep, and nothing measured."""
        self._done_at: float | None = None
        self.heater_cel = 0
        self.registers[VARIANT] = 0 if self.fault == "bme680" else 1
        self.put(DATA, SKIPPED, SKIPPED, SKIPPED >> 4)

    def written(self, register: int, now: float) -> None:
        """CTRL_MEAS starts a measurement in forced mode."""
        if register == CTRL_MEAS and self.registers[CTRL_MEAS] & 3 == 1 and self._done_at is None:
            self.registers[FIELD] = 0x20  # measuring, nothing new
            self._done_at = now + self._takes_s()

    def catch_up(self, now: float) -> None:
        """Finish the measurement."""
        if self._done_at is not None and now >= self._done_at:
            at, self._done_at = self._done_at, None
            self._finish(at)

    def _takes_s(self) -> float:
        meas = self.registers[CTRL_MEAS]
        times = TIMES[meas >> 5] + TIMES[meas >> 2 & 7] + TIMES[self.registers[CTRL_HUM] & 7]
        return 1e-3 + 1.963e-3 * times + 0.477e-3 * (4 + 5) + self._heating_s()

    def _heating_s(self) -> float:
        code = self.registers[GAS_WAIT]
        return (code & 0x3F) * 4 ** (code >> 6) / 1000 if self._gas() else 0.0

    def _gas(self) -> bool:
        """Whether gas is to be measured: 2 means it here, 1 on a BME680."""
        wanted = 1 if self.fault == "bme680" else 2
        return self.registers[CTRL_GAS_1] >> 4 & 3 == wanted

    def _finish(self, at: float) -> None:
        if self.fault == "forgetful":
            self._reset(at)
            return
        found, meas = self.sample(at), self.registers[CTRL_MEAS]
        raw_t, raw_p, raw_h = SKIPPED, SKIPPED, SKIPPED >> 4
        if meas >> 5 and "temperature" in found:
            raw_t = count_for(found["temperature"], lambda raw: temperature(fine(raw)))
        now_fine = fine(raw_t)
        if meas >> 2 & 7 and "pressure" in found:
            raw_p = count_for(found["pressure"], lambda raw: pressure(now_fine, raw))
        if self.registers[CTRL_HUM] & 7 and "humidity" in found and self.fault != "dry":
            raw_h = count_for(found["humidity"], lambda raw: humidity(now_fine, raw), 0xFFFF)
        self.put(DATA, raw_p, raw_t, raw_h)
        self._smell(found, round(found.get("temperature", 25.0)))
        self.registers[CTRL_MEAS] &= 0xFC
        self.registers[FIELD] = 0x80

    def _smell(self, found: Mapping[str, float], air_cel: int) -> None:
        heating = self._gas() and not self.registers[CTRL_GAS_0] & 8 and self.fault != "cold"
        self.heater_cel = heated(self.registers[RES_HEAT], air_cel) if heating else 0
        stable = heating and self._heating_s() >= HEATER_S
        valid = self._gas() and self.fault != "open" and "gas_resistance" in found
        word = gas_word(found["gas_resistance"]) if valid else 0
        word |= valid << 5 | stable << 4
        self.registers[GAS : GAS + 2] = word.to_bytes(2)


def fine(raw: int) -> int:
    """The temperature as the other formulas want it."""
    var1 = (raw >> 3) - (T[0] << 1)
    var3 = ((var1 >> 1) * (var1 >> 1)) >> 12
    return ((var1 * T[1]) >> 11) + ((var3 * (T[2] << 4)) >> 14)


def temperature(fine: int) -> float:
    """Cel, in hundredths."""
    return ((fine * 5 + 128) >> 8) / 100


def pressure(fine: int, raw: int) -> float:
    """Pa, whole."""
    p1, p2, p3, p4, p5, p6, p7, p8, p9, p10 = P
    var1 = (fine >> 1) - 64000
    var2 = ((((var1 >> 2) * (var1 >> 2)) >> 11) * p6) >> 2
    var2 = ((var2 + ((var1 * p5) << 1)) >> 2) + (p4 << 16)
    var1 = (((((var1 >> 2) * (var1 >> 2)) >> 13) * (p3 << 5)) >> 3) + ((p2 * var1) >> 1)
    var1 = ((32768 + (var1 >> 18)) * p1) >> 15
    p = (1048576 - raw - (var2 >> 12)) * 3125
    p = quotient(p, var1) << 1 if p >= 0x40000000 else quotient(p << 1, var1)
    var1 = (p9 * (((p >> 3) * (p >> 3)) >> 13)) >> 12
    var2 = ((p >> 2) * p8) >> 13
    var3 = ((p >> 8) * (p >> 8) * (p >> 8) * p10) >> 17
    return p + ((var1 + var2 + var3 + (p7 << 7)) >> 4)


def humidity(fine: int, raw: int) -> float:
    """%, in thousandths, cut off at 0 and 100."""
    h1, h2, h3, h4, h5, h6, h7 = H
    cel = (fine * 5 + 128) >> 8
    var1 = raw - h1 * 16 - (quotient(cel * h3, 100) >> 1)
    square = quotient((cel * quotient(cel * h5, 100)) >> 6, 100)
    var2 = (h2 * (quotient(cel * h4, 100) + square + (1 << 14))) >> 10
    var3 = var1 * var2
    var4 = ((h6 << 7) + quotient(cel * h7, 100)) >> 4
    var6 = (var4 * (((var3 >> 14) * (var3 >> 14)) >> 10)) >> 1
    return min(100_000, max(0, (((var3 + var6) >> 10) * 1000) >> 12)) / 1000


def heater(target_cel: int, air_cel: int) -> int:
    """The heater's register for a temperature."""
    var1 = quotient(air_cel * G[2], 1000) * 256
    warm = quotient(quotient((G[1] + 154009) * target_cel * 5, 100) + 3276800, 10)
    var3 = var1 + quotient((G[0] + 784) * warm, 2)
    var5 = 131 * HEAT_VALUE + 65536
    code = (quotient(quotient(var3, HEAT_RANGE + 4), var5) - 250) * 34
    return quotient(code + 50, 100)


def heated(code: int, air_cel: int) -> int:
    """How hot the heater gets by this register, in Cel."""
    return min(range(401), key=lambda cel: abs(heater(cel, air_cel) - code))


def gas_word(ohm: float) -> int:
    """Count and range of a resistance, in the widest range that holds it."""
    for span in range(15, -1, -1):
        count = round(512 + (1e6 * (262144 >> span) / max(ohm, 1.0) - 4096) / 3)
        if count >= 0:
            return min(count, 0x3FF) << 6 | span
    return 0  # more than the lowest range can hold


CHIP: Final = Bme688
