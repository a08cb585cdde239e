"""Answers that come late or twice on a serial line: whose they are, and when nobody can know."""

import struct
from collections.abc import Callable

import pytest

from drivers.buses.modbus import ModbusRtu
from drivers.buses.modbus.frame import Ask
from drivers.buses.modbus.pendingresponses import DOUBTS, PROVEN
from drivers.sim.meter import MeterServer, UnitFault
from edge.core import AmbiguousAnswerError, BusError, DataError, StaleAnswer
from tests.drivers.buses.asks import BLOCK, HERTZ, VOLTS
from tests.drivers.buses.virtual_wire import VirtualWire

TIMEOUT_S, DELAY_S = 0.5, 5.0
S = 1_000_000_000


class DelayedWire(VirtualWire):
    """`then` says of each answer what comes of it: (seconds later, bytes)."""

    def __init__(self) -> None:
        self.now = {"voltage_l1": 230.0, "frequency": 50.0}
        units = {unit: MeterServer("sdm120", lambda: self.now) for unit in (1, 2)}
        super().__init__(units, 38_400)
        self.both_ways = True
        self.then: Callable[[bytes], list[tuple[float, bytes]]] = lambda reported: [(0.0, reported)]

    def say(self, first_ns: int, data: bytes) -> None:
        for late_s, part in self.then(data):
            super().say(first_ns + int(late_s * 1e9), part)


@pytest.fixture
def link() -> DelayedWire:
    return DelayedWire()


@pytest.fixture
def bus(link: DelayedWire) -> ModbusRtu:
    return ModbusRtu(link, TIMEOUT_S, DELAY_S, link)


async def asked(bus: ModbusRtu, ask: Ask = VOLTS) -> float:
    return float(struct.unpack(">f", (await bus.read_registers(*ask))[:4])[0])


async def prove(bus: ModbusRtu, link: DelayedWire) -> None:
    """The unit answers long enough as it should, and owes nothing."""
    link.sleep(DELAY_S)
    for _ in range(PROVEN + DOUBTS):
        assert await asked(bus) == 230.0
        link.sleep(0.1)


def late(seconds: float) -> Callable[[bytes], list[tuple[float, bytes]]]:
    return lambda reported: [(seconds, reported)]


def twice(seconds: float) -> Callable[[bytes], list[tuple[float, bytes]]]:
    return lambda reported: [(0.0, reported), (seconds, reported)]


def once(link: DelayedWire) -> None:
    link.then = late(0.0)


@pytest.mark.parametrize("late_s", [0.6, 1.1, 2.4, 4.9])
async def test_a_late_answer_is_never_that_to_a_question_of_its_length(
    link: DelayedWire, bus: ModbusRtu, late_s: float
) -> None:
    """However late within the bound: beyond twice the time-out it was taken for the next one."""
    link.then = late(late_s)
    with pytest.raises(BusError):
        await asked(bus, HERTZ)
    once(link)
    found = []
    for _ in range(60):
        try:
            found.append(await asked(bus))
        except BusError:
            link.sleep(0.1)
    assert set(found) == {230.0}


async def test_who_owes_an_answer_keeps_the_line_from_nobody(
    link: DelayedWire, bus: ModbusRtu
) -> None:
    link.then = late(4.0)
    with pytest.raises(BusError):
        await asked(bus)
    once(link)
    link.sleep(TIMEOUT_S + 0.1)  # so long it is waited for
    began_ns = link.now_ns
    for _ in range(10):
        with pytest.raises(
            AmbiguousAnswerError, match=r"answer of unit 1 is missing.*asked again in"
        ):
            await asked(bus, HERTZ)
    assert link.now_ns - began_ns < 1_000_000
    assert await asked(bus, (2, 4, 0x46, 2)) == 50.0
    assert await asked(bus, BLOCK) == 230.0  # of another length
    link.sleep(4.0)
    assert await asked(bus, (2, 4, 0, 2)) == 230.0  # the late one comes meanwhile
    assert await asked(bus, HERTZ) == 50.0


async def test_what_never_comes_is_waited_for_no_longer_than_the_bound(
    link: DelayedWire, bus: ModbusRtu
) -> None:
    link.then = lambda reported: []
    with pytest.raises(BusError):
        await asked(bus)
    began_ns = link.now_ns
    once(link)
    while True:
        try:
            await asked(bus)
            break
        except AmbiguousAnswerError:
            link.sleep(0.1)
    assert link.now_ns - began_ns < (DELAY_S + 0.2) * S


