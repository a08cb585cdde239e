"""A meter's table drafted from a list of its registers, for a person to go over.

    python -m drivers.meters.convert FILE.toml --volts 300 --amps 120 > drivers/meters/NAME.toml

The list has [meter], [serial] and [modbus], and a [[register]] with quantity, address, type,
scale and unit for each value. Names become ours; ranges come from the largest voltage and
current; a line that says where it is from begins the table. What the list cannot say (which
values mean none, for which rated current the ranges are) is to be added by hand.
"""

import argparse
import math
import re
import sys
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from edge.core import Quantity
from edge.terminal import echo

TYPES: Final = {
    "uint16": "u16", "int16": "i16", "uint32": "u32", "int32": "i32",
    "uint64": "u64", "int64": "i64", "float32": "f32", "float64": "f64",
}  # fmt: skip
WORDS: Final = {"msw_first": "big", "lsw_first": "little"}
UNITS: Final = {quantity.unit: quantity for quantity in Quantity} | {
    "1": Quantity.POWER_FACTOR,
    "%": Quantity.DISTORTION,
}
NAMES: Final = (  # theirs, ours; in this order
    (r"^active_power", "power"),
    (r"^energy_import_total_hires$", "energy_import_fine"),
    (r"^(energy|reactive_energy)_sum_total$", r"\1_total"),
    (r"^(energy|reactive_energy)_sum", r"\1_total"),
    (r"(?<!^energy)(?<!^reactive_energy)_total$", ""),
    (r"_ln_avg$", "_avg"),
    (r"^voltage_l32$", "voltage_l23"),
    (r"^voltage_l13$", "voltage_l31"),
)
SIGNS: Final = {  # registers that are no measurement: condition and sentence
    "phase_sequence": ("phases", "the phases turn the wrong way round: L1, L3, L2"),
    "alarm_status": ("overload", "the power is above the alarm threshold that is set in it"),
}
RATIOS: Final = {"pt_ratio": "pt", "ct_ratio": "ct"}
HOLDING: Final = 3  # the function that reads what can be set


def our_quantity(theirs: str) -> str:
    """What we call a quantity of the list."""
    for pattern, name in NAMES:
        theirs = re.sub(pattern, name, theirs)
    return theirs


def draft_table(doc: Mapping[str, Any], volts: float, amps: float, kwh: float) -> str:
    """The draft. Raises KeyError for a list that lacks something, or tells it in other words."""
    meter, modbus, serial = doc["meter"], doc["modbus"], doc.get("serial", {})
    function = modbus["read_functions"][0]
    settings = {row["quantity"]: row for row in doc.get("config_register", [])}
    head = {
        "maker": _text(meter["vendor"]),
        "model": _text(meter["model"]),
        "function": str(function),
        "words": _text(WORDS[modbus["word_order"]]),
        "max_registers": str(modbus["max_registers_per_request"]),
    }
    if serial.get("baud"):
        head["line"] = _text(f"{serial['baud']} 8{serial['parity']}{serial['stop']}")
    rows = doc["register"]
    if "serial_number" in settings:
        head["identity"] = _row(_place(settings["serial_number"], HOLDING, function))
    sources = "; ".join(meter["sources"])
    lines = [f"# {meter['vendor']} {meter['model']}", f"# Source: {sources}", ""]
    lines += [f"{key} = {value}" for key, value in head.items()]
    ratios = {ours_: settings[key] for key, ours_ in RATIOS.items() if key in settings}
    lines += _section("ratios", {name: _ratio(row, function) for name, row in ratios.items()})
    signs = {SIGNS[r["quantity"]][0]: _sign(r) for r in rows if r["quantity"] in SIGNS}
    lines += _section("conditions", signs)
    points = {
        our_quantity(row["quantity"]): _point(row, meter["phases"], volts, amps, kwh)
        for row in rows
        if row["quantity"] not in SIGNS
    }
    return "\n".join(lines + _section("points", points)) + "\n"


