"""A client's socket on the event loop: read when there is something, written when there is room."""

import asyncio
import contextlib
import socket
import ssl
import struct
from collections.abc import Callable
from typing import Any, Final

import paho.mqtt.client as paho
from paho.mqtt import MQTTException

from edge.uplink.pahoclient import PahoClient
from edge.uplink.session import ConnectionLostError, InboundMessage, OnMessage

UNWRITTEN_PACKETS: Final = (
    2000  # packets that wait to be written: a broker that floods and reads nothing
)

PARSE_ERRORS: Final = (
    ValueError, TypeError, LookupError, RuntimeError, struct.error, MQTTException,
)  # fmt: skip


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
        content_type = getattr(message.properties, "ContentType", None)
        payload = bytes(message.payload)
        try:
            self._on_message(InboundMessage(topic, payload, content_type, message.retain))
        except Exception as error:  # noqa: BLE001  raised here, paho would read the packet again
            self._unread += 1
            self.fault = self.fault or error


def _has_more(sock: Any) -> bool:
    """TLS decrypts whole records: the rest waits inside the object, and select() is blind to it."""
    return isinstance(sock, ssl.SSLSocket) and sock.pending() > 0
