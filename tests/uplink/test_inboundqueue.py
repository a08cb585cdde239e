"""What comes down the wire is sorted by its topic, and nothing retained confirms anything."""

from collections.abc import Collection
from typing import Any

from edge.uplink.commands import CommandHandler
from edge.uplink.inboundqueue import QUEUE_BYTES, QUEUE_MESSAGES, InboundQueue
from edge.uplink.pahoclient import InboundMessage as Message
from edge.uplink.rowtable import RowTable, UplinkCounters
from edge.wire import Receipt, Topics, encode_command, encode_receipts
from tests.uplink.test_rowtable_receipts import sent
from tests.uplink.test_sendqueue_order import StoredRows

GW, EPOCH = "gw-0001", 7
TOPICS = Topics("kerbstone/v1", "stadtmitte", GW)
STORED = Receipt(EPOCH, "air", ((1, 5),))


def message(topic: str, payload: bytes = b"", *, retain: bool = False) -> Message:
    return Message(topic, payload, retain)


def receipt(*, retain: bool) -> Message:
    (payload,) = encode_receipts(GW, [STORED])
    return message(TOPICS.receipt, payload.data, retain=retain)


class ConfirmedRows(StoredRows):
    """Remembers what it is to delete, call by call."""

    def __init__(self) -> None:
        super().__init__(())
        self.confirmed: list[list[int]] = []

    def confirm(self, rows: Collection[int]) -> None:
        self.confirmed.append(list(rows))


class InboundRun:
    """An `InboundQueue` of a gateway that has sent the rows 1 to 3, and all that it passes on."""

    def __init__(self, receipted: bool = True) -> None:
        self.counts, self.outbox = UplinkCounters(), ConfirmedRows()
        self.spread: list[float] = []
        self.waiting_then: list[int] = []  # when the sender was woken

        async def status(_command: object) -> dict[str, Any]:
            return {}

        def wake() -> None:
            self.waiting_then.append(len(self.inbound._waiting))

        commands = CommandHandler(GW, EPOCH, {"status": status})
        table = RowTable(10 if receipted else None, self.counts)
        for row in (1, 2, 3):
            sent(table, row, 0, answered=False)
        self.inbound = InboundQueue(
            TOPICS, GW, commands, table, self.outbox, self.spread.append, wake
        )

    async def take(self, *messages: Message) -> list[dict[str, Any]]:
        for each in messages:
            self.inbound.put(each)
        return [dict(answer.data) for answer in await self.inbound.work(42)]


async def test_a_retained_receipt_confirms_nothing() -> None:
    """A broker that keeps one would hand it to each start, of rows that were never sent."""
    run = InboundRun()
    await run.take(receipt(retain=True))
    assert (run.outbox.confirmed, run.counts.receipts, run.counts.malformed_messages) == ([], 0, 0)
    await run.take(receipt(retain=False))
    assert (run.outbox.confirmed, run.counts.receipts) == ([[1, 2, 3]], 1)
    await run.take(receipt(retain=False))
    assert (run.outbox.confirmed, run.counts.receipts) == ([[1, 2, 3]], 2), "nothing is new"


async def test_the_sender_is_woken_before_a_message_is_looked_at() -> None:
    """A fault in what comes ends the process at once, and not after an idle turn."""
    run = InboundRun()
    await run.take(receipt(retain=False), receipt(retain=True))
    assert run.waiting_then == [0, 1]


async def test_who_waits_for_no_receipts_asks_for_none_and_believes_none() -> None:
    run = InboundRun(receipted=False)
    assert run.inbound.filters == (TOPICS.commands, TOPICS.reconnect_spread)
    await run.take(receipt(retain=False))
    assert (run.outbox.confirmed, run.counts.receipts, run.counts.malformed_messages) == ([], 0, 0)
    assert InboundRun().inbound.filters == (
        TOPICS.receipt,
        TOPICS.commands,
        TOPICS.reconnect_spread,
    )


async def test_what_is_strange_is_counted_each_time_and_what_follows_is_looked_at() -> None:
    run = InboundRun()
    command = encode_command(GW, EPOCH, "one", {}).data
    answers = await run.take(
        message(f"{TOPICS.down}/else"),
        message(TOPICS.receipt, b"\xff"),
        message(f"{TOPICS.down}/cmd/status", command, retain=True),
        message(f"{TOPICS.down}/cmd/status", command, retain=True),
        message(f"{TOPICS.down}/cmd/status", command),
        message(TOPICS.reconnect_spread, b'{"v": 1, "spread_s": 3}', retain=True),
    )
    assert (run.counts.malformed_messages, run.counts.commands) == (4, 3)
    assert answers == [{"id": "one", "verb": "status", "ok": True}]
    assert run.spread == [3.0]


async def test_what_waits_is_bounded_and_what_is_too_much_is_counted() -> None:
    run = InboundRun()
    for _ in range(2):  # room is there again when it was looked at
        await run.take(*[receipt(retain=False)] * (QUEUE_MESSAGES + 3))
    assert (run.counts.receipts, run.counts.malformed_messages) == (2 * QUEUE_MESSAGES, 6)
    reported = b'{"v": 1, "spread_s": 3}'
    topic = TOPICS.reconnect_spread
    half = message(topic, reported.ljust(QUEUE_BYTES // 2 - len(topic)), retain=True)
    less = message(topic, half.payload[: -len(topic)])
    for _ in range(2):  # an empty one has room where one byte has none
        await run.take(half, less, message(topic, b" "), message(topic))
    assert run.spread == [3.0, 3.0, 0.0] * 2
    assert run.counts.malformed_messages == 6 + 2


async def test_a_long_topic_counts_as_what_it_takes() -> None:
    """A broker may send commands whose verb is 60 kB long: 256 of them are 15 MB."""
    run = InboundRun()
    topic = TOPICS.commands.replace("+", "v" * 60_000)
    for _ in range(QUEUE_MESSAGES):
        run.inbound.put(message(topic))
    assert run.counts.malformed_messages == QUEUE_MESSAGES - QUEUE_BYTES // len(topic)
