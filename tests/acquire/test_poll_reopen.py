"""Who answers and has nothing is started anew, but not who is only slow or cleans itself."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pytest

import drivers
from drivers.sim.i2c import Nack
from drivers.sim.scd41 import Scd41
from edge.acquire.poll import Poller, PollState
from edge.core import Bad, BusError, Condition, Point, Quantity, Reason, Sample, Sweep
from tests.kit.clock import VirtualClock

S = 1_000_000_000
POINTS = (Point("pm2_5", Quantity.MASS_CONCENTRATION),)


@dataclass
class Sensor:
    """It has something new at some of its polls; `opened` is when it was opened."""

    clock: VirtualClock
    blank: Sequence[int] | range = ()
    pace_s: float = 1.0
    identity: str = ""
    health: Mapping[Condition, str] = field(default_factory=dict)
    points: Sequence[Point] = POINTS
    opened: list[float] = field(default_factory=list)
    reads: int = 0

    async def open(self) -> None:
        self.opened.append(self.clock.mono_ns / S)

    async def read(self) -> tuple[Sample, ...]:
        self.reads += 1
        return (Bad(Reason.STALE),) if self.reads - 1 in self.blank else (1.0,)

    async def close(self) -> None: ...


async def polled(clock: VirtualClock, sensor: Sensor, every_s: float, for_s: float) -> list[float]:
    poller = Poller(
        [PollState("x", sensor, int(every_s * S))], clock, lambda _: None, lambda *_: None
    )
    start_s = clock.mono_ns / S
    task = asyncio.create_task(poller.run())
    await clock.run(for_s)
    task.cancel()
    await clock.run(0.2)
    await asyncio.gather(task, return_exceptions=True)
    return [at_s - start_s for at_s in sensor.opened]


@pytest.mark.parametrize(
    ("every_s", "pace_s", "opened"),
    [
        (1.0, 1.0, [0, 16, 32, 48]),  # after 15 s of nothing
        (5.0, 30.0, [0, 95, 190]),  # after three of its own periods
        (60.0, 1.0, [0, 180, 360]),  # two polls without anything: one may be inside a cleaning
    ],
)
async def test_who_never_has_anything_is_started_anew_in_its_own_time(
    every_s: float, pace_s: float, opened: list[float]
) -> None:
    clock = VirtualClock()
    sensor = Sensor(clock, range(10_000), pace_s)
    assert await polled(clock, sensor, every_s, opened[-1] + 1.5) == pytest.approx(opened)


async def test_one_poll_without_news_starts_nothing_anew() -> None:
    clock = VirtualClock()
    assert await polled(clock, Sensor(clock, (2, 4)), 60.0, 300) == [0]


@pytest.mark.parametrize("what", [Condition.CLEANING, Condition.SELF_TEST])
async def test_who_is_busy_with_itself_is_left_alone_for_as_long_as_that_lasts(
    what: Condition,
) -> None:
    clock = VirtualClock()
    sensor = Sensor(clock, range(2, 45), health={what: "its fan cleans itself"})
    assert await polled(clock, sensor, 1.0, 100) == [0]
    # a module that has lost its supply may look the same
    lost = Sensor(clock, range(2, 10_000), health={what: "its fan cleans itself"})
    assert len(await polled(clock, lost, 1.0, 100)) == 2


async def test_a_slow_sensor_that_is_polled_often_keeps_measuring() -> None:
    """An SCD41 of low power at its driver's pace has something new at each sixth poll."""
    clock = VirtualClock()
    air = {"co2": 600.0, "temperature": 20.0, "humidity": 50.0}
    chip = Scd41(air, clock=lambda: clock.mono_ns / S, powered_s=1000)

    class Bus:
        async def transfer(
            self, address: int, write: bytes = b"", read: int = 0, wait_s: float = 0.0
        ) -> bytes:
            try:
                if write:
                    chip.write(write)
                if wait_s:
                    await clock.sleep_until(clock.mono_ns + int(wait_s * S))
                return chip.read(read) if read else b""
            except Nack:
                raise BusError("it does not acknowledge") from None

    sweeps: list[Sweep] = []
    sensor = drivers.build("scd41", Bus(), {"mode": "low_power"})
    every_s = drivers.spec("scd41").every_s
    poller = Poller(
        [PollState("x", sensor, int(every_s * S))],  # type: ignore[arg-type]
        clock, sweeps.append, lambda *_: None,
    )  # fmt: skip
    task = asyncio.create_task(poller.run())
    await clock.run(240)
    task.cancel()
    await clock.run(2)
    await asyncio.gather(task, return_exceptions=True)
    assert sum(sweep.values[0] is not None for sweep in sweeps) >= 6
