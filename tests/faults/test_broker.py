"""Faults at the broker: who else is there, what it lets through, how much it takes."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiomqtt
import pytest

from edge.core import Draft, Stream
from edge.uplink.broker import make_broker
from edge.wire import (
    Topics,
    WireError,
    decode_command,
    decode_receipts,
    decode_reconnect_spread,
    encode_command,
)
from tests.kit.broker import Make, Mosquitto, Subscriber
from tests.kit.uplink import GW, S, box, drafts
from tests.kit.waiting import until
from tests.uplink.test_receipts import platform

TOPICS = Topics("kerbstone/v1", "stadtmitte", GW)
ACL = """\
pattern write kerbstone/v1/+/%u/up/+
pattern write kerbstone/v1/+/%u/up/+/+
pattern read kerbstone/v1/+/%u/down/#
user city
topic read kerbstone/v1/+/+/up/+
topic read kerbstone/v1/+/+/up/+/+
topic write kerbstone/v1/+/+/down/#
"""


def guarded(mosquitto: Make, folder: Path) -> Mosquitto:
    """A broker at which a name is enough, and each name has the rights that a gateway should."""
    (folder / "acl").write_text(ACL)
    return mosquitto(f"allow_anonymous true\nacl_file {folder}/acl\n")


def client(broker: Mosquitto, name: str) -> aiomqtt.Client:
    return aiomqtt.Client("127.0.0.1", broker.port, username=name, password="x", identifier=name)


@contextlib.asynccontextmanager
async def records(broker: Mosquitto) -> AsyncIterator[list[dict[str, Any]]]:
    """What comes to the city meanwhile."""
    found: list[dict[str, Any]] = []

    async def hear(city: aiomqtt.Client) -> None:
        async for message in city.messages:
            found.append(json.loads(bytes(message.payload)))

    async with client(broker, "city") as city:
        await city.subscribe(TOPICS.up + "/air/#", qos=1)
        hearing = asyncio.create_task(hear(city))
        yield found
        hearing.cancel()
        await asyncio.gather(hearing, return_exceptions=True)


@pytest.mark.parametrize("at_once", [1, 3])
async def test_a_broker_that_takes_few_messages_at_a_time_gets_them_all(
    mosquitto: Make, tmp_path: Path, at_once: int
) -> None:
    broker = mosquitto(
        f"allow_anonymous true\nmax_inflight_messages {at_once}\nmax_packet_size 2000\n"
    )
    async with box(tmp_path, broker.url) as gateway:
        listener = Subscriber(broker, TOPICS.up + "/air/#")
        gateway.connect()
        await until(lambda: gateway.sender.connected)
        link = gateway.sender._link
        assert link is not None
        assert (link.session.window, link.session.max_packet) == (at_once, 2000)
        await gateway.commit(drafts(0, 60))
        await until(lambda: gateway.sender.counts.confirmed == 60)
        assert (gateway.sender.counts.refused, gateway.sender.counts.dead_letters) == (0, 0)
        seqs = [json.loads(text.partition(" ")[2])["seq"] for text in listener.stop(60)]
        assert seqs == list(range(1, 61))


async def test_two_boxes_of_one_identity_both_tell_of_the_other(
    mosquitto: Make, tmp_path: Path
) -> None:
    """A card was copied: each of them is thrown out by the other, and both alarms arrive."""
    broker = mosquitto()
    listener = Subscriber(broker, TOPICS.up + "/event/#")
    (tmp_path / "stolen").mkdir()
    async with box(tmp_path, broker.url) as gateway, box(tmp_path / "stolen", broker.url) as thief:
        for one in (gateway, thief):
            one.connect()
            await until(lambda one=one: one.sender.counts.connections > 0)  # type: ignore[misc]
        await until(lambda: bool(gateway.alarms and thief.alarms))
        for one in (gateway, thief):
            ((kind, text),) = one.alarms
            assert kind == "taken_over"
            assert "revoke the certificate" in text
            await one.commit([Draft(Stream.EVENT, "gateway", 0, S, {"event": kind, "text": text})])
        await until(lambda: listener.seen >= 2)
        await gateway.commit(drafts(0, 20))
        await until(lambda: gateway.sender.counts.confirmed >= 21)
        failures = gateway.sender.counts.connections + thief.sender.counts.connections
        assert failures < 200, "they do not hammer at the broker"
    epochs = {json.loads(text.partition(" ")[2])["epoch"] for text in listener.stop(2)}
    assert epochs == {gateway.writer.epoch.epoch, thief.writer.epoch.epoch}


async def test_nobody_but_the_city_commands_and_a_command_works_once(
    mosquitto: Make, tmp_path: Path
) -> None:
    """A neighbour's identity, a recorded command, one of yesterday, a retained one, a flood."""
    broker = guarded(mosquitto, tmp_path)
    place = make_broker(broker.url, GW, username=GW, password="x")
    async with box(tmp_path, place) as gateway, client(broker, "city") as city:
        await city.subscribe(TOPICS.up + "/answer/#", qos=1)
        gateway.connect()
        await until(lambda: gateway.sender.connected)
        counts, epoch = gateway.sender.counts, gateway.writer.epoch.epoch
        reported: list[dict[str, Any]] = []

        async def hear() -> None:
            async for message in city.messages:
                reported.append(json.loads(bytes(message.payload)))

        async def send(by: aiomqtt.Client, id_: str, of: int, retain: bool = False) -> None:
            data = encode_command(GW, of, id_, {}).data
            await by.publish(f"{TOPICS.down}/cmd/status", data, qos=1, retain=retain)

        hearing = asyncio.create_task(hear())
        async with client(broker, "gw-0002") as neighbour:
            await send(neighbour, "theirs", epoch)
            await send(city, "ours", epoch)
            await until(lambda: len(reported) == 1)
            assert (reported[0]["id"], reported[0]["ok"]) == ("ours", True)
            await send(city, "ours", epoch)  # recorded, and played again
            await until(lambda: len(reported) == 2)
            assert reported[1] == reported[0]
            await send(city, "old", epoch - 1)
            await until(lambda: len(reported) == 3)
            assert reported[2]["ok"] is False
            assert "has ended" in reported[2]["error"]
            commands = gateway.sender._inbound._commands
            refused = commands.refused
            await send(city, "kept", epoch, retain=True)
            await until(lambda: commands.refused == refused + 1)
            for number in range(60):
                await send(city, f"flood-{number}", epoch)
            await until(lambda: counts.commands == 64)
            assert commands.refused > refused + 20
            await gateway.commit(drafts(0, 5))
            await until(lambda: counts.confirmed == 5)
        hearing.cancel()
        await asyncio.gather(hearing, return_exceptions=True)
        assert not {"theirs", "kept"} & {answer["id"] for answer in reported}


