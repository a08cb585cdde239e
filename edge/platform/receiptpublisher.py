"""Receipts go to RabbitMQ by a connection of their own.

While a node is short of memory or disk, it reads nothing more from a connection that has published.
Acknowledgements on it would not be read either: the queue that has filled the disk could never be
emptied.
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import Final

import aio_pika
from aio_pika.abc import AbstractConnection
from aiormq import spec
from aiormq.abc import AbstractChannel as LowerChannel

from edge.platform.amqp import EXCHANGE, LOST, SWAPPED, connect, disconnect
from edge.platform.subscription import BrokerSource
from edge.wire import Payload

TAKE_S: Final = 5.0  # how long acknowledgements wait for a broker that takes no receipt


class ReceiptPublisher:
    """`on_end` is called with the channel or the connection that has ended, and why.

    A receipt that the broker does not take within TAKE_S is thrown away; nothing waits here. Its
    gateway sends the record again, which is a repeat then, and has a receipt of its own.
    """

    def __init__(self, on_end: Callable[..., None]) -> None:
        self._on_end = on_end
        self._connection: AbstractConnection | None = None
        self._channel: LowerChannel | None = None
        self._taking = True  # the broker took the last ones

    async def open(self, source: BrokerSource) -> None:
        """Raises RefusedError, or one of LOST."""
        self._connection = await connect(source)
        self._connection.close_callbacks.add(self._on_end)
        channel = await self._connection.channel(publisher_confirms=False)
        channel.close_callbacks.add(self._on_end)
        self._channel = await channel.get_underlay_channel()

    async def close(self) -> None:
        await disconnect(self._connection)

    async def publish(self, receipts: Sequence[tuple[str, Payload]]) -> int:
        """How many of them the broker takes. While it takes none, only the first group waits."""
        assert self._channel is not None, "not open"
        count = 0
        try:
            async with asyncio.timeout(TAKE_S if self._taking else 0):
                await self._channel.connection.ready()
            async with asyncio.timeout(TAKE_S):
                for topic, payload in receipts:
                    await self._put(self._channel, topic, payload)
                    count += 1
            self._taking = True
        except TimeoutError:
            self._taking = False
        except LOST as error:
            self._on_end(self._channel, _end_of(self._channel) or error)
        return count

    async def _put(self, channel: LowerChannel, topic: str, payload: Payload) -> None:
        properties = spec.Basic.Properties(
            content_type=payload.content_type,
            delivery_mode=aio_pika.DeliveryMode.PERSISTENT,  # QoS 1 for the gateway
        )
        await channel.basic_publish(
            payload.data,
            exchange=EXCHANGE,
            routing_key=topic.translate(SWAPPED),
            properties=properties,
        )


def _end_of(channel: LowerChannel) -> BaseException | None:
    """Why the broker has closed it: what is published later only hears that it is closed."""
    closing = channel.closing
    return closing.exception() if closing.done() and not closing.cancelled() else None
