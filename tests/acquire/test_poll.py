"""One owner a bus: devices in turn, a dead one costs its neighbours nothing."""

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pytest

from edge.acquire.busthread import BusThread
from edge.acquire.clock import SystemClock
from edge.acquire.poll import Poller, PollState
from edge.core import (
    Bad,
    BusError,
    Condition,
    DataError,
    Point,
    Quantity,
    Reason,
    Sample,
    Sweep,
    uncertain,
)
from tests.kit.clock import VirtualClock
from tests.kit.meter import ScriptedMeter

POINTS = (Point("power", Quantity.POWER), Point("voltage", Quantity.VOLTAGE))


@dataclass
class TwoPointMeter(ScriptedMeter):
    """Of power and voltage; it answers in half the time."""

    takes_s: float = 0.05
    samples: tuple[Sample, ...] = (1.0, 230.0)
    points: Sequence[Point] = POINTS


@dataclass
class PollBench:
    clock: VirtualClock
    meters: dict[str, TwoPointMeter]
    sweeps: list[Sweep] = field(default_factory=list)
    reports: list[tuple[str, Reason | None]] = field(default_factory=list)

    def poller(self, every_s: float = 1.0) -> Poller:
        return Poller(
            [PollState(name, meter, int(every_s * 1e9)) for name, meter in self.meters.items()],
            self.clock,
            self.sweeps.append,
            lambda device, reason, text: self.reports.append((device, reason)),
        )

    def of(self, name: str) -> list[Sweep]:
        return [sweep for sweep in self.sweeps if sweep.source == name]


async def run(bench: PollBench, seconds: float, poller: Poller | None = None) -> Poller:
    poller = poller or bench.poller()
    task = asyncio.create_task(poller.run())
    await bench.clock.run(seconds)
    task.cancel()
    await bench.clock.run(0.2)  # it closes its devices
    await asyncio.gather(task, return_exceptions=True)
    return poller


async def test_each_device_is_asked_once_a_period() -> None:
    clock = VirtualClock()
    bench = PollBench(clock, {"a": TwoPointMeter(clock), "b": TwoPointMeter(clock)})
    await run(bench, 9.9)
    assert len(bench.of("a")) == len(bench.of("b")) == 10
    assert [s.mono_ns for s in bench.of("a")][:2] == [
        1_000_050_000_000,
        1_001_050_000_000,
    ]
    assert all(meter.closed == 1 for meter in bench.meters.values())


async def test_a_silent_device_costs_its_neighbours_nothing_after_its_first_time_outs() -> None:
    clock = VirtualClock()
    dead = TwoPointMeter(clock, takes_s=0.5, trouble=BusError("no answer"))
    bench = PollBench(clock, {"dead": dead, "alive": TwoPointMeter(clock)})
    await run(bench, 599.9)
    assert len(bench.of("alive")) == 600
    assert len(dead.log) < 20  # 2, 4, 8 .. 60 s: growing and capped
    waits = [b - a for a, b in zip(dead.log, dead.log[1:], strict=False)]
    assert waits == sorted(waits)
    assert 60 <= waits[-1] / 1e9 < 62
    # its ticks are accounted for all the same
    assert len(bench.of("dead")) == 600
    assert {str(q) for s in bench.of("dead") for q in s.qualities} == {"bad:silent"}
    assert bench.reports == [("dead", Reason.SILENT)]


async def test_a_device_that_comes_back_is_opened_again_and_said_so_once() -> None:
    clock = VirtualClock()
    meter = TwoPointMeter(clock, trouble=BusError("no answer"))
    bench = PollBench(clock, {"m": meter})
    poller = bench.poller()
    task = asyncio.create_task(poller.run())
    await clock.run(20)
    meter.trouble = None
    await clock.run(20)
    task.cancel()
    await clock.run(0.2)  # it closes its devices
    await asyncio.gather(task, return_exceptions=True)
    assert bench.reports == [("m", Reason.SILENT), ("m", None)]
    assert bench.of("m")[-1].values == (1.0, 230.0)
    assert meter.opened >= 2


