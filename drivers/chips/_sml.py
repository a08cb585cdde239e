"""Smart Message Language: frames on a serial line, and the tree of values within them.

Source: SML 1.03 and 1.04 (BSI TR-03109-1, annex IV b), transport protocol and binary encoding;
volkszaehler/libsml and ESPHome's sml component for meters that take CRC-16/Kermit, high byte first,
in place of X-25 (some Holley DTZ541; not seen on a recording).

Strict and bounded: a frame is whole and right, or it is nothing.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, NamedTuple

from drivers.chips._crc16 import kermit, x25
from edge.core import DataError

ESCAPE: Final = b"\x1b\x1b\x1b\x1b"
START: Final = ESCAPE + b"\x01\x01\x01\x01"
END: Final = 0x1A  # then the count of padding bytes and the checksum
LIMIT: Final = 4000  # bytes of a frame; a serial port keeps a little more
PADDING: Final = 4  # zeros behind the messages; three are enough, some meters fill a whole word
DEPTH: Final = 8  # lists within lists; a meter's values are at the fifth
MESSAGE: Final = 6  # parts of a message
GET_LIST, ENTRY = 0x0701, 7  # the answer that holds values; parts of one value


class SmlNumber(NamedTuple):
    """A number and how it came: some meters get that wrong."""

    value: int
    size: int
    signed: bool


Check = Callable[[bytes], bytes]
"""A checksum as its two bytes stand on the wire."""

Node = bytes | SmlNumber | bool | None | list["Node"]
"""Octets, a number, a truth, nothing (an optional part that is not there), or a list."""


@dataclass(frozen=True, slots=True)
class SmlEntry:
    """One value of a list: its code, the meter's status word, unit, power of ten."""

    name: bytes
    status: int
    unit: int
    scaler: int
    value: Node


@dataclass(frozen=True, slots=True)
class SmlValues:
    """What the lists of one frame say, and who says it."""

    server: bytes
    entries: tuple[SmlEntry, ...]


def _x25(data: bytes) -> bytes:
    return x25(data).to_bytes(2, "little")


def _kermit(data: bytes) -> bytes:
    return kermit(data).to_bytes(2)


# --- transport --------------------------------------------------------------------------------


def next_frame(data: bytes) -> tuple[bytes | None, int]:
    """Find the next frame, from the escape to the checksum.

    One that breaks off, or grows beyond the limit, is passed over. Leaves at most `LIMIT` bytes.
    """
    start = data.find(START)
    if start < 0:
        return None, max(0, len(data) - len(START) + 1)
    at = start + len(START)
    while (at := data.find(ESCAPE, at)) >= 0:
        mark = data[at + 4 : at + 8]
        if len(mark) < 4:
            break
        if mark[0] == END:
            if at + 8 - start > LIMIT:
                return None, start + 1
            return data[start : at + 8], at + 8
        if mark == START[4:]:
            return None, at  # the first broke off
        at += 8 if mark == ESCAPE else 1
    return (None, start + 1) if len(data) - start > LIMIT else (None, start)


def unwrap(frame: bytes) -> tuple[bytes, Check]:
    """The messages in a frame, and the checksum that this meter uses. Raises DataError."""
    if len(frame) < 16 or not frame.startswith(START) or frame[-8:-3] != ESCAPE + bytes([END]):
        raise DataError(f"no SML: {frame[:40].hex() or 'nothing'}")
    check = next((check for check in (_x25, _kermit) if check(frame[:-2]) == frame[-2:]), None)
    if check is None:
        raise DataError("wrong CRC: the frame was damaged")
    body, padding = _unescape(frame[8:-8]), frame[-3]
    if padding > PADDING or len(body) < padding or any(body[len(body) - padding :]):
        raise DataError("wrong padding")
    return body[: len(body) - padding], check


def _unescape(data: bytes) -> bytes:
    """An escape within the messages is doubled; another one has no business there."""
    parts, at = [], 0
    while (found := data.find(ESCAPE, at)) >= 0:
        if data[found + 4 : found + 8] != ESCAPE:
            raise DataError("an escape in the middle of the messages")
        parts.append(data[at : found + 4])
        at = found + 8
    return b"".join((*parts, data[at:]))


# --- the tree ---------------------------------------------------------------------------------


class SmlReader:
    """Takes nodes off the front of bytes. Every method raises DataError for what cannot be."""

    def __init__(self, data: bytes) -> None:
        self.data, self.at = data, 0

    def node(self, depth: int = 0) -> Node:
        """The next node, whatever it is."""
        begin = self.at
        first = self._byte()
        kind, length, more = first >> 4 & 7, first & 0x0F, first & 0x80
        while more:
            if self.at - begin > 3:
                raise DataError("a length without end")
            byte = self._byte()
            if byte & 0x70:
                raise DataError(f"no length: {byte:02x}")
            length, more = length << 4 | byte & 0x0F, byte & 0x80
        if kind == 7:
            if depth >= DEPTH or length > len(self.data) - self.at:
                raise DataError("a list too deep or too long")
            return [self.node(depth + 1) for _ in range(length)]
        size = length - (self.at - begin)  # it counts its own bytes
        if size < 0 or size > len(self.data) - self.at:
            raise DataError("a value longer than its frame")
        raw = self.data[self.at : self.at + size]
        self.at += size
        match kind:
            case 0:
                return raw or None
            case 4 if size == 1:
                return raw != b"\x00"
            case 5 | 6 if 1 <= size <= 8:
                return SmlNumber(int.from_bytes(raw, signed=kind == 5), size, kind == 5)
        raise DataError(f"no SML value: type {kind}, {size} bytes")

    def message(self, check: Check) -> tuple[int, Node]:
        """The next message: its tag and its body."""
        begin = self.at
        if self._byte() != 0x70 | MESSAGE:
            raise DataError("a message does not begin where it should")
        _transaction, _group, _abort, body = (self.node(1) for _ in range(MESSAGE - 2))
        end = self.at
        crc = self.node(1)
        # its bytes are told as a number, of which a leading zero may be left out
        want = int.from_bytes(check(self.data[begin:end]))
        if not isinstance(crc, SmlNumber) or crc.signed or crc.value != want:
            raise DataError("wrong CRC of a message")
        if self._byte() != 0:
            raise DataError("a message without an end")
        match body:
            case [SmlNumber(tag, _, False), inner]:
                return tag, inner
        raise DataError("a message without a body")

    def _byte(self) -> int:
        if self.at >= len(self.data):
            raise DataError("the frame ends in the middle of a value")
        self.at += 1
        return self.data[self.at - 1]


def decode(frame: bytes) -> SmlValues:
    """The values of one frame. Raises DataError when anything in it is not right."""
    body, check = unwrap(frame)
    reader = SmlReader(body)
    server, found = b"", list[SmlEntry]()
    while reader.at < len(body):
        tag, inner = reader.message(check)
        if tag == GET_LIST:
            match inner:
                case [_, bytes() | None as server_id, _, _, list() as values, _, _]:
                    server = server or server_id or b""
                    found += [_entry(value) for value in values]
                case _:
                    raise DataError("this is no list of values")
    return SmlValues(server, tuple(found))


def _entry(node: Node) -> SmlEntry:
    match node:
        case [
            bytes(name),
            status,
            _,
            SmlNumber() | None as unit,
            SmlNumber() | None as scaler,
            value,
            _,
        ]:
            return SmlEntry(name, _plain(status), _plain(unit), _plain(scaler), value)
    raise DataError("an entry in a list is no value")


def _plain(node: Node) -> int:
    return node.value if isinstance(node, SmlNumber) else 0
