"""SunSpec: meters found wherever they are, read, exchanged, and no list without end."""

import asyncio
import struct
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pymodbus.client.mixin import ModbusClientMixin
from pymodbus.server import ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice

from drivers.buses.modbus import ModbusTcp
from drivers.chips import _sunspec
from drivers.chips.sunspec import SunSpec, explain
from drivers.sim.meter import MeterLoad, UnitFault
from drivers.sim.sunspec import SunSpec as Device
from edge.core import (
    Bad,
    BusError,
    Condition,
    DataError,
    Quantity,
    Reason,
    Sample,
    SelfReporting,
    UncertainValue,
)
from tests.drivers.meters.fake import FakeModbus, SimBus
from tests.kit.pymodbuspeer import Peer

ADDRESS, RANGE = Bad(Reason.ADDRESS), Bad(Reason.RANGE)
KEYS = [point.key for point in _sunspec.POINTS]
HELD = {
    "voltage_l1": 230.1, "voltage_avg": 230.5, "current_l1": 4.125, "current_sum": 12.3,
    "frequency": 50.01, "power": -4321.0, "power_l2": 1500.5, "apparent_power": 4400.0,
    "reactive_power_l3": -12.5, "power_factor": -0.95, "energy_import": 12_345.678,
    "energy_export_l1": 0.5, "apparent_energy_import": 99.0, "reactive_energy_q4_l3": 7.0,
}  # fmt: skip
MODELS = (*range(201, 205), *range(211, 215))


def by_key(samples: tuple[Sample, ...]) -> dict[str, Sample]:
    return dict(zip(KEYS, samples, strict=True))


async def read(device: Device, **options: Any) -> tuple[dict[str, Sample], SunSpec, SimBus]:
    bus = SimBus({1: device})
    meter = SunSpec(bus, 1, **options)
    await meter.open()
    return by_key(await meter.read()), meter, bus


# -- the list of models ----------------------------------------------------------------------------


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("base", [40_000, 50_000, 0])
async def test_a_meter_is_found_and_read(model: int, base: int) -> None:
    held = MeterLoad(3).values() | HELD
    found, meter, bus = await read(Device(held, model, base, serial="SN-1"))
    assert {key: found[key] for key in HELD} == pytest.approx(HELD, rel=2e-3)
    assert found["energy_import"] == pytest.approx(12_345.678, rel=1e-7)
    assert found["current_l2"] != ADDRESS
    assert found["reactive_energy_q1"] == ADDRESS if model < 211 else True
    assert isinstance(meter, SelfReporting)
    assert (meter.identity, meter.health) == ("SN-1", {})
    asked = len(bus.log)
    await meter.read()
    assert len(bus.log) == asked + 1  # one question once it is found


@pytest.mark.parametrize("positive", ["import", "export"])
async def test_a_model_that_may_be_of_an_earlier_asking_is_stale(positive: str) -> None:
    device = Device(MeterLoad(3).values() | HELD, 213)
    device.limit = 60  # in two requests, of which one may be old
    good, meter, bus = await read(device, positive=positive)
    bus.old = {bus.log[-1][0]}
    for key, sample in by_key(await meter.read()).items():
        before = good[key]
        if isinstance(before, Bad):
            assert sample == before
        else:
            assert not isinstance(before, UncertainValue)
            assert sample == UncertainValue(before, Reason.STALE)


async def test_several_meters_of_one_device_are_counted() -> None:
    device = Device(HELD, before=((103, 50), (203, 105), (160, 48)))
    found, _, _ = await read(device, meter=2)
    assert found["energy_import"] == pytest.approx(12_345.678)
    first, _, _ = await read(device, meter=1)  # another, of zeros
    assert first["energy_import"] == 0.0
    with pytest.raises(DataError, match="has 2 meters, no number 3"):
        await read(device, meter=3)


