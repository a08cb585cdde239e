"""Records of a store that no daemon has: each ends as confirmed, refused with its reason, or open.

The broker answers as the test says; that it is a real one is shown in tests/cli.
"""

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest

from edge.core import Envelope, Record, RecordKey, Stream, TimeQuality
from edge.uplink import rescuesender as module
from edge.uplink.broker import Broker, make_broker
from edge.uplink.delivery import NOT_AUTHORIZED
from edge.uplink.mqtt import BrokerRefusedError, ConnectionLostError, MqttConnection
from edge.uplink.rescuesender import DatedRecord, RescueResult, RescueSender
from edge.wire import Receipt, Topics, encode_receipts
from tests.kit.rawbroker import DISCONNECT, PUBACK, REFUSE_ALL, RawBroker, publish, raw_broker
from tests.kit.waiting import until

S = 1_000_000_000
GW, EPOCH = "gw-0001", 5
TOPICS = Topics("kerbstone/v1", "stadtmitte", GW)
NTP = Envelope(0, S, TimeQuality.NTP)


def records(count: int, stream: Stream = Stream.AIR, **body: Any) -> list[DatedRecord]:
    return [
        (Record(RecordKey(EPOCH, stream, seq), "hut", 1, 0, S, {"n": seq, **body}), NTP)
        for seq in range(1, count + 1)
    ]


def rescue(
    receipt_s: float | None = None, progress: Callable[[RescueResult], None] = lambda done: None
) -> RescueSender:
    return RescueSender(TOPICS, GW, "json", receipt_s, progress)


def gateway(broker: RawBroker) -> Broker:
    return replace(make_broker(broker.url, "rescue"), connect_s=5.0)


async def receipt(broker: RawBroker, *ranges: tuple[int, int], retain: bool = False) -> None:
    (payload,) = encode_receipts(GW, [Receipt(EPOCH, "air", tuple(ranges))])
    packet = publish(TOPICS.receipt.encode(), payload.data, 7)
    await broker.send(bytes((packet[0] | retain,)) + packet[1:])


async def test_what_the_broker_takes_is_confirmed_and_what_it_refuses_is_counted_with_why() -> None:
    async with raw_broker() as broker:
        broker.answer = lambda topic, payload: REFUSE_ALL if b'"n":2' in payload else 0
        made = rescue()
        await made.run(gateway(broker), records(5))
        assert (made.done.sent, made.done.confirmed, made.done.unconfirmed) == (5, 4, 0)
        assert dict(made.done.refused) == {"Unspecified error (128)": 1}
        assert broker.kinds[-1] == DISCONNECT, "it says goodbye"


async def test_a_record_that_cannot_go_is_told_with_why_and_the_others_go() -> None:
    async with raw_broker() as broker:
        broker.connack_properties = b"\x27" + (600).to_bytes(4, "big")  # bytes of a packet
        made = rescue()
        wild = records(1, x=float("nan"))
        large = records(2, text="x" * 600)
        await made.run(gateway(broker), [*wild, *large, *records(3)])
        assert (made.done.sent, made.done.confirmed) == (3, 3)
        assert sorted(made.done.refused.values()) == [1, 2]
        assert made.done.refused["it is larger than the broker accepts"] == 2
        (text,) = [why for why in made.done.refused if why.startswith("it cannot be written")]
        assert "Out of range" in text


async def test_a_broker_that_does_not_allow_it_ends_it_at_once() -> None:
    async with raw_broker() as broker:
        broker.answer = lambda topic, payload: NOT_AUTHORIZED
        made = rescue(receipt_s=60)
        with pytest.raises(BrokerRefusedError, match="Not authorized"):
            await made.run(gateway(broker), records(30))
        assert made.done.confirmed == 0
        refused = sum(made.done.refused.values())
        assert refused + made.done.unconfirmed >= made.done.sent, "of a refused one nobody waits"


async def test_a_connection_that_ends_is_an_error_and_what_was_not_answered_is_open() -> None:
    for receipt_s in (None, 60):
        async with raw_broker() as broker:

            def answer(_topic: str, payload: bytes, broker: RawBroker = broker) -> int:
                if b'"n":4' in payload:
                    broker.hang_up()
                return 0

            broker.answer = answer
            made = rescue(receipt_s)
            with pytest.raises(ConnectionLostError):
                await made.run(gateway(broker), records(6))
            done = made.done
            assert done.unconfirmed >= 1
            if receipt_s is None:
                assert done.confirmed + done.unconfirmed == done.sent
            else:
                assert done.confirmed == 0


async def test_of_two_errors_the_first_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """A message did not leave; the connection ends a moment later, in other words."""

    def publish(link: MqttConnection, *_message: object) -> ConnectionLostError:
        loop = asyncio.get_running_loop()
        loop.call_soon(link._cut, ConnectionLostError("hung up"))  # while the next page is read
        return ConnectionLostError("did not leave")

    monkeypatch.setattr(MqttConnection, "publish", publish)
    async with raw_broker() as broker:
        with pytest.raises(ConnectionLostError, match="did not leave"):
            await rescue().run(gateway(broker), records(1))


async def test_where_receipts_cannot_be_heard_nothing_is_sent() -> None:
    async with raw_broker() as broker:
        broker.suback = lambda name: 135
        made = rescue(receipt_s=5)
        with pytest.raises(ConnectionLostError, match="no right to subscribe"):
            await made.run(gateway(broker), records(3))
        assert broker.published == []
        await rescue().run(gateway(broker), records(3))  # who asks for none needs none
        assert len(broker.published) == 3


async def test_only_a_receipt_confirms_where_one_is_awaited(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Not a retained one, not another gateway's or a wrong one; a refused record waits for none."""
    monkeypatch.setattr(module, "TICK_S", 0.05)
    seen: list[int] = []
    cities: list[asyncio.Task[None]] = []
    async with raw_broker() as broker:
        broker.answer = lambda topic, payload: REFUSE_ALL if b'"n":2' in payload else 0

        async def city() -> None:
            await receipt(broker, (1, 9), retain=True)
            await broker.send(publish(TOPICS.receipt.encode(), b"\xff", 8))
            await broker.send(publish(b"else", b"", 9))
            await receipt(broker, (7, 9))
            await until(lambda: broker.kinds.count(PUBACK) == 4)
            assert made.done.confirmed == 0
            await receipt(broker, (1, 1), (3, 3))
            await until(lambda: made.done.confirmed == 2)
            await receipt(broker, (1, 9))

        def progress(done: RescueResult) -> None:
            seen.append(done.confirmed)
            if sum(done.refused.values()) == 1 and len(broker.published) == 4 and not cities:
                cities.append(asyncio.create_task(city()))

        made = rescue(60, progress)
        await made.run(gateway(broker), records(4))
        await asyncio.gather(*cities)
    assert seen[0] == 0
    assert (made.done.sent, made.done.confirmed, made.done.unconfirmed) == (4, 3, 0)


async def test_a_city_that_stores_nothing_is_waited_for_so_long_and_no_longer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "TICK_S", 0.05)
    monkeypatch.setattr(module, "UNCONFIRMED_LIMIT", 2)
    monkeypatch.setattr(module, "PAGE_RECORDS", 2)
    async with raw_broker() as broker:
        read: list[int] = []

        def source() -> Iterator[DatedRecord]:
            for each in records(9):
                read.append(each[0].key.seq)
                yield each

        made = rescue(receipt_s=0.3)
        await made.run(gateway(broker), source())
        assert (made.done.sent, made.done.confirmed, made.done.unconfirmed) == (2, 0, 2)
        assert len(read) <= 4, "a page, and not the whole file"
