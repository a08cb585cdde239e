"""The text that meters send after IEC 62056-21: characters with parity, lines, values.

Source: IEC 62056-21:2002, character format, data sets, calculation of the block check character.

A telegram goes from "/" to a line with "!". Characters are 7 bits with even parity, which a port
set to 8N1 sees as 8 bits: the same ten on the wire. Then the parity is checked here; a port set to
7E1 has taken it away, and a pseudo-terminal never does.
"""

import re
from collections.abc import Iterable
from decimal import Decimal
from functools import reduce
from operator import xor
from typing import Final, NamedTuple

from drivers.chips._obis import Obis, parse_obis
from drivers.chips._obis_values import ObisReading
from edge.core import DataError

STX, ETX, SOH, ACK = b"\x02", b"\x03", b"\x01", b"\x06"
LIMIT: Final = 4000  # bytes of a telegram; a serial port keeps a little more
ENTRIES: Final = 2000  # lines of a readout; a meter with years of past months has some hundreds

_SEVEN: Final = bytes(byte & 0x7F for byte in range(256))
_CODED: Final = bytes(byte | (byte.bit_count() % 2) << 7 for byte in range(128)) * 2
_START: Final = re.compile(rb"/[A-Za-z]{3}")
_AGAIN: Final = re.compile(rb"/[A-Za-z]{3}[0-9A-Z][^()\r\n]{0,40}\r\n")
_END: Final = re.compile(rb"\r\n!([^\r\n]{0,8})\r\n")
_GROUP: Final = re.compile(r"([^()]*)\(([^()]*)\)")
_NUMBER: Final = re.compile(r"[+-]?[0-9]{1,16}(?:\.[0-9]{1,9})?")


class DataSet(NamedTuple):
    """One data set: the code as it was written, and what stood in the brackets behind it."""

    code: str
    groups: tuple[str, ...]


def strip_parity(data: bytes) -> bytes:
    """Without the parity bits, unchecked: to look for something."""
    return data.translate(_SEVEN)


def add_parity(text: bytes) -> bytes:
    """With even parity in the eighth bit; a port of 7 bits drops it and makes its own."""
    return text.translate(_CODED)


def check_parity(data: bytes) -> bytes:
    """The characters. Where parity bits are to be seen, all must be right. Raises DataError."""
    plain = strip_parity(data)
    if plain != data and plain.translate(_CODED) != data:
        raise DataError("wrong parity: noise, or another speed than the meter's")
    return plain


def bcc(data: bytes) -> int:
    """The block check character of what stands behind STX or SOH, up to and with ETX."""
    return reduce(xor, data, 0)


def next_telegram(data: bytes) -> tuple[bytes | None, int]:
    """Find the next telegram, from "/" to the end of the line with "!".

    One that breaks off, or grows beyond the limit, is passed over. Leaves at most `LIMIT` bytes.
    """
    text = strip_parity(data)
    found = _START.search(text)
    if found is None:
        return None, max(len(text) - 3, 0)
    start = found.start()
    end = _END.search(text, start)
    last = end.end() if end else len(text)
    if again := list(_AGAIN.finditer(text, start + 1, last)):
        return None, again[-1].start()  # the first broke off
    if last - start > LIMIT:
        return None, start + 1
    return (data[start:last], last) if end else (None, start)


def parse_data_sets(text: str, strict: bool = False) -> list[DataSet]:
    """The data sets of these lines. A line that begins with a bracket goes on with the last one.

    A line that is none is passed over: a checksum says that the meter meant it. Without one, be
    `strict`. Raises DataError for such a line then, and for more lines than a meter has.
    """
    found: list[DataSet] = []
    for line in text.split("\r\n"):
        at = 0
        for match in _GROUP.finditer(line):
            if match.start() != at:
                break
            at = match.end()
            code, group = match[1].strip(), match[2]
            if code:
                found.append(DataSet(code, (group,)))
            elif found:
                found[-1] = DataSet(found[-1].code, (*found[-1].groups[-16:], group))
        if strict and (at != len(line) or not line.isprintable()):
            raise DataError(f"a damaged line: {line[:40]!r}")
        if len(found) > ENTRIES:
            raise DataError(f"more than {ENTRIES} values in one readout")
    return found


def parse_number(text: str) -> Decimal | None:
    """A decimal number, None for anything else."""
    return Decimal(text) if _NUMBER.fullmatch(text) else None


def parse_amount(group: str) -> tuple[Decimal | None, str]:
    """What stands in brackets as a number and its unit, "" without one.

    Between them stands a "*", at some meters (Iskra MT171) a space.
    """
    text, _, unit = group.strip().partition("*" if "*" in group else " ")
    return parse_number(text.strip()), unit.strip()


def obis_readings(found: Iterable[DataSet]) -> list[ObisReading]:
    """The entries as values, those whose code is one of OBIS."""
    return [
        ObisReading(code, *parse_amount(entry.groups[0]))
        for entry in found
        if (code := parse_obis(entry.code)) is not None
    ]


def obis_texts(found: Iterable[DataSet]) -> dict[Obis, str]:
    """The entries as texts, the first of each code."""
    texts: dict[Obis, str] = {}
    for entry in found:
        if (code := parse_obis(entry.code)) is not None:
            texts.setdefault(code, entry.groups[0])
    return texts