async def test_a_meter_that_counts_the_other_way_is_turned() -> None:
    plain, _, _ = await read(Device(HELD, 213))
    turned, _, _ = await read(Device(HELD, 213), positive="export")
    for point in _sunspec.POINTS:
        flows = point.quantity in (Quantity.POWER, Quantity.REACTIVE_POWER, Quantity.CURRENT)
        sample = plain[point.key]
        if isinstance(sample, float):
            assert turned[point.key] == (-sample if flows else sample), point.key


async def test_a_device_that_was_exchanged_is_searched_again() -> None:
    device = Device(HELD, 203, serial="SN-1")
    _, meter, _ = await read(device)
    device.model, device.base, device.serial = 213, 50_000, "SN-2"
    with pytest.raises(DataError) as caught:
        await meter.read()
    assert caught.value.reason is Reason.ADDRESS
    assert by_key(await meter.read())["power"] == -4321.0
    assert meter.identity == "SN-2"


async def test_what_is_wrong_is_told_while_it_is() -> None:
    device = Device(HELD, events=1 << 3 | 1 << 7)
    _, meter, _ = await read(device)
    assert meter.health == {
        Condition.POWER: "the voltage is too low",
        Condition.SENSOR: "a current transformer is missing",
    }
    device.events = 0xFFFF_FFFF  # it does not tell events
    await meter.read()
    assert meter.health == {}


@pytest.mark.parametrize(("code", "reason"), [(6, Reason.BUSY), (5, Reason.BUSY)])
async def test_a_busy_device_is_busy_and_not_without_a_meter(code: int, reason: Reason) -> None:
    device = Device(HELD)
    device.fault = UnitFault("exception", times=1, code=code)
    with pytest.raises(DataError) as caught:
        await read(device)
    assert caught.value.reason is reason


async def test_a_silent_device_is_asked_once() -> None:
    device = Device(HELD)
    device.fault = UnitFault("silent")
    bus = SimBus({1: device})
    with pytest.raises(BusError):
        await SunSpec(bus, 1).open()
    assert len(bus.log) == 1


async def test_a_device_without_the_mark_is_no_sunspec_device() -> None:
    with pytest.raises(DataError, match="no mark at 40000, 50000 or 0"):
        await read(Device(HELD, base=30_000))


# -- devices that give less at once ----------------------------------------------------------------


