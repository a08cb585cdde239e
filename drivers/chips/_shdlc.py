"""Sensirion's SHDLC frames on a UART: stuffed bytes between two flags, with a sum.

Source: Sensirion SPS30 datasheet, UART interface; drivers Sensirion/embedded-uart-sps and
Sensirion/python-uart-sps30. Error 0x43 is a command that is not allowed in the present state.
"""

from typing import Final, NamedTuple

from edge.core import DataError, Framer

FLAG: Final = 0x7E
ESCAPE: Final = 0x7D
STUFFED: Final = {0x7E: 0x5E, 0x7D: 0x5D, 0x11: 0x31, 0x13: 0x33}
PLAIN: Final = {stuffed: plain for plain, stuffed in STUFFED.items()}
LONGEST: Final = 2 * (5 + 255) + 2

NOT_ALLOWED: Final = 0x43
FLAGGED: Final = 0x80  # of the state: the device status register says more


class ShdlcResponse(NamedTuple):
    """What a device said to one command. `error` 0 is none."""

    command: int
    error: int
    flagged: bool
    data: bytes


def encode_request(command: int, data: bytes = b"") -> bytes:
    """A command to the device at address 0, which all are."""
    body = bytes([0, command, len(data)]) + data
    return bytes([FLAG]) + byte_stuff(body + _check(body)) + bytes([FLAG])


def _check(body: bytes | bytearray) -> bytes:
    return bytes([~sum(body) & 0xFF])


def byte_stuff(data: bytes) -> bytes:
    """As it goes over the wire, between the flags."""
    return b"".join(
        bytes([ESCAPE, STUFFED[byte]]) if byte in STUFFED else bytes([byte]) for byte in data
    )


def unstuff_and_check(frame: bytes) -> bytes:
    """What is in a frame, its checksum cut off. Raises DataError when it is damaged."""
    if len(frame) < 2 or len(frame) > LONGEST or frame[0] != FLAG or frame[-1] != FLAG:
        raise DataError(f"no SHDLC frame: {frame[:LONGEST].hex() or 'nothing'}")
    plain = bytearray()
    inner = iter(frame[1:-1])
    for byte in inner:
        if byte in (FLAG, 0x11, 0x13):
            raise DataError(f"a byte that must be stuffed in {frame.hex()}")
        if byte == ESCAPE:
            byte = PLAIN.get(next(inner, -1), -1)
            if byte < 0:
                raise DataError(f"wrong stuffing in {frame.hex()}")
        plain.append(byte)
    if len(plain) < 4 or _check(plain[:-1]) != plain[-1:]:
        raise DataError(f"wrong checksum in {frame.hex()}")
    return bytes(plain[:-1])


def parse_response(frame: bytes) -> ShdlcResponse:
    """What a device said. Raises DataError for a damaged frame."""
    body = unstuff_and_check(frame)
    if len(body) < 4 or body[0] != 0 or body[3] != len(body) - 4:
        raise DataError(f"no SHDLC answer: {frame.hex()}")
    return ShdlcResponse(body[1], body[2] & 0x7F, bool(body[2] & FLAGGED), body[4:])


def parse_request(frame: bytes) -> int | None:
    """The command of a request; None when it is not one. Raises DataError for a damaged frame."""
    body = unstuff_and_check(frame)
    return body[1] if body[0] == 0 and body[2] == len(body) - 3 else None


def response_framer(command: int) -> Framer:
    """Finds the whole answer to one command; what is late, foreign or damaged is passed over."""

    def found(data: bytes) -> tuple[bytes | None, int]:
        start = data.find(FLAG)
        if start < 0:
            return None, len(data)
        end = data.find(FLAG, start + 1)
        if end < 0:
            return None, start if len(data) - start <= LONGEST else len(data)
        frame = data[start : end + 1]
        try:
            response = parse_response(frame)
        except DataError:
            return None, end  # its end may be the beginning of the next
        return (frame, end + 1) if response.command == command else (None, end + 1)

    return found
