"""Which registers are asked for together, and how a block of them becomes values."""

import math
import struct
import sys
from array import array
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import le
from typing import Final

from drivers.meters.registermodel import Register, RegisterMap
from edge.core import Bad, DataError, Quantity, Reason, Sample

FORMATS: Final = {
    "u16": "H", "i16": "h", "u32": "I", "i32": "i",
    "u64": "Q", "i64": "q", "f32": "f", "f64": "d",
}  # fmt: skip

# What one more request costs, told in registers of two characters: 8 characters asked, 5 around
# the answer, 3.5 of silence, and a turnaround of 5 ms, which is 4.8 characters at 9600 baud.
REQUEST_COST: Final = (8 + 5 + 3.5 + 4.8) / 2

PADDING: Final = 6  # registers; a request more costs as much as 11

Hole = tuple[int, int, int]
"""A function, and from which register to which (not included) it refuses to read along."""


@dataclass(frozen=True, slots=True)
class RegisterBlock:
    """Registers that one request brings. `places` are the places of what is in them in the map's
    cells.
    """

    function: int
    address: int
    count: int
    places: tuple[int, ...]
    little: bool
    layout: struct.Struct
    scales: tuple[float, ...] | None  # None: every scale is 1
    lows: tuple[float, ...]
    highs: tuple[float, ...]
    gone: tuple[frozenset[float], ...]  # values that mean: this device has not got it
    nan_is_gone: bool
    padding: Hole | None = None  # registers at an end of it that only make it longer than others

    @property
    def end(self) -> int:
        """The register behind it."""
        return self.address + self.count

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
            value if low <= value <= high else self._why_not(value, gone)
            for low, value, high, gone in zip(self.lows, values, self.highs, self.gone, strict=True)
        )

    def _why_not(self, value: float, gone: frozenset[float]) -> Bad:
        missing = self.nan_is_gone if value != value else value in gone
        return Bad(Reason.ADDRESS if missing else Reason.RANGE)


def _scaled(value: float, scale: float) -> float:
    """A tenth is no binary number: rounded to 12 digits, 2301 tenths are 230.1 and not nearly."""
    return value if scale == 1 else float(f"{value * scale:.12g}") + 0.0  # and no minus zero


def make_block(
    table: RegisterMap, places: Sequence[int], padding: Hole | None = None
) -> RegisterBlock:
    """One request for these cells, which follow each other in address, and for the padding."""
    cells = table.cells
    chosen = [cells[place] for place in places]
    address, end = chosen[0].address, chosen[-1].end
    if padding is not None:
        address, end = min(address, padding[1]), max(end, padding[2])
    parts, at = [], address
    for register in chosen:
        gap = register.address - at
        parts.append((f"{2 * gap}x" if gap else "", FORMATS[register.type]))
        at = register.end
    parts.append((f"{2 * (end - at)}x" if end > at else "", ""))
    little = table.words == "little"
    if little:
        code = "".join(kind + gap for gap, kind in reversed(parts))
    else:
        code = "".join(gap + kind for gap, kind in parts)
    scales = tuple(register.scale for register in chosen)
    gone = tuple(_absent_values(register, table.absent) for register in chosen)
    bounds = [_bounds(register, one) for register, one in zip(chosen, gone, strict=True)]
    return RegisterBlock(
        table.asks(chosen[0]),
        address,
        end - address,
        tuple(places),
        little,
        struct.Struct(">" + code),
        None if all(scale == 1 for scale in scales) else scales,
        tuple(low for low, _ in bounds),
        tuple(high for _, high in bounds),
        gone,
        "nan" in table.absent,
        padding,
    )


def _absent_values(register: Register, absent: Sequence[str]) -> frozenset[float]:
    """The values at the ends of its type, where these stand for none at all."""
    if register.type[0] == "f":
        return frozenset()
    bits, signed = 16 * register.words, register.type[0] == "i"
    ends = {
        "largest": 2 ** (bits - signed) - 1,
        "smallest": -(2 ** (bits - 1)) if signed else 0,
    }
    return frozenset(_scaled(ends[word], register.scale) for word in absent if word in ends)


def _bounds(register: Register, gone: frozenset[float]) -> tuple[float, float]:
    """Between which a value is one: finite, in its range, and not one that stands for none.

    The largest value of an integer says that the register is full, and not what is measured.
    """
    top = sys.float_info.max
    if register.type[0] != "f" and register.point.quantity is not Quantity.STATE:
        gone = gone | _absent_values(register, ("largest",))
    low = max(register.point.low, register.low, -top)
    high = min(register.point.high, register.high, top)
    for value in gone:
        if value > 0:
            high = min(high, math.nextafter(value, -math.inf))
        elif value < 0:
            low = max(low, math.nextafter(value, math.inf))
    return low, high


