"""The city's queue at RabbitMQ (AMQP 0-9-1): all records of all gateways, for any number of sinks.

Gateways publish by MQTT; the broker copies what is bound into one durable quorum queue. A message
stays there until a sink acknowledges it, and goes to another sink when that one's connection ends.

DELIVERY_LIMIT is set on purpose: the broker's own limit of 20 counts each loss of a connection for
all messages that were under way on it, and drops them then. What is beyond the limit lies in the
queue DEAD, and is not lost.
"""

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final

from aio_pika.abc import AbstractChannel, AbstractConnection
from aiormq.abc import AbstractChannel as LowerChannel
from aiormq.abc import DeliveredMessage, FieldValue
from aiormq.exceptions import ChannelAccessRefused, ChannelNotFoundEntity

from edge.core import Stream
from edge.platform.amqp import (
    EXCHANGE,
    SWAPPED,
    LostConnectionError,
    RefusedError,
    connect,
    disconnect,
    lost,
    words,
)
from edge.platform.receiptpublisher import ReceiptPublisher
from edge.platform.subscription import ArrivedMessage, BrokerSource, UnreachableError
from edge.wire import Payload

QUEUE: Final = "kerbstone.records"
DEAD: Final = "kerbstone.dead"
DELIVERY_LIMIT: Final = 1_000
PREFETCH: Final = 4_000  # messages that are here and not acknowledged
PUBLISHED: Final = "timestamp_in_ms"  # set by the broker: message_interceptors in rabbitmq.conf
ARGUMENTS: Final[dict[str, FieldValue]] = {
    "x-queue-type": "quorum",
    "x-delivery-limit": DELIVERY_LIMIT,
    "x-dead-letter-exchange": "",
    "x-dead-letter-routing-key": DEAD,
    "x-dead-letter-strategy": "at-least-once",
    "x-overflow": "reject-publish",  # without it the strategy is not allowed; there is no limit
}


def binding_keys(prefix: str) -> list[str]:
    """Of all records: `kerbstone.v1.*.*.up.air` and `kerbstone.v1.*.*.up.air.*`, ...; and of what
    gateways say of themselves, since no retained message ever reaches a filter for all of them."""
    up = f"{prefix}/*/*/up".translate(SWAPPED)
    records = [key for stream in Stream for key in (f"{up}.{stream}", f"{up}.{stream}.*")]
    return [*records, f"{up}.status", f"{up}.meta"]


class RecordQueue:
    """One connection, and another one for receipts.

    `arrived` is what has come and is not taken yet, in order. Raises LostConnectionError where one
    of them cannot be made, or has ended; RefusedError where the broker refuses us, and
    UnreachableError where no other one, and no later try, would do.
    """

    def __init__(self, prefix: str) -> None:
        self.arrived: list[DeliveredMessage] = []
        self.lost = asyncio.Event()  # one of them has ended
        self.has_come = asyncio.Event()
        self._prefix = prefix
        self._receipts = ReceiptPublisher(self._receipts_ended)
        self._end: Exception | None = None
        self._connection: AbstractConnection | None = None
        self._channel: LowerChannel | None = None

    async def open(self, source: BrokerSource) -> None:
        """Connect and consume."""
        with lost():
            self._connection = await connect(source)
            self._connection.close_callbacks.add(self._ended)
            channel = await self._with_queue(self._connection)
            channel.close_callbacks.add(self._ended)
            self._channel = await channel.get_underlay_channel()
            await self._receipts.open(source)
            self._channel.on_consumer_cancel_callbacks.add(self._cancelled)
            with _readable():
                await self._channel.basic_consume(QUEUE, self._came)

    def check(self) -> None:
        """Raises what has ended it, if anything has."""
        if self._end is not None:
            raise self._end

    async def close(self) -> None:
        """Also where it has ended already."""
        await disconnect(self._connection)
        await self._receipts.close()

    async def wait(self, stop: asyncio.Event, for_s: float | None) -> None:
        """Until something has come, the connection has ended, or `stop` is set."""
        waiting = [
            asyncio.ensure_future(event.wait()) for event in (self.has_come, self.lost, stop)
        ]
        try:
            await asyncio.wait(waiting, timeout=for_s, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in waiting:
                task.cancel()

    def take(self, most: int, most_bytes: int) -> list[DeliveredMessage]:
        """The first that have come; at least one, if there is one."""
        count = size = 0
        for each in self.arrived[:most]:
            size += len(each.body)
            count += 1
            if size >= most_bytes:
                break
        group, self.arrived = self.arrived[:count], self.arrived[count:]
        if not self.arrived:
            self.has_come.clear()
        return group

    async def answer(self, receipts: Sequence[tuple[str, Payload]], last: DeliveredMessage) -> int:
        """Publish receipts, then acknowledge `last` and all before it, whether the broker has taken
        the receipts or not. How many it has taken."""
        assert self._channel is not None, "not open"
        assert last.delivery_tag is not None
        taken = await self._receipts.publish(receipts)
        with lost():
            await self._channel.basic_ack(last.delivery_tag, multiple=True)
        return taken

    async def _with_queue(self, connection: AbstractConnection) -> AbstractChannel:
        """The queue as it is there, as on a cluster with our definitions; else it is made."""
        channel = await self._new_channel(connection)
        try:
            with _readable():
                await channel.get_queue(QUEUE)
            return channel
        except ChannelNotFoundEntity:
            channel = await self._new_channel(connection)
        try:
            await channel.declare_queue(DEAD, durable=True, arguments={"x-queue-type": "quorum"})
            queue = await channel.declare_queue(QUEUE, durable=True, arguments=ARGUMENTS)
            for key in binding_keys(self._prefix):
                await queue.bind(EXCHANGE, key)
        except ChannelAccessRefused as error:
            raise UnreachableError(
                f"there is no queue {QUEUE}, and this user may not make it: {error}; it is in "
                "deploy/broker/rabbitmq/definitions.json"
            ) from error
        return channel

    async def _new_channel(self, connection: AbstractConnection) -> AbstractChannel:
        channel = await connection.channel(publisher_confirms=False)
        await channel.set_qos(prefetch_count=PREFETCH)
        return channel

    async def _came(self, message: DeliveredMessage) -> None:
        self.arrived.append(message)
        self.has_come.set()

    async def _cancelled(self, _frame: object) -> None:
        self._ends(RefusedError(f"the queue {QUEUE} was deleted"))

    def _ended(self, _who: object, why: BaseException | None = None) -> None:
        self._ends(LostConnectionError(words(why) if why is not None else "the broker closed it"))

    def _receipts_ended(self, who: object, why: BaseException | None = None) -> None:
        if isinstance(why, ChannelAccessRefused):
            self._ends(UnreachableError(f"this user may not publish receipts: {words(why)}"))
        else:
            self._ended(who, why)

    def _ends(self, error: Exception) -> None:
        """The first reason is the reason."""
        self._end = self._end or error
        self.lost.set()


@contextmanager
def _readable() -> Iterator[None]:
    """Raises UnreachableError where the broker says that it is not."""
    try:
        yield
    except ChannelAccessRefused as error:
        raise UnreachableError(
            f"this user may not read the queue {QUEUE}: {words(error)}"
        ) from error


def arrived_message(message: DeliveredMessage) -> ArrivedMessage:
    """As if it had come by MQTT."""
    topic = (message.routing_key or "").translate(SWAPPED)
    properties = message.header.properties
    published = (properties.headers or {}).get(PUBLISHED)
    return ArrivedMessage(
        topic, message.body, properties.content_type or None, retained=False,
        published_ms=published if isinstance(published, int) else None,
    )  # fmt: skip
