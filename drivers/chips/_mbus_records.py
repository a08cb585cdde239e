"""What is in a telegram of the M-Bus: records, each with a value, its unit and what it is of.

Source: EN 13757-3 (data and value information blocks), as rscada/libmbus and pyMeterBus have it.
General knowledge only, not seen in two of them: reactive and apparent energy, power and the
frequency in the table FB, the phases behind VIFE FC, directions in VIFE 3B and 3C. That FF 01 to
FF 03 are phases is what the meters of EMU and SBC do (two makers; the standard leaves it to them).
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from math import isfinite
from typing import Final

from edge.core import DataError, Reason

SPECIAL, REST, MORE, FILLER = 0x0F, 0x0F, 0x1F, 0x2F
BITS_AT_MOST: Final = 10  # DIFE or VIFE of one record
INTEGERS: Final = {1: 1, 2: 2, 3: 3, 4: 4, 6: 6, 7: 8}  # data field -> bytes
DIGITS: Final = {9: 1, 10: 2, 11: 3, 12: 4, 14: 6}
REAL, TEXT, NONE = 5, 13, (0, 8)
TABLE_FD, TABLE_FB, PLAIN_TEXT = 0xFD, 0xFB, 0x7C


@dataclass(frozen=True, slots=True)
class MbusRecord:
    """One value. `vif` are the bytes that tell its unit; None: it is no number, or not valid."""

    function: int  # 0 now, 1 maximum, 2 minimum, 3 while in error
    storage: int
    tariff: int
    subunit: int
    vif: tuple[int, ...]
    value: int | float | None


@dataclass(frozen=True, slots=True)
class VifMeaning:
    """What a record is of, and what its number is to be multiplied with for the usual unit."""

    stem: str
    factor: Fraction
    phase: int = 0
    given: bool = False  # counts only what flows backward
    error: Reason | None = None


def parse_records(data: bytes) -> tuple[list[MbusRecord], bool]:
    """The records behind the header, and whether another telegram follows. Raises DataError."""
    found: list[MbusRecord] = []
    at = 0
    while at < len(data):
        dif = data[at]
        at += 1
        if dif == FILLER:
            continue
        if dif & 0x0F == SPECIAL:
            if dif not in (REST, MORE):
                raise DataError(f"a record begins with {dif:02x}, which is reserved")
            return found, dif == MORE
        storage, tariff, subunit = dif >> 6 & 1, 0, 0
        extended, at = _chain(dif, data, at)
        for place, dife in enumerate(extended):
            storage |= (dife & 0x0F) << (1 + 4 * place)
            tariff |= (dife >> 4 & 0x03) << (2 * place)
            subunit |= (dife >> 6 & 0x01) << place
        if at >= len(data):
            raise DataError("a record ends before its unit")
        vif = data[at]
        at += 1
        if vif & 0x7F == PLAIN_TEXT:
            at += 1 + (data[at] if at < len(data) else 0)
        more, at = _chain(vif, data, at)
        value, at = _value(dif & 0x0F, data, at)
        found.append(MbusRecord(dif >> 4 & 3, storage, tariff, subunit, (vif, *more), value))
    return found, False


def _chain(first: int, data: bytes, at: int) -> tuple[bytes, int]:
    """The bytes that follow as long as the highest bit is set."""
    start, last = at, first
    while last & 0x80:
        if at >= len(data) or at - start >= BITS_AT_MOST:
            raise DataError("a record's description does not end")
        last = data[at]
        at += 1
    return data[start:at], at


def _value(kind: int, data: bytes, at: int) -> tuple[int | float | None, int]:
    if kind in NONE:
        return None, at
    if kind == TEXT:
        return None, at + 1 + _text_size(_taken(data, at, 1)[0])
    size = INTEGERS.get(kind) or DIGITS.get(kind) or 4
    raw = _taken(data, at, size)
    at += size
    if kind in DIGITS:
        return _digits(raw), at
    if kind == REAL:
        number: float = struct.unpack("<f", raw)[0]
        return (number if isfinite(number) else None), at
    whole = int.from_bytes(raw, "little", signed=True)
    return (None if whole == -(1 << 8 * size - 1) else whole), at  # 80 00..: there is no value


def _taken(data: bytes, at: int, size: int) -> bytes:
    if at + size > len(data):
        raise DataError("a record ends before its value")
    return data[at : at + size]


def _digits(raw: bytes) -> int | None:
    """Packed digits, the low ones first; F in the highest place is a minus."""
    text = raw[::-1].hex()
    sign, text = (-1, text[1:]) if text[0] == "f" else (1, text)
    return sign * int(text) if text.isdecimal() else None


def _text_size(length: int) -> int:
    """How many bytes a value of variable length has, from its first byte."""
    if length < 0xC0:
        return length
    if length < 0xF0:
        return length & 0x0F
    sizes = {0xF0: 16, 0xF1: 20, 0xF2: 24, 0xF3: 28, 0xF4: 32, 0xF5: 48, 0xF6: 64}
    if length not in sizes:
        raise DataError(f"a value of variable length has the reserved length {length:02x}")
    return sizes[length]


# --- units ------------------------------------------------------------------------------------

Unit = tuple[int, int, str, int, Fraction]  # first code, how many, of what, exponent, factor
ONE, HOUR = Fraction(1), Fraction(1, 3600)

# for kWh, W, m3, m3/h, V, A, Hz, Cel
PRIMARY: Final[tuple[Unit, ...]] = (
    (0x00, 8, "energy", -6, ONE),
    (0x08, 8, "energy", -3, HOUR),  # J
    (0x10, 8, "volume", -6, ONE),
    (0x28, 8, "power", -3, ONE),
    (0x30, 8, "power", 0, HOUR),  # J/h
    (0x38, 8, "volume_flow", -6, ONE),
    (0x40, 8, "volume_flow", -7, Fraction(60)),
    (0x48, 8, "volume_flow", -9, 1 / HOUR),
    (0x58, 4, "temperature_flow", -3, ONE),
    (0x5C, 4, "temperature_return", -3, ONE),
    (0x60, 4, "temperature_difference", -3, ONE),
)
FD: Final[tuple[Unit, ...]] = ((0x40, 16, "voltage", -9, ONE), (0x50, 16, "current", -12, ONE))
FB: Final[tuple[Unit, ...]] = (
    (0x00, 2, "energy", 2, ONE),
    (0x02, 2, "reactive_energy", 0, ONE),
    (0x04, 2, "apparent_energy", 0, ONE),
    (0x08, 2, "energy", 5, HOUR),
    (0x10, 2, "volume", 2, ONE),
    (0x14, 4, "reactive_power", 0, ONE),
    (0x28, 2, "power", 5, ONE),
    (0x2C, 4, "frequency", -3, ONE),
    (0x30, 2, "power", 8, HOUR),
    (0x34, 4, "apparent_power", 0, ONE),
)
ERRORS: Final = {0x15: Reason.ADDRESS, 0x16: Reason.RANGE, 0x17: Reason.RANGE, 0x18: Reason.FAULT}
PHASES: Final = (0x7C, 0x7F)  # the codes before the number of a phase: of the standard, of makers
TAKEN, GIVEN, NO_ERROR = 0x3B, 0x3C, 0x00


def vif_meaning(vif: tuple[int, ...]) -> VifMeaning | None:
    """What this unit is of; None for what is not among the points, or qualified beyond them."""
    table, codes = PRIMARY, list(vif)
    if vif[0] in (TABLE_FD, TABLE_FB) and len(vif) > 1:
        table, codes = (FD if vif[0] == TABLE_FD else FB), codes[1:]
    first = codes[0] & 0x7F
    unit = next((u for u in table if u[0] <= first < u[0] + u[1]), None)
    if unit is None:
        return None
    start, _, stem, exponent, factor = unit
    factor *= Fraction(10) ** (first - start + exponent)
    phase, given, error = 0, False, None
    rest: Iterator[int] = (code & 0x7F for code in codes[1:])
    for code in rest:
        if code in PHASES:
            phase = next(rest, -1)
            if not 0 <= phase <= 3:
                return None
        elif 0x70 <= code <= 0x77:
            factor *= Fraction(10) ** (code - 0x76)
        elif code == 0x7D:
            factor *= 1000
        elif code in ERRORS:
            error = ERRORS[code]
        elif code in (TAKEN, GIVEN):
            given = code == GIVEN
        elif code != NO_ERROR:
            return None
    return VifMeaning(stem, factor, phase, given, error)
