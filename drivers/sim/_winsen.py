"""Frames of simulated Winsen sensors: nine bytes from 0xff to a sum.

Source: Winsen ZH03B and MH-Z19B manuals, serial port protocol.
"""

from collections.abc import Iterator
from typing import Final

SIZE: Final = 9


def encode_frame(body: bytes) -> bytes:
    """Seven bytes or fewer behind 0xff, then the sum: inverted, and one added."""
    body = body.ljust(7, b"\0")
    return b"\xff" + body + bytes([((0xFF ^ (sum(body) & 0xFF)) + 1) & 0xFF])


def split_commands(heard: bytes) -> Iterator[tuple[int, int, bytes]]:
    """Code and argument of each whole command, and what is left behind it."""
    while (at := heard.find(b"\xff\x01")) >= 0 and len(heard) - at >= SIZE:
        frame = heard[at : at + SIZE]
        if encode_frame(frame[1:-1]) != frame:
            heard = heard[at + 1 :]
            continue
        heard = heard[at + SIZE :]
        yield frame[2], frame[3], heard


def spoil_frame(fault: str, data: bytes) -> bytes:
    """A frame with one of the faults that a line makes."""
    match fault:
        case "half":
            return data[: len(data) // 2]
        case "sum":
            return data[:-1] + bytes([data[-1] ^ 0x01])
        case "garbage":
            return b"\x00\xff\x81\xff" + data
    return data
