"""paho-mqtt as we use it: on a socket that is open already, and with an end to what it keeps.

The only module that reaches into paho: `_create_socket`, `_sock_recv`, `_sock_close`,
`_handle_publish`, `_send_simple_command`, `_send_puback`, `_packet_queue`, `_in_packet` and
`_out_packet`. The tests of tests/uplink fail when one of them changes.

The socket is on the event loop: read when there is something, written when there is room. What a
connection says to its caller are the types at the head: how it began, and what came in. The answers
to messages, and how it ended, are in `inflight`.
"""

import asyncio
import contextlib
import logging
import socket
import ssl
import struct
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

import paho.mqtt.client as paho
from paho.mqtt import MQTTException
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.subscribeoptions import SubscribeOptions

from edge.uplink.broker import Broker
from edge.uplink.inflight import ConnectionLostError

LOG: Final = logging.getLogger("kerbstone.mqtt")

MAX_RECEIVE_BYTES: Final = 256 << 10  # bytes of a packet from the broker: announced, and kept to
RECEIVE_MAXIMUM: Final = 20  # messages that the broker may send before we have acknowledged them
CHUNK: Final = 64 << 10  # bytes read at one time
READ_AHEAD_BYTES: Final = (64 << 10) + 8  # of a packet that is too large: its topic and its number
UNWRITTEN_PACKETS: Final = (
    2000  # packets that wait to be written: a broker that floods and reads nothing
)

