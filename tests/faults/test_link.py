"""Faults of the way to the broker: long outages, thin and bad lines."""

import asyncio
import contextlib
import json
import logging
import random
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from edge.core import Draft, Stream
from edge.health.loglimit import LogLimit
from edge.uplink import inflight
from edge.uplink import sender as module
from edge.uplink.broker import Broker, make_broker
from edge.uplink.sender import Sender, SenderHooks, SenderOptions
from edge.wire import Topics
from tests.faults.slowly import only_with_all
from tests.kit.broker import Make, Subscriber
from tests.kit.clock import VirtualClock
from tests.kit.link import impaired_link
from tests.kit.uplink import GW, S, box, drafts
from tests.kit.waiting import until
from tests.uplink.test_sendqueue_order import StoredRows

UP = f"kerbstone/v1/stadtmitte/{GW}/up"
DAY_S = 86_400
TIMES = 3  # as fast, the line and the patience with it


class Nowhere:
    """In place of a connection: nobody can be reached, for one reason and then for another."""

    tried = 0

    @classmethod
    async def open(cls, broker: Broker, **_: Any) -> Any:
        cls.tried += 1
        raise OSError("network is unreachable" if cls.tried % 3 else f"no route, try {cls.tried}")


class Skipping(VirtualClock):
    """For one sleeper: it wakes at once, and it is as late as it wanted it to be."""

    async def sleep_until(self, mono_ns: int) -> None:
        self.mono_ns = max(self.mono_ns, mono_ns)
        await asyncio.sleep(0)


class Counting(logging.Handler):
    """What a log on the card would take."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(self.format(record))


async def test_a_week_without_a_network_leaves_a_handful_of_lines_in_the_log(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Tens of thousands of attempts, each with a reason; some of the reasons are new each time."""
    monkeypatch.setattr(module, "MqttConnection", Nowhere)
    monkeypatch.setattr(Nowhere, "tried", 0)
    clock = Skipping()
    end_ns = clock.mono_ns + 7 * DAY_S * S
    handler = Counting()
    limit = LogLimit(handler, clock)
    limit.install()
    log = logging.getLogger("kerbstone")
    log.addHandler(handler)
    level = log.level
    log.setLevel(logging.WARNING)
    hooks = SenderHooks(dict, dict, lambda kind, text: None)
    nobody: Any = StoredRows([])
    gateway = Sender(
        [make_broker("mqtt://192.0.2.1", GW)], Topics("kerbstone/v1", "stadtmitte", GW), GW, nobody,
        clock, boot=1, epoch=1 << 32, options=SenderOptions(), hooks=hooks,
    )  # fmt: skip
    running = asyncio.create_task(gateway.run())
    try:
        while clock.mono_ns < end_ns:
            await asyncio.sleep(0)
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        log.removeHandler(handler)
        log.setLevel(level)
    assert gateway.counts.connection_failures == Nowhere.tried > 7 * DAY_S / 30
    assert 1 <= len(handler.lines) <= 7 * 24, "an hourly line at the most"
    assert sum(map(len, handler.lines)) < 64 << 10


@contextlib.asynccontextmanager
async def radio(port: int, seed: int) -> AsyncIterator[str]:
    """What TCP makes of 200 ms, give or take 50, and one packet in five lost: all comes, and in
    order, but some of it waits for one, two or three retransmissions of 250 ms."""
    rng, tasks = random.Random(seed), set[asyncio.Task[None]]()

    async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(1400):
                wait_s = rng.uniform(0.075, 0.125)
                while rng.random() < 0.2:
                    wait_s += 0.25
                await asyncio.sleep(wait_s)
                writer.write(data)
                await writer.drain()
        writer.close()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection("127.0.0.1", port)
        await asyncio.gather(pump(reader, back), pump(there, writer))

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tasks.add(asyncio.create_task(serve(reader, writer)))

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    try:
        yield f"mqtt://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@only_with_all
async def test_a_bad_radio_link_drains_and_doubles_nothing(mosquitto: Make, tmp_path: Path) -> None:
    broker = mosquitto()
    listener = Subscriber(broker, f"{UP}/air/#")
    async with radio(broker.port, 15) as url, box(tmp_path, url) as gateway:
        await gateway.commit(drafts(0, 60))
        gateway.connect()
        await until(lambda: gateway.sender.counts.confirmed == 60, 120)
        assert (gateway.sender.counts.unacknowledged, gateway.sender.counts.sent_redelivered) == (
            0,
            0,
        )
        assert gateway.sender.counts.connections == 1
    assert sorted(seqs(listener.stop(60))) == list(range(1, 61))


async def test_an_alarm_overtakes_a_backlog_on_2_kilobytes_a_second(
    mosquitto: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Bytes are counted and not seconds: what goes before the alarm is 3 s of such a line."""
    for name in ("TARGET_S", "QUEUE_S"):
        monkeypatch.setattr(inflight, name, getattr(inflight, name) / TIMES)
    broker = mosquitto()
    listener = Subscriber(broker, f"{UP}/#")
    async with impaired_link(broker.port) as way, box(tmp_path, way.url) as gateway:
        await gateway.commit(drafts(0, 500))
        way.rate = 2000.0 * TIMES
        gateway.connect()
        counts = gateway.sender.counts
        await until(lambda: counts.confirmed >= 8)
        for alarms in (1, 2):
            before = counts.confirmed
            await until(lambda before=before: counts.confirmed > before + 3)  # type: ignore[misc]
            ahead, seen = way.waiting, listener.seen
            door = {"event": "door", "number": alarms}
            await gateway.commit([Draft(Stream.EVENT, "door", 0, S, door)])
            await until(lambda alarms=alarms: len(events(listener)) == alarms)  # type: ignore[misc]
            assert 0 < ahead <= 3 * 2000, "on the line before the alarm"
            between = list(listener._lines)[seen:]
            assert sum(map(len, between[: between.index(events(listener)[-1])])) < 4 * 2000
            assert counts.confirmed < 400, "there was a backlog all the time"
        way.rate = None
        await until(lambda: counts.confirmed == 502)
    assert sorted(seqs(listener.stop(502))) == list(range(1, 501)), "and the rest came after them"


def events(listener: Subscriber) -> list[str]:
    return [text for text in list(listener._lines) if f"{UP}/event/" in text]


def seqs(lines: list[str]) -> list[int]:
    found = (text.partition(" ")[2] for text in lines if f"{UP}/air/" in text)
    return [json.loads(payload)["seq"] for payload in found]
