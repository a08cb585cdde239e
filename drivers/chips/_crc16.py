"""CRC-16 with the bits of each byte sent last first: ARC of DSMR, X-25 and Kermit of SML.

Source: catalogue of parametrised CRC algorithms (reveng); check values are of b"123456789".
"""

from typing import Final


def _table(poly: int) -> tuple[int, ...]:
    rows = []
    for row in range(256):
        for _ in range(8):
            row = row >> 1 ^ poly if row & 1 else row >> 1
        rows.append(row)
    return tuple(rows)


_ARC: Final = _table(0xA001)
_CCITT: Final = _table(0x8408)


def _run(table: tuple[int, ...], crc: int, data: bytes) -> int:
    for byte in data:
        crc = crc >> 8 ^ table[(crc ^ byte) & 0xFF]
    return crc


def arc(data: bytes) -> int:
    """CRC-16/ARC, check value 0xBB3D."""
    return _run(_ARC, 0, data)


def x25(data: bytes) -> int:
    """CRC-16/X-25 (also IBM-SDLC), check value 0x906E."""
    return _run(_CCITT, 0xFFFF, data) ^ 0xFFFF


def kermit(data: bytes) -> int:
    """CRC-16/Kermit, check value 0x2189."""
    return _run(_CCITT, 0, data)
