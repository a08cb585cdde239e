"""One connection to a broker, with a window of unanswered messages: paho-mqtt on the event loop.

A connection is made once and ends once; for the next one there is a new object and a new paho
client, so that paho keeps nothing and sends nothing behind our back. The caller's outbox stays in
charge: each message gets exactly one answer, a reason code or `LostError`.
"""

import asyncio
import contextlib
import logging
import socket
import ssl
import struct
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from functools import cache
from typing import Any, Final, cast

import paho.mqtt.client as paho
from paho.mqtt import MQTTException
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from edge.uplink.broker import Broker
from edge.uplink.dial import Handshake, dial

LOG: Final = logging.getLogger("kerbstone.mqtt")

TICK_S: Final = 1.0  # how often keep-alive and unanswered messages are looked at
TOO_LARGE: Final = 149
GOODBYE_S: Final = 5.0
FLYING: Final = 4 << 20  # bytes that may be unanswered at one time
HEADER: Final = 16  # bytes of a PUBLISH besides topic, payload and content type, at most
MALFORMED: Final = (ValueError, TypeError, LookupError, struct.error, MQTTException)


class LostError(ConnectionError):
    """The connection ended before the broker answered. Nobody knows whether the message arrived."""


class RefusedError(Exception):
    """The broker said no: `code` and `name` as in MQTT 5, for example 135 Not authorized."""

    def __init__(self, code: int, name: str, text: str = "") -> None:
        super().__init__(f"{name} ({code}){': ' + text if text else ''}")
        self.code, self.name = code, name


@dataclass(frozen=True, slots=True)
class Will:
    """What the broker publishes, retained, when the connection breaks."""

    topic: str
    payload: bytes
    content_type: str


@dataclass(frozen=True, slots=True)
class Session:
    """What the broker said when it let us in."""

    window: int
    max_packet: int | None
    keepalive_s: int


Answer = int | RefusedError | LostError
OnAnswer = Callable[[Hashable, Answer], None]
"""Called once for each message with the caller's token. Must not raise: paho is in mid-packet."""


