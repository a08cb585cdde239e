"""Listening to a broker until it has to stop, over lost connections; and which topic filters bring
what is wanted, at the fixed levels PREFIX/SITE/GATEWAY/up/...
"""

import asyncio
import ssl
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, cast

import aiomqtt
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from edge.core import TOPIC_PREFIX, AsyncClock, ConfigError, Stream
from edge.core.endpoint import PORTS, endpoint

QUEUE_MESSAGES: Final = 100_000  # messages; more are counted and thrown away
QUEUE_BYTES: Final = 64 << 20
RETRY_NS: Final = 200_000_000
FAILURE_CODE: Final = 0x80  # SUBACK codes from here on are refusals
SESSION_S: Final = 3600  # the broker keeps what comes while we are away
STREAMS: Final = frozenset(str(stream) for stream in Stream)
OTHER_KINDS: Final = frozenset({"status", "meta", "last", "answer"})
SHARED_PREFIXES: Final = (
    "$share",
    "$queue",
)  # the second is EMQX's word for a group without a name
SOME_SOURCES: Final = "it may leave out sources, so missing numbers cannot be found"


class UnreachableError(Exception):
    """There was never a connection: wrong address, wrong key, no broker."""


@dataclass(frozen=True, slots=True)
class BrokerSource:
    """The broker to listen to."""

    host: str
    port: int
    client_id: str
    tls: ssl.SSLContext | None = None
    username: str | None = None
    password: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class ArrivedMessage:
    """A message as it came."""

    topic: str
    payload: bytes
    content_type: str | None
    retained: bool
    published_ms: int | None = None  # when the broker got it, where it says so

    @property
    def size(self) -> int:
        """Bytes in memory, at most: one emoji, and each character of its text takes four."""
        return 4 * len(self.topic) + len(self.payload) + 4 * len(self.content_type or "")


class Inbox(asyncio.Queue[ArrivedMessage]):
    """What waits, up to so many messages and bytes; more is counted and thrown away.

    It keeps what its bytes count. The library's own message has all properties, whatever a client
    has put there, and takes 6 kB without any.
    """

    def __init__(self, most: int, most_bytes: int) -> None:
        super().__init__()
        self._most, self._most_bytes = most, most_bytes
        self._bytes = 0
        self.thrown_away = 0

    def put_nowait(self, item: ArrivedMessage | aiomqtt.Message) -> None:
        came = item if isinstance(item, ArrivedMessage) else to_arrived(item)
        if self.qsize() >= self._most or self._bytes + came.size > self._most_bytes:
            self.thrown_away += 1
            return
        self._bytes += came.size
        super().put_nowait(came)

    def _get(self) -> ArrivedMessage:  # what asyncio.Queue itself calls, and lets be overridden
        came: ArrivedMessage = super()._get()
        self._bytes -= came.size
        return came

    @property
    def queue_type(self) -> type[asyncio.Queue[aiomqtt.Message]]:
        """For `make_client`. Each connection may fill the same one: what was acknowledged is not
        thrown away."""
        return cast("type[asyncio.Queue[aiomqtt.Message]]", lambda maxsize=0: self)


def parse_source(
    url: str,
    client_id: str,
    *,
    ca: Path | None = None,
    cert: Path | None = None,
    key: Path | None = None,
    username: str | None = None,
    password: str | None = None,
    ports: Mapping[str, int] = PORTS,
) -> BrokerSource:
    """From the words of a command line; `ports` has the two schemes. Raises ConfigError."""
    try:
        place = endpoint(url, ports)
    except ValueError as error:
        raise ConfigError(f"{error} (--broker {[*ports][1]}://HOST:PORT)") from None
    if password is not None and username is None:
        raise ConfigError("--password-file needs --username")
    context = None
    if place.tls:
        try:
            context = ssl.create_default_context(cafile=ca)
            if cert is not None:
                context.load_cert_chain(cert, key)
        except OSError as error:  # ssl.SSLError is one
            raise ConfigError(f"{error}") from None
    return BrokerSource(place.host, place.port, client_id, context, username, password)


async def listen(
    source: BrokerSource,
    filters: Sequence[str],
    clock: AsyncClock,
    *,
    on_ready: Callable[[], None] = lambda: None,
    on_loss: Callable[[str], None] = lambda _why: None,
    on_overrun: Callable[[int], None] = lambda _count: None,
) -> AsyncGenerator[ArrivedMessage, None]:
    """Messages, for ever. Raises UnreachableError when the first connection fails.

    `on_ready` is called after each subscription, `on_loss` after each connection that was lost,
    `on_overrun` when messages had to be thrown away.
    """
    inbox = Inbox(QUEUE_MESSAGES, QUEUE_BYTES)
    reached = False
    while True:
        try:
            async with make_client(source, SESSION_S, inbox.queue_type) as client:
                await subscribe_all(client, filters)
                reached = True
                on_ready()
                while True:
                    came = await next_message(client)
                    if inbox.thrown_away:
                        on_overrun(inbox.thrown_away)
                        inbox.thrown_away = 0
                    yield came
        except (aiomqtt.MqttError, OSError) as error:
            if not reached:
                raise UnreachableError(f"{source.host}:{source.port}: {error}") from error
            on_loss(str(error))
            await clock.sleep_until(clock.now().mono_ns + RETRY_NS)


