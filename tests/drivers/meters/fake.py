"""A Modbus bus without a wire: registers in memory, and the faults that a device can show."""

from dataclasses import dataclass, field

from edge.core import BusError, DataError, Reason


@dataclass
class FakeModbus:
    """Holds words by address; `errors` maps (address, count) to what is raised instead."""

    words: dict[int, bytes] = field(default_factory=dict)
    errors: dict[tuple[int, int], Exception] = field(default_factory=dict)
    log: list[tuple[int, int]] = field(default_factory=list)
    dead: bool = False

    def put(self, address: int, data: bytes) -> None:
        for at in range(0, len(data), 2):
            self.words[address + at // 2] = data[at : at + 2]

    async def read_registers(self, unit: int, function: int, address: int, count: int) -> bytes:
        self.log.append((address, count))
        if self.dead:
            raise BusError(f"unit {unit}: no answer")
        if (address, count) in self.errors:
            raise self.errors[address, count]
        wanted = range(address, address + count)
        if any(at not in self.words for at in wanted):
            raise DataError("no such register", Reason.ADDRESS)
        return b"".join(self.words[at] for at in wanted)
