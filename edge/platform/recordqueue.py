"""The city's queue at RabbitMQ (AMQP 0-9-1): all records of all gateways, for any number of sinks.

Gateways publish by MQTT; the broker copies what is bound into one durable quorum queue. A message
stays there until a sink acknowledges it, and goes to another sink when that one's connection ends.

DELIVERY_LIMIT is set on purpose: the broker's own limit of 20 counts each loss of a connection for
all messages that were under way on it, and drops them then. What is beyond the limit lies in the
queue DEAD, and is not lost.

aio-pika connects and makes what is missing. Messages come and go by aiormq below it: one task for
each and no second object, which is a sixth of the CPU of a record less.
"""

import asyncio
import logging
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import Final

import aio_pika
from aio_pika.abc import AbstractChannel, AbstractConnection
from aiormq import spec
from aiormq.abc import AbstractChannel as LowerChannel
from aiormq.abc import DeliveredMessage, FieldValue
from aiormq.exceptions import ChannelAccessRefused, ChannelNotFoundEntity
from yarl import URL

from edge.core import Stream
from edge.platform.subscription import ArrivedMessage, BrokerSource, UnreachableError
from edge.wire import Payload

for _name in ("aio_pika", "aiormq"):  # they log what they raise, too: it would be told twice
    logging.getLogger(_name).setLevel(logging.CRITICAL + 1)

PORTS: Final = {"amqp": 5672, "amqps": 5671}
EXCHANGE: Final = "amq.topic"  # where the MQTT plugin publishes
QUEUE: Final = "kerbstone.records"
DEAD: Final = "kerbstone.dead"
DELIVERY_LIMIT: Final = 1_000
PREFETCH: Final = 4_000  # messages that are here and not acknowledged
CONNECT_S: Final = 30.0
HEARTBEAT_S: Final = 30
PUBLISHED: Final = "timestamp_in_ms"  # set by the broker: message_interceptors in rabbitmq.conf
SWAPPED: Final = str.maketrans("/.", "./")  # what the plugin makes of a topic, and back
ARGUMENTS: Final[dict[str, FieldValue]] = {
    "x-queue-type": "quorum",
    "x-delivery-limit": DELIVERY_LIMIT,
    "x-dead-letter-exchange": "",
    "x-dead-letter-routing-key": DEAD,
    "x-dead-letter-strategy": "at-least-once",
    "x-overflow": "reject-publish",  # without it the strategy is not allowed; there is no limit
}
LOST: Final = (aio_pika.exceptions.AMQPError, OSError, RuntimeError)
"""What the library raises when a connection has ended; RuntimeError: the channel was closed."""


class LostConnectionError(Exception):
    """The connection to the broker has ended; what is not acknowledged comes again, to any sink."""


def amqp_url(source: BrokerSource) -> URL:
    """Without a user name the certificate says who we are."""
    external = source.username is None and source.tls is not None
    return URL.build(
        scheme="amqps" if source.tls is not None else "amqp",
        host=source.host,
        port=source.port,
        user=source.username,
        password=source.password,
        path="/",
        query={"heartbeat": str(HEARTBEAT_S), **({"auth": "external"} if external else {})},
    )


def binding_keys(prefix: str) -> list[str]:
    """Of all records: `kerbstone.v1.*.*.up.air` and `kerbstone.v1.*.*.up.air.*`, ...; and of what
    gateways say of themselves, since no retained message ever reaches a filter for all of them."""
    up = f"{prefix}/*/*/up".translate(SWAPPED)
    records = [key for stream in Stream for key in (f"{up}.{stream}", f"{up}.{stream}.*")]
    return [*records, f"{up}.status", f"{up}.meta"]


class RecordQueue:
    """One connection. `arrived` is what has come and is not taken yet, in order.

    Raises LostConnectionError where the connection cannot be made or has ended.
    """

    def __init__(self, prefix: str) -> None:
        self.arrived: list[DeliveredMessage] = []
        self.lost = asyncio.Event()  # the connection has ended
        self.has_come = asyncio.Event()
        self._prefix = prefix
        self._connection: AbstractConnection | None = None
        self._channel: LowerChannel | None = None

    async def open(self, source: BrokerSource) -> None:
        """Connect and consume. Raises UnreachableError when the broker refuses us or the queue."""
        with _lost():
            self._connection = await aio_pika.connect(
                amqp_url(source), timeout=CONNECT_S, ssl_context=source.tls
            )
            self._connection.close_callbacks.add(self._ended)
            channel = await self._with_queue(self._connection)
            channel.close_callbacks.add(self._ended)
            self._channel = await channel.get_underlay_channel()
            await self._channel.basic_consume(QUEUE, self._came)

    async def close(self) -> None:
        """Also where it has ended already."""
        if self._connection is not None:
            with suppress(LostConnectionError), _lost():
                await self._connection.close()

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

    async def answer(self, receipts: Iterable[tuple[str, Payload]], last: DeliveredMessage) -> int:
        """Publish receipts, then acknowledge `last` and all before it. How many receipts."""
        assert self._channel is not None, "not open"
        assert last.delivery_tag is not None
        count = 0
        with _lost():
            for topic, payload in receipts:
                properties = spec.Basic.Properties(
                    content_type=payload.content_type,
                    delivery_mode=aio_pika.DeliveryMode.PERSISTENT,  # QoS 1 for the gateway
                )
                await self._channel.basic_publish(
                    payload.data,
                    exchange=EXCHANGE,
                    routing_key=topic.translate(SWAPPED),
                    properties=properties,
                )
                count += 1
            await self._channel.basic_ack(last.delivery_tag, multiple=True)
        return count

    async def _with_queue(self, connection: AbstractConnection) -> AbstractChannel:
        """The queue as it is there, as on a cluster with our definitions; else it is made."""
        channel = await self._new_channel(connection)
        try:
            await channel.get_queue(QUEUE)
            return channel
        except ChannelNotFoundEntity:
            channel = await self._new_channel(connection)
        except ChannelAccessRefused as error:
            raise UnreachableError(f"this user may not read the queue {QUEUE}: {error}") from error
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

    def _ended(self, *_: object) -> None:
        self.lost.set()


@contextmanager
def _lost() -> Iterator[None]:
    """Only calls of the library stand in it: a fault of ours may be a RuntimeError, too."""
    try:
        yield
    except LOST as error:
        raise LostConnectionError(" ".join(str(error).split()) or type(error).__name__) from error


def arrived_message(message: DeliveredMessage) -> ArrivedMessage:
    """As if it had come by MQTT."""
    topic = (message.routing_key or "").translate(SWAPPED)
    properties = message.header.properties
    published = (properties.headers or {}).get(PUBLISHED)
    return ArrivedMessage(
        topic, message.body, properties.content_type or None, retained=False,
        published_ms=published if isinstance(published, int) else None,
    )  # fmt: skip
