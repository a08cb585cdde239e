"""What others' names for values are in ours: written for this suite, apart from the drivers' own.

Another implementation gives a number under a code and a unit; which of our points that is, and how
many of our unit, is said here by hand, so that a slip in the drivers' tables shows.
"""

from collections.abc import Iterable
from decimal import Decimal
from typing import Final

CODES: Final = {  # groups C, D, E of OBIS
    (1, 8, 0): "energy_import",
    (2, 8, 0): "energy_export",
    (3, 8, 0): "reactive_energy_import",
    (4, 8, 0): "reactive_energy_export",
    (15, 8, 0): "energy_total",
    **{(1, 8, n): f"energy_import_t{n}" for n in (1, 2, 3, 4)},
    **{(2, 8, n): f"energy_export_t{n}" for n in (1, 2, 3, 4)},
    (16, 7, 0): "power",
    (36, 7, 0): "power_l1",
    (56, 7, 0): "power_l2",
    (76, 7, 0): "power_l3",
    (32, 7, 0): "voltage_l1",
    (52, 7, 0): "voltage_l2",
    (72, 7, 0): "voltage_l3",
    (31, 7, 0): "current_l1",
    (51, 7, 0): "current_l2",
    (71, 7, 0): "current_l3",
    (13, 7, 0): "power_factor",
    (14, 7, 0): "frequency",
    (81, 7, 1): "voltage_angle_l2",
    (81, 7, 2): "voltage_angle_l3",
    (81, 7, 4): "phase_angle_l1",
    (81, 7, 15): "phase_angle_l2",
    (81, 7, 26): "phase_angle_l3",
}
PARTS: Final = {  # taken and given apart: the point, and its sign
    (1, 7, 0): ("power", 1),
    (2, 7, 0): ("power", -1),
    (3, 7, 0): ("reactive_power", 1),
    (4, 7, 0): ("reactive_power", -1),
    (21, 7, 0): ("power_l1", 1),
    (22, 7, 0): ("power_l1", -1),
    (41, 7, 0): ("power_l2", 1),
    (42, 7, 0): ("power_l2", -1),
    (61, 7, 0): ("power_l3", 1),
    (62, 7, 0): ("power_l3", -1),
}
# to kWh, kvarh, W, var, V, A, Hz, degrees; a meter that tells no unit shows these
UNITS: Final[dict[str, int | Decimal]] = {
    "kWh": 1, "Wh": Decimal("0.001"), "MWh": 1000, "kvarh": 1, "varh": Decimal("0.001"),
    "kW": 1000, "W": 1, "kvar": 1000, "V": 1, "A": 1, "Hz": 1, "deg": 1, "": 1,
}  # fmt: skip
SUMS: Final = ("energy_import", "energy_export")

Decoded = tuple[tuple[int, int, int], Decimal | None, str]
"""A value of another implementation: its code, its number, its unit."""


def named(values: Iterable[Decoded]) -> dict[str, float | None]:
    """Their values under our points; the first of each code counts, as it does for a reader.

    Taken and given become one number with a sign, tariffs a total where there is none: sums of
    what the other side gives.
    """
    found: dict[str, Decimal | None] = {}
    parts: dict[str, dict[int, Decimal | None]] = {}
    for code, number, unit in values:
        value = None if number is None or unit not in UNITS else number * UNITS[unit]
        if code in CODES:
            found.setdefault(CODES[code], value)
        elif code in PARTS:
            key, sign = PARTS[code]
            parts.setdefault(key, {}).setdefault(sign, value)
    for key, sides in parts.items():
        if key not in found:
            known = [sign * value for sign, value in sides.items() if value is not None]
            found[key] = sum(known, Decimal()) if len(known) == len(sides) else None
    for key in SUMS:
        tariffs = [found[name] for n in (1, 2, 3, 4) if (name := f"{key}_t{n}") in found]
        if key not in found and len(tariffs) > 1:
            known = [one for one in tariffs if one is not None]
            found[key] = sum(known, Decimal()) if len(known) == len(tariffs) else None
    return {key: None if value is None else float(value) for key, value in found.items()}
