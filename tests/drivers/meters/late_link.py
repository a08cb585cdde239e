"""A line behind a link that delays, loses, cuts, damages and repeats what it carries; virtual time.

Each register holds what tells it from all others, and from what it held before: a value that is
wrong is always seen.
"""

import struct
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from random import Random
from typing import Final

from drivers.buses.modbus import ModbusRtu
from drivers.meters.register_map import ModbusDevice
from drivers.meters.registerblock import FORMATS
from drivers.meters.registermodel import Register, RegisterMap
from drivers.sim.meter_unit import Unit
from edge.core import Bad, BusError, DataError, Sample, UncertainValue
from tests.drivers.buses.virtual_wire import VirtualWire

UNITS: Final = (1, 2, 3)
BAUD: Final = 19_200
TIMEOUT_S: Final = 0.5
LINK_DELAY_S: Final = 5.0
SERIAL: Final = 12_345_678
LIFE: Final = 1500  # questions on one line, at most
STEPS: Final = 997  # a prime: what a cell holds comes back after so many questions
IDLE: Final = 0.2  # of the meters, whose registers are all the same and never change


@dataclass
class Counts:
    """What became of the questions, and of the values that they asked for."""

    questions: int = 0
    answered: int = 0
    right: int = 0
    stale: int = 0
    refused: int = 0
    wrong: int = 0

    def add(self, other: "Counts") -> None:
        for one in fields(self):
            setattr(self, one.name, getattr(self, one.name) + getattr(other, one.name))


@dataclass(frozen=True)
class LinkFaults:
    """How bad it is. Shares are of the answers; a delay is at most so long."""

    delay_s: float
    delayed: float = 1.0
    lost: float = 0.0
    cut: float = 0.0
    damaged: float = 0.0
    repeated: float = 0.0
    soon: bool = False  # a copy comes right behind, and not at any time

    @classmethod
    def any(cls, random: Random) -> "LinkFaults":
        def share(*of: float) -> float:
            return random.choice(of)

        return cls(
            share(0.0, 0.6, 1.5, 2.5, LINK_DELAY_S), share(0.02, 0.2, 1.0),
            share(0.0, 0.02, 0.2), share(0.0, 0.02, 0.1), share(0.0, 0.02, 0.1),
            share(0.0, 0.02, 0.2, 1.0), random.random() < 0.5,
        )  # fmt: skip


class Cells:
    """The registers of a table as words, by the number of the question that asks for them."""

    def __init__(self, table: RegisterMap) -> None:
        self.table = table
        self.cells = table.cells
        self.of: dict[tuple[int, int], tuple[int, Register]] = {}
        self.fixed = len(table.registers)  # ratios and signs behind them never change
        for place, cell in enumerate(self.cells):
            for at in range(cell.address, cell.end):
                self.of[table.asks(cell), at] = place, cell

    def value(self, place: int, tick: int) -> float:
        """What a cell holds, in the quantity's unit as the driver gives it."""
        raw, cell = self.raw(place, tick), self.cells[place]
        return float(f"{raw * cell.scale:.12g}") if cell.scale != 1 else float(raw)

    def raw(self, place: int, tick: int) -> float:
        cell = self.cells[place]
        if place >= self.fixed + len(self.table.ratios):
            return self.table.signs[place - self.fixed - len(self.table.ratios)].normal
        if place >= self.fixed:
            return 1
        low, high = (max(bound, -1e6) for bound in (cell.point.low, cell.point.high))
        if cell.times:
            low, high = max(low, cell.low), min(high, cell.high)
        low, high = sorted((low / cell.scale, min(high, 1e6) / cell.scale))
        step = (tick * 379 + place * 101) % STEPS + 1
        if cell.type[0] == "f":
            raw = low + (high - low) * step / (STEPS + 2)
            return float(struct.unpack(">f", struct.pack(">f", raw))[0])
        top = 2 ** (16 * cell.words - (cell.type[0] == "i")) - 2
        low, high = max(low, -top if cell.type[0] == "i" else 0), min(high, top)
        return int(low + (high - low) * step / (STEPS + 2))

    def words(self, function: int, address: int, count: int, tick: int) -> bytes | None:
        """The answer's registers; None where it has none of them, or half of a value."""
        data, at, end = b"", address, address + count
        while at < end:
            place, cell = self.of.get((function, at), (-1, None))
            if cell is None:
                data, at = data + b"\0\0", at + 1
                continue
            if cell.address != at or cell.end > end:
                return None
            coded = struct.pack(">" + FORMATS[cell.type], self.raw(place, tick))
            if self.table.words == "little":
                coded = b"".join(coded[i : i + 2] for i in range(len(coded) - 2, -1, -2))
            data, at = data + coded, cell.end
        return data


