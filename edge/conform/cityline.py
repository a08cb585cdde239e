"""The city's line to the broker: what a gateway publishes, as it was published; and ways to speak
to it.
"""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack, suppress
from typing import Any, Final, Protocol

import aiomqtt
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.subscribeoptions import SubscribeOptions

from edge.conform.evidence import Arrival
from edge.core import AsyncClock
from edge.platform.subscription import FAILURE_CODE, BrokerSource, UnreachableError
from edge.wire import Payload, Topics

HELD_NS: Final = 2_000_000_000  # how long retained messages may take to come
NEVER_RETAINED: Final = 2  # retain handling: only what is published from now on


class LineLostError(Exception):
    """Our own connection to the broker has ended, or may not see what we look for."""


class CityLine(Protocol):
    """What a run needs of a broker."""

    async def begin(self, topics: Topics, took: Callable[[Arrival], None]) -> None:
        """From now on everything of this gateway is given to `took`."""
        ...

    async def publish(self, topic: str, payload: Payload, *, retain: bool = False) -> None: ...

    async def held(self, topics: Sequence[str]) -> dict[str, Arrival]:
        """What the broker retains there, as a new subscriber gets it."""
        ...

    async def take_over(self, client_id: str) -> None:
        """Connect under this name, so that the broker ends the other one's connection."""
        ...

    def check(self) -> None:
        """Raises LineLostError when what comes is not given to `took` any more."""
        ...


class MqttCityLine:
    """A `CityLine` over MQTT 5. Use it in `async with`; raises UnreachableError."""

    def __init__(self, source: BrokerSource, clock: AsyncClock) -> None:
        self._source, self._clock = source, clock
        self._open = AsyncExitStack()
        self._reader: asyncio.Task[None] | None = None
        self._client = self._make(source.client_id)

    async def __aenter__(self) -> "MqttCityLine":
        try:
            await self._open.enter_async_context(self._client)
        except (aiomqtt.MqttError, OSError) as error:
            raise UnreachableError(str(error)) from error
        return self

    async def __aexit__(self, *_why: object) -> None:
        if self._reader is not None:
            self._reader.cancel()
            await asyncio.gather(self._reader, return_exceptions=True)
        with suppress(aiomqtt.MqttError):  # it may have ended already
            await self._open.aclose()

    async def begin(self, topics: Topics, took: Callable[[Arrival], None]) -> None:
        options = SubscribeOptions(
            qos=2, retainAsPublished=True, retainHandling=NEVER_RETAINED
        )  # fmt: skip
        for filters in ((f"{topics.up}/#",), (f"{topics.up}/+", f"{topics.up}/+/+")):
            try:
                granted = [await self._subscribe(self._client, each, options) for each in filters]
            except aiomqtt.MqttError as error:
                raise UnreachableError(str(error)) from error
            if all(granted):
                break
        else:
            raise UnreachableError(f"the broker refuses the subscription to {filters[0]}")
        self._reader = asyncio.create_task(self._read(took), name="conform reader")

    async def publish(self, topic: str, payload: Payload, *, retain: bool = False) -> None:
        properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
        properties.ContentType = payload.content_type
        try:
            await self._client.publish(
                topic, payload.data, qos=1, retain=retain, properties=properties
            )
        except aiomqtt.MqttError as error:
            raise LineLostError(str(error)) from error

    async def held(self, topics: Sequence[str]) -> dict[str, Arrival]:
        found: dict[str, Arrival] = {}
        try:
            async with self._make(f"{self._source.client_id}-held") as client:
                options = SubscribeOptions(qos=2, retainAsPublished=True)
                for topic in topics:
                    if not await self._subscribe(client, topic, options):
                        raise LineLostError(f"the broker refuses the subscription to {topic}")
                reading = asyncio.create_task(self._read_held(client, found))
                await self._clock.sleep_until(self._clock.now().mono_ns + HELD_NS)
                reading.cancel()
                (ended,) = await asyncio.gather(reading, return_exceptions=True)
                if isinstance(ended, Exception):
                    raise ended  # what had not come by then is not known
        except (aiomqtt.MqttError, OSError) as error:
            raise LineLostError(str(error)) from error
        return found

    async def take_over(self, client_id: str) -> None:
        try:
            async with self._make(client_id):
                pass
        except (aiomqtt.MqttError, OSError) as error:
            raise LineLostError(f"the broker lets nobody in as {client_id}: {error}") from error

    def check(self) -> None:
        if self._reader is not None and self._reader.done():
            error = None if self._reader.cancelled() else self._reader.exception()
            if error is not None and not isinstance(error, aiomqtt.MqttError):
                raise error  # a fault of ours is no lost connection
            raise LineLostError(str(error or "the connection has ended"))

    # -- inside ------------------------------------------------------------------------------------

    def _make(self, client_id: str) -> aiomqtt.Client:
        source = self._source
        return aiomqtt.Client(
            source.host,
            source.port,
            identifier=client_id,
            username=source.username,
            password=source.password,
            tls_context=source.tls,
            protocol=aiomqtt.ProtocolVersion.V5,
            clean_start=True,
        )

    async def _subscribe(
        self, client: aiomqtt.Client, name: str, options: SubscribeOptions
    ) -> bool:
        codes: Any = await client.subscribe(name, options=options)
        return all(getattr(code, "value", code) < FAILURE_CODE for code in codes)

    async def _read(self, took: Callable[[Arrival], None]) -> None:
        async for message in self._client.messages:
            took(self._arrival(message))

    async def _read_held(self, client: aiomqtt.Client, found: dict[str, Arrival]) -> None:
        async for message in client.messages:
            arrival = self._arrival(message)
            found[arrival.topic] = arrival

    def _arrival(self, message: aiomqtt.Message) -> Arrival:
        payload: Any = message.payload
        return Arrival(
            self._clock.now().mono_ns / 1e9,
            str(message.topic),
            payload if isinstance(payload, bytes) else b"",
            getattr(message.properties, "ContentType", None),
            message.qos,
            bool(message.retain),
        )
