"""One connection to a broker, with a window of messages in flight: paho-mqtt on the event loop.

A connection is made once and ends once; for the next one there is a new object and a new paho
client, so that paho keeps nothing and sends nothing behind our back. The caller's outbox stays in
charge: each message gets exactly one answer, a reason code or `ConnectionLostError`. When to ping,
and when nobody is there any more, is judged by what was heard, in any time (`KeepAlive`).
"""

import asyncio
import contextlib
from collections.abc import Callable, Hashable, Sequence
from typing import Any, Final

import paho.mqtt.client as paho
from paho.mqtt.enums import MQTTErrorCode
from paho.mqtt.reasoncodes import ReasonCode

from edge.uplink.broker import Broker
from edge.uplink.dial import dial, set_user_timeout
from edge.uplink.inflight import (
    SESSION_TAKEN_OVER,
    BrokerRefusedError,
    CertificateRejectedError,
    ConnectionLostError,
    InFlight,
    OnAnswer,
    PublishAnswer,
)
from edge.uplink.keepalive import KeepAlive
from edge.uplink.pahoclient import (
    ClientSocket,
    InboundMessage,
    MqttSession,
    OnMessage,
    PahoClient,
    ReceiveHandler,
    Will,
    publish_properties,
)

__all__ = [
    "PACKET_TOO_LARGE",
    "SESSION_TAKEN_OVER",
    "BrokerRefusedError",
    "CertificateRejectedError",
    "ConnectionLostError",
    "InboundMessage",
    "MqttConnection",
    "MqttSession",
    "OnAnswer",
    "OnMessage",
    "PublishAnswer",
    "Will",
    "publish_size",
]  # fmt: skip

PACKET_TOO_LARGE: Final = 149
RETAIN_NOT_SUPPORTED: Final = 154
QOS_NOT_SUPPORTED: Final = 155
DISCONNECT_TIMEOUT_S: Final = 5.0
REFUSALS: Final = ("CERTIFICATE", "UNKNOWN_CA")  # in OpenSSL's names of alerts
HEADER_GROWTH: Final = (
    128  # bytes by which a message grows when it goes late, again, or with bounds
)
HEADER: Final = 16  # bytes of a PUBLISH besides topic, payload and content type, at most