@pytest.mark.parametrize("behind_s", [0.003, 0.02, 0.3])
async def test_a_repeated_answer_is_not_that_of_other_registers(
    link: DelayedWire, bus: ModbusRtu, behind_s: float
) -> None:
    """A bridge that repeats everything, and two questions of one length in turn."""
    link.then = twice(behind_s)
    for at in range(20):
        link.now = {"voltage_l1": 230.0 + at, "frequency": 50.0 + at / 10}
        for ask, want in ((VOLTS, 230.0 + at), (HERTZ, 50.0 + at / 10)):
            assert await asked(bus, ask) == pytest.approx(want)
        link.sleep(1.0)


async def test_what_was_told_twice_once_is_told_twice_again(
    link: DelayedWire, bus: ModbusRtu
) -> None:
    link.then = twice(0.1)
    assert await asked(bus) == 230.0
    once(link)
    link.sleep(1.0)
    assert await asked(bus, (2, 4, 0, 2)) == 230.0  # its copy is heard
    with pytest.raises(AmbiguousAnswerError, match="may be an older answer"):
        await asked(bus)
    link.sleep(DELAY_S)
    assert await asked(bus) == 230.0  # no copy can be so late
    link.now = {"voltage_l1": 231.0}
    assert await asked(bus) == 231.0  # and this is none


async def test_a_unit_that_was_late_gives_what_is_unchanged_as_old_and_what_follows_it(
    link: DelayedWire, bus: ModbusRtu
) -> None:
    """If that was a copy, the answer behind it is the one that follows; and so on."""
    link.then = late(1.0)
    with pytest.raises(BusError):
        await asked(bus)
    once(link)
    link.sleep(1.0)
    for at in range(2 * DOUBTS):
        link.now = {"voltage_l1": 230.0 + at}
        assert isinstance(await bus.read_registers(*VOLTS), StaleAnswer)
    link.sleep(DELAY_S + 0.1)  # who answers at last, answers the last question
    link.now = {"voltage_l1": 240.0}
    assert not isinstance(await bus.read_registers(*VOLTS), StaleAnswer)


async def olds(
    bus: ModbusRtu, link: DelayedWire, times: int, volts: Callable[[int], float]
) -> list[tuple[bool, bool]]:
    """Whether what each of two blocks said is old, of a meter that is read each second."""
    found = []
    for at in range(times):
        link.now = {"voltage_l1": volts(at), "frequency": 50.0}
        one, two = [await bus.read_registers(*ask) for ask in (VOLTS, BLOCK)]
        found.append((isinstance(one, StaleAnswer), isinstance(two, StaleAnswer)))
        link.sleep(1.0)
    return found


async def test_a_sound_line_gives_nothing_as_old_but_what_follows_an_unchanged_first(
    link: DelayedWire, bus: ModbusRtu
) -> None:
    """A second answer that is the first to the last bit may be a copy of it: nobody knows yet."""
    old = await olds(bus, link, PROVEN, lambda at: 230.0)
    assert old == [(False, False), *[(True, True)] * DOUBTS, *[(False, False)] * 195]


async def test_a_sound_line_gives_no_value_as_old_that_changes_with_each_reading(
    link: DelayedWire, bus: ModbusRtu
) -> None:
    assert set(await olds(bus, link, 50, lambda at: 200.0 + at)) == {(False, False)}


