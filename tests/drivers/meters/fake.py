"""A Modbus bus without a wire: registers in memory, and the faults that a device can show."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from drivers.buses.modbus.frame import exception_error, read_request
from drivers.meters.register_map import ModbusDevice, load_register_map
from drivers.sim.meter import MeterServer, Unit
from edge.core import AmbiguousAnswerError, BusError, DataError, Reason, Sample, StaleAnswer


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


@dataclass
class SimBus:
    """A bus without a wire to simulated units; `log` says what they were asked.

    What is asked from an address in `old` may be old; in `owed`, it is not asked.
    """

    units: dict[int, Unit]
    log: list[tuple[int, int]] = field(default_factory=list)
    old: set[int] = field(default_factory=set)
    owed: set[int] = field(default_factory=set)

    async def read_registers(self, unit: int, function: int, address: int, count: int) -> bytes:
        if address in self.owed:
            raise AmbiguousAnswerError(f"an earlier answer of unit {unit} is missing")
        self.log.append((address, count))
        asked = read_request(unit, function, address, count)
        reply = self.units[unit].answer(unit, asked[1:]) if unit in self.units else None
        if reply is None:
            raise BusError(f"unit {unit}: no answer")
        if reply.spoilt:
            raise DataError("damaged")
        if reply.pdu[0] != function:
            raise exception_error(unit, reply.pdu[1])
        return StaleAnswer(reply.pdu[2:]) if address in self.old else reply.pdu[2:]


async def reported(meter: ModbusDevice) -> dict[str, Sample]:
    return dict(zip((point.key for point in meter.points), await meter.read(), strict=True))


def on_a_bus(slave: MeterServer, **more: object) -> tuple[ModbusDevice, SimBus]:
    bus = SimBus({1: slave})
    return ModbusDevice(bus, load_register_map(str(slave.table["name"])), 1, **more), bus  # type: ignore[arg-type]


def slave(name: str, values: Mapping[str, float | None], **more: object) -> MeterServer:
    found = MeterServer(name, values, **more)  # type: ignore[arg-type]
    found.table = {**found.table, "name": name}
    return found
