"""Explains recorded Modbus conversations: pairs of request and answer, with their check sums."""

import struct
from collections.abc import Sequence
from typing import Final

from drivers.meters.metervalues import point_samples
from drivers.meters.registerblock import make_block
from drivers.meters.registermodel import RegisterMap
from edge.core import Bad, DataError, Reason, Sample, crc16_modbus

REASONS: Final = {
    2: Reason.ADDRESS,
    5: Reason.BUSY,
    6: Reason.BUSY,
    10: Reason.SILENT,
    11: Reason.SILENT,
}


def explain(table: RegisterMap, frames: Sequence[bytes]) -> dict[str, Sample]:
    """What the frames say: point -> sample, for the points that were asked for, in the map's order.

    Frames are whole: of a serial line with their CRC, or of TCP with their header. Later answers
    go before earlier ones. Raises DataError that names what is wrong with which frame.
    """
    if not frames or len(frames) % 2:
        raise DataError(f"{len(frames)} frames: a request and its answer belong together")
    cells: list[Sample | None] = [None] * len(table.cells)
    for at in range(0, len(frames), 2):
        number, asked = _open(frames[at], at)
        again, answer = _open(frames[at + 1], at + 1)
        if number != again:
            raise DataError(f"frame {at + 2} answers transaction {again}, not {number}")
        for place, sample in _pair(table, asked, answer, at).items():
            cells[place] = sample
    points = zip(table.registers, point_samples(table, cells), strict=True)
    return {register.point.key: sample for register, sample in points if sample is not None}


def _open(frame: bytes, at: int) -> tuple[int, bytes]:
    """Unit and PDU out of a frame, and the transaction number (-1 on a serial line)."""
    if len(frame) >= 4 and crc16_modbus(frame[:-2]) == int.from_bytes(frame[-2:], "little"):
        return -1, frame[:-2]
    if len(frame) >= 9 and frame[2:6] == struct.pack(">HH", 0, len(frame) - 6):
        return int.from_bytes(frame[:2], "big"), frame[6:]
    raise DataError(f"frame {at + 1} is damaged: its CRC does not match: {frame.hex(' ')}")


def _pair(table: RegisterMap, asked: bytes, answer: bytes, at: int) -> dict[int, Sample]:
    cells, who = table.cells, table.identity
    functions = {table.asks(cell) for cell in cells} | ({who.function} if who else set())
    if len(asked) != 6 or asked[1] not in functions:
        raise DataError(
            f"frame {at + 1} is no request that {table.name} is asked"
            f" (function {' or '.join(map(str, sorted(functions)))}, 6 bytes and CRC)"
        )
    unit, function, address, count = struct.unpack(">BBHH", asked)
    places = sorted(
        (
            place
            for place, cell in enumerate(cells)
            if table.asks(cell) == function
            and address <= cell.address
            and cell.end <= address + count
        ),
        key=lambda place: cells[place].address,
    )
    serial = who is not None and (who.function, who.address) == (function, address)
    if not places and not serial:
        raise DataError(
            f"frame {at + 1} asks for {count} registers from {address:#06x}:"
            f" {table.name} has no point there",
            Reason.ADDRESS,
        )
    if answer[0] != unit:
        raise DataError(f"frame {at + 2} is from unit {answer[0]}, unit {unit} was asked")
    if answer[1] == function | 0x80 and len(answer) == 3:
        refused: Sample = Bad(REASONS.get(answer[2], Reason.FAULT))
        return dict.fromkeys(places, refused)
    if answer[1] != function or len(answer) != 3 + 2 * count or answer[2] != 2 * count:
        raise DataError(
            f"frame {at + 2} does not answer frame {at + 1}: {count} registers were asked"
        )
    if not places:
        return {}
    one = make_block(table, places)
    skip = 3 + 2 * (one.address - address)
    return dict(zip(places, one.decode(answer[skip : skip + 2 * one.count]), strict=True))