class Connection:
    """Made by `open`; `on_answer` and `on_lost` are called from the loop and must not raise."""

    def __init__(
        self,
        broker: Broker,
        will: Will | None,
        on_answer: OnAnswer,
        on_lost: Callable[[LostError], None],
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._broker, self._on_answer, self._on_lost = broker, on_answer, on_lost
        self._pending: dict[int, tuple[Hashable, float, int]] = {}  # in the order of sending
        self._flying = 0  # bytes of what is unanswered
        self._connected: asyncio.Future[Session] = self._loop.create_future()
        self._ended = self._loop.create_future()
        self._timer: asyncio.TimerHandle | None = None
        self._reason: LostError | None = None
        self._up = self._closing = False
        self.session = Session(0, None, broker.keepalive_s)
        self._v5 = broker.protocol == "5"
        self._handshake = Handshake(broker.tls) if broker.tls is not None else None
        self._client = self._make(will)

    @classmethod
    async def open(
        cls,
        broker: Broker,
        *,
        will: Will | None,
        on_answer: OnAnswer,
        on_lost: Callable[[LostError], None],
    ) -> "Connection":
        """Connect. Raises OSError (also for TLS), RefusedError, LostError or TimeoutError.

        Nothing in it blocks the loop, and all of it ends within `broker.connect_s`.
        """
        self = cls(broker, will, on_answer, on_lost)
        try:
            async with asyncio.timeout(broker.connect_s):
                sock = await dial(self._client, broker, self._handshake)
                self._watch(sock)
                self.session = await self._connected
        except BaseException as error:
            self._cut(LostError("not connected"))
            if isinstance(error, TimeoutError):
                text = f"no answer from {broker} within {broker.connect_s:.0f} s"
                raise TimeoutError(text) from None
            raise
        self._up = True
        return self

    def _make(self, will: Will | None) -> paho.Client:
        broker = self._broker
        client = paho.Client(
            CallbackAPIVersion.VERSION2,
            client_id=broker.client_id,
            protocol=paho.MQTTv5 if self._v5 else paho.MQTTv311,
            clean_session=None if self._v5 else True,
        )
        client.max_inflight_messages_set(0)  # paho's own queue costs O(n) for each PUBACK
        client.on_connect, client.on_disconnect = self._connack, self._gone
        client.on_publish = self._puback
        # a TLS refusal after the handshake is told in paho's log only. Not on_log: that would
        # format a line for every packet
        client.enable_logger(LOG)
        if broker.username is not None:
            client.username_pw_set(broker.username, broker.password)
        if self._handshake is not None:
            client.tls_set_context(cast(ssl.SSLContext, self._handshake))
        if will is not None:
            client.will_set(
                will.topic,
                will.payload,
                qos=1,
                retain=True,
                properties=_will_type(will.content_type) if self._v5 else None,
            )
        return client

    async def close(self) -> None:
        """Say goodbye, so that the will is not published; what is unanswered ends as LostError."""
        self._closing = True
        if self._up:
            self._client.disconnect()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(GOODBYE_S):
                    await asyncio.shield(self._ended)
        self._cut(LostError("closed"))

    # -- publishing --------------------------------------------------------------------------------

    @property
    def room(self) -> int:
        """Messages that may be sent now."""
        if not self._up or self._flying > FLYING:
            return 0
        return max(0, self.session.window - len(self._pending))

    @property
    def unanswered(self) -> int:
        return len(self._pending)

    def publish(
        self,
        token: Hashable,
        topic: str,
        payload: bytes,
        content_type: str,
        *,
        retain: bool = False,
    ) -> Answer | None:
        """Send with QoS 1. None: the answer comes later; anything else is the answer, at once.

        The caller has looked at `room`.
        """
        if not self._up:
            return self._reason or LostError("not connected")
        properties = _content_type(content_type) if self._v5 else None
        largest = self.session.max_packet
        if largest is not None:
            size = len(topic.encode()) + len(payload) + len(content_type) + HEADER
            if size > largest:
                return RefusedError(TOO_LARGE, "Packet too large", f"{size} bytes of {largest}")
        info = self._client.publish(topic, payload, 1, retain, properties)
        if info.rc != MQTTErrorCode.MQTT_ERR_SUCCESS:
            return LostError(paho.error_string(info.rc))
        self._pending[info.mid] = token, self._loop.time(), len(payload)
        self._flying += len(payload)
        return None

    # -- paho's callbacks: never raise in them, or paho handles the same packet again --------------

    def _connack(
        self, _client: Any, _data: Any, _flags: Any, reason: ReasonCode, properties: Any
    ) -> None:
        if self._connected.done():
            return
        if reason.is_failure:
            self._connected.set_exception(_refused(reason, properties))
            self._connected.exception()  # whoever waits gets it; when nobody does, it is no bug
            return
        self._connected.set_result(
            Session(
                window=min(self._broker.window, getattr(properties, "ReceiveMaximum", 65_535)),
                max_packet=getattr(properties, "MaximumPacketSize", None),
                keepalive_s=getattr(properties, "ServerKeepAlive", self._broker.keepalive_s),
            )
        )

    def _puback(
        self, _client: Any, _data: Any, mid: int, reason: ReasonCode, properties: Any
    ) -> None:
        found = self._pending.pop(mid, None)
        if found is not None:
            self._flying -= found[2]
            answer = _refused(reason, properties) if reason.is_failure else reason.value
            self._on_answer(found[0], answer)

    def _gone(
        self, _client: Any, _data: Any, flags: Any, reason: ReasonCode, _properties: Any
    ) -> None:
        who = "broker" if flags.is_disconnect_packet_from_server else "connection"
        self._end(LostError(f"{who}: {reason.getName()}"))

    def _end(self, error: LostError) -> None:
        error = self._reason = self._reason or error
        was_up, self._up = self._up, False
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        pending, self._pending = self._pending, {}
        for token, _, _ in pending.values():
            self._on_answer(token, error)
        if not self._connected.done():
            self._connected.set_exception(error)
            self._connected.exception()
        if not self._ended.done():
            self._ended.set_result(None)
        if was_up and not self._closing:
            self._on_lost(error)

    # -- the socket --------------------------------------------------------------------------------

    def _watch(self, sock: Any) -> None:
        client = self._client
        client.on_socket_close = self._unwatch
        client.on_socket_register_write = self._want_write
        client.on_socket_unregister_write = self._wrote_all
        self._loop.add_reader(sock, self._readable)
        if client.want_write():
            self._loop.add_writer(sock, client.loop_write)
        self._tick()

    def _readable(self) -> None:
        try:
            self._read()
        except MALFORMED as error:
            # paho would look at the same bytes again and again
            self._cut(LostError(f"the broker sent what is not MQTT: {error}"))

    def _read(self) -> None:
        client = self._client
        client.loop_read()
        sock = client.socket()
        # TLS decrypts whole records: the rest waits inside the object, and select() does not see it
        while isinstance(sock, ssl.SSLSocket) and sock.pending() and client.loop_read() == 0:
            sock = client.socket()

    def _want_write(self, client: Any, _data: Any, sock: Any) -> None:
        self._loop.add_writer(sock, client.loop_write)

    def _wrote_all(self, _client: Any, _data: Any, sock: Any) -> None:
        self._loop.remove_writer(sock)

    def _unwatch(self, _client: Any, _data: Any, sock: Any) -> None:
        self._loop.remove_reader(sock)
        self._loop.remove_writer(sock)

    def _tick(self) -> None:
        self._timer = self._loop.call_later(TICK_S, self._tick)
        if self._pending:
            _, sent, _ = next(iter(self._pending.values()))
            waited = self._loop.time() - sent
            if waited > self._broker.answer_s:
                self._cut(LostError(f"no answer to a message for {waited:.0f} s"))
                return
        self._client.loop_misc()

    def _cut(self, error: LostError) -> None:
        """End without a goodbye: shut the socket down and let paho see the end."""
        self._reason = self._reason or error
        client = self._client
        sock: Any = client.socket()
        if sock is not None:
            self._loop.remove_reader(sock)
            self._loop.remove_writer(sock)
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
            with contextlib.suppress(*MALFORMED):
                client.loop_read()
            with contextlib.suppress(OSError):
                sock.close()
        self._end(error)


class _Packed(Properties):
    """Properties that are always the same: packed once, not for each message."""

    def __init__(self, packet: int, content_type: str) -> None:
        super().__init__(packet)  # type: ignore[no-untyped-call]  # paho leaves this class untyped
        self.ContentType = content_type
        self.__dict__["packed"] = super().pack()  # type: ignore[no-untyped-call]

    def pack(self) -> bytes:
        packed: bytes = self.__dict__["packed"]
        return packed


@cache
def _content_type(content_type: str) -> Properties:
    return _Packed(PacketTypes.PUBLISH, content_type)


@cache
def _will_type(content_type: str) -> Properties:
    return _Packed(PacketTypes.WILLMESSAGE, content_type)


def _refused(reason: ReasonCode, properties: Any) -> RefusedError:
    return RefusedError(reason.value, reason.getName(), getattr(properties, "ReasonString", ""))
