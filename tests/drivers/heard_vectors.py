"""What devices say in the published vectors: which driver hears it, amid what, and what it means.

`HEARD`: a vector of what is heard -> the talk around it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from edge.core import Bad, Reason, Sample

Reported = Mapping[str, Any]
Values = dict[str, Sample]

# -- what their names mean here: our point, and how many of its unit one of theirs is --------------

NAMES = {
    **{f"{ours}_ugm3": (ours, 1.0) for ours in ("pm1_0", "pm2_5", "pm4_0", "pm10")},
    **{f"{ours}_cm3": (ours, 1.0) for ours in ("nc0_5", "nc1_0", "nc2_5", "nc4_0", "nc10")},
    **{f"{ours}_per_0.1L": (ours, 0.01) for ours in ("n0_3", "n0_5", "n1_0", "n2_5", "n5_0")},
    "n10_per_0.1L": ("n10", 0.01), "n0_3_per_0_1L": ("n0_3", 0.01),
    **{key: (key, 0.01) for key in ("n0_5", "n1_0", "n2_5")},
    "pm1_atm": ("pm1_0", 1.0), "pm2_5_atm": ("pm2_5", 1.0), "pm10_atm": ("pm10", 1.0),
    "typical_size_um": ("typical_size", 1.0), "co2_ppm": ("co2", 1.0),
    "temperature_c": ("temperature", 1.0), "humidity_pct": ("humidity", 1.0),
    "voc_index": ("voc_index", 1.0), "nox_index": ("nox_index", 1.0),
    "sraw_voc": ("voc_ticks", 1.0), "sraw_nox": ("nox_ticks", 1.0),
    "energy_import_t1_kwh": ("energy_import_t1", 1.0), "gas_m3": ("gas_volume", 1.0),
    "energy_import_t2_kwh": ("energy_import_t2", 1.0), "power_import_kw": ("power", 1000.0),
    "energy_export_t1_kwh": ("energy_export_t1", 1.0),
    "energy_export_t2_kwh": ("energy_export_t2", 1.0),
    "energy_import_total_kwh": ("energy_import", 1.0),
    "energy_export_total_kwh": ("energy_export", 1.0),
    "energy_import_t1_wh": ("energy_import_t1", 0.001), "energy_t1_wh": ("energy_import_t1", 0.001),
    "energy_import_t2_wh": ("energy_import_t2", 0.001), "energy_t2_wh": ("energy_import_t2", 0.001),
    **{key: (key, 1.0) for n in "123" for key in (f"voltage_l{n}", f"current_l{n}")},
}  # fmt: skip
NO_POINTS = {
    "pm1_cf1", "pm2_5_cf1", "pm10_cf1",  # for indoor air
    "version_err", "device_id", "serial", "equipment_id", "id", "manufacturer", "version",
    "timestamp", "gas_timestamp", "tariff", "humidity_unclamped", "temp_raw",
    "power_export_kw",  # none in these; `power` is the difference
    "energy_sub2_t1_wh",  # what subunits mean, each maker decides
}  # fmt: skip
DLT645 = {  # their data identifier -> our points
    "00010000": ["energy_import"], "02010100": ["voltage_l1"], "02020100": ["current_l1"],
    "02030000": ["power"], "02040000": ["reactive_power"], "02060000": ["power_factor"],
    "0201ff00": ["voltage_l1", "voltage_l2", "voltage_l3"],
}  # fmt: skip
MBUS = {"V": "voltage", "A": "current", "W": "power"}


def by_name(reported: Reported) -> Values:
    """Each value that is told; a name that is neither known nor set aside is an error."""
    rest = {key: value for key, value in reported.items() if key not in NO_POINTS}
    return {
        NAMES[key][0]: Bad(Reason.WARMUP) if value is None else NAMES[key][1] * value
        for key, value in rest.items()
    }


def by_identifier(reported: Reported) -> Values:
    factor = 1000 if reported["unit"] in ("kW", "kvar") else 1
    values = reported.get("values", [reported.get("value")])
    return {k: factor * v for k, v in zip(DLT645[reported["di"]], values, strict=True)}


def by_channel(reported: Reported) -> Values:
    found: Values = {}
    for number, one in enumerate(reported["channels"], 1):
        found |= {f"ch{number}_volume": one["count_mod_256"], f"ch{number}_state": one["state"]}
    return found


@dataclass(frozen=True)
class Talk:
    """What is said around a frame (bytes, or another vector), and how its values are told."""

    driver: str
    before: tuple[str, ...] = ()
    after: tuple[str, ...] = ()
    means: Callable[[Reported], Values] = by_name
    besides: Values = field(default_factory=dict)  # what we say and they do not, or otherwise
    abs: float = 1e-9  # to how much they have rounded
    refused: Reason | None = None


SCD41 = ("ec05", "scd4x-read-measurement")
ASKED_SGP41 = ("26198000a2666693",)
NOTHING: Callable[[Reported], Values] = lambda reported: {}  # noqa: E731
CO2: Values = {"co2": 500}
ENERGY: Values = {"energy_import": 1234.567}
HEARD: dict[str, Talk] = {
    "pms3003-test": Talk("pms3003"),
    "pms5003-captured": Talk("pms5003"),
    "pms5003-captured-2": Talk("pms5003"),
    "pms5003t-captured": Talk("pms5003t"),
    "pms5003-warming-up": Talk("pms5003", means=NOTHING, besides={"pm10": Bad(Reason.WARMUP)}),
    "sds011-captured-1": Talk("sds011"),
    "sds011-captured-2": Talk("sds011"),
    "zh0xx-test": Talk("zh03b", means=lambda reported: dict(
        zip(("pm2_5", "pm10", "pm1_0"), reported["words_be"], strict=True)
    )),
    "mhz19b-500": Talk("mhz19"),
    "mhz19b-captured": Talk("mhz19", means=lambda reported: {
        "co2": reported["co2_ppm"], "inner_temperature": reported["temperature_c"],
    }),
    "sps30-i2c-read": Talk("sps30", ("0300",)),
    "sps30-shdlc-read-captured": Talk("sps30_uart", ("sps30-shdlc-read",), abs=6e-5),
    # no particle that it can see is so large
    "sps30-shdlc-read-42": Talk("sps30_uart", besides={"typical_size": Bad(Reason.RANGE)}),
    "sps30-shdlc-ack": Talk("sps30_uart", (), ("sps30-shdlc-read-42",), NOTHING, {"pm10": 42.0}),
    "sps30-shdlc-not-allowed": Talk("sps30_uart", refused=Reason.SILENT),
    "scd4x-read-measurement": Talk("scd41", ("ec05",), abs=5e-4),
    # what it spells: tests/drivers/chips/test_scd41.py
    "scd4x-serial": Talk("scd41", ("3682",), SCD41, NOTHING, CO2),
    "scd4x-data-ready-yes": Talk("scd41", ("e4b8",), SCD41, NOTHING, CO2),
    "scd4x-data-ready-no": Talk("scd41", ("e4b8",), (), NOTHING, {"co2": Bad(Reason.STALE)}),
    "sen55-read": Talk("sen55", ("03c4",)),
    "sen55-read-negative-temp": Talk("sen55", ("03c4",)),
    "sen55-read-unknown": Talk("sen55", ("03c4",)),
    "sen66-read": Talk("sen66", ("0300",)),
    "sen66-read-unknown": Talk("sen66", ("0300",), (), NOTHING, {"co2": Bad(Reason.WARMUP)}),
    "sgp41-read": Talk("sgp41", ASKED_SGP41),
    "sht4x-read": Talk("sht4x", ("fd",), abs=5e-4),
    "sht4x-clamp-low": Talk("sht4x", ("fd",), abs=5e-4),
    **{f"dlt645-{name}": Talk("dlt645", means=by_identifier) for name in (
        "current", "energy", "energy-1234", "negative-power-own", "pf", "power", "reactive",
        "voltage", "voltage-block-own",
    )},
    "dlt645-error-own": Talk("dlt645", refused=Reason.ADDRESS),
    "dsmr5-minimal-own": Talk("dsmr"),
    "dsmr5-telegram": Talk("dsmr"),
    # what it names: tests/drivers/chips/test_iec62056.py
    "iec62056-ident": Talk("iec62056", (), ("iec62056-readout-own",), NOTHING, ENERGY),
    "iec62056-readout-own": Talk("iec62056"),
    "mbus-ack": Talk("mbus", (), ("mbus-electricity-meter-1",), NOTHING, {"voltage_l1": 237.0}),
    "mbus-emu_emu-professional-375-m-bus": Talk("mbus"),
    "mbus-electricity-meter-1": Talk("mbus"),
    # each stands several times, of which phase nobody says: tests/drivers/chips/test_mbus.py
    "mbus-eastron_sdm630": Talk("mbus", means=lambda reported: {
        MBUS[unit]: Bad(Reason.CONTRADICTED) for unit, _ in reported["records"]
    }),
    "canoga-events-own": Talk("canoga", ("canoga-req-events-0",), means=by_channel),
}  # fmt: skip