async def test_commands_that_are_refused_are_counted_where_people_look(
    mosquitto: Make, tmp_path: Path
) -> None:
    """One of yesterday and a retained one: strange messages, as `status` and metrics name them."""
    broker = mosquitto()
    async with box(tmp_path, broker.url) as gateway, client(broker, "city") as city:
        gateway.connect()
        await until(lambda: gateway.sender.connected)
        epoch, counts = gateway.writer.epoch.epoch, gateway.sender.counts
        for id_, of, retain in (("good", epoch, False), ("old", 1, False), ("kept", epoch, True)):
            data = encode_command(GW, of, id_, {}).data
            await city.publish(f"{TOPICS.down}/cmd/status", data, qos=1, retain=retain)
        await until(lambda: counts.commands == 3 and gateway.sender._inbound._commands.refused == 2)
        assert counts.malformed_messages == 2


async def test_a_gateway_that_subscribes_to_everything_sees_nothing_of_others(
    mosquitto: Make, tmp_path: Path
) -> None:
    broker = guarded(mosquitto, tmp_path)
    place = make_broker(broker.url, GW, username=GW, password="x")
    async with client(broker, "gw-0002") as spy, box(tmp_path, place) as gateway:
        seen: list[str] = []

        async def hear() -> None:
            async for message in spy.messages:
                seen.append(str(message.topic))

        for wish in ("#", "+/#", f"{TOPICS.down}/#", f"{TOPICS.up}/#"):
            await spy.subscribe(wish, qos=1)
        hearing = asyncio.create_task(hear())
        gateway.connect()
        await gateway.commit(drafts(0, 10))
        await until(lambda: gateway.sender.counts.confirmed == 10)
        async with client(broker, "city") as city:
            for name in (GW, "gw-0002"):
                topics = Topics("kerbstone/v1", "stadtmitte", name)
                await city.publish(topics.receipt, b"{}", qos=1)
        await until(lambda: len(seen) > 0)
        hearing.cancel()
        await asyncio.gather(hearing, return_exceptions=True)
        own = Topics("kerbstone/v1", "stadtmitte", "gw-0002").receipt
        assert set(seen) == {own}
        # and what it says in another's name reaches nobody
        async with records(broker) as heard:
            await spy.publish(f"{TOPICS.up}/air/hut_air", b"{}", qos=1)
            await gateway.commit(drafts(10, 1))
            await until(lambda: bool(heard))
            assert [record.get("seq") for record in heard] == [11]


DEEP = b"[" * 50_000 + b"]" * 50_000
NESTED = b'{"a":' * 20_000 + b"1" + b"}" * 20_000
HOSTILE = [
    DEEP, NESTED, b'{"v":1,"gw":"gw-0001","receipts":' + DEEP + b"}", b"9" * 200_000,
    b'{"v":1,"gw":"gw-0001","epoch":' + b"9" * 5000 + b"}", b"\xff" * 300_000,
    b'"' + b"\\" * 70_001,
]  # fmt: skip


@pytest.mark.parametrize("payload", HOSTILE, ids=range(len(HOSTILE)))
async def test_what_is_deep_or_large_is_refused_and_nothing_falls(
    mosquitto: Make, tmp_path: Path, payload: bytes
) -> None:
    for decode in (
        lambda: decode_receipts(payload, GW), lambda: decode_command("resend", payload, GW),
        lambda: decode_reconnect_spread(payload),
    ):  # fmt: skip
        with pytest.raises(WireError):
            decode()
    broker = mosquitto()
    async with platform(broker) as city, box(tmp_path, broker.url, receipt_s=600) as gateway:
        gateway.connect()
        await until(lambda: gateway.sender.connected)
        for topic in (TOPICS.receipt, f"{TOPICS.down}/cmd/resend", TOPICS.reconnect_spread):
            await city.client.publish(topic, payload, qos=1)
        await gateway.commit(drafts(0, 3))
        await until(lambda: gateway.sender.counts.confirmed == 3)
        assert gateway.sender.counts.connections == 1
