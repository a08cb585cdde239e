"""The broker of the layer `sim`: small, in this process, in virtual time; it answers at once.

It keeps what was published, and answers each message of QoS 1, or refuses each while its quota is
`used_up`. Nobody else is connected to it, so it hands on nothing. MQTT 5.0,
chapters 2.1.4, 3.1 to 3.4, 3.8, 3.12 and 3.14; and 3.1.1.
"""

import selectors
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from edge.platform.subscription import ArrivedMessage
from edge.rig.brokerquota import QUOTA_EXCEEDED
from edge.rig.virtualsocket import Address
from edge.rig.virtualtime import VirtualTime

CHUNK: Final = 1 << 16
V5: Final = 5
CONNECT, PUBLISH, SUBSCRIBE, PINGREQ, DISCONNECT = 1, 3, 8, 12, 14
CONTENT_TYPE: Final = 3
FIXED: Final = {1: 1, 2: 4, 11: 0, 17: 4, 23: 1, 24: 4, 33: 2, 34: 2, 35: 2, 39: 4}
"""Properties that are numbers -> their bytes; 11 is of variable length. Others are texts."""


@dataclass(slots=True)
class _Client:
    sock: socket.socket
    heard: bytearray = field(default_factory=bytearray)
    version: int = V5
    will: ArrivedMessage | None = None


class SimBroker:
    """Listens at `place` between `start` and `stop`; `published` is all that came.

    What can go wrong on the way to it is `edge.rig.brokerlink`'s.
    """

    def __init__(self, world: VirtualTime, place: Address) -> None:
        self.world, self.place = world, place
        self.published: list[tuple[int, ArrivedMessage]] = []
        """When it came (ns of the virtual clock), and what."""
        self.used_up = False
        """Its quota: it refuses each message."""
        self.refused = 0
        self._end = False
        self._clients: dict[socket.socket, _Client] = {}
        self._listener: socket.socket | None = None
        self._selector = selectors.DefaultSelector()
        self._wake_read, self._wake_write = socket.socketpair(socket.AF_UNIX)
        self._selector.register(self._wake_read, selectors.EVENT_READ)
        self._thread = threading.Thread(target=self._run, name="sim-broker", daemon=True)

    def start(self) -> None:
        self._listen()
        self._thread.start()

    def stop(self) -> None:
        """Hang up on everybody."""
        self._end = True
        self._wake_write.send(b".")
        self._thread.join()
        self.down(True)
        self._selector.close()
        self._wake_read.close()
        self._wake_write.close()

    def down(self, is_down: bool) -> None:
        """It is not there any more, or is there again."""
        if not is_down:
            self._listen()
            return
        listener, self._listener = self._listener, None
        if listener is not None:
            self._selector.unregister(listener)
            listener.close()
        for client in list(self._clients.values()):
            self._forget(client)

    def _listen(self) -> None:
        if self._listener is None:
            self._listener = socket.create_server(self.place)
            self._listener.setblocking(False)
            self._selector.register(self._listener, selectors.EVENT_READ)

    def _run(self) -> None:
        while not self._end:
            for key, _ in self._selector.select():
                if key.fileobj is self._listener:
                    self._welcome()
                elif key.fileobj is self._wake_read:
                    self._wake_read.recv(64)
                elif (client := self._clients.get(key.fileobj)) is not None:  # type: ignore[call-overload]
                    self._hear(client)

    def _welcome(self) -> None:
        assert self._listener is not None
        sock, _ = self._listener.accept()
        sock.setblocking(False)
        self._clients[sock] = _Client(sock)
        self._selector.register(sock, selectors.EVENT_READ)

    def _forget(self, client: _Client) -> None:
        if self._clients.pop(client.sock, None) is None:
            return
        self._selector.unregister(client.sock)
        client.sock.close()
        if client.will is not None:
            self.published.append((self.world.now_ns, client.will))

    def _hear(self, client: _Client) -> None:
        try:
            data = client.sock.recv(CHUNK)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._forget(client)
            return
        client.heard += data
        try:
            answers = b"".join(self._answer(client, kind, body) for kind, body in _packets(client))
        except (IndexError, ValueError):  # what a bad link has made of a packet
            self._forget(client)
            return
        if answers and client.sock in self._clients:
            try:
                client.sock.sendall(answers)
            except OSError:
                self._forget(client)

    def _answer(self, client: _Client, kind: int, body: bytes) -> bytes:
        match kind >> 4:
            case n if n == CONNECT:
                client.version, client.will = _connect(body)
                return b"\x20\x03\x00\x00\x00" if client.version == V5 else b"\x20\x02\x00\x00"
            case n if n == PUBLISH:
                return self._publish(client, kind, body)
            case n if n == SUBSCRIBE:
                return _suback(client.version, body)
            case n if n == PINGREQ:
                return b"\xd0\x00"
            case n if n == DISCONNECT:
                client.will = None
                self._forget(client)
        return b""

    def _publish(self, client: _Client, kind: int, body: bytes) -> bytes:
        topic, at = _text(body, 0)
        number = b""
        if kind & 0x06:
            number, at = body[at : at + 2], at + 2
        if self.used_up:
            self.refused += 1
            if client.version != V5:  # which has no word for it
                self._forget(client)
                return b""
            return b"\x40\x03" + number + bytes((QUOTA_EXCEEDED,)) if number else b""
        content_type = ""
        if client.version == V5:
            content_type, at = _content_type(body, at)
        made = ArrivedMessage(topic, body[at:], content_type or None, bool(kind & 1))
        self.published.append((self.world.now_ns, made))
        return b"\x40\x02" + number if number else b""


