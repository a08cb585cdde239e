"""Retries over hours: the dead take their part of the line and no more, however slow they are."""

import asyncio
from contextlib import suppress
from dataclasses import dataclass
from itertools import pairwise

import pytest

from edge.acquire.poll import BACKOFF_LONGEST_S, BACKOFF_PART, Poller, PollState
from edge.core import Sweep
from tests.acquire.test_poll_share import S, dead
from tests.kit.clock import JumpingClock
from tests.kit.meter import ScriptedMeter
from tests.long import one_in


@dataclass
class PollRun:
    """A poller, and what it delivered."""

    poller: Poller
    clock: JumpingClock
    sweeps: list[Sweep]

    @classmethod
    def of(cls, clock: JumpingClock, every_s: float, **meters: ScriptedMeter) -> "PollRun":
        sweeps: list[Sweep] = []
        devices = [PollState(name, meter, int(every_s * S)) for name, meter in meters.items()]
        return cls(Poller(devices, clock, sweeps.append, lambda *_: None), clock, sweeps)

    async def __call__(self, seconds: float) -> None:
        task = asyncio.create_task(self.poller.run())
        end_ns = self.clock.mono_ns + int(seconds * S)
        while self.clock.mono_ns < end_ns:
            await asyncio.sleep(0)
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


@one_in(2)
@pytest.mark.parametrize("count", [1, 7])
async def test_the_dead_whose_time_outs_are_long_take_their_part_and_no_more(count: int) -> None:
    clock = JumpingClock()
    corpses = {f"dead{i}": dead(clock, takes_s=2.0) for i in range(count)}
    run = PollRun.of(clock, 15.0, **corpses, alive=ScriptedMeter(clock, 0.1))
    await run(3600)
    for corpse in corpses.values():
        corpse.log.clear()
    await run(7200)
    asked = [len(corpse.log) for corpse in corpses.values()]
    assert min(asked) >= 7  # nearly four times an hour
    # all together: one part in eighty, or what a quarter of an hour allows
    assert sum(asked) * 2.0 <= 1.2 * 7200 * max(1 / BACKOFF_PART, 2.0 * count / BACKOFF_LONGEST_S)


async def test_the_longest_rest_is_a_quarter_of_an_hour_and_grows_step_by_step() -> None:
    """A line that was cut for a minute is not blind for a quarter of an hour."""
    clock = JumpingClock()
    corpse = dead(clock, takes_s=20.0)
    await PollRun.of(clock, 10.0, dead=corpse, alive=ScriptedMeter(clock, 0.1))(2 * 3600)
    rests_s = [(b - a) / S - 20 for a, b in pairwise(corpse.log)]
    assert all(b <= max(2.1 * a, 71) for a, b in pairwise(rests_s))
    assert 890 <= rests_s[-1] <= 911


async def test_who_is_read_for_a_person_and_answers_need_not_wait_any_longer() -> None:
    clock = JumpingClock()
    meter = dead(clock, takes_s=2.0)
    run = PollRun.of(clock, 1.0, meter=meter, alive=ScriptedMeter(clock, 0.1))
    await run(600)
    meter.trouble = None
    assert (await run.poller.read("meter")).values == (1.0,)
    run.sweeps.clear()
    await run(10)
    reported = [sweep.values for sweep in run.sweeps if sweep.source == "meter"]
    assert reported
    assert set(reported) == {(1.0,)}
