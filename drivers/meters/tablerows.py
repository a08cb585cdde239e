"""The rows of a meter's table: points, ratios, conditions, and where the serial number is."""

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from drivers.meters.registermodel import (
    ENERGIES,
    WORDS,
    ConditionField,
    Register,
    SerialField,
    ratio_factor,
)
from drivers.meters.rowfields import choice, choices, is_int, number, unknown_keys, whole_number
from edge.core import Condition, Point, PointKind, Quantity

QUANTITIES: Final = {quantity.label: quantity for quantity in Quantity}
KINDS: Final = {kind.value: kind for kind in PointKind}
CONDITIONS: Final = {str(condition): condition for condition in Condition}
WHOLE: Final = {kind: words for kind, words in WORDS.items() if kind[0] != "f"}
SERIALS: Final = {"u16": 1, "u32": 2, "u64": 4, "text": 0}
FUNCTIONS: Final = (3, 4)
PLACE_KEYS: Final = ("address", "type", "function")
POINT_KEYS: Final = (
    *PLACE_KEYS, "quantity", "low", "high", "scale", "kind", "resolution", "times",
)  # fmt: skip
RATIO_KEYS: Final = (*PLACE_KEYS, "low", "high", "scale")
SIGN_KEYS: Final = (*PLACE_KEYS, "normal", "says")
IDENTITY_KEYS: Final = (*PLACE_KEYS, "length")
LONGEST_TEXT: Final = 32  # registers


def point_row(
    key: str, row: Any, ratios: Mapping[str, Register], wrong: list[str]
) -> Register | None:
    """A value that is published."""
    if not re.fullmatch(r"[a-z][a-z0-9_]*", key):
        wrong.append("a key is lower case letters, digits and _, and begins with a letter")
    if not _is_row(row, POINT_KEYS, wrong):
        return None
    place = _place(row, WORDS, wrong)
    quantity = choice(row, "quantity", QUANTITIES, wrong)
    low, high = _range(row, wrong)
    scale = _scale(row, wrong)
    resolution = number(row, "resolution", wrong) if "resolution" in row else 0.0
    if "resolution" in row and resolution is not None and resolution <= 0:
        wrong.append("resolution must be above 0, in the unit of the quantity")
    if quantity is not None and QUANTITIES[quantity] in ENERGIES and "kind" not in row:
        wrong.append('kind is missing: "total" for a register that only grows, else "gauge"')
    grows = choice(row, "kind", KINDS, wrong) if "kind" in row else "gauge"
    times = choices(row, "times", ratios, wrong)
    if wrong or place is None or quantity is None or grows is None:
        return None
    point = Point(key, QUANTITIES[quantity], low, high, resolution or 0.0, KINDS[grows])
    register = replace(place, point=point, scale=scale, times=times)
    if not times:
        return register
    largest = ratio_factor(register, ratios)  # the row bounds what the meter's terminals have
    point = replace(point, low=low * largest, high=high * largest)
    return replace(register, point=point, low=low, high=high)


def ratio_row(key: str, row: Any, wrong: list[str]) -> Register | None:
    """A factor that the meter keeps in a register."""
    if not _is_row(row, RATIO_KEYS, wrong):
        return None
    place = _place(row, WORDS, wrong)
    low, high = _range(row, wrong)
    if low < 1:
        wrong.append("low must be 1 or more: a ratio multiplies, and is never 0")
    scale = _scale(row, wrong)
    if wrong or place is None:
        return None
    return replace(place, point=Point(key, Quantity.COUNT, low, high), scale=scale)


def condition_row(key: str, row: Any, wrong: list[str]) -> ConditionField | None:
    """A register that is not normal while a condition holds."""
    if key not in CONDITIONS:
        wrong.append(f"it must be one of {', '.join(CONDITIONS)}")
    if not _is_row(row, SIGN_KEYS, wrong):
        return None
    place = _place(row, WHOLE, wrong)
    if not is_int(row.get("normal")):
        wrong.append("normal must be a whole number: what the register holds when all is well")
    if not isinstance(row.get("says"), str) or not row["says"]:
        wrong.append("says must be a sentence for a person")
    if wrong or place is None:
        return None
    return ConditionField(
        CONDITIONS[key], replace(place, point=_state(key)), row["normal"], row["says"]
    )


def serial_row(row: Any, function: Any, wrong: list[str]) -> SerialField | None:
    """Where the serial number is."""
    if not _is_row(row, IDENTITY_KEYS, wrong):
        return None
    place = _place(row, SERIALS, wrong)
    length = None
    if row.get("type") == "text":
        length = whole_number(row, "length", 1, LONGEST_TEXT, wrong)
    elif "length" in row:
        wrong.append('length is for type = "text": so many registers of two letters')
    if wrong or place is None:
        return None
    words = length or SERIALS[place.type]
    return SerialField(place.address, place.type, place.function or function, words)


def _is_row(row: Any, keys: tuple[str, ...], wrong: list[str]) -> bool:
    if isinstance(row, dict):
        wrong += unknown_keys(row, keys)
        return True
    wrong.append('must be a row: { address = 0x0000, type = "f32", quantity = "voltage", ... }')
    return False


def _place(row: Mapping[str, Any], types: Mapping[str, int], wrong: list[str]) -> Register | None:
    """Address, type and function, without what they mean."""
    kind = choice(row, "type", types, wrong)
    address, words = row.get("address"), types[kind] or 1 if kind else 1
    if not is_int(address) or not 0 <= address <= 0x10000 - words:
        wrong.append(f"address must be 0..{0x10000 - words:#06x}, as it goes over the wire")
        return None
    if row.get("function", 3) not in FUNCTIONS:
        wrong.append("function must be 3 (holding registers) or 4 (input registers)")
    if kind is None:
        return None
    return Register(_state(""), address, kind, function=row.get("function", 0))


def _state(key: str) -> Point:
    return Point(key, Quantity.STATE)


def _range(row: Mapping[str, Any], wrong: list[str]) -> tuple[float, float]:
    low, high = (number(row, name, wrong, required=True) for name in ("low", "high"))
    if low is None or high is None:
        return 1.0, 2.0  # said already
    if not low < high:
        wrong.append(f"low must be below high, not {low:g} and {high:g}")
    return low, high


def _scale(row: Mapping[str, Any], wrong: list[str]) -> float:
    scale = number(row, "scale", wrong) if "scale" in row else 1.0
    if scale == 0:
        wrong.append("scale must not be 0: value = register * scale")
    return scale or 1.0
