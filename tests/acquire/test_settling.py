"""A warm-up is waited for; one that does not end is seen, however often the device is reopened."""

import asyncio
from typing import Any

import pytest

import drivers
from edge.acquire.poll import OUTAGE_READS, RETURNS_KEPT, Poller, PollState
from edge.acquire.settling import SETTLE_LEAST_NS, settle_limit_ns
from edge.core import Bad, BusError, Reason, Sample, UncertainValue
from tests.kit.clock import JumpingClock, VirtualClock
from tests.kit.meter import POWER, FixedMeter, ScriptedMeter

S = 1_000_000_000
BUS = object()


async def polled(clock: VirtualClock, meter: ScriptedMeter, seconds: float) -> PollState:
    """As it is known after so long."""
    state = PollState("hut", meter, S)
    poller = Poller([state], clock, lambda _: None, lambda device, reason, text: None)
    task = asyncio.create_task(poller.run())
    await clock.run(seconds)
    task.cancel()
    await clock.run(0.2)
    await asyncio.gather(task, return_exceptions=True)
    return state


@pytest.mark.parametrize(
    "sample",
    [
        Bad(Reason.WARMUP),
        Bad(Reason.STALE),
        Bad(Reason.BUSY),
        Bad(Reason.FAULT),
        UncertainValue(1.0, Reason.WARMUP),
    ],
)
async def test_what_never_settles_is_known_since_its_first_answer(sample: Sample) -> None:
    clock = VirtualClock()
    meter = ScriptedMeter(clock, samples=(sample,))
    began_ns = clock.mono_ns
    state = await polled(clock, meter, 60)
    assert state.unsettled_since_ns == pytest.approx(began_ns, abs=S)
    assert isinstance(sample, UncertainValue) or meter.opened > 1, "it is started anew meanwhile"


@pytest.mark.parametrize("sample", [1.0, UncertainValue(1.0, Reason.CLOCK)])
async def test_what_has_values_is_settled(sample: Sample) -> None:
    clock = VirtualClock()
    state = await polled(clock, ScriptedMeter(clock, samples=(sample,)), 10)
    assert (state.unsettled, state.unsettled_since_ns) == (None, None)


async def test_a_device_that_was_away_warms_up_from_its_return_on() -> None:
    clock = VirtualClock()
    meter = ScriptedMeter(clock, samples=(Bad(Reason.WARMUP),))
    meter.troubles = [BusError("no answer")]
    began_ns = clock.mono_ns
    state = await polled(clock, meter, 10)
    assert state.unsettled_since_ns is not None
    assert state.unsettled_since_ns > began_ns + S


@pytest.mark.parametrize(
    ("driver", "options", "every_s", "limit_s"),
    [
        ("mhz19", {}, 1.0, 900.0),  # it heats up for three minutes
        ("mhz19", {"settle_reads": 600}, 1.0, 1803.0),
        ("mhz19", {}, 60.0, 3 * 181 * 60.0),
        ("sds011", {"work_min": 30}, 3.0, 3 * 1800.0),  # it rests for so long
        ("sht4x", {}, 3600.0, 3 * 3600.0),
    ],
)
def test_the_limit_follows_what_the_driver_knows(
    driver: str, options: dict[str, int], every_s: float, limit_s: float
) -> None:
    device: Any = drivers.build(driver, BUS, options)
    assert settle_limit_ns(device, int(every_s * S)) == int(limit_s * S)
    part: Any = drivers.build(driver, BUS, options, [device.points[0].key])
    assert settle_limit_ns(part, int(every_s * S)) == int(limit_s * S)


def test_without_a_word_of_the_driver_it_is_a_quarter_of_an_hour() -> None:
    assert settle_limit_ns(FixedMeter((1.0,), POWER), S) == SETTLE_LEAST_NS == 900 * S


@pytest.mark.parametrize(("troubles", "returns"), [(1, 0), (2, 1), (3, 1)])
async def test_a_device_that_was_away_is_known_to_be_back(troubles: int, returns: int) -> None:
    clock = VirtualClock()
    meter = ScriptedMeter(clock)
    meter.troubles = [BusError("no answer") for _ in range(troubles)]
    state = await polled(clock, meter, 60)
    assert len(state.returns) == returns
    assert all(at_ns > state.failed_ns > 0 for at_ns in state.returns)


async def test_who_looks_at_the_returns_of_a_device_is_not_disturbed_by_the_next_one() -> None:
    """The main loop looks at them while the thread of the bus goes on."""
    clock = JumpingClock()
    meter = ScriptedMeter(clock)
    state = PollState("hut", meter, S)
    poller = Poller([state], clock, lambda _: None, lambda device, reason, text: None)
    state.failures, state.reason = OUTAGE_READS, Reason.SILENT
    await poller.read("hut")
    looked = iter(state.returns)
    for _ in range(RETURNS_KEPT):
        state.failures, state.reason = OUTAGE_READS, Reason.SILENT
        await poller.read("hut")
    assert len([*looked]) == 1
    assert len(state.returns) == RETURNS_KEPT
