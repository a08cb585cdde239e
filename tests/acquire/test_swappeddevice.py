"""A meter is swapped: whatever is heard of it first, and when, no foreign register is counted."""

import struct
from typing import Any

import pytest

from drivers.meters.register_map import AGAIN, TRIES, ModbusDevice, load_register_map
from edge.acquire.poll import Poller, PollState
from edge.acquire.swappeddevice import UNTOLD_READS
from edge.core import (
    Bad,
    BusError,
    DataError,
    Point,
    PointKind,
    Quantity,
    Reason,
    Sample,
    Stream,
    Sweep,
    UncertainValue,
)
from edge.process.engine import DeviceSetup, Engine, EngineSetup
from tests.kit.asread import as_read
from tests.kit.clock import VirtualClock
from tests.kit.meter import FixedMeter

S = 1_000_000_000
TABLE = load_register_map("sdm630").only(["energy_import"])
NUMBER = TABLE.identity
POINTS = (
    Point("energy_import", Quantity.ENERGY, 0, 999_999, kind=PointKind.TOTAL),
    Point("power", Quantity.POWER),
)


class SwappedMeterLine:
    """A Modbus line with one meter; its number is refused as `refusals` say, in this order."""

    def __init__(self) -> None:
        self.serial, self.kwh, self.silent = 1, 1000.0, False
        self.refusals: list[Exception] = []

    async def read_registers(self, unit: int, function: int, address: int, count: int) -> bytes:
        if self.silent:
            raise BusError("silent")
        assert NUMBER is not None
        if (function, address) == (NUMBER.function, NUMBER.address):
            if self.refusals:
                raise self.refusals.pop(0)
            return self.serial.to_bytes(2 * count, "big")
        return struct.pack(">f", self.kwh) * (count // 2)


class SwapBench:
    """One device at its poller, tick by tick, and the window that becomes of it."""

    def __init__(self, polled: Any, known: str = "") -> None:
        self.clock, self.sweeps = VirtualClock(0), list[Sweep]()
        self.device = PollState("m", polled, S, identity=known)
        self.poller = Poller([self.device], self.clock, self.sweeps.append, lambda *_: None)

    async def ticks(self, count: int) -> list[str]:
        """The qualities of the register."""
        for _ in range(count):
            self.clock.mono_ns += S
            await self.poller._tick(self.device)
        return [str(sweep.qualities[0]) for sweep in self.sweeps[-count:]]

    def energy(self) -> dict[str, Any]:
        points = tuple(self.device.polled.points)
        engine = Engine(EngineSetup(devices=(DeviceSetup("m", Stream.ENERGY, points, 1.0),)))
        engine.start(0)
        engine.sweeps(self.sweeps)
        (record,) = engine.close(self.clock.mono_ns + 1)  # and no event
        found: dict[str, Any] = as_read(record)["points"]["energy_import"]
        return found


BUSY: list[Exception] = [DataError("busy", Reason.BUSY)]


@pytest.mark.parametrize(
    ("refusals", "grades"),
    [
        ([], ["uncertain:gap", "good"]),
        (BUSY, ["uncertain:warmup", "uncertain:gap", "good"]),
        (BUSY * 2, ["uncertain:warmup"] * 2 + ["uncertain:gap", "good"]),
    ],
)
async def test_a_new_meter_that_is_slow_to_tell_its_number_is_waited_for(
    refusals: list[Exception], grades: list[str]
) -> None:
    line = SwappedMeterLine()
    bench = SwapBench(ModbusDevice(line, TABLE, 1))
    assert await bench.ticks(3) == ["good"] * 3
    line.silent = True
    await bench.ticks(200)
    line.silent, line.serial, line.kwh, line.refusals = False, 2, 1015.0, list(refusals)
    await bench.ticks(60)  # it is asked again now and then
    found = [str(s.qualities[0]) for s in bench.sweeps if str(s.qualities[0]) != "bad:silent"]
    assert found[3 : 3 + len(grades)] == grades
    assert bench.energy()["delta"] == 0.0


async def test_the_same_meter_that_is_slow_to_tell_its_number_loses_nothing() -> None:
    line = SwappedMeterLine()
    bench = SwapBench(ModbusDevice(line, TABLE, 1))
    await bench.ticks(3)
    line.silent = True
    await bench.ticks(200)
    line.silent, line.kwh, line.refusals = False, 1015.0, BUSY * 2
    await bench.ticks(60)
    assert bench.energy()["delta"] == 15.0
    assert "uncertain:gap" not in bench.energy()["quality"]


async def test_a_number_that_never_comes_is_given_up() -> None:
    bench = SwapBench(FixedMeter((1000.0, 5.0), POINTS, identity=""), known="1")
    held = UNTOLD_READS - 1
    assert await bench.ticks(UNTOLD_READS + 2) == ["uncertain:warmup"] * held + ["good"] * 3
    assert {str(sweep.qualities[1]) for sweep in bench.sweeps} == {"good"}, "power is no register"
    assert set(await SwapBench(FixedMeter((1000.0, 5.0), POINTS, identity="")).ticks(5)) == {
        "good"
    }, "it never told any"


@pytest.mark.parametrize("value", [Bad(Reason.BUSY), float("nan"), 5e7])
async def test_a_register_that_has_no_value_when_its_number_is_heard_is_waited_for(
    value: Sample,
) -> None:
    meter = FixedMeter((1000.0, 5.0), POINTS, identity="1")
    bench = SwapBench(meter)
    await bench.ticks(2)
    meter.identity, meter.samples = "2", (value, 5.0)
    await bench.ticks(1)
    assert str(bench.sweeps[-1].qualities[1]) == "uncertain:gap"
    meter.samples = (Bad(Reason.BUSY), 5.0)
    assert await bench.ticks(1) == ["bad:busy"]
    meter.samples = (1002.0, 5.0)
    await bench.ticks(2)
    assert bench.energy()["delta"] == 0.0


async def test_a_number_that_a_person_hears_first_is_not_lost() -> None:
    meter = FixedMeter((1000.0, 5.0), POINTS, identity="1")
    bench = SwapBench(meter)
    await bench.ticks(2)
    meter.identity, meter.samples = "2", (1002.0, 5.0)
    await bench.poller.read("m")
    assert await bench.ticks(2) == ["uncertain:gap", "good"]


async def test_a_gap_of_one_point_that_a_person_hears_first_is_not_lost() -> None:
    meter = FixedMeter((1000.0, 5.0), POINTS, identity="1")
    bench = SwapBench(meter)
    await bench.ticks(2)
    meter.samples = (UncertainValue(1834.0, Reason.GAP), 5.0)
    await bench.poller.read("m")
    meter.samples = (Bad(Reason.BUSY), 5.0)
    assert await bench.ticks(1) == ["bad:busy"]
    meter.samples = (1834.0, 5.0)
    await bench.poller.read("m")
    assert await bench.ticks(2) == ["uncertain:gap", "good"]
    assert str(bench.sweeps[-2].qualities[1]) == "good"
    assert bench.energy()["delta"] == 0.0


async def test_a_new_meter_that_is_busy_for_too_long_is_known_in_the_end() -> None:
    """Its number was given up; it is asked for again, later."""
    line = SwappedMeterLine()
    bench = SwapBench(ModbusDevice(line, TABLE, 1))
    await bench.ticks(3)
    line.silent = True
    await bench.ticks(100)
    line.silent, line.serial, line.refusals = False, 2, BUSY * TRIES
    found = await bench.ticks(60 + AGAIN)
    assert found.count("uncertain:gap") == 1
    assert bench.device.identity == "2"
