"""HDLC frames of format type 3, in which DLMS/COSEM goes over a serial line.

Source: IEC 62056-46 (DLMS UA Green Book, data link layer): frame format, addresses, control
field, HCS and FCS (CRC-16/X-25), parameters of UA.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from drivers.chips._crc16 import x25
from drivers.chips._framers import filtered_framer
from edge.core import DataError, Framer

FLAG, FORMAT, SEGMENTED = 0x7E, 0xA0, 0x08
SNRM, DISC, UA, DM, FRMR = 0x93, 0x53, 0x73, 0x1F, 0x97
FINAL: Final = 0x10
SHORTEST: Final = 9  # bytes of a frame without information and with one byte of each address
LONGEST: Final = 512  # 128 of information are agreed on; some meters send more all the same
ROOM: Final = 128  # bytes of information in a frame, where UA says nothing else
ROOM_RECEIVE: Final = 0x06  # in the parameters of UA: what the meter takes


@dataclass(frozen=True, slots=True)
class HdlcFrame:
    """One frame. The addresses are as on the wire; `more` says that another segment follows."""

    target: bytes
    source: bytes
    control: int
    information: bytes = b""
    more: bool = False

    @property
    def numbered(self) -> bool:
        """Whether it carries data: an I frame."""
        return not self.control & 1

    @property
    def ready(self) -> bool:
        """Whether it is an RR frame: go on; or RNR: not yet."""
        return self.control & 0x0B == 1

    @property
    def sent(self) -> int:
        """N(S), the number of this I frame."""
        return self.control >> 1 & 7

    @property
    def expected(self) -> int:
        """N(R), the number of the frame that its sender waits for."""
        return self.control >> 5


def encode(frame: HdlcFrame) -> bytes:
    """As it goes on the wire, with its flags."""
    head = frame.target + frame.source + bytes((frame.control,))
    size = 4 + len(head) + (2 + len(frame.information) if frame.information else 0)
    kind = FORMAT | (SEGMENTED if frame.more else 0) | size >> 8
    body = bytes((kind, size & 0xFF)) + head
    if frame.information:
        body += _check(body) + frame.information
    return bytes((FLAG,)) + body + _check(body) + bytes((FLAG,))


@lru_cache(4)  # a cut has looked at it before the one who reads does
def decode(data: bytes) -> HdlcFrame:
    """One whole frame. Raises DataError when it is damaged."""
    whole = SHORTEST <= len(data) <= LONGEST and data[0] == data[-1] == FLAG
    if not whole or data[1] & 0xF0 != FORMAT or _size(data) != len(data) - 2:
        raise DataError(f"no frame of HDLC: {data[:64].hex() or 'nothing'}")
    body, check = data[1:-3], data[-3:-1]
    if _check(body) != check:
        raise DataError(f"wrong FCS in {data.hex()}")
    target, at = _address(body, 2)
    source, at = _address(body, at)
    if at >= len(body):
        raise DataError(f"no control field in {data.hex()}")
    control, rest, head = body[at], body[at + 1 :], body[: at + 1]
    if rest and (len(rest) < 3 or _check(head) != rest[:2]):
        raise DataError(f"wrong HCS in {data.hex()}")
    return HdlcFrame(target, source, control, rest[2:], bool(data[1] & SEGMENTED))


def next_frame(data: bytes) -> tuple[bytes | None, int]:
    """Find the next frame: (frame or None, bytes that are done with). Damaged ones count.

    What has no sound header is no frame: it must not keep us waiting for its end.
    """
    at = data.find(FLAG)
    while at >= 0:
        rest = data[at : at + LONGEST]
        looks = _has_head(rest)
        if looks is None:
            return None, at
        if looks:
            size = _size(rest) + 2
            if len(rest) < size:
                return None, at
            if rest[size - 1] == FLAG:
                return rest[:size], at + size
        at = data.find(FLAG, at + 1)
    return None, len(data)


def _has_head(data: bytes) -> bool | None:
    """Whether a frame begins so; None: more of it is to be seen first.

    Behind the control field comes the check of all before it, HCS or FCS.
    """
    if len(data) < 3:
        return None if len(data) < 2 or data[1] & 0xF0 == FORMAT else False
    if data[1] & 0xF0 != FORMAT or not SHORTEST <= _size(data) + 2 <= LONGEST:
        return False
    ends = [at for at in range(3, min(len(data), 11)) if data[at] & 1][:2]
    if len(data) < (ends[1] + 4 if len(ends) == 2 else 11):
        return None
    return len(ends) == 2 and _check(data[1 : ends[1] + 2]) == data[ends[1] + 2 : ends[1] + 4]


def answer_framer(client: bytes, server: bytes, fits: Callable[[HdlcFrame], bool]) -> Framer:
    """A cut that gives this meter's next frame that `fits`, or a damaged one; others it skips.

    The others are echoes of our own words, frames of other meters, and repetitions.
    """

    def mine(found: bytes) -> bool:
        try:
            frame = decode(found)
        except DataError:
            return True
        return (frame.target, frame.source) == (client, server) and fits(frame)

    return filtered_framer(next_frame, mine)


def client_address(number: int) -> bytes:
    """1 to 127."""
    return bytes((number << 1 | 1,))


def server_address(logical: int, physical: int, wide: bool = False) -> bytes:
    """A meter's address in one byte, in two, or in four; `physical` 0 is left out.

    Raises ValueError when it cannot be written.
    """
    if not (0 < logical < 0x4000 and 0 <= physical < 0x4000):
        raise ValueError("addresses go from 1 to 16383")
    if wide or max(logical, physical) > 0x7F:
        halves = (logical, physical) if physical else (logical,)
        raw = b"".join(bytes((half >> 7 << 1, (half & 0x7F) << 1)) for half in halves)
    else:
        raw = bytes((logical << 1, physical << 1)) if physical else bytes((logical << 1,))
    return raw[:-1] + bytes((raw[-1] | 1,))


def max_information(information: bytes) -> int:
    """How much information the meter takes in a frame, from what is in its UA."""
    at, last = 3, len(information)
    while at + 2 <= last:
        name, size = information[at], information[at + 1]
        value = int.from_bytes(information[at + 2 : at + 2 + size])
        if name == ROOM_RECEIVE:
            return min(max(value, 16), ROOM)
        at += 2 + size
    return ROOM


def _size(data: bytes) -> int:
    return (data[1] & 0x07) << 8 | data[2]


def _check(data: bytes) -> bytes:
    return x25(data).to_bytes(2, "little")


def _address(body: bytes, at: int) -> tuple[bytes, int]:
    """Up to four bytes, of which the last is odd."""
    for size in (1, 2, 4):
        raw = body[at : at + size]
        if len(raw) == size and raw[-1] & 1 and not any(byte & 1 for byte in raw[:-1]):
            return raw, at + size
    raise DataError(f"no address in {body[:16].hex()}")
