"""Messages from the broker: bounded, and never a reason to fall."""

import asyncio
import tracemalloc
from dataclasses import replace

import pytest

from edge.uplink import pahoclient
from edge.uplink.broker import Protocol, make_broker
from edge.uplink.mqtt import ConnectionLostError, InboundMessage, MqttConnection
from edge.uplink.pahoclient import MAX_RECEIVE_BYTES
from tests.kit.broker import Make
from tests.kit.caller import Caller
from tests.kit.rawbroker import PUBACK, length, publish, raw_broker
from tests.kit.waiting import until

TYPE = "application/json"


@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
async def test_what_was_published_before_and_after_comes(
    mosquitto: Make, protocol: Protocol
) -> None:
    broker = mosquitto()
    platform, gateway = Caller(), Caller()
    speaker = await platform.open(make_broker(broker.url, "platform"))
    speaker.publish(1, "down/reconnect_spread", b"old", TYPE, retain=True)
    await until(lambda: len(platform.answers) == 1)
    chosen = replace(make_broker(broker.url, "gw"), protocol=protocol)
    link = await gateway.open(chosen, ("down/#",))
    assert link.unsubscribed == ()
    speaker.publish(2, "down/receipt", b"new", TYPE)
    speaker.publish(3, "down/cmd/x", b"kept", TYPE, retain=True)
    speaker.publish(4, "up/1", b"not for us", TYPE)
    await until(lambda: len(gateway.messages) == 3)
    new = protocol == "5"
    assert gateway.messages == [
        InboundMessage("down/reconnect_spread", b"old", True),
        InboundMessage("down/receipt", b"new", False),
        # with MQTT 5 a retained command is known as one also when it comes at once
        InboundMessage("down/cmd/x", b"kept", new),
    ]
    await link.close()
    await speaker.close()
    assert (gateway.lost, link.dropped) == ([], 0)


async def test_a_refused_subscription_is_said_and_the_rest_works() -> None:
    async with raw_broker() as broker:
        broker.suback = lambda name: 135 if name == "b" else 1
        caller = Caller()
        link = await caller.open(make_broker(broker.url, "gw"), ("a", "b", "c"))
        assert link.unsubscribed == ("b",)
        await broker.send(publish(b"a", b"x", 1))
        await until(lambda: bool(caller.messages))
        await link.close()


async def test_the_broker_is_told_how_much_we_take() -> None:
    async with raw_broker() as broker:
        link = await Caller().open(make_broker(broker.url, "gw"))
        assert b"\x27" + MAX_RECEIVE_BYTES.to_bytes(4, "big") in broker.connect, (
            "maximum packet size"
        )
        assert b"\x21\x00\x14" in broker.connect, "receive maximum"
        flags = broker.connect[len(b"\x00\x04MQTT\x05")]
        assert flags & 0x02, "clean start: what another one of this name has left is not ours"
        await link.close()


async def test_without_an_answer_to_the_subscription_there_is_no_connection() -> None:
    async with raw_broker() as broker:
        broker.suback = lambda name: None
        caller = Caller()
        with pytest.raises(TimeoutError, match="no answer"):
            await caller.open(replace(make_broker(broker.url, "gw"), connect_s=0.3), ("a",))
        assert caller.lost == []


async def test_a_connection_that_ends_while_it_subscribes_never_was_one() -> None:
    async with raw_broker() as broker:

        def hang_up(_name: str) -> None:
            broker.hang_up()

        broker.suback = hang_up
        with pytest.raises(ConnectionLostError):
            await Caller().open(make_broker(broker.url, "gw"), ("a",))


