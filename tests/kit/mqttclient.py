"""A client that speaks MQTT 5 by hand: it says what no library lets pass (MQTT 5.0, chapter 3).

An example:

    client = MqttClient(port, tls_context, "gw-0001")
    assert client.connect() == 0
    client.publish(b"a/topic", b"payload", retain=True)  # the reason code, None: thrown out
"""

import socket
import ssl
from dataclasses import dataclass, field

from tests.kit.rawbroker import length

CONNECT, CONNACK, PUBLISH, PUBACK, SUBACK, PINGRESP = 0x10, 0x20, 0x30, 0x40, 0x90, 0xD0
PATIENCE_S = 30.0
KEEP_S = 200  # mosquitto 2.0.21 drops who says its `max_keepalive` itself, at once


@dataclass(frozen=True, slots=True)
class Will:
    topic: bytes
    payload: bytes
    retain: bool = False


@dataclass(slots=True)
class MqttClient:
    """With the certificate in `tls`. What is thrown out connects again with the next word."""

    port: int
    tls: ssl.SSLContext
    name: str
    will: Will | None = None
    received: list[tuple[str, bytes]] = field(default_factory=list)
    wishes: tuple[bytes, ...] = ()  # filters that it asks for after each connection
    _link: ssl.SSLSocket | None = None
    _number: int = 0

    @property
    def connected(self) -> bool:
        return self._link is not None

    def connect(self) -> int | None:
        """The reason code, None when the broker hangs up."""
        plain = socket.create_connection(("127.0.0.1", self.port), PATIENCE_S)
        self._link = self.tls.wrap_socket(plain, server_hostname="127.0.0.1")
        flags, tail = 0x02, b""
        if self.will is not None:
            flags |= 0x0C | (0x20 if self.will.retain else 0)  # QoS 1
            tail = b"\x00" + _text(self.will.topic) + _text(self.will.payload)
        head = _text(b"MQTT") + bytes((5, flags)) + KEEP_S.to_bytes(2, "big") + b"\x00"
        answer = self._ask(CONNECT, head + _text(self.name.encode()) + tail, CONNACK)
        if answer is not None and answer[1] == 0 and self.wishes:
            self.subscribe(*self.wishes)
        return None if answer is None else answer[1]

    def publish(
        self, topic: bytes, payload: bytes, *, retain: bool = False, alias: int = 0
    ) -> int | None:
        """The reason code, None when the broker hangs up."""
        self._number = self._number % 60_000 + 1
        said = b"\x23" + alias.to_bytes(2, "big") if alias else b""
        head = _text(topic) + self._number.to_bytes(2, "big") + length(len(said)) + said
        answer = self._ask(PUBLISH | 2 | retain, head + payload, PUBACK)
        return None if answer is None else (answer[2] if len(answer) > 2 else 0)

    def subscribe(self, *filters: bytes) -> list[int] | None:
        self._number = self._number % 60_000 + 1
        wishes = b"".join(_text(each) + b"\x01" for each in filters)
        answer = self._ask(0x82, self._number.to_bytes(2, "big") + b"\x00" + wishes, SUBACK)
        return None if answer is None else list(answer[3 + answer[2] :])

    def hear(self) -> None:
        """Take all that has come until now."""
        self._ask(0xC0, b"", PINGRESP)

    def drop(self) -> None:
        """Without a DISCONNECT: the broker publishes the will."""
        if self._link is not None:
            self._link.close()
            self._link = None

    def _ask(self, kind: int, body: bytes, wanted: int) -> bytes | None:
        if self._link is None and kind != CONNECT and self.connect() != 0:
            return None
        assert self._link is not None
        try:
            self._link.sendall(bytes((kind,)) + length(len(body)) + body)
            while True:
                came, answer = self._packet()
                if came & 0xF0 == PUBLISH:
                    self._arrived(came, answer)
                elif came & 0xF0 == wanted:
                    return answer
        except (OSError, EOFError):
            self.drop()
            return None

    def _arrived(self, kind: int, body: bytes) -> None:
        size = 2 + int.from_bytes(body[:2], "big")
        topic, rest = body[2:size].decode(), body[size:]
        if kind & 0x06:
            assert self._link is not None
            self._link.sendall(bytes((PUBACK, 2)) + rest[:2])
            rest = rest[2:]
        self.received.append((topic, rest[1 + rest[0] :]))  # properties: fewer than 128 bytes

    def _packet(self) -> tuple[int, bytes]:
        kind = self._exactly(1)[0]
        size = shift = 0
        while True:
            byte = self._exactly(1)[0]
            size |= (byte & 0x7F) << shift
            if byte < 0x80:
                return kind, self._exactly(size)
            shift += 7

    def _exactly(self, size: int) -> bytes:
        assert self._link is not None
        found = b""
        while len(found) < size:
            part = self._link.recv(size - len(found))
            if not part:
                raise EOFError
            found += part
        return found


def _text(data: bytes) -> bytes:
    return len(data).to_bytes(2, "big") + data
