"""Bosch's floating-point formulas, written down line by line as in the C of its drivers.

They share nothing with the drivers here but the datasheets.
"""

from typing import NamedTuple


class Air(NamedTuple):
    """What comes out, not cut off."""

    cel: float
    percent: float
    pascal: float


def bme280(
    t: tuple[int, ...], p: tuple[int, ...], h: tuple[int, ...], adc_t: int, adc_h: int, adc_p: int
) -> Air:
    """BME280_SensorAPI, compensate_temperature, _pressure, _humidity with BME280_DOUBLE_ENABLE."""
    var1 = (adc_t / 16384.0 - t[0] / 1024.0) * t[1]
    var2 = adc_t / 131072.0 - t[0] / 8192.0
    var2 = (var2 * var2) * t[2]
    t_fine = var1 + var2
    cel = (var1 + var2) / 5120

    var1 = t_fine / 2.0 - 64000.0
    var2 = var1 * var1 * p[5] / 32768.0
    var2 = var2 + var1 * p[4] * 2.0
    var2 = (var2 / 4.0) + (p[3] * 65536.0)
    var3 = p[2] * var1 * var1 / 524288.0
    var1 = (var3 + p[1] * var1) / 524288.0
    var1 = (1.0 + var1 / 32768.0) * p[0]
    pascal = 1048576.0 - adc_p
    pascal = (pascal - (var2 / 4096.0)) * 6250.0 / var1
    var1 = p[8] * pascal * pascal / 2147483648.0
    var2 = pascal * p[7] / 32768.0
    pascal = pascal + (var1 + var2 + p[6]) / 16.0

    var1 = t_fine - 76800.0
    var2 = h[3] * 64.0 + (h[4] / 16384.0) * var1
    var3 = adc_h - var2
    var4 = h[1] / 65536.0
    var5 = 1.0 + (h[2] / 67108864.0) * var1
    var6 = 1.0 + (h[5] / 67108864.0) * var1 * var5
    var6 = var3 * var4 * (var5 * var6)
    return Air(cel, var6 * (1.0 - h[0] * var6 / 524288.0), pascal)


def bme688(
    t: tuple[int, ...], p: tuple[int, ...], h: tuple[int, ...], adc_t: int, adc_h: int, adc_p: int
) -> Air:
    """BME68x_SensorAPI, calc_temperature, calc_pressure, calc_humidity with BME68X_USE_FPU."""
    var1 = ((adc_t / 16384.0) - (t[0] / 1024.0)) * t[1]
    var2 = (((adc_t / 131072.0) - (t[0] / 8192.0)) * ((adc_t / 131072.0) - (t[0] / 8192.0))) * (
        t[2] * 16.0
    )
    t_fine = var1 + var2
    cel = t_fine / 5120.0

    var1 = (t_fine / 2.0) - 64000.0
    var2 = var1 * var1 * (p[5] / 131072.0)
    var2 = var2 + (var1 * p[4] * 2.0)
    var2 = (var2 / 4.0) + (p[3] * 65536.0)
    var1 = (((p[2] * var1 * var1) / 16384.0) + (p[1] * var1)) / 524288.0
    var1 = (1.0 + (var1 / 32768.0)) * p[0]
    pascal = 1048576.0 - adc_p
    pascal = ((pascal - (var2 / 4096.0)) * 6250.0) / var1
    var1 = (p[8] * pascal * pascal) / 2147483648.0
    var2 = pascal * (p[7] / 32768.0)
    var3 = (pascal / 256.0) * (pascal / 256.0) * (pascal / 256.0) * (p[9] / 131072.0)
    pascal = pascal + (var1 + var2 + var3 + (p[6] * 128.0)) / 16.0

    var1 = adc_h - ((h[0] * 16.0) + ((h[2] / 2.0) * cel))
    var2 = var1 * (
        (h[1] / 262144.0) * (1.0 + ((h[3] / 16384.0) * cel) + ((h[4] / 1048576.0) * cel * cel))
    )
    var3 = h[5] / 16384.0
    var4 = h[6] / 2097152.0
    return Air(cel, var2 + ((var3 + (var4 * cel)) * var2 * var2), pascal)


def heater(g: tuple[int, ...], value: int, span: int, target_cel: float, air_cel: float) -> int:
    """BME68x_SensorAPI, calc_res_heat with BME68X_USE_FPU."""
    var1 = (g[0] / 16.0) + 49.0
    var2 = ((g[1] / 32768.0) * 0.0005) + 0.00235
    var3 = g[2] / 1024.0
    var4 = var1 * (1.0 + (var2 * target_cel))
    var5 = var4 + (var3 * air_cel)
    code = 3.4 * ((var5 * (4 / (4 + span)) * (1 / (1 + (value * 0.002)))) - 25)
    return int(code)


def gas(adc: int, span: int) -> float:
    """BME68x_SensorAPI, calc_gas_resistance_high with BME68X_USE_FPU."""
    var1 = 262144 >> span
    var2 = adc - 512
    var2 *= 3
    var2 = 4096 + var2
    return 1000000.0 * var1 / var2