def _packets(client: _Client) -> Iterator[tuple[int, bytes]]:
    """Whole packets: first byte, body. They are taken out of what was heard."""
    heard = client.heard
    while len(heard) >= 2:
        size, at = _whole(heard, 1)
        if at == 0 or len(heard) < at + size:
            return
        kind, body = heard[0], bytes(heard[at : at + size])
        del heard[: at + size]
        yield kind, body


def _whole(data: bytes | bytearray, at: int) -> tuple[int, int]:
    """A number of variable length, and where it ends; 0 for one that is not whole."""
    found = shift = 0
    while at < len(data):
        byte = data[at]
        at += 1
        found |= (byte & 0x7F) << shift
        if byte < 0x80:
            return found, at
        shift += 7
    return 0, 0


def _text(data: bytes, at: int) -> tuple[str, int]:
    end = at + 2 + int.from_bytes(data[at : at + 2], "big")
    return data[at + 2 : end].decode("utf-8", "replace"), end


def _content_type(data: bytes, at: int) -> tuple[str, int]:
    """Of the properties that begin there, and where they end."""
    size, at = _whole(data, at)
    end, found = at + size, ""
    while at < end:
        name, at = data[at], at + 1
        if name == CONTENT_TYPE:
            found, at = _text(data, at)
        elif name == 11:
            _, at = _whole(data, at)
        elif name in FIXED:
            at += FIXED[name]
        elif name == 38:
            _, at = _text(data, at)
            _, at = _text(data, at)
        else:
            _, at = _text(data, at)
    return found, end


def _connect(body: bytes) -> tuple[int, ArrivedMessage | None]:
    """Version, and the will."""
    _, at = _text(body, 0)
    version, flags, at = body[at], body[at + 1], at + 4
    if version == V5:
        _, at = _content_type(body, at)
    _, at = _text(body, at)  # the client's name
    if not flags & 0x04:
        return version, None
    content_type = ""
    if version == V5:
        content_type, at = _content_type(body, at)
    topic, at = _text(body, at)
    end = at + 2 + int.from_bytes(body[at : at + 2], "big")
    return version, ArrivedMessage(
        topic, body[at + 2 : end], content_type or None, bool(flags & 0x20)
    )


def _suback(version: int, body: bytes) -> bytes:
    """Each filter is granted with QoS 1."""
    at = 2
    if version == V5:
        _, at = _content_type(body, at)
    count = 0
    while at < len(body):
        _, at = _text(body, at)
        at, count = at + 1, count + 1
    head = body[:2] + (b"\x00" if version == V5 else b"")
    return bytes((0x90, len(head) + count)) + head + b"\x01" * count
