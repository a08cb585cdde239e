"""Modbus: a meter that another program's map reads right is read by ours, value by value.

For each row of their map a value is put where they look for it, as they would have it told: their
address, type, order of words and scale. What ours then reads must be that value.
"""

import asyncio
import struct
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from drivers.meters.register_map import ModbusDevice, load_register_map
from edge.core import DataError, Point, Reason, Sample
from tests.frames.outcome import Case

FILE: Final = Path(__file__).with_name("maps.toml")
FORMATS: Final = {
    "u16": ">H", "i16": ">h", "u32": ">I", "i32": ">i", "u64": ">Q", "i64": ">q", "f32": ">f",
}  # fmt: skip
PLACES: Final = (0.23, 0.37, 0.31, 0.29, 0.41)  # in a point's range: below zero where it goes there


@dataclass(slots=True)
class Memory:
    """A meter that holds nothing but what was put there, and answers these functions."""

    functions: tuple[int, ...]
    words: dict[int, bytes] = field(default_factory=dict)

    async def read_registers(self, unit: int, function: int, address: int, count: int) -> bytes:
        if function not in self.functions:
            raise DataError(f"function {function} is not answered", Reason.ADDRESS)
        return b"".join(self.words.get(at, b"\0\0") for at in range(address, address + count))


def maps(peer: str) -> Iterator[Case]:
    """One case for each meter that this program has a map of, and we a table."""
    for decoded in tomllib.loads(FILE.read_text("utf-8"))["map"]:
        if decoded["peer"] == peer:
            yield asyncio.run(_case(decoded))


async def _case(decoded: Mapping[str, Any]) -> Case:
    table = load_register_map(decoded["meter"])
    points = {register.point.key: register.point for register in table.registers}
    functions = (3, 4) if table.maker == "Carlo Gavazzi" else (decoded["function"],)
    memory = Memory(functions)
    theirs: dict[str, float | None] = {}
    for place, (key, row) in enumerate(decoded["points"].items()):
        if key in points:
            theirs[key] = _put(
                memory, row, decoded["words"], points[key], PLACES[place % len(PLACES)]
            )
    device = ModbusDevice(memory, table)
    read = dict(zip((point.key for point in device.points), await device.read(), strict=True))
    ours: dict[str, Sample] = {key: read[key] for key in theirs}
    return Case(decoded["meter"], ours, theirs)


def _put(memory: Memory, row: Mapping[str, Any], words: str, point: Point, part: float) -> float:
    """A value of this point where they look for it; returns it as they read it."""
    scale, kind = row.get("scale", 1), row["type"]
    wanted = (point.low + part * (point.high - point.low)) / scale
    data = struct.pack(FORMATS[kind], wanted if kind == "f32" else round(wanted))
    number: float = struct.unpack(FORMATS[kind], data)[0] * scale
    parts = [data[at : at + 2] for at in range(0, len(data), 2)]
    for at, word in enumerate(parts if words == "big" else reversed(parts)):
        memory.words[row["address"] + at] = word
    return number
