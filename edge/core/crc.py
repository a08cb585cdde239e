"""Checksums that more than one device uses."""

from typing import Final


def crc8(data: bytes, poly: int = 0x31, init: int = 0xFF) -> int:
    """CRC-8 as Sensirion uses it; `crc8(bytes.fromhex("beef"))` is 0x92."""
    crc = init
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = ((crc << 1) ^ poly if crc & 0x80 else crc << 1) & 0xFF
    return crc


def _crc16_row(byte: int) -> int:
    for _ in range(8):
        byte = (byte >> 1) ^ 0xA001 if byte & 1 else byte >> 1
    return byte


_CRC16: Final = tuple(_crc16_row(byte) for byte in range(256))


def crc16_modbus(data: bytes, crc: int = 0xFFFF) -> int:
    """CRC-16/MODBUS; of b"123456789" it is 0x4B37. On the wire the low byte comes first.

    Begun with 0 it is CRC-16/ARC, of the same bytes 0xBB3D.
    """
    for byte in data:
        crc = (crc >> 8) ^ _CRC16[(crc ^ byte) & 0xFF]
    return crc
