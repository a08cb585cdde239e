"""Frames of DL/T 645-2007.

Source: DL/T 645-2007 (frame, control codes) as public drivers and the package dlt645 tell it.
"""

from dataclasses import dataclass
from typing import Final

from drivers.chips._framers import filtered_framer
from edge.core import DataError, Framer, Reason

WAKE: Final = b"\xfe" * 4  # before a request: it wakes a receiver up, and is no part of the frame
HEAD, END, OFFSET = 0x68, 0x16, 0x33
SHELL: Final = 12  # bytes of a frame around its data
LONGEST: Final = 200  # bytes of data that the standard lets an answer have
WILDCARD: Final = "aaaaaaaaaaaa"
READ, MORE, READ_ADDRESS = 0x11, 0x12, 0x13
ANSWER, FOLLOWS, REFUSED = 0x80, 0x20, 0x40  # bits of the control byte
# how it may refuse: bits of one byte
NOT_HERE, NOT_ALLOWED = 0x02, 0x04


@dataclass(frozen=True, slots=True)
class Dlt645Frame:
    """One frame: address as printed on the meter, control code, data without their offset."""

    address: str
    control: int
    data: bytes


def encode_frame(address: str, control: int, data: bytes = b"") -> bytes:
    """A frame as it goes on the wire, without the bytes that wake a receiver up."""
    body = bytes((HEAD, *bytes.fromhex(address)[::-1], HEAD, control, len(data)))
    body += bytes((byte + OFFSET) & 0xFF for byte in data)
    return body + bytes((sum(body) & 0xFF, END))


def parse_frame(data: bytes) -> Dlt645Frame:
    """One whole frame. Raises DataError when it is damaged."""
    data = data.lstrip(b"\xfe")
    length = len(data) - SHELL
    if length < 0 or data[0] != HEAD or data[7] != HEAD or data[9] != length or data[-1] != END:
        raise DataError(f"no frame of DL/T 645: {data[:64].hex() or 'nothing'}")
    if sum(data[:-2]) & 0xFF != data[-2]:
        raise DataError(f"wrong sum in {data.hex()}")
    inside = bytes((byte - OFFSET) & 0xFF for byte in data[10:-2])
    return Dlt645Frame(data[1:7][::-1].hex(), data[8], inside)


def next_frame(data: bytes) -> tuple[bytes | None, int]:
    """Find the next frame: (frame or None, bytes that are done with).

    A frame with a wrong sum is given too, so that the damage is seen.
    """
    at = data.find(HEAD)
    while at >= 0:
        rest = data[at : at + SHELL + LONGEST]
        if len(rest) < 10:
            if len(rest) > 7 and rest[7] != HEAD:
                at = data.find(HEAD, at + 1)
                continue
            return None, at
        if rest[7] == HEAD and rest[9] <= LONGEST:
            size = SHELL + rest[9]
            if len(rest) < size:
                return None, at
            if rest[size - 1] == END:
                return rest[:size], at + size
        at = data.find(HEAD, at + 1)
    return None, len(data)


def answer_framer(request: bytes, others: set[str] | None = None) -> Framer:
    """A cut that gives the answer to this request, or a damaged frame, and passes over the rest.

    The rest are echoes of our own words, and answers of others, or to what was asked before. Whose
    they are is put into `others`.
    """
    asked = parse_frame(request)

    def mine(found: bytes) -> bool:
        if _belongs(found, asked):
            return True
        parsed = parse_frame(found)
        if others is not None and parsed.control & ANSWER and parsed.address != asked.address:
            others.add(parsed.address)
        return False

    return filtered_framer(next_frame, mine)


def _belongs(found: bytes, asked: Dlt645Frame) -> bool:
    try:
        parsed = parse_frame(found)
    except DataError:
        return True
    if not parsed.control & ANSWER or parsed.control & 0x1F != asked.control:
        return False
    if WILDCARD != asked.address != parsed.address:
        return False
    return bool(parsed.control & REFUSED) or parsed.data[:4] == asked.data[:4] or not asked.data


def refusal_error(parsed: Dlt645Frame) -> DataError:
    """What a refusing answer (D1, D2, D3) means for the points that were asked for."""
    why = parsed.data[0] if parsed.data else 0
    if why & NOT_HERE:
        return DataError(f"meter {parsed.address} has no such data", Reason.ADDRESS)
    if why & NOT_ALLOWED:
        return DataError(f"meter {parsed.address} does not allow it", Reason.ADDRESS)
    return DataError(f"meter {parsed.address} refuses with error {why:02x}", Reason.FAULT)
