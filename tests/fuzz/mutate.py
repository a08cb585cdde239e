"""Damage for frames: what wires, broken devices and people with bad intentions make of them."""

from collections.abc import Sequence
from random import Random

from edge.core import crc16_modbus

LONGEST = 2048  # bytes of one mutated frame
NUMBERS = (b"\x00", b"\xff", b"\x7f\xff", b"\x80\x00", b"\x7f\xc0\x00\x00", b"\x7f\x80\x00\x00")


def mutated(frame: bytes, others: Sequence[bytes], random: Random) -> bytes:
    """One to four injuries; one time in three its checksums are put right again after that."""
    data = bytearray(frame)
    for _ in range(random.choice((1, 1, 2, 4))):
        _injure(data, others, random)
    del data[LONGEST:]
    return mended(bytes(data), random) if random.random() < 0.33 else bytes(data)


def _injure(data: bytearray, others: Sequence[bytes], random: Random) -> None:
    at = random.randrange(len(data) + 1)
    match random.randrange(9):
        case 0 if data:
            data[at % len(data)] ^= 1 << random.randrange(8)
        case 1 if data:
            data[at % len(data)] = random.randrange(256)
        case 2:
            del data[at:]
        case 3:
            del data[at : at + random.randrange(1, 9)]
        case 4:
            data[at:at] = random.randbytes(random.randrange(1, 17))
        case 5:
            number = random.choice(NUMBERS)
            data[at : at + len(number)] = number
        case 6 if others:
            data[at:] = random.choice(others)[at:]
        case 7:
            data[at:at] = data[: random.randrange(1, 65)]
        case _:
            data[:] = random.randbytes(random.randrange(1, 65))


def mended(data: bytes, random: Random) -> bytes:
    """The same with a checksum at its end that is right, of one of the kinds on these wires."""
    if len(data) < 4:
        return data
    match random.randrange(8):
        case 0:  # Modbus
            return data[:-2] + crc16_modbus(data[:-2]).to_bytes(2, "little")
        case 1:  # Plantower: the sum of all, two bytes
            return data[:-2] + (sum(data[:-2]) & 0xFFFF).to_bytes(2)
        case 2:  # Winsen: what the sum lacks
            return data[:-1] + bytes([-sum(data[1:-1]) & 0xFF])
        case 3:  # SDS011: the sum of the middle
            return data[:-2] + bytes([sum(data[2:-2]) & 0xFF]) + data[-1:]
        case 4:  # DL/T 645 and M-Bus: the sum of all, or of all behind the head
            first = random.choice((0, 4))
            return data[:-2] + bytes([sum(data[first:-2]) & 0xFF]) + b"\x16"
        case 5:  # Sensirion: after each two bytes
            words = [data[i : i + 2] for i in range(0, len(data) - 2, 3)]
            return b"".join(word + bytes([crc8(word)]) for word in words)
        case 6:  # HDLC and SML: CRC-16/X-25 of what lies between the flags, or of all but itself
            if random.random() < 0.5:
                return data[:1] + data[1:-3] + x25(data[1:-3]) + data[-1:]
            return data[:-2] + x25(data[:-2])
        case _:  # SHDLC, between its flags
            return data[:-2] + bytes([~sum(data[1:-2]) & 0xFF]) + data[-1:]


def crc8(data: bytes) -> int:
    """Sensirion: polynomial 0x31, initial 0xFF."""
    crc = 0xFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc << 1 ^ 0x31 if crc & 0x80 else crc << 1) & 0xFF
    return crc


def x25(data: bytes) -> bytes:
    """CRC-16/X-25, low byte first."""
    crc = 0xFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ 0x8408 if crc & 1 else crc >> 1
    return (crc ^ 0xFFFF).to_bytes(2, "little")
