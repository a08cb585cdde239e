"""What becomes of receipts that RabbitMQ does not take; with the library's channel replaced."""

import asyncio

import pytest
from aiormq.exceptions import ChannelInvalidStateError, ConnectionClosed

from edge.platform import receiptpublisher
from edge.platform.receiptpublisher import ReceiptPublisher
from edge.wire import JSON, Payload
from tests.platform.publishing import FakeChannel

RECEIPTS = [(f"k/v1/stadt/gw-{n}/down/receipt", Payload(b"%d" % n, JSON)) for n in range(3)]


@pytest.fixture
def ended() -> list[object]:
    return []


@pytest.fixture
def publisher(channel: FakeChannel, ended: list[object]) -> ReceiptPublisher:
    made = ReceiptPublisher(lambda _who, why: ended.append(why))
    made._channel = channel.as_any
    return made


@pytest.fixture
async def channel() -> FakeChannel:
    return FakeChannel()


async def test_what_the_broker_takes_is_counted(
    publisher: ReceiptPublisher, channel: FakeChannel
) -> None:
    assert await publisher.publish(RECEIPTS) == 3
    assert channel.published == [b"0", b"1", b"2"]
    assert await publisher.publish([]) == 0


async def test_a_broker_that_takes_nothing_is_waited_for_once(
    publisher: ReceiptPublisher, channel: FakeChannel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(receiptpublisher, "TAKE_S", 0.05)
    channel.blocked = True
    assert await publisher.publish(RECEIPTS) == 0
    monkeypatch.setattr(receiptpublisher, "TAKE_S", 3600)
    async with asyncio.timeout(60):
        assert [await publisher.publish(RECEIPTS) for _ in range(100)] == [0] * 100
    channel.blocked = False
    assert await publisher.publish(RECEIPTS[:1]) == 1
    assert channel.published == [b"0"], "what was not taken is thrown away"


async def test_a_short_alarm_costs_no_receipt(
    publisher: ReceiptPublisher, channel: FakeChannel
) -> None:
    channel.blocked = True
    publishing = asyncio.create_task(publisher.publish(RECEIPTS))
    while not channel.asked:
        await asyncio.sleep(0)
    channel.blocked = False
    assert await publishing == 3


async def test_a_broker_that_does_not_read_is_not_waited_for_without_end(
    publisher: ReceiptPublisher,
    channel: FakeChannel,
    ended: list[object],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(receiptpublisher, "TAKE_S", 0.01)
    channel.stuck = True
    assert await publisher.publish(RECEIPTS) == 0
    assert ended == []
    channel.stuck = False
    assert await publisher.publish(RECEIPTS) == 3


@pytest.mark.parametrize(
    "end", [ChannelInvalidStateError("closed"), ConnectionClosed(320, "a node ends"), OSError("x")]
)
async def test_the_end_of_the_connection_is_told(
    publisher: ReceiptPublisher, channel: FakeChannel, ended: list[object], end: Exception
) -> None:
    channel.end = end
    assert await publisher.publish(RECEIPTS) == 0
    assert ended == [end]