@pytest.mark.parametrize("each", [2, 3, 10])
async def test_a_sound_line_gives_nothing_as_old_after_so_many_answers(
    link: DelayedWire, bus: ModbusRtu, each: int
) -> None:
    """However seldom the registers change, and though another block never answers."""
    old = []
    for at in range(0, PROVEN, 10):
        bus._pending.owe((1, 4, 0x60, 3), link.now_ns, 0, damaged=False)
        old += await olds(bus, link, 10, lambda now, at=at: 200.0 + (at + now) // each % 50)  # type: ignore[misc]
    proven = PROVEN // 2 + 1  # of two blocks
    assert any(map(any, old[:proven]))
    assert not any(map(any, old[proven + DOUBTS :]))


async def test_the_first_copy_that_a_link_ever_tells_is_old(
    link: DelayedWire, bus: ModbusRtu
) -> None:
    link.then = twice(0.2)
    assert await asked(bus) == 230.0
    link.then = late(0.1)  # so that the copy comes first
    link.now = {**link.now, "voltage_l1": 240.0}
    link.sleep(0.17)
    assert isinstance(await bus.read_registers(*VOLTS), StaleAnswer)


async def test_the_answer_behind_a_copy_is_old_as_well(link: DelayedWire, bus: ModbusRtu) -> None:
    """The copy of the first came for the second question, its answer for the third, and so on."""
    found: list[bool] = []
    said = iter([twice(0.2), *[late(1.02)] * 2, late(0.3)])
    for at in range(4):
        link.then = next(said)
        link.now = {"voltage_l1": 230.0 + at}
        data = await bus.read_registers(*VOLTS)
        right = struct.unpack(">f", data)[0] == 230.0 + at
        assert right or isinstance(data, StaleAnswer)
        found.append(right)
        link.sleep(0.17 if at == 0 else 0.9)
    assert found == [True, False, False, False]


async def test_the_answer_behind_a_copy_is_not_that_of_other_registers(
    link: DelayedWire, bus: ModbusRtu
) -> None:
    link.then = twice(0.2)
    assert await asked(bus) == 230.0
    link.then = late(1.4)
    link.sleep(0.17)
    assert isinstance(await bus.read_registers(*VOLTS), StaleAnswer)
    link.then = late(0.45)
    link.now = {"voltage_l1": 231.0, "frequency": 50.0}
    link.sleep(1.1)
    with pytest.raises(AmbiguousAnswerError):
        await asked(bus, HERTZ)


async def test_two_registers_that_hold_the_same_are_believed_of_who_is_never_late(
    link: DelayedWire, bus: ModbusRtu
) -> None:
    link.now = {"voltage_l1": 50.0, "frequency": 50.0}
    assert await asked(bus) == 50.0
    with pytest.raises(AmbiguousAnswerError):
        await asked(bus, HERTZ)
    link.now = {"voltage_l1": 230.0, "frequency": 230.0}
    await prove(bus, link)
    began_ns = link.now_ns
    assert await asked(bus, HERTZ) == 230.0
    assert link.now_ns - began_ns > TIMEOUT_S * S  # no other came
    began_ns = link.now_ns
    assert await asked(bus, HERTZ) == 230.0
    assert link.now_ns - began_ns < TIMEOUT_S * S


@pytest.mark.parametrize("kind", ["crc", "cut"])
async def test_damage_may_have_been_a_copy_until_a_unit_has_proved_sound(
    link: DelayedWire, bus: ModbusRtu, kind: str
) -> None:
    link.units[1].fault = UnitFault(kind, times=1)  # type: ignore[arg-type]
    with pytest.raises(DataError, match="damaged"):
        await asked(bus)
    for at in range(DOUBTS):
        link.now = {"voltage_l1": 231.0 + at, "frequency": 50.0}
        assert isinstance(await bus.read_registers(*VOLTS), StaleAnswer)
    assert await asked(bus, HERTZ) == 50.0
    link.now = {"voltage_l1": 240.0, "frequency": 50.0}
    assert not isinstance(await bus.read_registers(*VOLTS), StaleAnswer)
    link.now = {"voltage_l1": 230.0, "frequency": 50.0}
    await prove(bus, link)
    link.units[1].fault = UnitFault(kind, times=1)  # type: ignore[arg-type]
    with pytest.raises(DataError, match="damaged"):
        await asked(bus)
    assert await asked(bus, HERTZ) == 50.0


async def test_damage_may_have_been_the_answer_to_other_registers(
    link: DelayedWire, bus: ModbusRtu
) -> None:
    link.units[1].fault = UnitFault("crc", times=1)
    with pytest.raises(DataError, match="damaged"):
        await asked(bus)
    with pytest.raises(AmbiguousAnswerError):
        await asked(bus, HERTZ)
    link.sleep(DELAY_S)
    assert await asked(bus, HERTZ) == 50.0


async def test_a_late_refusal_is_not_that_of_another_question(
    link: DelayedWire, bus: ModbusRtu
) -> None:
    """It says nothing of its question, not even a length."""
    link.then = late(0.55)
    link.units[1].fault = UnitFault("exception", times=1, code=2)
    with pytest.raises(BusError):
        await asked(bus)
    link.then = late(0.4)
    with pytest.raises(AmbiguousAnswerError):
        await asked(bus, BLOCK)


async def test_a_refusal_in_time_is_one(link: DelayedWire, bus: ModbusRtu) -> None:
    link.units[1].fault = UnitFault("exception", times=2, code=2)
    for _ in range(2):
        with pytest.raises(DataError, match="no such register"):
            await asked(bus)
    assert await asked(bus) == 230.0


async def test_a_dead_unit_takes_no_more_of_the_line_than_its_time_out(
    link: DelayedWire, bus: ModbusRtu
) -> None:
    took_s = []
    for _ in range(40):
        began_ns = link.now_ns
        with pytest.raises(BusError):
            await asked(bus, (9, 4, 0, 2))
        took_s.append((link.now_ns - began_ns) / 1e9)
        link.sleep(2.0)
        assert await asked(bus) == 230.0
    assert max(took_s) < TIMEOUT_S + 0.01
    assert sum(took_s) < 40 * 0.25  # each fourth in full, and those between not at all or 0.1 s
