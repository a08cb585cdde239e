"""Which registers are asked for together, and how a block of them becomes values."""

import struct
import sys
from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from operator import le
from typing import Final

from drivers.meters.table import Register, RegisterMap
from edge.core import Bad, DataError, Reason, Sample

FORMATS: Final = {
    "u16": "H", "i16": "h", "u32": "I", "i32": "i",
    "u64": "Q", "i64": "q", "f32": "f", "f64": "d",
}  # fmt: skip

# What one more request costs, told in registers of two characters: 8 characters asked, 5 around
# the answer, 3.5 of silence, and a turnaround of 5 ms, which is 4.8 characters at 9600 baud.
REQUEST_COST: Final = (8 + 5 + 3.5 + 4.8) / 2


@dataclass(frozen=True, slots=True)
class Block:
    """Registers that one request brings. `places` are the points' places in the map."""

    address: int
    count: int
    places: tuple[int, ...]
    dense: bool  # no register in it that no point asked for
    little: bool
    layout: struct.Struct
    scales: tuple[float, ...] | None  # None: every scale is 1
    lows: tuple[float, ...]
    highs: tuple[float, ...]

    def decode(self, data: bytes) -> tuple[Sample, ...]:
        """One sample per place. Raises DataError when `data` has not the length asked for."""
        if len(data) != 2 * self.count:
            raise DataError(f"asked for {self.count} registers, got {len(data)} bytes")
        if self.little:
            # all words turned round: each value has its high word first, the last value leads
            words = array("H", data)
            words.reverse()
            values = self.layout.unpack(words.tobytes())[::-1]
        else:
            values = self.layout.unpack(data)
        if self.scales is not None:
            values = tuple(map(_scaled, values, self.scales))
        # a NaN is never within a range, and an infinity never within a finite one
        if all(map(le, self.lows, values)) and all(map(le, values, self.highs)):
            return values
        return tuple(
            value if low <= value <= high else Bad(Reason.RANGE)
            for low, value, high in zip(self.lows, values, self.highs, strict=True)
        )


def _scaled(value: float, scale: float) -> float:
    """A tenth is no binary number: rounded to 12 digits, 2301 tenths are 230.1 and not nearly."""
    return value if scale == 1 else float(f"{value * scale:.12g}")


def block(table: RegisterMap, places: Sequence[int]) -> Block:
    """One request for these points, which follow each other in address."""
    chosen = [table.registers[place] for place in places]
    address, end = chosen[0].address, chosen[-1].address + chosen[-1].words
    parts, at = [], address
    for register in chosen:
        gap = register.address - at
        parts.append((f"{2 * gap}x" if gap else "", FORMATS[register.type]))
        at = register.address + register.words
    little = table.words == "little"
    if little:
        code = "".join(kind + gap for gap, kind in reversed(parts))
    else:
        code = "".join(gap + kind for gap, kind in parts)
    scales = tuple(register.scale for register in chosen)
    top = sys.float_info.max
    return Block(
        address,
        end - address,
        tuple(places),
        sum(register.words for register in chosen) == end - address,
        little,
        struct.Struct(">" + code),
        None if all(scale == 1 for scale in scales) else scales,
        tuple(max(register.point.low, -top) for register in chosen),
        tuple(min(register.point.high, top) for register in chosen),
    )


def plan(table: RegisterMap) -> list[Block]:
    """The cheapest set of requests for all points that the meter's limit allows.

    A gap is read along where it costs less of the wire than another request. Every way to cut
    is weighed, from the last point to the first.
    """
    order = sorted(range(len(table.registers)), key=lambda place: table.registers[place].address)
    best: list[tuple[float, int]] = [(0.0, 0)] * (len(order) + 1)  # cost from here on, and the cut
    for first in range(len(order) - 1, -1, -1):
        start = table.registers[order[first]].address
        options = []
        for last in range(first, len(order)):
            span = _end(table.registers[order[last]]) - start
            if span > table.max_registers:
                break
            options.append((REQUEST_COST + span + best[last + 1][0], last + 1))
        best[first] = min(options)
    blocks, at = [], 0
    while at < len(order):
        cut = best[at][1]
        blocks.append(block(table, order[at:cut]))
        at = cut
    return blocks


def runs(table: RegisterMap, places: Sequence[int]) -> list[Block]:
    """Requests for these points that ask for nothing between them. `places` go up in address."""
    found: list[list[int]] = []
    for place in places:
        register = table.registers[place]
        if found:
            first, last = table.registers[found[-1][0]], table.registers[found[-1][-1]]
            joins = _end(last) == register.address
            if joins and _end(register) - first.address <= table.max_registers:
                found[-1].append(place)
                continue
        found.append([place])
    return [block(table, run) for run in found]


def _end(register: Register) -> int:
    return register.address + register.words