@pytest.mark.parametrize("limit", [34, 50, 64, 100])
@pytest.mark.parametrize("model", [203, 213])
async def test_a_device_that_gives_less_at_once_is_read_in_pieces(model: int, limit: int) -> None:
    held = MeterLoad(3).values() | HELD
    device = Device(held, model, serial="SN-1", events=1 << 3)
    want, _, _ = await read(device)
    device.limit = limit
    found, meter, bus = await read(device)
    assert (found, meter.identity) == (want, "SN-1")
    assert set(meter.health) == {Condition.POWER}
    bus.log.clear()
    assert by_key(await meter.read()) == want
    assert len(bus.log) <= 2 * (126 // limit + 1)
    assert all(count <= limit for _, count in bus.log)  # what was refused is remembered
    device.limit = 125
    await meter.open()
    bus.log.clear()
    await meter.read()
    assert len(bus.log) == 1


async def test_no_value_is_read_without_its_scale_factor_nor_cut_in_two() -> None:
    device = Device(MeterLoad(3).values() | HELD, 203)
    want, _, _ = await read(device)
    device.limit = 20
    for _ in range(2):
        found, _, _ = await read(device)
        for key, sample in found.items():
            short = not key.startswith("reactive_energy")  # 16 of 32 bits and their scale factor
            assert sample == (want[key] if short else Bad(Reason.FAULT)), key
    device.model, device.limit = 213, 3
    found, _, _ = await read(device)
    device.limit = 125
    assert found == (await read(device))[0]


async def test_a_device_that_gives_nothing_of_its_meter_is_searched_again() -> None:
    device = Device(HELD, 203)
    _, meter, _ = await read(device)
    device.limit = 1
    with pytest.raises(DataError) as caught:
        await meter.read()
    assert caught.value.reason is Reason.FAULT
    device.limit = 125
    assert by_key(await meter.read())["power"] == -4321.0


async def test_a_device_that_calls_everything_too_long_is_no_sunspec_device() -> None:
    device = Device(HELD)
    device.fault = UnitFault("exception", code=3)
    bus = SimBus({1: device})
    with pytest.raises(DataError, match="no mark"):
        await SunSpec(bus, 1).open()
    assert len(bus.log) == 3


@pytest.mark.parametrize("length", [0, 1, 0xFFFF, 104])
async def test_a_list_that_has_no_end_is_left(length: int) -> None:
    bus = FakeModbus()
    for at in range(40_000, 0x10000):
        bus.put(at, struct.pack(">H", length))
    bus.put(40_000, b"SunS")
    with pytest.raises(DataError):
        await SunSpec(bus, 1).open()
    assert len(bus.log) < 70


@given(st.binary(min_size=2, max_size=400))
def test_random_registers_behind_the_mark_are_an_error_or_values(data: bytes) -> None:
    async def attempt() -> None:
        bus = FakeModbus()
        bus.put(0, b"SunS" + data + bytes(len(data) % 2))
        meter = SunSpec(bus, 1)
        try:
            await meter.open()
            await meter.read()
        except DataError:
            return
        raise AssertionError("400 bytes hold a model only by a miracle")

    asyncio.run(attempt())


@given(st.lists(st.binary(max_size=40), max_size=6))
def test_random_frames_are_a_data_error(frames: list[bytes]) -> None:
    with pytest.raises(DataError):
        explain(frames)


# -- pymodbus's simulator --------------------------------------------------------------------------


@pytest.fixture(scope="module")
def peer() -> Iterator[int]:
    """Models 1 and 203 packed by pymodbus: what is given here, the rest as not there."""
    pack, kinds = ModbusClientMixin.convert_to_registers, ModbusClientMixin.DATATYPE
    common = [w for text, size in (("Acme", 16), ("M-1", 16), ("", 8), ("2", 8), ("77-X", 16))
              for w in pack(text.ljust(2 * size, "\0"), kinds.STRING)]  # fmt: skip
    meter = [0x8000] * 36 + [0] * 16 + [0x8000] * 53
    points = {2: 123, 6: -1, 8: 2301, 9: 2310, 10: 2304, 15: -1, 16: 50, 17: 0, 18: -432, 22: 1}
    for at, value in points.items():
        meter[at - 2 : at - 1] = pack(value, kinds.INT16)
    for at, counter in {38: 1000, 46: 4_000_000_000}.items():
        meter[at - 2 : at] = pack(counter, kinds.UINT32)
    meter[54 - 2] = 0
    meter[103:105] = [0, 0]
    words = [*pack("SunS", kinds.STRING), 1, 66, *common, 1, 0x8000, 203, 105, *meter, 0xFFFF, 0]
    device = SimDevice(7, [SimData(50_000, values=words, datatype=DataType.REGISTERS)])
    with Peer(lambda: ModbusTcpServer(device, address=("127.0.0.1", 0))) as server:
        yield server.port


async def test_a_meter_that_pymodbus_plays(peer: int) -> None:
    bus = ModbusTcp("127.0.0.1", peer)
    meter = SunSpec(bus, 7)
    await meter.open()
    found = by_key(await meter.read())
    bus.close()
    assert meter.identity == "77-X"
    assert {key: found[key] for key in found if not isinstance(found[key], Bad)} == {
        "current_sum": 12.3, "voltage_l1": 230.1, "voltage_l2": 231.0, "voltage_l3": 230.4,
        "frequency": 50.0, "power": -4320.0, "energy_export": 1.0, "energy_import": 4_000_000.0,
    }  # fmt: skip