class MqttConnection:
    """Made by `open`; all callbacks are called from the loop and must not raise."""

    def __init__(
        self,
        broker: Broker,
        will: Will | None,
        on_answer: OnAnswer,
        on_lost: Callable[[ConnectionLostError], None],
        on_message: OnMessage | None = None,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._broker, self._on_lost = broker, on_lost
        self._connected: asyncio.Future[MqttSession] = self._loop.create_future()
        self._subscribed: asyncio.Future[Sequence[ReasonCode]] = self._loop.create_future()
        self._ended = self._loop.create_future()
        self._timer: asyncio.TimerHandle | None = None
        self._reason: ConnectionLostError | None = None
        self._up = self._closing = False
        self._not_before_ns: int | None = None
        self._v5 = broker.protocol == "5"
        self._keepalive = KeepAlive(broker.keepalive_s, self._loop.time())
        self._inflight = InFlight(broker.window, on_answer)
        self.session = MqttSession(0, None, broker.keepalive_s)
        self.needed = 0
        """Bytes that the broker would have to take, so that all that was tried arrives."""
        self.unsubscribed: tuple[str, ...] = ()
        """Filters that the broker refused."""
        self._client = client = PahoClient(broker, will)
        client.on_connect, client.on_disconnect = self._connack, self._on_disconnect
        client.on_publish, client.on_subscribe = self._puback, self._suback
        self._socket = ClientSocket(client, self._cut)
        self._receive_handler = ReceiveHandler(client, on_message)

    @classmethod
    async def open(
        cls,
        broker: Broker,
        *,
        will: Will | None,
        on_answer: OnAnswer,
        on_lost: Callable[[ConnectionLostError], None],
        subscribe: Sequence[str] = (),
        on_message: OnMessage | None = None,
    ) -> "MqttConnection":
        """Connect and subscribe. Raises OSError (also for TLS), BrokerRefusedError,
        ConnectionLostError or TimeoutError.

        Nothing in it blocks the loop, and all of it ends within `broker.connect_s`.
        `on_message` may be called before this returns. See `unsubscribed` afterwards.
        """
        self = cls(broker, will, on_answer, on_lost, on_message)
        try:
            async with asyncio.timeout(broker.connect_s):
                dialled = await dial(broker)
                self._not_before_ns = dialled.not_before_ns
                self._socket.start(dialled.sock)
                self.session = await self._connected
                self._inflight = InFlight(self.session.window, on_answer)
                if self.session.keepalive_s != broker.keepalive_s:
                    set_user_timeout(dialled.sock, self.session.keepalive_s)
                if subscribe:
                    await self._subscribe(tuple(subscribe))
            if self._reason is not None:  # it ended in the same moment
                raise self._reason
        except BaseException as error:
            self._cut(ConnectionLostError("not connected"))
            if isinstance(error, TimeoutError):
                text = f"no answer from {broker} within {broker.connect_s:.0f} s"
                raise TimeoutError(text) from None
            raise
        self._up = True
        self._keepalive = KeepAlive(self.session.keepalive_s, self._loop.time())
        self._timer = self._loop.call_later(self._keepalive.tick_s, self._tick)
        return self

    async def _subscribe(self, filters: tuple[str, ...]) -> None:
        if self._client.request_subscriptions(filters) is None:
            raise self._reason or ConnectionLostError("the connection ended before a subscription")
        reasons = await self._subscribed
        self.unsubscribed = tuple(
            name for name, reason in zip(filters, reasons, strict=False) if reason.is_failure
        )

    async def close(self) -> None:
        """Say goodbye, so that the will is not published; what is unacknowledged ends as
        ConnectionLostError."""
        if self.is_open:
            self._closing = True
            self._reason = ConnectionLostError("closed")
            self._receive_handler.stop()
            self._client.send_disconnect()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(DISCONNECT_TIMEOUT_S):
                    await asyncio.shield(self._ended)
        self._closing = True
        self._cut(ConnectionLostError("closed"))

    # -- publishing --------------------------------------------------------------------------------

    @property
    def is_open(self) -> bool:
        """Whether anything can be published: it is neither lost nor being closed."""
        return self._up and not self._closing

    @property
    def room(self) -> int:
        """Messages that may be published now, as long as there is room for their bytes."""
        if not self.is_open:
            return 0
        self._inflight.look(self._loop.time())
        return self._inflight.room

    @property
    def room_bytes(self) -> int:
        """Bytes for which there is room. While none is in flight, one message of any size goes."""
        return self._inflight.room_bytes

    @property
    def limit(self) -> int:
        """Messages that may be unacknowledged at one time, as the link is now."""
        return self._inflight.limit

    @property
    def limit_bytes(self) -> int:
        """Bytes that may be unacknowledged at one time, as the link is now."""
        return self._inflight.limit_bytes

    @property
    def backlog_leaves(self) -> tuple[int, int]:
        """Of these, how many messages and bytes are for others than the backlog."""
        return self._inflight.backlog_leaves

    @property
    def round_trip_s(self) -> float | None:
        """Of the bare link, without a queue; None before the first answer."""
        return self._inflight.round_trip_s

    @property
    def unacknowledged(self) -> int:
        return len(self._inflight)

    @property
    def dropped(self) -> int:
        """Messages from the broker that were too large, or that could not be read."""
        return self._receive_handler.dropped

    @property
    def failure(self) -> Exception | None:
        """What `on_message` raised, the first time: a fault of ours."""
        return self._receive_handler.fault

    def fits(self, size: int) -> bool:
        """Whether the broker has announced that it takes a message of this size."""
        largest = self.session.max_packet
        if largest is None or size <= largest:
            return True
        self.needed = max(self.needed, size + HEADER_GROWTH)
        return False

    def publish(
        self,
        token: Hashable,
        topic: str,
        payload: bytes,
        content_type: str,
        *,
        retain: bool = False,
        waits: bool = True,
    ) -> PublishAnswer | None:
        """Send with QoS 1. None: the answer comes later; anything else is the answer, at once.

        The caller has looked at `room`. If its bytes do not fit, it is sent when they do, and
        before anything else; `waits` False: now, it is the last message.
        """
        if not self.is_open:
            return self._reason or ConnectionLostError("not connected")
        properties = publish_properties(content_type) if self._v5 else None
        size = publish_size(topic, payload, content_type)
        if not self.fits(size):
            text = f"{size} bytes; the broker accepts {self.session.max_packet}"
            return BrokerRefusedError(PACKET_TOO_LARGE, "Packet too large", text)
        retain = retain and self.session.retain  # RetainAvailable 0: without the flag

        def send() -> ConnectionLostError | None:
            if self._closing:  # after the goodbye there is nothing
                return self._reason
            info = self._client.publish(topic, payload, 1, retain, properties)
            if info.rc != MQTTErrorCode.MQTT_ERR_SUCCESS:
                return ConnectionLostError(paho.error_string(info.rc))
            self._inflight.sent(info.mid, token, size, self._loop.time())
            return None

        if waits and not self._inflight.has_room(size):
            self._inflight.wait(token, size, send)
            return None
        return send()

    # -- paho's callbacks: never raise in them, or paho handles the same packet again --------------

    def _connack(
        self, _client: Any, _data: Any, _flags: Any, reason: ReasonCode, properties: Any
    ) -> None:
        if self._connected.done():
            return
        if reason.is_failure:
            _fail(self._connected, _connack_error(reason, properties))
            return
        if (error := _unusable(properties)) is not None:
            _fail(self._connected, error)
            return
        self._connected.set_result(
            MqttSession(
                window=min(self._broker.window, getattr(properties, "ReceiveMaximum", 65_535)),
                max_packet=getattr(properties, "MaximumPacketSize", None),
                keepalive_s=getattr(properties, "ServerKeepAlive", self._broker.keepalive_s),
                not_before_ns=self._not_before_ns,
                retain=bool(getattr(properties, "RetainAvailable", 1)),
            )
        )

    def _suback(
        self, _client: Any, _data: Any, _mid: int, reasons: list[ReasonCode], _properties: Any
    ) -> None:
        if not self._subscribed.done():
            self._subscribed.set_result(reasons)

    def _puback(
        self, _client: Any, _data: Any, mid: int, reason: ReasonCode, properties: Any
    ) -> None:
        answer = _connack_error(reason, properties) if reason.is_failure else reason.value
        self._inflight.answered(mid, answer, self._loop.time())

    def _on_disconnect(
        self, _client: Any, _data: Any, flags: Any, reason: ReasonCode, _properties: Any
    ) -> None:
        if flags.is_disconnect_packet_from_server:
            self._end(ConnectionLostError(f"broker: {reason.getName()}", reason.value))
        elif not self._connected.done():
            # with TLS 1.3 a client certificate is refused after the handshake
            if any(word in self._client.alert for word in REFUSALS):
                self._end(
                    CertificateRejectedError(
                        f"the broker refuses our certificate: {self._client.alert}"
                    )
                )
                return
            text = "the broker closed the connection at once; does it accept our certificate?"
            self._end(ConnectionLostError(text if self._broker.tls else text.partition(";")[0]))
        else:
            self._end(ConnectionLostError(f"connection: {reason.getName()}"))

    def _end(self, error: ConnectionLostError) -> None:
        error = self._reason = self._reason or error
        was_up, self._up = self._up, False
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._inflight.fail_all(error)
        for awaited in (self._connected, self._subscribed):
            if not awaited.done():
                _fail(awaited, error)
        if not self._ended.done():
            self._ended.set_result(None)
        if was_up and not self._closing:
            self._on_lost(error)

    # -- its life ----------------------------------------------------------------------------------

    def _tick(self) -> None:
        """Not paho's loop_misc: its keep-alive ends a link on which only the ping is late."""
        now_s, client, keepalive = self._loop.time(), self._client, self._keepalive
        self._timer = self._loop.call_later(keepalive.tick_s, self._tick)
        verdict = keepalive.look(now_s, heard=client.heard, sent=client.spoken)
        client.heard = client.spoken = False
        if verdict == "lost":
            self._cut(
                ConnectionLostError(f"no data from the broker for {keepalive.silent_s:.0f} s")
            )
            return
        if verdict == "ping":
            client.ping()
        waited_s = self._inflight.overdue_s(now_s, self._broker.answer_s)
        if waited_s is not None and verdict != "late":
            self._cut(ConnectionLostError(f"no acknowledgement of a message for {waited_s:.0f} s"))

    def _cut(self, error: ConnectionLostError) -> None:
        """End without a goodbye."""
        self._reason = self._reason or error
        self._socket.cut()
        self._end(error)


def _fail(awaited: asyncio.Future[Any], error: Exception) -> None:
    awaited.set_exception(error)
    awaited.exception()  # whoever waits gets it; when nobody does, it is no bug


def publish_size(topic: str, payload: bytes, content_type: str) -> int:
    """Bytes of a message on its way, at most."""
    return len(topic.encode()) + len(payload) + len(content_type) + HEADER


def _unusable(properties: Any) -> BrokerRefusedError | None:
    """What a CONNACK announces that lets no record be delivered (MQTT 5, 3.2.2.3)."""
    if getattr(properties, "MaximumQoS", 2) < 1:
        return BrokerRefusedError(QOS_NOT_SUPPORTED, "QoS not supported", "it accepts only QoS 0")
    return None  # a Receive Maximum or Maximum Packet Size of 0 is no CONNACK for paho


def _connack_error(reason: ReasonCode, properties: Any) -> BrokerRefusedError:
    return BrokerRefusedError(
        reason.value, reason.getName(), getattr(properties, "ReasonString", "")
    )
