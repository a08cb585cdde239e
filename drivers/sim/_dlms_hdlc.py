"""HDLC as a simulated DLMS/COSEM meter speaks it: frames, addresses, numbers and segments.

Source: IEC 62056-46. Frames, checks and state are the simulator's own.
"""

from collections.abc import Iterator
from typing import Final

FLAG: Final = b"\x7e"


def fcs(data: bytes) -> bytes:
    """CRC-16/X-25, bit by bit."""
    crc = 0xFFFF
    for byte in data:
        for bit in range(8):
            odd = (crc ^ byte >> bit) & 1
            crc = crc >> 1 ^ (0x8408 if odd else 0)
    return (crc ^ 0xFFFF).to_bytes(2, "little")


def encode_frame(
    target: bytes, source: bytes, control: int, info: bytes = b"", more: bool = False
) -> bytes:
    """A frame with its flags."""
    after = len(info) + 2 if info else 0
    size = 2 + len(target) + len(source) + 1 + after + 2
    head = (0xA000 | more << 11 | size).to_bytes(2, "big") + target + source + bytes([control])
    body = head + (fcs(head) + info if info else b"")
    return FLAG + body + fcs(body) + FLAG


def encode_address(logical: int, physical: int) -> bytes:
    """A server address, as short as it goes."""

    def half(number: int, wide: bool) -> list[int]:
        return [number // 128 * 2, number % 128 * 2] if wide else [number * 2]

    wide = logical > 127 or physical > 127
    out = half(logical, wide) + (half(physical, wide) if physical else [])
    out[-1] += 1
    return bytes(out)


def split_frames(buffer: bytes) -> Iterator[bytes]:
    """Whole frames without their flags, of which the last item is what is left."""
    while True:
        start = buffer.find(FLAG)
        if start < 0:
            yield b""
            return
        buffer = buffer[start:]
        if len(buffer) < 3:
            yield buffer
            return
        size = int.from_bytes(buffer[1:3], "big") & 0x7FF
        if buffer[1] >> 4 != 0xA or size < 7:
            buffer = buffer[1:]
            continue
        if len(buffer) < size + 2:
            yield buffer
            return
        if buffer[size + 1 : size + 2] != FLAG:
            buffer = buffer[1:]
            continue
        yield buffer[1 : size + 1]
        buffer = buffer[size + 2 :]


def parse_frame(body: bytes) -> tuple[bytes, bytes, int, bytes, bool] | None:
    """Target, source, control, information and whether more follows; None for a damaged frame."""
    if fcs(body[:-2]) != body[-2:]:
        return None
    ends = [at for at in range(2, min(len(body), 10)) if body[at] & 1][:2]
    if len(ends) < 2:
        return None
    first, second = ends
    info = body[second + 2 : -2]
    if info:
        if fcs(body[: second + 2]) != info[:2]:
            return None
        info = info[2:]
    return (
        body[2 : first + 1],
        body[first + 1 : second + 1],
        body[second + 1],
        info,
        bool(body[0] & 8),
    )


def wrong_hcs(frame: bytes) -> bytes:
    """The same frame with a damaged header check under a sound FCS, if it has one."""
    parts = parse_frame(frame[1:-1])
    if parts is None or not parts[3]:
        return frame
    at = 4 + len(parts[0]) + len(parts[1])
    body = frame[1:at] + bytes([frame[at] ^ 1]) + frame[at + 1 : -3]
    return FLAG + body + fcs(body) + FLAG
