"""What a run keeps: each message decoded once, and not more than there is room for."""

import asyncio

import pytest

from edge.conform import evidence as evidence_module
from edge.conform import run as run_module
from edge.conform.evidence import Arrival, DecodedEvidence, Heard
from edge.conform.product import Product
from edge.conform.run import ConformRun, Plan, TooMuchError
from tests.conform.scriptedgateway import MemoryLine, ScriptedGateway
from tests.conform.test_flaws import PRODUCT
from tests.kit.clock import VirtualClock


async def played(clock: VirtualClock, *flaws: str) -> ConformRun:
    """A run that has ended; what it raised is raised."""
    line = MemoryLine(clock)
    gateway = ScriptedGateway(line, frozenset(flaws))
    run = ConformRun(PRODUCT, line, clock, Plan(60.0))
    running, playing = asyncio.create_task(run.run()), asyncio.create_task(gateway.run())
    while not running.done():
        await clock.run(10.0)
    playing.cancel()
    running.result()
    return run


async def test_each_message_is_decoded_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also while it waits for a number that never comes."""
    decoded: list[Arrival] = []
    read = evidence_module.read

    def counted(arrival: Arrival, product: Product) -> Heard:
        decoded.append(arrival)
        return read(arrival, product)

    monkeypatch.setattr(run_module, "read", counted)
    monkeypatch.setattr(evidence_module, "read", counted)
    run = await played(VirtualClock(), "number left out")
    view = DecodedEvidence(run.evidence)
    assert [each.kind for each in view.audit] == ["missing"]
    live = [each.arrival for each in view.heard]
    assert len(live) > 20
    for each in live:  # what is retained is the same object in this broker, and looked at twice
        retained = run.evidence.looked_for
        assert sum(other is each for other in decoded) <= (3 if each.topic in retained else 1)


async def test_more_than_is_kept_ends_the_run_with_a_sentence(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(run_module, "LIMIT_BYTES", 20_000)
    clock = VirtualClock()
    began_s = clock.mono_ns / 1e9
    line = MemoryLine(clock)
    gateway = ScriptedGateway(line)
    run = ConformRun(PRODUCT, line, clock, Plan(86_400.0))
    running, playing = asyncio.create_task(run.run()), asyncio.create_task(gateway.run())
    while not running.done():
        await clock.run(10.0)
    playing.cancel()
    with pytest.raises(TooMuchError, match=r"more messages came .*\(0\.02 MB\).*--for"):
        running.result()
    assert clock.mono_ns / 1e9 < began_s + 600
    assert sum(each.arrival.size for each in run.evidence.heard) <= 20_000
