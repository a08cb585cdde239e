"""Who a meter says it is, and what it says is wrong."""

import pytest

from drivers.meters.register_map import ModbusDevice, load_register_map
from drivers.sim.meter import UnitFault
from edge.core import Condition, SelfReporting
from tests.drivers.meters.fake import SimBus, on_a_bus, reported, slave


async def test_the_serial_number_is_asked_once_and_a_swapped_meter_is_seen_when_it_is_opened() -> (
    None
):
    one = slave("sdm120", {"voltage_l1": 230.0}, serial=11)
    meter, bus = on_a_bus(one)
    assert isinstance(meter, SelfReporting)
    await meter.open()
    assert (meter.identity, bus.log) == ("", [])
    for _ in range(5):
        await meter.read()
    assert meter.identity == "11"
    assert bus.log.count((0xFC00, 2)) == 1
    one.swap(12)
    await meter.open()  # after it was silent
    await meter.read()
    assert meter.identity == "12"


async def test_a_meter_that_was_swapped_between_two_readings_is_seen_within_a_hundred() -> None:
    one = slave("sdm120", {}, serial=11)
    meter, bus = on_a_bus(one)
    await meter.read()
    one.swap(12)
    for _ in range(100):
        await meter.read()
    assert meter.identity == "12"
    assert bus.log.count((0xFC00, 2)) == 2


@pytest.mark.parametrize(
    ("fault", "asked"),
    [("silent", 1), ("crc", 3), ("exception", 1)],  # damage may pass; what it refuses it has not
)
async def test_a_serial_number_that_cannot_be_had_costs_little(fault: str, asked: int) -> None:
    one = slave("sdm120", {"voltage_l1": 230.0})

    class Shy(SimBus):
        async def read_registers(self, unit: int, function: int, address: int, count: int) -> bytes:
            one.fault = UnitFault(fault, code=2) if address == 0xFC00 else None  # type: ignore[arg-type]
            return await super().read_registers(unit, function, address, count)

    bus = Shy({1: one})
    meter = ModbusDevice(bus, load_register_map("sdm120"), 1)
    for _ in range(20):
        assert (await reported(meter))["voltage_l1"] == 230.0
    assert meter.identity == ""
    assert bus.log.count((0xFC00, 2)) == asked


@pytest.mark.parametrize(
    ("name", "text", "identity"),
    [
        ("em340", "KR0680001A0PJ", "KR0680001A0PJ"),
        ("em24", "BA4120\x00\x00 ", "BA4120"),
        ("em111", "\xff" * 14, ""),
        ("em340", "\x00" * 14, ""),
        ("em340", "A\x07B", ""),
    ],
)
async def test_a_serial_number_in_letters(name: str, text: str, identity: str) -> None:
    one = slave(name, {})
    one._serial = lambda who: text.encode("latin-1").ljust(2 * who["length"], b"\0")  # type: ignore[method-assign]
    meter, _ = on_a_bus(one)
    await meter.read()
    assert meter.identity == identity


@pytest.mark.parametrize("number", [0, 0xFFFF_FFFF])
async def test_a_number_that_was_never_written_is_none(number: int) -> None:
    meter, _ = on_a_bus(slave("b23", {}, serial=number))
    await meter.read()
    assert meter.identity == ""


@pytest.mark.parametrize(
    ("name", "condition", "raised"),
    [
        ("em24", Condition.PHASES, -1),
        ("em340", Condition.PHASES, -1),
        ("pzem004t", Condition.OVERLOAD, 0xFFFF),
    ],
)
async def test_a_condition_is_told_while_it_holds(
    name: str, condition: Condition, raised: int
) -> None:
    values: dict[str, float | None] = {}
    one = slave(name, values)
    meter, _ = on_a_bus(one)
    await meter.read()
    assert meter.health == {}
    values[condition] = raised
    await meter.read()
    assert list(meter.health) == [condition]
    assert len(meter.health[condition].split()) > 5  # a sentence
    del values[condition]
    await meter.read()
    assert meter.health == {}