async def test_a_damaged_answer_is_tried_again_at_the_next_tick() -> None:
    clock = VirtualClock()
    meter = TwoPointMeter(clock, trouble=DataError("checksum"))
    bench = PollBench(clock, {"m": meter})
    await run(bench, 9.9)
    assert len(meter.log) == 10
    assert {str(q) for s in bench.sweeps for q in s.qualities} == {"bad:crc"}


async def test_ticks_that_the_bus_had_no_time_for_are_counted_not_caught_up() -> None:
    clock = VirtualClock()
    bench = PollBench(clock, {"slow": TwoPointMeter(clock, takes_s=2.5)})
    poller = await run(bench, 30)
    assert len(bench.of("slow")) == 12  # as fast as the wire goes
    assert poller.devices["slow"].missed + 12 == 30


async def test_a_command_goes_between_two_polls() -> None:
    clock = VirtualClock()
    bench = PollBench(clock, {"m": TwoPointMeter(clock)})
    poller = bench.poller()
    asked = asyncio.get_running_loop().create_future()

    async def read_now() -> None:
        asked.set_result(await poller.read("m"))

    task = asyncio.create_task(poller.run())
    await clock.run(0.5)
    poller.command(read_now)
    await clock.run(0.4)
    assert asked.result().values == (1.0, 230.0)
    await clock.run(1)
    task.cancel()
    await clock.run(0.2)  # it closes its devices
    await asyncio.gather(task, return_exceptions=True)


async def test_a_device_without_news_for_long_is_opened_again() -> None:
    clock = VirtualClock()

    class Blank(TwoPointMeter):
        async def read(self) -> tuple[Sample, ...]:
            return (Bad(Reason.STALE), Bad(Reason.STALE))

    meter = Blank(clock)
    bench = PollBench(clock, {"m": meter})
    await run(bench, 59.9)
    assert meter.opened == 4  # at once, and after each 15 s of nothing


class Blocking:
    """A device as it is on a real wire: its bus blocks, and the loop turns for nobody."""

    points: Sequence[Point] = POINTS

    async def open(self) -> None: ...

    async def read(self) -> tuple[Sample, ...]:
        time.sleep(0.002)
        return (1.0, 230.0)

    async def close(self) -> None: ...


async def test_a_bus_that_is_always_behind_still_hears_commands_and_its_end() -> None:
    device = PollState("a", Blocking(), every_ns=1_000_000)  # twice as often as the wire allows
    poller = Poller([device], SystemClock(), lambda _: None, lambda *_: None)
    thread = BusThread("x", poller.run)
    thread.start()

    async def answer() -> int:
        return 42

    async with asyncio.timeout(60):
        assert await asyncio.wrap_future(thread.call(answer)) == 42
    assert thread.stop()


