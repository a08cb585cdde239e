"""Ending the gateway's connection leaves nothing at the broker, however the run ends."""

import asyncio
import contextlib

from edge.conform.run import ConformRun, Plan
from edge.conform.steps import Step
from tests.conform.scriptedgateway import MemoryLine, ScriptedGateway
from tests.conform.test_flaws import PRODUCT
from tests.kit.clock import VirtualClock


async def test_a_retained_command_is_taken_away_though_the_run_is_stopped_behind_it() -> None:
    clock = VirtualClock()
    line = MemoryLine(clock)
    gateway = ScriptedGateway(line)

    async def drop() -> None:
        raise AssertionError("it was stopped before")

    run = ConformRun(PRODUCT, line, clock, Plan(20.0, drop))
    playing = asyncio.create_task(gateway.run())
    running = asyncio.create_task(run.run())
    while not any(each.label == Step.RETAINED for each in run.evidence.asked):
        await clock.run(0.1)
    assert any(line.down_retained.values())
    running.cancel()  # Ctrl-C
    with contextlib.suppress(asyncio.CancelledError):
        await running
    playing.cancel()
    assert line.down_retained
    assert not any(line.down_retained.values())