def _point(
    row: Mapping[str, Any], phases: int, volts: float, amps: float, kwh: float
) -> dict[str, str]:
    quantity, key = UNITS[row["unit"]], our_quantity(row["quantity"])
    low, high = _range(quantity, key, phases, volts, amps, kwh)
    if row["type"].startswith("u"):
        low = max(low, 0.0)
    elif quantity is Quantity.CURRENT and row["type"].startswith("int"):
        low = -high  # who gives a current a sign means its direction by it
    found = _place(row) | {
        "quantity": _text(quantity.label), "low": f"{low:.12g}", "high": f"{high:.12g}",
    }  # fmt: skip
    if row["scale"] != 1:
        found["scale"] = f"{row['scale']:g}"
    if "float" not in row["type"] and row["scale"] > quantity.resolution:
        found["resolution"] = f"{row['scale']:g}"
    if quantity.label.endswith("energy"):
        found["kind"] = _text("total")
    if "ratio" in row:
        found["times"] = str(row["ratio"].split("*")).replace("'", '"')
    return found


def _range(
    quantity: Quantity, key: str, phases: int, volts: float, amps: float, kwh: float
) -> tuple[float, float]:
    """Between which a value can be one: both directions where a quantity has two."""
    phases = 1 if re.search(r"_l[123]$", key) else phases
    match quantity:
        case Quantity.VOLTAGE if re.search(r"_l(\d\d|l_avg)$", key):
            return 0.0, float(math.ceil(math.sqrt(3) * volts))
        case Quantity.VOLTAGE:
            return 0.0, volts
        case Quantity.CURRENT:
            return 0.0, amps * (3 if key.endswith("sum") else 1)
        case Quantity.APPARENT_POWER:
            return 0.0, phases * volts * amps
        case Quantity.POWER | Quantity.REACTIVE_POWER:
            return -phases * volts * amps, phases * volts * amps
        case Quantity.POWER_FACTOR:
            return -1.0, 1.0
        case Quantity.ANGLE:
            return -360.0, 360.0
        case Quantity.FREQUENCY:
            return 40.0, 70.0
        case Quantity.DISTORTION:
            return 0.0, 100.0
    return 0.0, kwh


def _place(row: Mapping[str, Any], function: int = 0, usual: int = 0) -> dict[str, str]:
    found = {"address": f"0x{row['address']:04X}", "type": _text(TYPES[row["type"]])}
    return found | ({"function": str(function)} if function != usual else {})


def _ratio(row: Mapping[str, Any], function: int) -> dict[str, str]:
    return _place(row, HOLDING, function) | {"low": "1", "high": "10000"}


def _sign(row: Mapping[str, Any]) -> dict[str, str]:
    return _place(row) | {"normal": "0", "says": _text(SIGNS[row["quantity"]][1])}


def _text(value: str) -> str:
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _row(fields: Mapping[str, str]) -> str:
    return "{ " + ", ".join(f"{key} = {value}" for key, value in fields.items()) + " }"


def _section(name: str, rows: Mapping[str, Mapping[str, str]]) -> list[str]:
    """Rows whose columns stand below each other."""
    if not rows:
        return []
    width = max(map(len, rows))
    columns: dict[str, int] = {}
    for fields in rows.values():
        for key, value in fields.items():
            columns[key] = max(columns.get(key, 0), len(f"{key} = {value}, "))
    lines = ["", f"[{name}]"]
    for key, fields in rows.items():
        parts = [f"{k} = {v}, ".ljust(columns[k]) for k, v in fields.items()]
        lines.append(f"{key:<{width}} = {{ {''.join(parts).rstrip().removesuffix(',')} }}")
    return lines


def main(arguments: list[str] | None = None) -> int:
    """Print the table of one list. Returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m drivers.meters.convert", description=__doc__)
    parser.add_argument("file", type=Path, help="the list of registers, TOML")
    parser.add_argument("--volts", type=float, default=300.0, help="largest phase voltage")
    parser.add_argument("--amps", type=float, default=120.0, help="largest current of a phase")
    parser.add_argument("--kwh", type=float, default=9_999_999.0, help="where its counters turn")
    options = parser.parse_args(arguments)
    try:
        doc = tomllib.loads(options.file.read_text(encoding="utf-8"))
        draft = draft_table(doc, options.volts, options.amps, options.kwh)
    except (OSError, ValueError) as error:
        echo(f"{options.file} cannot be read: {error}", err=True)
        return 2
    except KeyError as error:
        echo(f"{options.file}: {error} is missing, or unknown to this converter", err=True)
        return 2
    echo(*draft.removesuffix("\n").split("\n"), fold=False)
    return 0


if __name__ == "__main__":
    sys.exit(main())