async def test_a_device_that_is_interrupted_is_free_again_when_it_is_closed() -> None:
    """A sensor that is asked something refuses to stop until its answer is ready."""

    @dataclass
    class Busy(TwoPointMeter):
        free_s: float = 0.0
        refused: bool = False

        async def read(self) -> tuple[Sample, ...]:
            self.free_s = time.monotonic() + 0.05
            await asyncio.sleep(0.05)
            return self.samples

        async def close(self) -> None:
            self.closed += 1
            self.refused = time.monotonic() < self.free_s

    sensor = Busy(VirtualClock())
    poller = Poller(
        [PollState("a", sensor, 1_000_000)], SystemClock(), lambda _: None, lambda *_: None
    )
    task = asyncio.create_task(poller.run())
    while not sensor.free_s:
        await asyncio.sleep(0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert (sensor.closed, sensor.refused) == (1, False)


@dataclass
class LearningMeter(TwoPointMeter):
    """A meter that tells its serial number and how it is, and has learnt something."""

    identity: str = "1001"
    health: dict[Condition, str] = field(default_factory=dict)
    learnt: int = 0

    def snapshot(self) -> bytes:
        self.learnt += 1
        return bytes([self.learnt])

    def restore(self, kept: bytes, age_s: float) -> None:
        self.learnt = kept[0]


@dataclass
class Ears:
    heard: list[tuple[str, str, dict[Condition, str]]] = field(default_factory=list)

    def __call__(self, device: str, identity: str, health: Mapping[Condition, str]) -> None:
        self.heard.append((device, identity, dict(health)))


async def test_what_a_device_says_of_itself_is_heard_when_it_changes() -> None:
    clock, ears = VirtualClock(), Ears()
    meter = LearningMeter(clock)
    device = PollState("a", meter, 1_000_000_000)
    poller = Poller([device], clock, lambda _: None, lambda *_: None, on_condition=ears)
    task = asyncio.create_task(poller.run())
    await clock.run(2.5)
    meter.health = {Condition.FAN: "the fan stands still"}
    await clock.run(2.5)
    meter.health = {}
    await clock.run(2.5)
    task.cancel()
    await clock.run(0.2)  # it closes its devices
    await asyncio.gather(task, return_exceptions=True)
    said = {Condition.FAN: "the fan stands still"}
    assert ears.heard == [("a", "1001", {}), ("a", "1001", said), ("a", "1001", {})]
    assert device.kept == bytes([meter.learnt])


async def test_what_was_wrong_is_not_over_before_the_device_has_been_asked() -> None:
    """After a start it warms up, and the status of its fan is not known yet."""
    clock, ears = VirtualClock(), Ears()
    meter, said = LearningMeter(clock), {Condition.FAN: "the fan stands still"}
    device = PollState("a", meter, 1_000_000_000, identity="1001", health=said)
    poller = Poller([device], clock, lambda _: None, lambda *_: None, on_condition=ears)
    meter.samples = (Bad(Reason.WARMUP),) * 2
    task = asyncio.create_task(poller.run())
    await clock.run(2.5)
    assert ears.heard == []
    meter.samples = (1.0, 230.0)
    await clock.run(1.0)
    task.cancel()
    await clock.run(0.2)  # it closes its devices
    await asyncio.gather(task, return_exceptions=True)
    assert ears.heard == [("a", "1001", {})]


@pytest.mark.parametrize("known", ["", "1001"])
async def test_the_first_values_of_another_device_come_after_a_gap(known: str) -> None:
    """Whether it was swapped while we looked, or while the box was off."""
    clock, ears = VirtualClock(), Ears()
    meter = LearningMeter(clock, identity="2002" if known else "1001")
    device = PollState("a", meter, 1_000_000_000, identity=known)
    found: list[Sweep] = []
    poller = Poller([device], clock, found.append, lambda *_: None, on_condition=ears)
    task = asyncio.create_task(poller.run())
    await clock.run(1.5)
    meter.identity = "2002"
    await clock.run(2.0)
    task.cancel()
    await clock.run(0.2)  # it closes its devices
    await asyncio.gather(task, return_exceptions=True)
    after = [i for i, s in enumerate(found) if uncertain(Reason.GAP) in s.qualities]
    assert after == [0 if known else 2]
    assert found[after[0]].values == (1.0, 230.0)
    assert [identity for _, identity, _ in ears.heard][-1] == "2002"


async def test_a_device_that_forgets_its_number_is_not_another_one() -> None:
    clock, ears = VirtualClock(), Ears()
    meter = LearningMeter(clock, identity="")
    device = PollState("a", meter, 1_000_000_000, identity="1001")
    found: list[Sweep] = []
    poller = Poller([device], clock, found.append, lambda *_: None, on_condition=ears)
    task = asyncio.create_task(poller.run())
    await clock.run(1.5)
    task.cancel()
    await clock.run(0.2)  # it closes its devices
    await asyncio.gather(task, return_exceptions=True)
    assert not ears.heard
    assert all(uncertain(Reason.GAP) not in sweep.qualities for sweep in found)
