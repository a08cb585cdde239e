"""paho-mqtt as we use it: on a socket that is open already, and with an end to what it keeps.

The only module that reaches into paho: `_create_socket`, `_sock_recv`, `_sock_send`,
`_sock_close`, `_handle_publish`, `_send_simple_command`, `_send_puback`, `_packet_queue`,
`_in_packet` and `_out_packet`. The tests of tests/uplink fail when one of them changes.
"""

import logging
import socket
import ssl
from functools import cache
from typing import Any, Final

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.subscribeoptions import SubscribeOptions

from edge.uplink.broker import Broker
from edge.uplink.session import Will

LOG: Final = logging.getLogger("kerbstone.mqtt")

MAX_RECEIVE_BYTES: Final = 256 << 10  # bytes of a packet from the broker: announced, and kept to
RECEIVE_MAXIMUM: Final = 20  # messages that the broker may send before we have acknowledged them
CHUNK: Final = 64 << 10  # bytes read at one time
READ_AHEAD_BYTES: Final = (64 << 10) + 8  # of a packet that is too large: its topic and its number


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
        self.heard = self.spoken = False  # any byte since the caller last set it to False
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

    def _sock_send(self, buf: bytes | bytearray) -> int:
        sent = super()._sock_send(buf)
        if sent > 0:
            self.spoken = True
        return sent

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
