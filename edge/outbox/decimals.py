"""Short decimals: a float of a few decimals as a MessagePack extension, in the bytes that it needs.

Nearly every float of a summary is a whole number of decimal steps: 230.1 takes four bytes, not
nine. The type of the extension says how many decimals there are, its bytes hold the whole number.
All comes back bit for bit.
"""

from math import copysign
from typing import Any, Final

import msgpack

POWERS_OF_TEN: Final[tuple[int, ...]] = tuple(10**digits for digits in range(8))
LIMIT: Final = 1 << 31  # of the whole number
SMALLEST: Final = 0.0001  # what lies nearer to zero stays as it is: so it was from the start
CONTAINERS: Final = frozenset({dict, list, tuple})
SCALARS: Final = frozenset({int, str, bool, type(None)})
_extension: Final = tuple.__new__  # what `ExtType(...)` checks of a number and bytes is known here
MAX_NESTING: Final = 8  # what lies deeper than this stays as it is


def pack_decimals(value: Any, deep: int = MAX_NESTING) -> Any:
    """The same with extensions in place of its floats, as far as they are short decimals. It calls
    nothing for what stays as it is: a commit has thousands of such values."""
    if value.__class__ is float:
        return _short(value)
    if not deep or value.__class__ not in CONTAINERS:
        return value
    if value.__class__ is dict:
        packed = value.copy()
        for key, each in value.items():
            if each.__class__ is float:
                packed[key] = _short(each)
            elif each.__class__ in CONTAINERS:
                packed[key] = pack_decimals(each, deep - 1)
        return packed
    if SCALARS.issuperset(map(type, value)):  # counts
        return value
    return [
        _short(each)
        if each.__class__ is float
        else pack_decimals(each, deep - 1)
        if each.__class__ in CONTAINERS
        else each
        for each in value
    ]


def _short(value: float) -> float | msgpack.ExtType:
    """As few decimals as read back as the same; three are enough for nearly all."""
    if not -LIMIT < value < LIMIT:
        return value  # NaN is not between them either
    whole, digits = round(value * 1000), 3
    if whole / 1000 != value:
        whole, digits = round(value * POWERS_OF_TEN[-1]), len(POWERS_OF_TEN) - 1
        if whole / POWERS_OF_TEN[-1] != value or -SMALLEST < value < SMALLEST:
            return value
    elif not whole and copysign(1, value) < 0:
        return value
    while digits and not whole % 10:
        whole, digits = whole // 10, digits - 1
    if not -LIMIT < whole < LIMIT:
        return value
    size = 1 if -0x80 <= whole < 0x80 else 2 if -0x8000 <= whole < 0x8000 else 4
    return _extension(msgpack.ExtType, (digits, whole.to_bytes(size, "big", signed=True)))


def unpack_decimal(digits: int, data: bytes) -> float:
    """Back, as `ext_hook`. Raises ValueError for what was not written here."""
    if not 0 <= digits < len(POWERS_OF_TEN) or len(data) not in (1, 2, 4):
        raise ValueError(f"an extension of type {digits} with {len(data)} bytes")
    return int.from_bytes(data, "big", signed=True) / POWERS_OF_TEN[digits]
