import struct

import pytest

from drivers.meters.register_map import ModbusDevice, Register, RegisterMap
from edge.core import Bad, BusError, DataError, Point, Polled, Quantity, Reason, TooLongError
from tests.drivers.meters.fake import FakeModbus

# two blocks: 0..9 with a hole at 4, and 100..103
ADDRESSES = (0, 2, 6, 8, 100, 102)
TABLE = RegisterMap(
    "t", "m", "m", 4, "big", 80,
    tuple(Register(Point(f"p{at}", Quantity.VOLTAGE, -1e6, 1e6), at, "f32") for at in ADDRESSES),
)  # fmt: skip
FIRST, SECOND = (0, 10), (100, 4)
VALUES = tuple(float(at) + 0.5 for at in ADDRESSES)


def full() -> FakeModbus:
    bus = FakeModbus()
    bus.put(4, bytes(4))
    for at, value in zip(ADDRESSES, VALUES, strict=True):
        bus.put(at, struct.pack(">f", value))
    return bus


def test_it_is_a_polled_device_and_building_it_touches_no_wire() -> None:
    bus = full()
    device: Polled = ModbusDevice(bus, TABLE, 1)
    assert [point.key for point in device.points] == [f"p{at}" for at in ADDRESSES]
    assert bus.log == []


async def test_values_come_in_the_order_of_the_points() -> None:
    shuffled = RegisterMap("t", "m", "m", 4, "big", 80, TABLE.registers[::-1])
    bus = full()
    device = ModbusDevice(bus, shuffled, 1)
    assert await device.read() == VALUES[::-1]
    assert bus.log == [FIRST, SECOND]


async def test_a_silent_device_is_a_bus_error_after_one_question() -> None:
    bus = full()
    bus.dead = True
    with pytest.raises(BusError):
        await ModbusDevice(bus, TABLE, 1).read()
    assert bus.log == [FIRST]


async def test_a_block_that_fails_is_bad_for_its_points_only() -> None:
    bus = full()
    bus.errors[FIRST] = DataError("damaged")
    assert await ModbusDevice(bus, TABLE, 1).read() == (*[Bad(Reason.CRC)] * 4, 100.5, 102.5)
    bus.errors = {SECOND: DataError("busy", Reason.BUSY)}
    assert (await ModbusDevice(bus, TABLE, 1).read())[3:] == (8.5, *[Bad(Reason.BUSY)] * 2)


async def test_silence_after_an_answer_is_bad_for_the_rest() -> None:
    bus = full()
    bus.errors[SECOND] = BusError("no answer")
    assert await ModbusDevice(bus, TABLE, 1).read() == (*VALUES[:4], *[Bad(Reason.SILENT)] * 2)


async def test_when_no_block_answers_the_reading_fails_with_the_first_reason() -> None:
    bus = full()
    bus.errors = {FIRST: DataError("busy", Reason.BUSY), SECOND: DataError("damaged")}
    with pytest.raises(DataError) as caught:
        await ModbusDevice(bus, TABLE, 1).read()
    assert caught.value.reason is Reason.BUSY


async def test_a_short_answer_is_a_damaged_one() -> None:
    class Short(FakeModbus):
        async def read_registers(self, unit: int, function: int, address: int, count: int) -> bytes:
            return (await super().read_registers(unit, function, address, count))[:-1]

    with pytest.raises(DataError):
        await ModbusDevice(Short(full().words), TABLE, 1).read()


async def test_a_refused_register_is_found_once_and_then_left_alone() -> None:
    bus = full()
    del bus.words[6], bus.words[7]
    device = ModbusDevice(bus, TABLE, 1)
    want = (0.5, 2.5, Bad(Reason.ADDRESS), 8.5, 100.5, 102.5)
    assert await device.read() == want
    assert bus.log == [FIRST, (0, 4), (6, 4), (6, 2), (8, 2), SECOND]
    bus.log.clear()
    assert await device.read() == want
    assert bus.log == [(0, 4), (8, 2), (99, 5), SECOND]  # it would be of another length
    bus.log.clear()
    assert await device.read() == want
    assert bus.log == [(0, 4), (8, 2), SECOND]


async def test_a_refused_hole_costs_no_point() -> None:
    bus = full()
    del bus.words[4], bus.words[5]
    device = ModbusDevice(bus, TABLE, 1)
    for _ in range(3):  # nor do those that it has not got beside its points
        assert await device.read() == VALUES
    bus.log.clear()
    assert await device.read() == VALUES
    assert bus.log == [(0, 4), (6, 4), SECOND]


async def test_a_meter_that_says_nothing_to_padding_is_asked_without_it() -> None:
    bus = full()
    del bus.words[4], bus.words[5]
    device = ModbusDevice(bus, TABLE, 1)
    assert await device.read() == VALUES
    padded = (98, 6), (99, 5)
    bus.errors = dict.fromkeys(padded, BusError("unit 1: no answer"))
    for _ in range(3):
        assert await device.read() == VALUES
    bus.log.clear()
    assert await device.read() == VALUES
    assert not set(bus.log) & set(padded)


@pytest.mark.parametrize("says", [DataError("no", Reason.ADDRESS), TooLongError("no")])
async def test_a_device_that_refuses_two_points_together_is_asked_for_each(
    says: DataError,
) -> None:
    bus = full()
    bus.errors[SECOND] = says
    device = ModbusDevice(bus, TABLE, 1)
    assert await device.read() == VALUES
    bus.log.clear()
    assert await device.read() == VALUES
    assert bus.log == [FIRST, (100, 2), (102, 2)]


async def test_opening_again_asks_again_for_what_was_refused() -> None:
    bus = full()
    del bus.words[6]
    device = ModbusDevice(bus, TABLE, 1)
    await device.read()
    bus.put(6, struct.pack(">f", 6.5))
    await device.open()
    assert await device.read() == VALUES


async def test_a_device_that_refuses_all_is_not_taken_apart_each_time_and_may_come_right() -> None:
    bus = FakeModbus()
    device = ModbusDevice(bus, TABLE, 1)
    with pytest.raises(DataError) as caught:
        await device.read()
    assert caught.value.reason is Reason.ADDRESS
    bus.log.clear()
    with pytest.raises(DataError):
        await device.read()
    assert bus.log == [FIRST, SECOND]
    bus.words = full().words  # the right meter was put in
    assert await device.read() == VALUES


async def test_silence_in_the_middle_of_taking_apart_is_silence() -> None:
    bus = full()
    del bus.words[6]
    bus.errors[8, 2] = BusError("no answer")
    device = ModbusDevice(bus, TABLE, 1)
    with pytest.raises(BusError):
        await device.read()
    bus.errors.clear()
    assert (await device.read())[2] == Bad(Reason.ADDRESS)


async def test_closing_is_always_safe() -> None:
    device = ModbusDevice(full(), TABLE, 1)
    await device.close()
    await device.close()