def make_client(
    source: BrokerSource,
    session_s: int,
    queue_type: type[asyncio.Queue[aiomqtt.Message]] | None = None,
) -> aiomqtt.Client:
    """A client with MQTT 5 whose session the broker keeps so long after the connection is lost."""
    properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
    properties.SessionExpiryInterval = session_s
    return aiomqtt.Client(
        source.host,
        source.port,
        identifier=source.client_id,
        username=source.username,
        password=source.password,
        tls_context=source.tls,
        protocol=aiomqtt.ProtocolVersion.V5,
        # mosquitto 2.0 does not keep a session on disk that began with a clean start
        clean_start=False,
        properties=properties,
        queue_type=queue_type,
    )


async def next_message(client: aiomqtt.Client) -> ArrivedMessage:
    """Of a client with an inbox. Raises MqttError when the connection has ended."""
    return cast("ArrivedMessage", await anext(client.messages))


async def subscribe_all(client: aiomqtt.Client, filters: Sequence[str]) -> None:
    """With QoS 1. Raises UnreachableError when the broker refuses."""
    granted = await client.subscribe([(name, 1) for name in filters])
    refused = [code for code in granted if _value(code) >= FAILURE_CODE]
    if refused:
        raise UnreachableError(f"the broker refuses the subscription: {refused[0]}")


def to_arrived(message: aiomqtt.Message) -> ArrivedMessage:
    """What came, without the library's own types."""
    payload: Any = message.payload
    content_type = getattr(message.properties, "ContentType", None)
    data = payload if isinstance(payload, bytes) else b""
    return ArrivedMessage(str(message.topic), data, content_type, bool(message.retain))


def _value(code: object) -> int:
    """A SUBACK code: a plain number with MQTT 3.1.1, an object with MQTT 5."""
    value = getattr(code, "value", code)
    return value if isinstance(value, int) else FAILURE_CODE


def receive_refusal(topic_filter: str, prefix: str = TOPIC_PREFIX) -> str | None:
    """Why nothing can be received and answered by this filter; None when something can."""
    levels = topic_filter.split("/")
    if levels[0] in SHARED_PREFIXES:
        return (
            "each member of a shared subscription gets only a part, and any client can join it:"
            " mosquitto refuses no member, and discards messages that a member may not read"
        )
    for level, wanted in zip(levels, _branch(prefix), strict=False):
        if level == "#":
            return None
        if wanted is not None and level not in (wanted, "+"):
            return f"it matches nothing below {prefix}/SITE/GATEWAY/up; end it with /up/#"
    if len(levels) <= len(_branch(prefix)):
        return f"it ends above gateways' topics; end it with /up/# ({prefix}/SITE/GATEWAY/up/#)"
    return None


def check_refusal(topic_filter: str, prefix: str = TOPIC_PREFIX) -> str | None:
    """Why messages of this filter cannot be checked; None when they can.

    Numbers run per stream, so all sources are needed.
    """
    levels = topic_filter.split("/")
    if (why := receive_refusal(topic_filter, prefix)) is not None:
        return why
    depth = len(_branch(prefix))
    if "#" in levels[:depth]:
        return None
    if levels[depth - 1] != "up":
        return "it does not include the records; end it with /up/#"
    match levels[depth:]:
        case ["#"] | ["+", "#"]:
            return None
        case [stream, "#"] if stream in STREAMS:
            return None
        case [stream, *_] if stream in OTHER_KINDS:
            return f"{stream} holds no numbered records; end it with /up/#"
        case [stream, *_] if stream in STREAMS:
            return f"{SOME_SOURCES}; end it with /up/{stream}/#"
    return f"{SOME_SOURCES}; end it with /up/# or /up/STREAM/#"


def subscriptions(
    topic_filter: str, prefix: str = TOPIC_PREFIX, *, check: bool = False
) -> list[str]:
    """What to subscribe. A check of one stream needs the events too: they declare losses.

    A `#` behind `up` becomes the levels that there are: a broker's ACL lets nobody ask for more.
    """
    *head, end = topic_filter.split("/")
    depth = len(_branch(prefix))
    if end != "#" or len(head) < depth or head[depth - 1] != "up":
        return [topic_filter]
    branch, tail = "/".join(head[:depth]), head[depth:]
    match tail:
        case []:
            return [f"{branch}/+", f"{branch}/+/+"]
        case [stream]:
            streams = [stream]
            if check and stream in STREAMS - {"event"}:
                streams.append("event")
            return [name for each in streams for name in (f"{branch}/{each}", f"{branch}/{each}/+")]
    return [topic_filter]


def record_subscriptions(topic_filter: str, prefix: str = TOPIC_PREFIX) -> list[str]:
    """What to subscribe for records alone: a filter for whole gateways becomes one of each stream.

    What else there is below `up` (status, meta, last, answers) then stays at the broker: retained
    copies are nearly as many messages as records.
    """
    *head, end = topic_filter.split("/")
    if end != "#" or len(head) != len(_branch(prefix)) or head[-1] != "up":
        return subscriptions(topic_filter, prefix)
    branch = "/".join(head)
    return [name for each in Stream for name in (f"{branch}/{each}", f"{branch}/{each}/+")]


def _branch(prefix: str) -> list[str | None]:
    """The levels down to `up`; None is any."""
    return [*prefix.split("/"), None, None, "up"]
