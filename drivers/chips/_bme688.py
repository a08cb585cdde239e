"""The arithmetic of the BME688: its calibration, the compensation by it, and its heater.

Source: boschsensortec/BME68x_SensorAPI, memory map and floating-point formulas.
"""

import struct
from typing import NamedTuple


class Bme688Trim(NamedTuple):
    """The calibration of one chip, by the names of the datasheet; `heat_*` are of the heater."""

    t1: int
    t2: int
    t3: int
    p1: int
    p2: int
    p3: int
    p4: int
    p5: int
    p6: int
    p7: int
    p8: int
    p9: int
    p10: int
    h1: int
    h2: int
    h3: int
    h4: int
    h5: int
    h6: int
    h7: int
    g1: int
    g2: int
    g3: int
    heat_value: int
    heat_range: int


def parse_trim(data: bytes) -> Bme688Trim:
    """The three blocks of the calibration, one after the other: 42 bytes."""
    t2, t3, p1, p2, p3, p4, p5, p7, p6, p8, p9, p10 = struct.unpack("<hbxHhbxhhbbxxhhB", data[:23])
    high2, both, high1, h3, h4, h5, h6, h7, t1, g2, g1, g3 = struct.unpack(
        "<BBBbbbBbHhbb", data[23:37]
    )
    heat_value, heat_range = struct.unpack("<bxBxx", data[37:])
    return Bme688Trim(
        t1, t2, t3, p1, p2, p3, p4, p5, p6, p7, p8, p9, p10,
        high1 << 4 | both & 0x0F, high2 << 4 | both >> 4, h3, h4, h5, h6, h7,
        g1, g2, g3, heat_value, heat_range >> 4 & 0x03,
    )  # fmt: skip


def fine_temperature(trim: Bme688Trim, raw: int) -> float:
    """The temperature in 1/5120 Cel."""
    near = (raw / 16384 - trim.t1 / 1024) * trim.t2
    far = (raw / 131072 - trim.t1 / 8192) ** 2 * trim.t3 * 16
    return near + far


def pressure(trim: Bme688Trim, fine: float, raw: int) -> float:
    """The pressure in Pa; 0 for a calibration by which it cannot be calculated."""
    t = fine / 2 - 64000
    offset = (t * t * trim.p6 / 131072 + t * trim.p5 * 2) / 4 + trim.p4 * 65536
    slope = (1 + (trim.p3 * t * t / 16384 + trim.p2 * t) / 524288 / 32768) * trim.p1
    if slope <= 0:
        return 0.0
    p = (1048576 - raw - offset / 4096) * 6250 / slope
    square = trim.p9 * p * p / 2147483648
    cube = (p / 256) ** 3 * trim.p10 / 131072
    return p + (square + p * trim.p8 / 32768 + cube + trim.p7 * 128) / 16


def humidity(trim: Bme688Trim, fine: float, raw: int) -> float:
    """The relative humidity in %, not cut off at 0 and 100."""
    cel = fine / 5120
    base = raw - (trim.h1 * 16 + trim.h3 / 2 * cel)
    bend = 1 + trim.h4 / 16384 * cel + trim.h5 / 1048576 * cel * cel
    h = base * trim.h2 / 262144 * bend
    return h + (trim.h6 / 16384 + trim.h7 / 2097152 * cel) * h * h


def resistance(data: bytes) -> float:
    """The gas sensor's resistance in Ohm: a count of 10 bits in one of 16 ranges."""
    word = int.from_bytes(data[-2:])
    count, span = word >> 6, word & 0x0F
    return 1e6 * (262144 >> span) / (4096 + 3 * (count - 512))


def heater_code(trim: Bme688Trim, target_cel: float, air_cel: float) -> int:
    """What the heater's register must hold to reach a temperature from that of the air."""
    cold = trim.g1 / 16 + 49
    rise = trim.g2 / 32768 * 0.0005 + 0.00235
    hot = cold * (1 + rise * target_cel) + trim.g3 / 1024 * air_cel
    code = 3.4 * (hot * 4 / (4 + trim.heat_range) / (1 + trim.heat_value * 0.002) - 25)
    return max(0, min(255, int(code)))


def heating_code(duration_ms: int) -> int:
    """How long to heat: six bits, and two that say how often to multiply them by four."""
    factor = 0
    while duration_ms > 0x3F and factor < 3:
        duration_ms //= 4
        factor += 1
    return factor << 6 | min(0x3F, duration_ms)
