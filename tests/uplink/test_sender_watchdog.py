"""The watchdog hears from the sender, whatever the sender waits for."""

import asyncio
from itertools import pairwise
from pathlib import Path

import pytest

from edge.uplink import sender as module
from edge.uplink.broker import make_broker
from edge.uplink.reconnect import REFUSED_BACKOFF_S, REFUSED_JITTER_S
from edge.uplink.sender import Sender, SenderHooks, SenderOptions
from edge.wire import Topics
from tests.kit.broker import Make
from tests.kit.clock import RealClock, VirtualClock
from tests.kit.rawbroker import raw_broker
from tests.kit.uplink import GW, box, drafts
from tests.kit.waiting import until
from tests.uplink.test_sendqueue_order import StoredRows


async def test_an_idle_sender_shows_that_it_lives(
    mosquitto: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert module.IDLE_S <= 10
    monkeypatch.setattr(module, "IDLE_S", 0.05)
    broker = mosquitto()
    beats: list[int] = []
    clock = RealClock()
    async with box(tmp_path, broker.url, beat=lambda: beats.append(clock.now().mono_ns)) as gateway:
        gateway.connect()
        await until(lambda: gateway.sender.connected)
        await gateway.commit(drafts(0, 1))
        await until(lambda: gateway.sender.counts.confirmed == 1)
        await asyncio.sleep(0.1)
        count = len(beats)
        await until(lambda: len(beats) >= count + 5, 20)


async def test_a_sender_that_is_kept_away_shows_that_it_lives() -> None:
    """The broker says that it is unavailable (0x88): 300 s, in which nobody may call us dead."""
    clock = VirtualClock()
    beats: list[int] = []
    async with raw_broker() as broker:
        broker.connack = 0x88
        made = Sender(
            [make_broker(broker.url, GW)],
            Topics("kerbstone/v1", "stadtmitte", GW),
            GW,
            StoredRows([]),
            clock,
            boot=1,
            epoch=1,
            options=SenderOptions(encoding="json"),
            hooks=SenderHooks(
                status=dict,
                meta=dict,
                alarm=lambda kind, text: None,
                watchdog=lambda: beats.append(clock.mono_ns),
            ),
        )
        task = asyncio.create_task(made.run())
        await until(lambda: made.counts.connection_failures == 1)
        start_ns = clock.mono_ns
        await clock.run(REFUSED_BACKOFF_S - 1)
        assert broker.connects == 1, "the pause is as long as ever"
        beats.append(clock.mono_ns)
        pauses = [(b - a) / 1e9 for a, b in pairwise(beats)]
        assert max(pauses) <= 30
        assert beats[-1] - start_ns == pytest.approx((REFUSED_BACKOFF_S - 1) * 1e9)
        await clock.run(REFUSED_JITTER_S + 1)
        await until(lambda: broker.connects == 2)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