def plan_requests(
    table: RegisterMap,
    limit: int | None = None,
    holes: Collection[Hole] = (),
    without: Collection[int] = (),
) -> list[RegisterBlock]:
    """The cheapest set of requests for all cells that the meter's limits allow.

    A gap is read along where it costs less of the wire than another request, and is not longer
    than the meter likes. Every way to cut is weighed, from the last cell to the first. `limit` is
    at most so many registers at once, for more than one cell; the cells `without` are left out,
    and nothing is read across them or across one of the `holes`.
    """
    cells = table.cells
    order = sorted(range(len(cells)), key=lambda at: (table.asks(cells[at]), cells[at].address))
    gone = [cells[place] for place in without]
    barred = [*holes, *((table.asks(cell), cell.address, cell.end) for cell in gone)]
    longest = table.max_registers if limit is None else limit
    found = [
        one
        for function, places in groupby(order, key=lambda at: table.asks(cells[at]))
        for one in _cut_blocks(
            table,
            [place for place in places if place not in without],
            longest,
            [(start, end) for asked, start, end in barred if asked == function],
        )
    ]
    return _unlike(table, found, longest, barred)


def _unlike(
    table: RegisterMap, blocks: list[RegisterBlock], limit: int, barred: Collection[Hole]
) -> list[RegisterBlock]:
    """The same, each of another length where a few registers beside it make it so.

    An answer on a serial line does not say to which request it belongs: its length does. The first
    is left as it is: who does not answer that one is silent, and not shy of its padding.
    """
    who, found = table.identity, list(blocks)
    taken = {(who.function, who.words)} if who is not None else set()
    for at in sorted(range(len(blocks)), key=lambda at: (at > 0, -blocks[at].count)):
        one = blocks[at]
        # one that is alone with its length keeps it, whoever comes first
        lengths = taken | {(b.function, b.count) for b in blocks if b is not one}
        for padding in (None, *(_paddings(table, one, limit, barred) if at else ())):
            count = one.count + (padding[2] - padding[1] if padding else 0)
            if (one.function, count) not in (lengths if padding else taken):
                found[at] = make_block(table, one.places, padding) if padding else one
                break
        taken.add((one.function, found[at].count))
    return found


def _paddings(
    table: RegisterMap, block: RegisterBlock, limit: int, barred: Collection[Hole]
) -> Iterator[Hole]:
    """Registers without a cell that may be read along, between it and the next; few first."""
    cells = [cell for cell in table.cells if table.asks(cell) == block.function]
    most = PADDING if table.gap is None else min(PADDING, table.gap)
    behind = min((cell.address for cell in cells if cell.address >= block.end), default=block.end)
    before = max((cell.end for cell in cells if cell.end <= block.address), default=block.address)
    for size in range(1, min(most, limit - block.count) + 1):
        for start, end in ((block.end, block.end + size), (block.address - size, block.address)):
            if (
                before <= start
                and end <= behind
                and not any(
                    function == block.function and a < end and start < b
                    for function, a, b in barred
                )
            ):
                yield block.function, start, end


def _cut_blocks(
    table: RegisterMap, order: list[int], limit: int, barred: list[tuple[int, int]]
) -> list[RegisterBlock]:
    """The same for cells of one function, in the order of their addresses."""
    cells = [table.cells[place] for place in order]
    gap = table.gap if table.gap is not None else table.max_registers
    ends = [0, *(cell.end for cell in cells)]
    apart = [
        cell.address - end > gap or any(end <= a and b <= cell.address for a, b in barred)
        for end, cell in zip(ends, cells, strict=False)
    ]
    best: list[tuple[float, int]] = [(0.0, 0)] * (len(order) + 1)  # cost from here on, and the cut
    for first in range(len(order) - 1, -1, -1):
        start = cells[first].address
        options = []
        for last in range(first, len(order)):
            span = cells[last].end - start
            if last > first and (span > limit or apart[last]):
                break
            options.append((REQUEST_COST + span + best[last + 1][0], last + 1))
        best[first] = min(options)
    blocks, at = [], 0
    while at < len(order):
        cut = best[at][1]
        blocks.append(make_block(table, order[at:cut]))
        at = cut
    return blocks
