"""Meters that give less than their table hopes: refused registers, gaps, and long answers.

Whatever they refuse, no other point is lost for it; and when that is known, they are asked as
seldom as it allows.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.buses.modbus.frame import exception_error
from drivers.meters.mapfile import HERE
from drivers.meters.register_map import ModbusDevice, Register, RegisterMap, load_register_map
from drivers.meters.registerblock import REQUEST_COST, plan_requests
from drivers.sim.meter import MeterServer, UnitFault
from edge.core import Bad, DataError, Point, Quantity, Reason, Sample
from tests.drivers.meters.fake import SimBus

NAMES = sorted(path.stem for path in HERE.glob("*.toml"))
READINGS = 16  # by then all is known that can be
FAULT, ADDRESS = Bad(Reason.FAULT), Bad(Reason.ADDRESS)


def held(table: RegisterMap) -> dict[str, float]:
    """A value per point, in its range, before any transformers."""
    found = {}
    for i, register in enumerate(table.registers):
        bounds = register if register.times else register.point
        found[register.point.key] = bounds.low + (bounds.high - bounds.low) * (0.2 + i / 200)
    return found


async def requests(meter: ModbusDevice, bus: SimBus) -> tuple[Sequence[Sample], int]:
    """One reading, and what it took."""
    before = len(bus.log)
    samples = await meter.read()
    return samples, len(bus.log) - before


def least(table: RegisterMap, limit: int) -> int:
    """Requests for all cells when nothing between them may be read along: each as far as it goes.

    Written without the planner: from the left, the longest run that the limit allows.
    """
    cells = sorted(table.cells, key=lambda cell: (table.asks(cell), cell.address))
    count, first, end = 0, -1, (-1, -1)
    for cell in cells:
        function = table.asks(cell)
        if (function, cell.address) != end or cell.end - first > limit:
            count, first = count + 1, cell.address
        end = (function, cell.end)
    return count


@pytest.mark.parametrize("limit", [4, 11, 30])
@pytest.mark.parametrize("name", NAMES)
async def test_a_meter_with_a_lower_limit_tells_all_and_is_soon_asked_well(
    name: str, limit: int
) -> None:
    table, values = load_register_map(name), held(load_register_map(name))
    one = MeterServer(name, values)
    bus = SimBus({1: one})
    want = await ModbusDevice(bus, table, 1).read()
    one.limit = min(one.limit, limit)
    meter = ModbusDevice(bus, table, 1)
    counts = []
    for _ in range(READINGS):
        samples, count = await requests(meter, bus)
        assert samples == want
        counts.append(count)
    assert counts[-1] == len(plan_requests(replace(table, max_registers=one.limit)))


@pytest.mark.parametrize("name", NAMES)
async def test_a_meter_that_refuses_every_gap_tells_all_in_the_fewest_requests(name: str) -> None:
    table, values = load_register_map(name), held(load_register_map(name))
    bus = SimBus({1: MeterServer(name, values), 2: MeterServer(name, values, gaps="refuse")})
    want = await ModbusDevice(bus, table, 1).read()
    meter = ModbusDevice(bus, table, 2)
    counts = []
    for _ in range(READINGS):
        samples, count = await requests(meter, bus)
        assert samples == want
        counts.append(count)
    assert counts[-1] == least(table, table.max_registers)
    asked_at_first = counts[0] - (1 if table.identity else 0)
    assert asked_at_first < 2 * len(table.cells)


@pytest.mark.parametrize("place", [0, 7, 12, -1])
@pytest.mark.parametrize("name", ["iem3000", "em24_e1", "sdm630"])
async def test_a_point_that_is_missing_takes_one_request_more_at_most(
    name: str, place: int
) -> None:
    table = load_register_map(name)
    key = table.registers[place].point.key
    one = MeterServer(name, held(table))
    one.missing = {key}
    one._hole = lambda image, first, end: _zero(table, key, first, end)  # type: ignore[method-assign]
    bus = SimBus({1: one})
    meter = ModbusDevice(bus, table, 1)
    for _ in range(READINGS):
        samples, count = await requests(meter, bus)
    keys = [point.key for point in meter.points]
    assert {k for k, sample in zip(keys, samples, strict=True) if sample == ADDRESS} == {key}
    assert count <= len(plan_requests(table)) + 1


def _zero(table: RegisterMap, key: str, first: int, end: int) -> bytes:
    """The registers of `key` are not there, all others between the points are zeros."""
    for register in table.registers:
        if register.point.key == key and first < register.end and register.address < end:
            return b""
    return b"\0\0"


async def test_a_point_that_is_too_long_even_alone_is_a_fault_and_the_others_count() -> None:
    table = load_register_map("em111")
    kinds = {register.words for register in table.registers}
    assert kinds == {1, 2, 4}
    one = MeterServer("em111", held(table))
    bus = SimBus({1: one})
    want = await ModbusDevice(bus, table, 1).read()
    one.limit = 1
    meter = ModbusDevice(bus, table, 1)
    for _ in range(3):
        found = await meter.read()
        for register, sample, whole in zip(table.registers, found, want, strict=True):
            assert sample == (whole if register.words == 1 else FAULT), register.point.key
    one.limit = 50
    await meter.open()
    assert await meter.read() == want


async def test_a_meter_that_has_no_answer_short_enough_fails_and_may_come_right() -> None:
    table = load_register_map("sdm120")
    one = MeterServer("sdm120", held(table))
    bus = SimBus({1: one})
    want = await ModbusDevice(bus, table, 1).read()
    one.limit = 1
    meter = ModbusDevice(bus, table, 1)
    for _ in range(3):
        bus.log.clear()
        with pytest.raises(DataError) as caught:
            await meter.read()
        assert caught.value.reason is Reason.FAULT
    assert len(bus.log) == len(plan_requests(table))  # it is not taken apart each time
    one.limit = 80
    assert await meter.read() == want


async def test_a_meter_that_has_failed_is_not_taken_apart() -> None:
    one = MeterServer("sdm120", held(load_register_map("sdm120")))
    bus = SimBus({1: one})
    meter = ModbusDevice(bus, load_register_map("sdm120"), 1)
    _, usual = await requests(meter, bus)
    one.fault = UnitFault("exception", times=1, code=4)
    samples, count = await requests(meter, bus)
    assert FAULT in samples
    assert count < usual  # the serial number is known


# -- any device ------------------------------------------------------------------------------------


@dataclass
class Odd:
    """Two registers to each of 64 places; a place of `holes` cannot be read, nor so many at once.

    `code` is the exception that it gives for a hole.
    """

    holes: frozenset[int]
    limit: int
    code: int
    log: list[tuple[int, int]] = field(default_factory=list)
    refusals: int = 0

    async def read_registers(self, unit: int, function: int, address: int, count: int) -> bytes:
        self.log.append((address, count))
        if count > self.limit:
            self.refusals += 1
            raise exception_error(unit, 3)
        if any(at // 2 in self.holes for at in range(address, address + count)):
            self.refusals += 1
            raise exception_error(unit, self.code)
        return b"".join(at.to_bytes(2) for at in range(address, address + count))


def cost(spans: Sequence[tuple[int, int]]) -> float:
    return sum(REQUEST_COST + count for _, count in spans)


@given(
    st.sets(st.integers(0, 63), min_size=1, max_size=20),
    st.frozensets(st.integers(0, 63), max_size=12),
    st.integers(2, 50),
    st.sampled_from([2, 3]),
)
def test_of_any_device_all_is_read_that_can_be_and_at_last_at_the_least_cost(
    places: set[int], holes: frozenset[int], limit: int, code: int
) -> None:
    registers = tuple(
        Register(Point(f"p{at}", Quantity.COUNT, 0, 1e9), 2 * at, "u32") for at in sorted(places)
    )
    table = RegisterMap("t", "m", "m", 4, "big", 50, registers)
    missing = Bad(Reason.ADDRESS if code == 2 else Reason.FAULT)
    want = tuple(missing if at in holes else (2 * at << 16) + 2 * at + 1 for at in sorted(places))
    bus = Odd(holes, limit, code)
    meter = ModbusDevice(bus, table, 1)

    async def run() -> None:
        for _ in range(40):
            bus.log.clear()
            bus.refusals = 0
            if places <= holes:
                with pytest.raises(DataError):
                    await meter.read()
            else:
                assert await meter.read() == want
        if not places <= holes:
            assert not bus.refusals
            if code == 2:  # else a hole may pass for a limit, and cost a request or two
                padding = [one.padding for one in meter._blocks if one.padding]
                longer = sum(end - start for _, start, end in padding)
                assert cost(bus.log) - longer == pytest.approx(best())

    def best() -> float:
        """By a planner of its own: the cheapest way to cut what can be read."""
        there = sorted(places - holes)
        costs = [0.0] * (len(there) + 1)
        for first in range(len(there) - 1, -1, -1):
            costs[first] = min(
                REQUEST_COST + 2 * (there[last] + 1 - there[first]) + costs[last + 1]
                for last in range(first, len(there))
                if last == first
                or (
                    2 * (there[last] + 1 - there[first]) <= min(limit, 50)
                    and not holes & set(range(there[first], there[last]))
                )
            )
        return costs[0]

    asyncio.run(run())
