"""With `confirm = "platform"` a record leaves when the platform says so, and not before.

The broker is a real mosquitto, and the platform a client of it that can be told to be away, to be
forgetful, or to lie.
"""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import aiomqtt
import pytest

from edge.core import Stream
from edge.uplink import rowtable as module
from edge.wire import Receipt, Topics, encode_command, encode_receipts
from tests.kit.broker import Make, Mosquitto
from tests.kit.uplink import GW, S, UplinkGateway, box, drafts
from tests.kit.waiting import until
from tests.uplink.test_backloggate_broker import Moved, patient

TOPICS = Topics("kerbstone/v1", "stadtmitte", GW)


class ReceiptingPlatform:
    """Stores records by their keys and receipts them, if `answers` says so."""

    def __init__(self, client: aiomqtt.Client) -> None:
        self.client = client
        self.got: list[dict[str, Any]] = []  # records as they came
        self.reported: list[dict[str, Any]] = []  # answers to commands
        self.answers: Callable[[dict[str, Any]], bool] = lambda record: True

    def seqs(self) -> list[int]:
        return [record["seq"] for record in self.got]

    async def run(self) -> None:
        async for message in self.client.messages:
            payload = message.payload
            assert isinstance(payload, bytes)
            topic = str(message.topic)
            if not payload:
                assert "/up/last/" in topic  # what an older version may have left is taken away
                continue
            data = json.loads(payload)
            if "/up/answer/" in topic:
                self.reported.append(data)
            elif "/up/air/" in topic or "/up/event/" in topic:
                self.got.append(data)
                if self.answers(data):
                    await self.receipt(data["epoch"], data["stream"], [(data["seq"], data["seq"])])

    async def receipt(self, epoch: int, stream: str, ranges: list[tuple[int, int]]) -> None:
        for payload in encode_receipts(GW, [Receipt(epoch, stream, tuple(ranges))]):
            await self.client.publish(TOPICS.receipt, payload.data, qos=1)

    async def command(self, verb: str, epoch: int, id_: str, **more: Any) -> dict[str, Any]:
        before = len(self.reported)
        payload = encode_command(GW, epoch, id_, more)
        await self.client.publish(f"{TOPICS.down}/cmd/{verb}", payload.data, qos=1)
        await until(lambda: len(self.reported) > before)
        return self.reported[-1]


@contextlib.asynccontextmanager
async def platform(broker: Mosquitto) -> AsyncIterator[ReceiptingPlatform]:
    async with aiomqtt.Client("127.0.0.1", broker.port) as client:
        await client.subscribe("kerbstone/v1/+/+/up/#", qos=1)
        made = ReceiptingPlatform(client)
        task = asyncio.create_task(made.run())
        try:
            yield made
        finally:
            while not task.done():  # wait_for of Python 3.11, in aiomqtt, may swallow it
                task.cancel()
                await asyncio.wait({task}, timeout=1)


async def rows(gateway: UplinkGateway) -> int:
    """What is still there once all that is confirmed is committed."""
    await gateway.commit([])
    return (await gateway.writer.counts()).rows


async def test_a_puback_forgets_nothing_and_a_receipt_does(mosquitto: Make, tmp_path: Path) -> None:
    broker = mosquitto()
    async with platform(broker) as city, box(tmp_path, broker.url, receipt_s=600) as gateway:
        city.answers = lambda record: False
        gateway.connect()
        await gateway.commit(drafts(0, 20))
        await until(lambda: len(city.got) == 20)
        await until(lambda: not gateway.sender._table.in_flight)
        assert await rows(gateway) == 20
        assert gateway.sender.counts.confirmed == 0
        await city.receipt(gateway.writer.epoch.epoch, "air", [(1, 5), (7, 20)])
        await until(lambda: gateway.sender.counts.confirmed == 19)
        assert await rows(gateway) == 1
        (left,) = await gateway.writer.pending()
        assert left.record.key.seq == 6