PARSE_ERRORS: Final = (
    ValueError, TypeError, LookupError, RuntimeError, struct.error, MQTTException,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Will:
    """What the broker publishes, retained, when the connection breaks."""

    topic: str
    payload: bytes
    content_type: str


@dataclass(frozen=True, slots=True)
class MqttSession:
    """What the broker said when it let us in."""

    window: int  # messages that it takes without an answer, or our own limit
    max_packet: int | None
    keepalive_s: int  # in force: the server's, where it sent one; 0: it expects none
    not_before_ns: int | None = None  # Unix time of the server certificate: certainly passed
    retain: bool = True  # it keeps retained messages


@dataclass(frozen=True, slots=True)
class InboundMessage:
    """A message from the broker: hostile until parsed.

    `retain`: with MQTT 5 as it was published; with 3.1.1 only what was stored before we came.
    """

    topic: str
    payload: bytes
    retain: bool


OnMessage = Callable[[InboundMessage], None]


class PahoClient(paho.Client):
    """One client for one connection."""

    def __init__(self, broker: Broker, will: Will | None) -> None:
        self._v5 = broker.protocol == "5"
        super().__init__(
            CallbackAPIVersion.VERSION2,
            client_id=broker.client_id,
            protocol=paho.MQTTv5 if self._v5 else paho.MQTTv311,
            clean_session=None if self._v5 else True,
            reconnect_on_failure=False,  # or it dials again by itself, with an older protocol
        )
        self._broker = broker
        self._opened: socket.socket | None = None
        # any byte came, all that waited went, since the caller last set it to False
        self.heard = self.spoken = False
        self.alert = ""  # why TLS was ended from the other side, in OpenSSL's words
        self.too_large = 0  # messages from the broker that were thrown away
        self.max_inflight_messages_set(0)  # paho's own queue costs O(n) for each PUBACK
        # a TLS refusal after the handshake stands in paho's log only. Not on_log: that would
        # format a line for every packet
        self.enable_logger(LOG)
        if broker.username is not None:
            self.username_pw_set(broker.username, broker.password)
        if will is not None:
            properties = will_properties(will.content_type) if self._v5 else None
            self.will_set(will.topic, will.payload, qos=1, retain=True, properties=properties)

    def start(self, sock: socket.socket) -> None:
        """Write CONNECT to an open socket. Blocks nothing. Closes the socket at the end."""
        self._opened = sock
        broker = self._broker
        if self._v5:
            options: dict[str, Any] = {"clean_start": True, "properties": _connect_properties()}
        else:
            options = {}
        self.connect(broker.host, broker.port, broker.keepalive_s, **options)

    def request_subscriptions(self, filters: tuple[str, ...]) -> int | None:
        """Subscribe with QoS 1; the number of the packet, or None when it did not leave."""
        if self._v5:
            # a message that was published retained says so, also when it comes at once
            options = SubscribeOptions(qos=1, retainAsPublished=True)
            return self.subscribe([(name, options) for name in filters])[1]
        return self.subscribe([(name, 1) for name in filters])[1]

    def ping(self) -> None:
        self._send_simple_command(paho.PINGREQ)

    def send_disconnect(self) -> None:
        """DISCONNECT. The broker closes the connection; paho, which would do it at once, must not.

        Whoever closes while an answer is on its way makes the kernel send a reset, and a reset
        takes away what the broker has not read yet: the goodbye. Then it publishes the will.
        """
        self._packet_queue(paho.PINGREQ, b"\xe0\x00", 0, 0)  # by this name paho lets it pass

    def abort(self) -> None:
        """Close the socket, without a word to the broker."""
        self._sock_close()

    @property
    def unwritten(self) -> int:
        return len(self._out_packet)

    # -- inside paho -------------------------------------------------------------------------------

    def _create_socket(self) -> Any:
        sock, self._opened = self._opened, None
        if sock is None:
            raise ConnectionError("a client is connected once")
        return sock

    def _sock_recv(self, bufsize: int) -> bytes:
        if self._in_packet["remaining_length"] > MAX_RECEIVE_BYTES:
            if self._in_packet["command"] & 0xF0 != paho.PUBLISH:
                raise ConnectionError("a packet larger than any that a broker sends")
            del self._in_packet["packet"][READ_AHEAD_BYTES:]  # read on, keep nothing
        try:
            data = super()._sock_recv(min(bufsize, CHUNK))
        except ssl.SSLError as error:
            self.alert = error.reason or ""  # paho only logs it
            raise
        if data:
            self.heard = True
        return data

    def _handle_publish(self) -> MQTTErrorCode:
        packet = self._in_packet
        qos = (packet["command"] & 0x06) >> 1
        if qos > 1:  # never asked for; paho would keep such messages without an end
            return MQTTErrorCode.MQTT_ERR_PROTOCOL
        if packet["remaining_length"] <= MAX_RECEIVE_BYTES:
            return super()._handle_publish()
        self.too_large += 1
        if qos == 0:
            return MQTTErrorCode.MQTT_ERR_SUCCESS
        after_topic = 2 + int.from_bytes(packet["packet"][:2], "big")
        return self._send_puback(
            int.from_bytes(packet["packet"][after_topic : after_topic + 2], "big")
        )


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
def publish_properties(content_type: str) -> Properties:
    return _Packed(PacketTypes.PUBLISH, content_type)


@cache
def will_properties(content_type: str) -> Properties:
    return _Packed(PacketTypes.WILLMESSAGE, content_type)


def _connect_properties() -> Properties:
    made = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
    made.MaximumPacketSize = MAX_RECEIVE_BYTES
    made.ReceiveMaximum = RECEIVE_MAXIMUM
    return made


class ClientSocket:
    """`broken` is called when the broker sent what cannot be; it is to call `cut`."""

    def __init__(self, client: PahoClient, broken: Callable[[ConnectionLostError], None]) -> None:
        self._loop = asyncio.get_running_loop()
        self._client, self._broken = client, broken
        client.on_socket_close = self._unwatch
        client.on_socket_register_write = self._want_write
        client.on_socket_unregister_write = self._wrote_all

    def start(self, sock: socket.socket) -> None:
        """Write CONNECT, and listen."""
        self._client.start(sock)
        if self._client.socket() is not None:  # else the first write failed, and paho has said so
            self._loop.add_reader(sock, self._readable)

    def cut(self) -> None:
        """End without a goodbye. paho calls nothing after this."""
        sock: Any = self._client.socket()
        if sock is not None:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
            with contextlib.suppress(OSError):
                self._client.abort()

    def _readable(self) -> None:
        client = self._client
        try:
            client.loop_read()
            while _has_more(client.socket()) and client.loop_read() == 0:
                pass
        except PARSE_ERRORS as error:
            # paho would look at the same bytes again and again
            self._broken(ConnectionLostError(f"the broker sent data that is not MQTT: {error}"))
            return
        if client.unwritten > UNWRITTEN_PACKETS:
            self._broken(
                ConnectionLostError("the broker keeps sending, and does not read our answers")
            )

    def _want_write(self, client: Any, _data: Any, sock: Any) -> None:
        self._loop.add_writer(sock, client.loop_write)

    def _wrote_all(self, _client: Any, _data: Any, sock: Any) -> None:
        self._client.spoken = True
        self._loop.remove_writer(sock)

    def _unwatch(self, _client: Any, _data: Any, sock: Any) -> None:
        self._loop.remove_reader(sock)
        self._loop.remove_writer(sock)


class ReceiveHandler:
    """Messages from the broker, from paho to the caller; nothing is raised into paho."""

    def __init__(self, client: PahoClient, on_message: OnMessage | None) -> None:
        self._client, self._on_message = client, on_message
        self._unread = 0
        self.fault: Exception | None = None  # of ours, the first one: whoever sends ends with it
        client.on_message = self._message

    @property
    def dropped(self) -> int:
        """Too large, not readable, or the caller raised."""
        return self._client.too_large + self._unread

    def stop(self) -> None:
        self._on_message = None

    def _message(self, _client: Any, _data: Any, message: paho.MQTTMessage) -> None:
        if self._on_message is None:
            return
        try:
            topic = message.topic
        except UnicodeDecodeError:
            self._unread += 1
            return
        payload = bytes(message.payload)
        try:
            self._on_message(InboundMessage(topic, payload, message.retain))
        except Exception as error:  # noqa: BLE001  raised here, paho would read the packet again
            self._unread += 1
            self.fault = self.fault or error


def _has_more(sock: Any) -> bool:
    """TLS decrypts whole records: the rest waits inside the object, and select() is blind to it."""
    return isinstance(sock, ssl.SSLSocket) and sock.pending() > 0
