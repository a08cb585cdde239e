"""CRC-16 with the bits of each byte sent last first: ARC of DSMR, X-25 and Kermit of SML.

Source: catalogue of parametrised CRC algorithms (reveng); check values are of b"123456789".
"""

from typing import Final

from edge.core import crc16_modbus


def _row(byte: int) -> int:
    for _ in range(8):
        byte = byte >> 1 ^ 0x8408 if byte & 1 else byte >> 1
    return byte


_CCITT: Final = tuple(_row(byte) for byte in range(256))


def _ccitt(crc: int, data: bytes) -> int:
    for byte in data:
        crc = crc >> 8 ^ _CCITT[(crc ^ byte) & 0xFF]
    return crc


def arc(data: bytes) -> int:
    """CRC-16/ARC, check value 0xBB3D."""
    return crc16_modbus(data, 0)


def x25(data: bytes) -> int:
    """CRC-16/X-25 (also IBM-SDLC), check value 0x906E."""
    return _ccitt(0xFFFF, data) ^ 0xFFFF


def kermit(data: bytes) -> int:
    """CRC-16/Kermit, check value 0x2189."""
    return _ccitt(0, data)
