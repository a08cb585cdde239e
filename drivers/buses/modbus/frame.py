"""Modbus frames as bytes: requests, answers, and what is wrong with them. No wire here.

Source: Modbus application protocol V1.1b3, Modbus over serial line V1.02, Modbus messaging on
TCP/IP V1.0b.
"""

import struct
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Final

from edge.core import BusError, DataError, Reason, TooLongError, crc16_modbus

Ask = tuple[int, int, int, int]
"""A question: unit, function, address, count."""

FUNCTIONS: Final = (3, 4)  # read holding registers, read input registers
MAX_COUNT: Final = 125  # registers in one answer
EXCEPTION: Final = 0x80  # added to the function in an answer that refuses
EXCEPTION_LENGTH: Final = 5  # unit, function, code, CRC
OVERHEAD: Final = 5  # unit, function, byte count, CRC
REQUEST_LENGTH: Final = 8

EXCEPTIONS: Final = {
    1: "it does not know this function",
    2: "it has no such register",
    3: "it does not answer so many registers at once",
    4: "it has failed",
    5: "it will answer later",
    6: "it is busy",
    8: "its memory is damaged",
    10: "the gateway has no way to it",
    11: "the gateway got no answer from it",
}


def read_request(unit: int, function: int, address: int, count: int) -> bytes:
    """Unit and PDU of a read, without check sum or header. ValueError for what cannot be asked."""
    if function not in FUNCTIONS:
        raise ValueError(f"function {function} does not read registers; 3 and 4 do")
    if not 1 <= count <= MAX_COUNT or not 0 <= address <= 0x10000 - count:
        raise ValueError(f"{count} registers from {address} cannot be asked in one request")
    if not 0 <= unit <= 255:
        raise ValueError(f"unit {unit} is not within 0..255")
    return struct.pack(">BBHH", unit, function, address, count)


def append_crc(body: bytes) -> bytes:
    """Append the check sum of a serial line."""
    return body + crc16_modbus(body).to_bytes(2, "little")


def exception_error(unit: int, code: int) -> BusError | DataError:
    """An exception answer as the error it means.

    A gateway that could not reach the unit speaks for a silent device: that is a BusError, so
    that it is asked less often.
    """
    text = f"unit {unit} refuses: {EXCEPTIONS.get(code, 'for no known reason')} (exception {code})"
    if code in (10, 11):
        return BusError(text)
    if code in (5, 6):
        return DataError(text, Reason.BUSY)
    if code == 3:
        return TooLongError(text)
    return DataError(text, Reason.ADDRESS if code == 2 else Reason.FAULT)


@dataclass(slots=True)
class ResponseSearch:
    """What was found in the bytes of a line while one answer was awaited."""

    data: bytes | None = None  # the registers
    code: int | None = None  # or the exception
    unmatched: list[bytes] = field(default_factory=list)  # whole answers that are not ours
    expects: int = 0  # bytes still missing of what looks like our answer; 0: nothing does
    spoilt: bool = False  # what looks like our answer is all there, and its check sum is wrong
    loose: int = 0  # bytes that belong to no whole frame
    passed: int = 0  # whole answers that fit, and were passed over
    begin: int = 0  # where our answer begins
    end: int = 0  # and ends; what follows it is somebody else's

    @property
    def done(self) -> bool:
        return self.data is not None or self.code is not None


def search_response(
    line: bytes, unit: int, function: int, count: int, passed: Collection[bytes] = ()
) -> ResponseSearch:
    """Look for the answer in all that the line brought, echo, noise and late answers included.

    A value comes only out of a frame whose unit, function, length and check sum are right. The
    frames in `passed` are none of ours, though they would fit.
    """
    found = ResponseSearch()
    at, end = 0, len(line)
    while at < end:
        length = _answer_length(line, at, end)
        if length and at + length <= end and _crc_ok(line, at, length):
            kind = line[at + 1]
            if passed and line[at : at + length] in passed:
                found.passed += 1
            elif line[at] == unit and kind == function and length == OVERHEAD + 2 * count:
                found.data = line[at + 3 : at + length - 2]
                found.begin, found.end = at, at + length
                return found
            elif line[at] == unit and kind == function | EXCEPTION:
                found.code, found.begin, found.end = line[at + 2], at, at + length
                return found
            found.unmatched.append(line[at : at + length])
            at += length
            continue
        if not found.expects:
            whole = _response_length(line, at, end, unit, function, count)
            found.expects = max(0, whole - (end - at))
            found.spoilt |= 0 < whole <= end - at
        found.loose += 1
        at += 1
    return found


def _answer_length(line: bytes, at: int, end: int) -> int:
    """How long the frame at `at` would be if it were an answer to a read; 0: it is none."""
    if at + 3 > end:
        return 0
    kind = line[at + 1]
    if kind & ~EXCEPTION not in FUNCTIONS:
        return 0
    if kind & EXCEPTION:
        return EXCEPTION_LENGTH
    size = line[at + 2]
    return OVERHEAD + size if size and not size & 1 and size <= 2 * MAX_COUNT else 0


def _crc_ok(line: bytes, at: int, length: int) -> bool:
    body_end = at + length - 2
    return crc16_modbus(line[at:body_end]) == line[body_end] | line[body_end + 1] << 8


def _response_length(line: bytes, at: int, end: int, unit: int, function: int, count: int) -> int:
    """The length of the answer that seems to begin at `at`; 0 when it is not ours."""
    if at + 3 > end or line[at] != unit:
        return 0
    if line[at + 1] == function | EXCEPTION:
        return EXCEPTION_LENGTH
    ours = line[at + 1] == function and line[at + 2] == 2 * count
    return OVERHEAD + 2 * count if ours else 0


def may_begin(line: bytes, unit: int, function: int) -> bool:
    """Whether anywhere in these damaged bytes an answer of this unit seems to begin."""
    return any(
        line[at] == unit and line[at + 1] & ~EXCEPTION == function for at in range(len(line) - 1)
    )
