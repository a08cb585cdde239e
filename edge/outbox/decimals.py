"""Floats that are short decimals as MessagePack extensions: 230.1 takes four bytes, not nine.

Nearly every float of a summary is one, a whole number of steps. The type of the extension says how
many decimals there are, its bytes hold the whole number. All comes back bit for bit.
"""

from math import copysign
from typing import Any, Final

import msgpack

POWERS_OF_TEN: Final[tuple[int, ...]] = tuple(10**digits for digits in range(8))
LIMIT: Final = 1 << 31  # of the whole number
MAX_NESTING: Final = 8  # what lies deeper than this stays as it is


def pack_decimals(value: Any, deep: int = MAX_NESTING) -> Any:
    """The same with extensions in place of its floats, as far as they are short decimals."""
    if value.__class__ is float:
        return _short(value)
    if not deep:
        return value
    if value.__class__ is dict:
        return {key: pack_decimals(each, deep - 1) for key, each in value.items()}
    if value.__class__ in (list, tuple):
        return [pack_decimals(each, deep - 1) for each in value]
    return value


def _short(value: float) -> float | msgpack.ExtType:
    if not -LIMIT < value < LIMIT or (value == 0 and copysign(1, value) < 0):
        return value  # NaN is not between them either
    text = repr(value)  # the shortest that reads back as the same
    digits = 0 if text.endswith(".0") else len(text) - 1 - text.find(".")
    if digits >= len(POWERS_OF_TEN) or "e" in text:
        return value
    whole = round(value * POWERS_OF_TEN[digits])
    if not -LIMIT < whole < LIMIT or whole / POWERS_OF_TEN[digits] != value:
        return value
    size = 1 if -0x80 <= whole < 0x80 else 2 if -0x8000 <= whole < 0x8000 else 4
    return msgpack.ExtType(digits, whole.to_bytes(size, "big", signed=True))


def unpack_decimal(digits: int, data: bytes) -> float:
    """Back, as `ext_hook`. Raises ValueError for what was not written here."""
    if not 0 <= digits < len(POWERS_OF_TEN) or len(data) not in (1, 2, 4):
        raise ValueError(f"an extension of type {digits} with {len(data)} bytes")
    return int.from_bytes(data, "big", signed=True) / POWERS_OF_TEN[digits]
