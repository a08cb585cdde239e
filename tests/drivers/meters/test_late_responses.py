"""Meters behind links that delay, lose, cut, damage and repeat: no wrong value of any table.

`make late` asks 100,000 questions for each table (LATE=, SEED=), and prints what became of them.
"""

import os
from collections.abc import Sequence

import pytest

from drivers.buses.modbus import ModbusRtu
from drivers.meters.mapfile import HERE
from drivers.meters.register_map import ModbusDevice, load_register_map
from drivers.sim.meter import MeterServer
from edge.core import Bad, Reason, Sample, UncertainValue
from tests.drivers.buses.virtual_wire import VirtualWire
from tests.drivers.meters.fake import on_a_bus, slave
from tests.drivers.meters.late_link import BAUD, CellMeter, Cells, play
from tests.long import more, size

QUESTIONS = int(os.environ.get("LATE") or size(200, 600))
SEED = int(os.environ.get("SEED", "7"))
NAMES = sorted(path.stem for path in HERE.glob("*.toml"))


@more
@pytest.mark.parametrize("name", NAMES)
async def test_no_value_behind_a_bad_link_is_wrong(name: str) -> None:
    counts = await play(load_register_map(name), QUESTIONS, SEED)
    print(f"{name}: {counts}")
    assert counts.wrong == 0
    asked = counts.right + counts.stale + counts.refused
    assert counts.questions >= QUESTIONS
    assert counts.right > asked / 20  # with links on which hardly anything comes in time


class Bare(Cells):
    """Registers with nothing between them: a question across a gap is refused."""

    def words(self, function: int, address: int, count: int, tick: int) -> bytes | None:
        who = self.table.identity
        bare = any((function, address + at) not in self.of for at in range(count))
        if bare and (who is None or address != who.address):
            return None
        return super().words(function, address, count, tick)


@pytest.mark.parametrize("kind", [Cells, Bare])
@pytest.mark.parametrize("name", NAMES)
async def test_a_sound_line_of_who_never_changes_is_believed_after_15_s(
    name: str, kind: type[Cells]
) -> None:
    """What is doubted at a start is over, and takes no other with it."""
    table = load_register_map(name)
    wire = VirtualWire({1: CellMeter(kind(table), idle=True)}, BAUD)
    device = ModbusDevice(ModbusRtu(wire, clock=wire), table, 1)
    await device.open()
    for _ in range(15):
        await device.read()
        wire.sleep(1.0)
    for _ in range(15):
        assert not any(isinstance(sample, Bad | UncertainValue) for sample in await device.read())
        wire.sleep(1.0)


class LateUnit(VirtualWire):
    """Answers to the questions of these numbers come late by so many seconds; None: never."""

    def __init__(self, one: MeterServer, late_s: dict[int, float | None]) -> None:
        super().__init__({1: one}, 9600)
        self.late_s, self.both_ways = late_s, True

    def say(self, first_ns: int, data: bytes) -> None:
        late_s = self.late_s.get(self.requests, 0.0)
        if late_s is not None:
            super().say(first_ns + int(late_s * 1e9), data)


def meter(name: str, late_s: dict[int, float | None]) -> tuple[ModbusDevice, LateUnit]:
    ticks = {"now": 0}

    def values() -> dict[str, float | None]:
        ticks["now"] += 1
        return {key: row["low"] + ticks["now"] for key, row in one.table["points"].items()}

    one = MeterServer(name, values)
    wire = LateUnit(one, late_s)
    return ModbusDevice(ModbusRtu(wire, clock=wire), load_register_map(name), 1), wire


def silent(samples: Sequence[Sample]) -> int:
    return sum(sample == Bad(Reason.SILENT) for sample in samples)


async def test_a_block_that_owes_an_answer_is_not_asked_and_the_others_are() -> None:
    device, wire = meter("sdm120", {2: None})
    assert silent(await device.read()) > 0
    wire.sleep(1.0)
    requests = wire.requests
    samples = await device.read()
    assert 0 < silent(samples) < len(samples)
    assert wire.requests - requests == 2  # of its three blocks
    wire.sleep(5.0)
    assert not silent(await device.read())


async def test_a_late_answer_frees_its_block() -> None:
    device, wire = meter("sdm120", {2: 0.8})
    assert silent(await device.read()) > 0
    wire.sleep(1.0)
    assert not silent(await device.read())


async def test_a_stale_ratio_makes_what_it_multiplies_stale_and_no_other_number() -> None:
    behind: dict[str, float | None] = {"current_l1": 80.0, "frequency": 50.0, "ct": 40, "pt": 100}
    device, bus = on_a_bus(slave("adl400", behind))
    bus.old = {0x8D}
    found = dict(zip((p.key for p in device.points), await device.read(), strict=True))
    assert found["current_l1"] == UncertainValue(80.0, Reason.STALE)
    assert found["frequency"] == 50.0


async def test_a_condition_does_not_end_by_being_told_twice() -> None:
    one = slave("em24", {"phases": -1})
    device, bus = on_a_bus(one)
    await device.read()
    before = dict(device.health)
    assert before
    bus.old = set(range(0x10000))
    samples = await device.read()
    assert not any(isinstance(sample, float) for sample in samples)
    assert UncertainValue(0.0, Reason.STALE) in samples
    assert device.health == before


async def test_a_serial_number_that_is_owed_is_asked_for_again() -> None:
    device, bus = on_a_bus(slave("em24", {}))
    bus.owed = {0x1300}
    await device.read()
    assert device.identity == ""
    bus.owed = set()
    await device.read()
    assert device.identity == "12345678"
