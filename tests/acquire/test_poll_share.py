"""Retries of dead devices share a small part of the bus's time, however many are dead."""

import asyncio
from contextlib import suppress
from itertools import pairwise

import pytest

from edge.acquire.poll import BACKOFF_PART, Poller, PollState
from edge.core import BusError, DataError, Reason, Sweep
from tests.kit.clock import VirtualClock
from tests.kit.meter import ScriptedMeter

S = 1_000_000_000


async def polled(clock: VirtualClock, seconds: float, **meters: ScriptedMeter) -> list[Sweep]:
    """What comes when all are asked as fast as they answer."""
    sweeps: list[Sweep] = []
    devices = [PollState(name, meter, 10_000_000) for name, meter in meters.items()]
    poller = Poller(devices, clock, sweeps.append, lambda *_: None)
    task = asyncio.create_task(poller.run())
    await clock.run(seconds)
    task.cancel()
    await clock.run(0.2)  # it closes its devices
    await asyncio.gather(task, return_exceptions=True)
    return sweeps


def dead(clock: VirtualClock, takes_s: float = 0.1) -> ScriptedMeter:
    return ScriptedMeter(clock, takes_s, BusError("no answer"))


async def test_seven_dead_devices_leave_the_eighth_its_line() -> None:
    clock = VirtualClock()
    alive = ScriptedMeter(clock, takes_s=0.2)
    corpses = {f"dead{i}": dead(clock) for i in range(7)}
    await polled(clock, 600, **corpses, alive=alive)
    later = [at_ns for at_ns in alive.log if at_ns > alive.log[0] + 5 * S]  # after two time-outs
    assert len(later) >= 0.98 * (later[-1] - later[0]) / S / 0.2
    for corpse in corpses.values():
        assert 8 <= len(corpse.log) <= 14  # each has its turn, at least once a minute


@pytest.mark.long
async def test_one_dead_device_takes_one_part_in_eighty() -> None:
    clock = VirtualClock()
    corpse, alive = dead(clock, takes_s=0.5), ScriptedMeter(clock, takes_s=0.1)
    await polled(clock, 600, dead=corpse, alive=alive)
    gaps_s = [(b - a) / S for a, b in pairwise(corpse.log)]
    assert 2 <= gaps_s[0] < 3
    assert all(BACKOFF_PART * 0.5 <= gap_s <= 61 for gap_s in gaps_s[1:])


async def test_who_has_no_neighbour_that_answers_is_retried_as_ever() -> None:
    clock = VirtualClock()
    corpses = {f"dead{i}": dead(clock, 0.5) for i in range(3)}
    await polled(clock, 18, **corpses)
    assert [len(corpse.log) for corpse in corpses.values()] == [4, 4, 4]  # 2, 4, 8 s


async def test_a_single_time_out_costs_two_seconds_whoever_else_is_dead() -> None:
    clock = VirtualClock()
    shaky = ScriptedMeter(clock, troubles=[BusError("once")])
    await polled(clock, 60, dead=dead(clock, 0.5), shaky=shaky, alive=ScriptedMeter(clock))
    assert 2 <= max(b - a for a, b in pairwise(shaky.log)) / S < 3


async def test_damage_is_tried_again_at_once_unless_each_try_costs_a_time_out() -> None:
    clock = VirtualClock()
    quick = ScriptedMeter(clock, 0.1, DataError("check sum"))
    slow = ScriptedMeter(clock, 0.5, DataError("no frame among the bytes"))
    alive = ScriptedMeter(clock, 0.1)
    await polled(clock, 60, quick=quick, slow=slow, alive=alive)
    assert len(slow.log) <= 5
    assert len(quick.log) >= 0.9 * len(alive.log)


async def test_what_has_been_dead_for_days_is_still_retried_each_minute() -> None:
    """Two to the power of its failures is no float any more after 1,024 of them."""
    clock = VirtualClock()
    corpse = dead(clock)
    device = PollState("dead", corpse, 1 * S, failures=5000)
    poller = Poller([device], clock, lambda _: None, lambda *_: None)
    task = asyncio.create_task(poller.run())
    await clock.run(130)
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
    assert len(corpse.log) == 3


async def test_what_fails_at_once_is_tried_again_soon_however_long_it_has_failed() -> None:
    """An adapter that was pulled out is read again seconds after it is back, not a minute after."""
    clock = VirtualClock()
    gone, alive = dead(clock, takes_s=0.001), ScriptedMeter(clock)
    await polled(clock, 120, gone=gone, alive=alive)
    gaps_s = [(b - a) / S for a, b in pairwise(gone.log)]
    assert 2 <= gaps_s[0] < 3
    assert all(4.9 < gap_s < 5.3 for gap_s in gaps_s[2:])


async def test_what_is_wrong_is_known_as_of_the_last_attempt_and_reported_once() -> None:
    clock = VirtualClock()
    meter = ScriptedMeter(
        clock, 0.1, BusError("units 2, 3 can be heard"), [BusError("nobody so far")]
    )
    device, reports = PollState("meter", meter, 1 * S), []
    poller = Poller([device], clock, lambda _: None, lambda *reported: reports.append(reported))
    task = asyncio.create_task(poller.run())
    await clock.run(10)
    task.cancel()
    await clock.run(0.2)  # it closes its devices
    await asyncio.gather(task, return_exceptions=True)
    assert reports == [("meter", Reason.SILENT, "nobody so far")]
    assert device.text == "units 2, 3 can be heard"