class CellMeter(Unit):
    """A unit that holds what `Cells` say; an idle one holds always the same."""

    def __init__(self, cells: Cells, idle: bool) -> None:
        super().__init__(cells.table.max_registers)
        self.cells, self.idle = cells, idle
        self.asked: list[tuple[int, int, int, int]] = []  # since it was last looked at, and when
        self.tick = 0

    def _read(self, pdu: bytes) -> bytes:
        function, address, count = struct.unpack(">BHH", pdu)
        who = self.cells.table.identity
        if who is not None and (who.function, who.address, who.words) == (function, address, count):
            reported = str(SERIAL).encode().ljust(2 * count, b"\0")
            if who.type != "text":
                reported = SERIAL.to_bytes(2 * count, "big")
                if self.cells.table.words == "little":
                    reported = b"".join(
                        reported[i : i + 2] for i in range(len(reported) - 2, -1, -2)
                    )
            return bytes((function, 2 * count)) + reported
        self.tick += not self.idle
        self.asked.append((function, address, address + count, self.tick))
        data = self.cells.words(function, address, count, self.tick)
        if data is None or count > self.limit:
            return bytes((function | 0x80, 2))
        return bytes((function, 2 * count)) + data


class LateWire(VirtualWire):
    """The link: what is answered comes when, and as, and as often as it likes."""

    def __init__(self, units: Mapping[int, Unit], link: LinkFaults, random: Random) -> None:
        super().__init__(units, BAUD)
        self.link, self.random, self.both_ways, self.answers = link, random, True, 0

    def say(self, first_ns: int, data: bytes) -> None:
        link, random = self.link, self.random
        asked_ns = self._free_ns  # its last bit
        if random.random() < link.lost:
            return
        first_ns = self._after(asked_ns, first_ns, random.random() < link.delayed)
        copy_ns = first_ns + random.randint(0, 60_000_000)
        if not link.soon:
            copy_ns = self._after(asked_ns, first_ns, True)
        self.answers += 1
        super().say(first_ns, self._spoilt(data))
        if random.random() < link.repeated:
            super().say(min(copy_ns, asked_ns + self._ns(LINK_DELAY_S)), self._spoilt(data))

    def _after(self, asked_ns: int, first_ns: int, delayed: bool) -> int:
        return max(
            first_ns, asked_ns + self._ns(self.random.random() * self.link.delay_s * delayed)
        )

    def _ns(self, seconds: float) -> int:
        return int(seconds * 1e9)

    def _spoilt(self, data: bytes) -> bytes:
        luck = self.random.random()
        if luck < self.link.cut:
            return data[: self.random.randrange(1, len(data))]
        if luck < self.link.cut + self.link.damaged:
            at = self.random.randrange(len(data))
            return data[:at] + bytes((data[at] ^ 1 << self.random.randrange(8),)) + data[at + 1 :]
        return data


@dataclass
class JudgedMeter:
    """A meter at work, and what its values are worth."""

    device: ModbusDevice
    meter: CellMeter
    cells: Cells
    counts: Counts = field(default_factory=Counts)

    async def read(self) -> bool:
        """Once. False: there was nothing."""
        self.meter.asked.clear()
        try:
            samples = await self.device.read()
        except (BusError, DataError):
            self.counts.refused += len(self.device.points)
            return False
        for place, sample in enumerate(samples):
            self._judge(place, sample)
        if self.device.identity not in ("", str(SERIAL)):
            self.counts.wrong += 1
        self.counts.wrong += len(self.device.health)
        return True

    def _judge(self, place: int, sample: Sample) -> None:
        if isinstance(sample, Bad):
            self.counts.refused += 1
        elif isinstance(sample, UncertainValue):
            self.counts.stale += 1
        elif self._right(place, sample):
            self.counts.right += 1
        else:
            self.counts.wrong += 1

    def _right(self, place: int, sample: Sample) -> bool:
        """As the cell was when it was last asked for, in this reading."""
        cell, function = self.cells.cells[place], self.cells.table.asks(self.cells.cells[place])
        for asked, first, end, tick in reversed(self.meter.asked):
            if asked == function and first <= cell.address and cell.end <= end:
                return sample == self.cells.value(place, tick)
        return False


async def play(table: RegisterMap, questions: int, seed: int) -> Counts:
    """At least so many questions to three meters of this kind, over links of every badness."""
    random, total, cells = Random(seed), Counts(), Cells(table)
    life = min(LIFE, questions // 4)
    while total.questions < questions:
        meters = {unit: CellMeter(cells, random.random() < IDLE) for unit in UNITS}
        wire = LateWire(meters, LinkFaults.any(random), random)
        bus = ModbusRtu(wire, TIMEOUT_S, LINK_DELAY_S, wire)
        devices = [JudgedMeter(ModbusDevice(bus, table, u), meters[u], cells) for u in UNITS]
        for one in devices:
            await one.device.open()
        pause_s = random.choice((0.0, 0.3, 1.0, 6.0))
        while wire.requests < life:
            for one in devices:
                if not await one.read():
                    wire.sleep(random.choice((0.0, 0.5, 2.0)))
                    await one.device.open()  # as the poller does
            wire.sleep(pause_s * random.random() + 0.01)
        for one in devices:
            total.add(one.counts)
        total.questions += wire.requests
        total.answered += wire.answers
    return total