async def test_without_a_receipt_a_record_comes_again_and_says_so(
    mosquitto: Make, tmp_path: Path
) -> None:
    broker, clock = mosquitto(), Moved()
    async with (
        platform(broker) as city,
        box(tmp_path, patient(broker), receipt_s=600, clock=clock) as gateway,
    ):
        city.answers = lambda record: bool(record.get("redelivered"))
        gateway.connect()
        await gateway.commit(drafts(0, 5))
        await until(lambda: len(city.got) == 5 and not gateway.sender._table.in_flight)
        clock.ahead_ns += 601 * S
        waits = gateway.sender.connection.troubles.receipts
        assert (waits.silent_ns(clock.now().mono_ns) or 0) > 600 * S
        gateway.sender._wake.set()
        await until(lambda: gateway.sender.counts.confirmed == 5)
        await until(lambda: waits.silent_ns(clock.now().mono_ns) is None)
        assert await rows(gateway) == 0
    assert sorted(city.seqs()) == sorted([*range(1, 6)] * 2)
    assert [bool(record.get("redelivered")) for record in city.got] == [False] * 5 + [True] * 5
    assert gateway.sender.counts.receipts_overdue == 5


async def test_what_an_amnesic_broker_had_acknowledged_is_not_lost(
    mosquitto: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Acknowledged by the broker, killed, nothing kept: the platform has it all in the end."""
    monkeypatch.setattr("edge.uplink.reconnect.SPREAD_DEFAULT_S", 0.05)
    broker = mosquitto()
    async with box(tmp_path, broker.url, receipt_s=1) as gateway:
        gateway.connect()
        await gateway.commit(drafts(0, 30))
        await until(lambda: gateway.sender.counts.no_subscribers >= 30)
        broker.kill()
        broker.start()
        async with platform(broker) as city:
            await until(lambda: gateway.sender.counts.confirmed == 30)
            assert set(city.seqs()) == set(range(1, 31))
            assert all(record["redelivered"] for record in city.got)
        assert await rows(gateway) == 0


async def test_a_receipt_for_what_was_never_sent_is_ignored(
    mosquitto: Make, tmp_path: Path
) -> None:
    broker = mosquitto()
    async with platform(broker) as city, box(tmp_path, broker.url, receipt_s=600) as gateway:
        city.answers = lambda record: False
        gateway.connect()
        await until(lambda: gateway.sender.connected)
        epoch = gateway.writer.epoch.epoch
        await city.receipt(epoch, "air", [(1, 1000)])
        await city.receipt(epoch + 1, "energy", [(1, 1000)])
        await city.client.publish(TOPICS.receipt, b"\xff{", qos=1)
        await until(lambda: gateway.sender.counts.malformed_messages == 1)
        await gateway.commit(drafts(0, 3))
        await until(lambda: len(city.got) == 3)
        assert await rows(gateway) == 3
        assert gateway.sender.counts.receipts_unknown == 2000


async def test_when_nobody_stores_the_backlog_stands_still_and_live_goes_on(
    mosquitto: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "TRACKED_LIMIT", 10)
    broker = mosquitto()
    async with platform(broker) as city, box(tmp_path, broker.url, receipt_s=600) as gateway:
        city.answers = lambda record: False
        await gateway.writer.commit(drafts(0, 40))  # of a former time: not offered
        gateway.connect()
        await until(lambda: len(city.got) == 10)
        for number in range(40, 43):
            await gateway.commit(drafts(number, 1))
        await until(lambda: 43 in city.seqs())
        assert len(city.got) == 13, "the backlog waits"
        assert await rows(gateway) == 43
        city.answers = lambda record: True
        for record in list(city.got):
            await city.receipt(record["epoch"], "air", [(record["seq"], record["seq"])])
        await until(lambda: gateway.sender.counts.confirmed == 43)
        assert await rows(gateway) == 0
    assert set(city.seqs()) == set(range(1, 44))
    seen: set[int] = set()
    for record in city.got:
        assert record["seq"] not in seen or record["redelivered"], "a repeat says that it is one"
        seen.add(record["seq"])


async def test_alarms_of_the_backlog_come_before_all_else(mosquitto: Make, tmp_path: Path) -> None:
    broker = mosquitto("allow_anonymous true\nmax_inflight_messages 5\n")
    async with platform(broker) as city, box(tmp_path, broker.url) as gateway:
        await gateway.writer.commit([*drafts(0, 60), *drafts(60, 3, Stream.EVENT)])
        gateway.connect()
        await gateway.commit(drafts(70, 5))
        await until(lambda: len(city.got) == 68)
    streams = [record["stream"] for record in city.got]
    assert max(n for n, stream in enumerate(streams) if stream == "event") < 10
    assert all(record.get("backfilled") for record in city.got if record["stream"] == "event")


async def test_the_platform_asks_for_what_it_misses(mosquitto: Make, tmp_path: Path) -> None:
    broker = mosquitto()
    async with platform(broker) as city, box(tmp_path, broker.url, receipt_s=600) as gateway:
        city.answers = lambda record: record["seq"] != 3
        gateway.connect()
        await gateway.commit(drafts(0, 5))
        await until(lambda: gateway.sender.counts.confirmed == 4)
        await gateway.commit([])
        epoch = gateway.writer.epoch.epoch
        asked = [{"epoch": epoch, "stream": "air", "ranges": [[2, 3]]}]
        city.answers = lambda record: True
        answer = await city.command("resend", epoch, "one", ranges=asked)
        assert answer == {
            "v": 1, "gw": GW, "id": "one", "verb": "resend", "ok": True, "resent": 1, "gone": 1,
        }  # fmt: skip
        await until(lambda: gateway.sender.counts.confirmed == 5)
        assert city.seqs().count(3) == 2
        assert await rows(gateway) == 0
        old = await city.command("resend", epoch - 1, "two", ranges=asked)
        assert (old["ok"], gateway.sender.counts.commands) == (False, 2)


async def test_a_restart_sends_again_what_nobody_receipted(mosquitto: Make, tmp_path: Path) -> None:
    broker = mosquitto()
    async with platform(broker) as city:
        city.answers = lambda record: False
        async with box(tmp_path, broker.url, receipt_s=600) as gateway:
            gateway.connect()
            await gateway.commit(drafts(0, 4))
            await until(lambda: len(city.got) == 4)
        city.answers = lambda record: True
        async with box(tmp_path, broker.url, receipt_s=600) as gateway:
            gateway.connect()
            await until(lambda: gateway.sender.counts.confirmed == 4)
            assert await rows(gateway) == 0
    assert [bool(record.get("redelivered")) for record in city.got] == [False] * 4 + [True] * 4


async def test_the_spread_is_the_platforms(mosquitto: Make, tmp_path: Path) -> None:
    broker = mosquitto()
    async with platform(broker) as city, box(tmp_path, broker.url) as gateway:
        payload = json.dumps({"v": 1, "spread_s": 600})
        await city.client.publish(TOPICS.reconnect_spread, payload, qos=1, retain=True)
        gateway.connect()
        await until(lambda: gateway.sender._reconnect.spread_s == 600.0)
        await city.client.publish(TOPICS.reconnect_spread, b"", qos=1, retain=True)
        await until(lambda: gateway.sender._reconnect.spread_s == 0.0)


async def test_a_fault_of_ours_in_what_comes_ends_the_sender(
    mosquitto: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is not swallowed: the process ends with it, and systemd starts it again."""
    broker = mosquitto()
    async with platform(broker) as city, box(tmp_path, broker.url) as gateway:

        def broken(_message: object) -> None:
            raise RuntimeError("a fault of ours")

        monkeypatch.setattr(gateway.sender._inbound, "put", broken)
        gateway.connect()
        await until(lambda: gateway.sender.connected)
        await city.client.publish(TOPICS.reconnect_spread, b"", qos=1)
        assert gateway.task is not None
        with pytest.raises(RuntimeError, match="a fault of ours"):
            await asyncio.wait_for(asyncio.shield(gateway.task), 60)
        gateway.task = None