async def test_a_message_that_is_too_large_is_thrown_away_without_keeping_it() -> None:
    """20 MiB, though 256 KiB were announced: acknowledged, so that it does not come again."""
    async with raw_broker() as broker:
        caller = Caller()
        link = await caller.open(make_broker(broker.url, "gw"), ("a",))
        tracing = tracemalloc.is_tracing()
        tracemalloc.start()
        tracemalloc.reset_peak()
        before = tracemalloc.get_traced_memory()[0]
        try:
            block = bytes(65_536)
            head = publish(b"a", b"", 7)
            size = 320 * len(block)
            await broker.send(head[:1] + length(len(head) - 2 + size) + head[2:])
            for _ in range(320):
                await broker.send(block)
            await broker.send(publish(b"a", b"small", 8))
            await until(lambda: bool(caller.messages))
            assert tracemalloc.get_traced_memory()[1] - before < 3 << 20
        finally:
            if not tracing:
                tracemalloc.stop()
        assert [message.payload for message in caller.messages] == [b"small"]
        assert link.dropped == 1
        await until(lambda: broker.kinds.count(PUBACK) == 2)
        assert broker.acknowledged == [7, 8], "each by its own number"
        assert caller.lost == []
        await link.close()


async def test_a_message_of_just_the_largest_size_comes() -> None:
    async with raw_broker() as broker:
        caller = Caller()
        link = await caller.open(make_broker(broker.url, "gw"), ("a",))
        head = len(publish(b"a", bytes(100_000), 1)) - 100_000 - 4
        for number, more in ((1, 0), (2, 1)):
            await broker.send(publish(b"a", bytes(MAX_RECEIVE_BYTES - head + more), number))
        await until(lambda: link.dropped == 1)
        assert [len(message.payload) for message in caller.messages] == [MAX_RECEIVE_BYTES - head]
        await link.close()


async def test_nonsense_of_that_size_ends_the_connection() -> None:
    async with raw_broker() as broker:
        caller = Caller()
        link = await caller.open(make_broker(broker.url, "gw"))
        await broker.send(b"\x40" + length(1 << 20) + bytes(100))
        await until(lambda: bool(caller.lost))
        await link.close()


async def test_a_quality_that_nobody_asked_for_ends_the_connection() -> None:
    """QoS 2 makes paho keep messages without an end."""
    async with raw_broker() as broker:
        caller = Caller()
        link = await caller.open(make_broker(broker.url, "gw"), ("a",))
        await broker.send(publish(b"a", b"x", 1, qos=2))
        await until(lambda: bool(caller.lost))
        assert caller.messages == []
        await link.close()


async def test_a_topic_that_is_no_text_is_counted() -> None:
    async with raw_broker() as broker:
        caller = Caller()
        link = await caller.open(make_broker(broker.url, "gw"), ("a",))
        await broker.send(publish(b"\xff\xfe", b"x", 1) + publish(b"a", b"y", 2))
        await until(lambda: bool(caller.messages))
        assert link.dropped == 1
        assert caller.messages[0].payload == b"y"
        await link.close()


async def test_a_callback_that_raises_gets_each_message_once() -> None:
    seen: list[bytes] = []

    def faulty(message: InboundMessage) -> None:
        seen.append(message.payload)
        raise RuntimeError("a fault of ours")

    async with raw_broker() as broker:
        lost: list[ConnectionLostError] = []
        link = await MqttConnection.open(
            make_broker(broker.url, "gw"),
            will=None,
            on_answer=lambda token, answer: None,
            on_lost=lost.append,
            subscribe=("a",),
            on_message=faulty,
        )
        for number in (1, 2, 3):
            await broker.send(publish(b"a", b"%d" % number, number))
        await until(lambda: broker.kinds.count(PUBACK) == 3)
        assert seen == [b"1", b"2", b"3"]
        assert (link.dropped, lost) == (3, [])
        assert isinstance(link.failure, RuntimeError), "whoever sends is to end with it"
        await link.close()


async def test_a_broker_that_floods_and_reads_nothing_is_left(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def full(buf: bytes | bytearray) -> int:
        raise BlockingIOError

    monkeypatch.setattr(pahoclient, "UNWRITTEN_PACKETS", 50)
    async with raw_broker() as broker:
        caller = Caller()
        link = await caller.open(make_broker(broker.url, "gw"), ("a",))
        monkeypatch.setattr(link._client, "_sock_send", full)
        await broker.send(b"".join(publish(b"a", b"x", number) for number in range(1, 200)))
        await until(lambda: bool(caller.lost))
        assert len(caller.messages) <= 52
        await asyncio.wait_for(link.close(), 10)
