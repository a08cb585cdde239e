"""MQTT 5 packets as a gateway needs them: what it writes, and a strict reader of what comes back.

Of the fifteen types of packets a client with QoS 1 writes six and reads six. A broker's bytes are
hostile: whatever the standard does not allow raises `MqttError`, and nothing else does. Sections
are those of the OASIS standard "MQTT Version 5.0" (2019). Pure.
"""

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

MAX_PACKET: Final = 256 << 10  # bytes that we take: announced, and kept to
RECEIVE_MAXIMUM: Final = 20  # messages that the broker may send before we have acknowledged them

CONNACK, PUBLISH, PUBACK, SUBACK, PINGRESP, DISCONNECT = 2, 3, 4, 9, 13, 14
PINGREQ_BYTES: Final = b"\xc0\x00"
DISCONNECT_BYTES: Final = b"\xe0\x00"

SESSION_EXPIRY, CONTENT_TYPE, SERVER_KEEP_ALIVE, REASON_STRING = 0x11, 0x03, 0x13, 0x1F
RECEIVE_MAX, MAXIMUM_QOS, RETAIN_AVAILABLE, MAXIMUM_PACKET_SIZE = 0x21, 0x24, 0x25, 0x27
USER_PROPERTY, SUBSCRIPTION_ID = 0x26, 0x0B

BYTE, TWO, FOUR, VARIABLE, BINARY, TEXT, PAIR = range(7)
KINDS: Final = {  # 2.2.2.2
    0x01: BYTE, 0x02: FOUR, 0x03: TEXT, 0x08: TEXT, 0x09: BINARY, 0x0B: VARIABLE, 0x11: FOUR,
    0x12: TEXT, 0x13: TWO, 0x15: TEXT, 0x16: BINARY, 0x1A: TEXT, 0x1C: TEXT, 0x1F: TEXT,
    0x21: TWO, 0x22: TWO, 0x23: TWO, 0x24: BYTE, 0x25: BYTE, 0x26: PAIR, 0x27: FOUR,
    0x28: BYTE, 0x29: BYTE, 0x2A: BYTE,
}  # fmt: skip
ALLOWED: Final = {
    CONNACK: frozenset({
        0x11, 0x12, 0x13, 0x15, 0x16, 0x1A, 0x1C, 0x1F, 0x21, 0x22, 0x24, 0x25, 0x26, 0x27,
        0x28, 0x29, 0x2A,
    }),
    # no topic alias (0x23): we have announced none
    PUBLISH: frozenset({0x01, 0x02, 0x03, 0x08, 0x09, 0x0B, 0x26}),
    PUBACK: frozenset({0x1F, 0x26}),
    SUBACK: frozenset({0x1F, 0x26}),
    DISCONNECT: frozenset({0x1C, 0x1F, 0x26}),
}  # fmt: skip
FLAGS_OF_BOOLEANS: Final = frozenset({0x01, 0x24, 0x25, 0x28, 0x29, 0x2A})
NOT_ZERO: Final = frozenset({0x0B, 0x21, 0x27})
REPEATED: Final = {PUBLISH: frozenset({0x0B, 0x26})}

Property = int | str | bytes | tuple[str, str]
Properties = dict[int, Property]
"""By identifier; of those that may be repeated the last."""


class MqttError(ValueError):
    """The broker sent what MQTT 5 does not allow."""


@dataclass(frozen=True, slots=True)
class Connack:
    """3.2: whether it lets us in, and what it takes."""

    session_present: bool
    code: int
    properties: Properties


@dataclass(frozen=True, slots=True)
class Message:
    """3.3: a PUBLISH from the broker. `packet_id` 0: QoS 0, nobody waits for an answer."""

    topic: str
    payload: bytes
    packet_id: int
    retain: bool


@dataclass(frozen=True, slots=True)
class Puback:
    """3.4: the answer to a PUBLISH of ours; a `code` from 128 on is a refusal."""

    packet_id: int
    code: int


@dataclass(frozen=True, slots=True)
class Suback:
    """3.9: one code for each filter; from 128 on it is refused."""

    packet_id: int
    codes: bytes


@dataclass(frozen=True, slots=True)
class Pingresp:
    """3.13."""


@dataclass(frozen=True, slots=True)
class Disconnect:
    """3.14: the broker ends the connection, and why."""

    code: int
    reason: str


Packet = Connack | Message | Puback | Suback | Pingresp | Disconnect


# -- writing ---------------------------------------------------------------------------------------


def connect_bytes(
    client_id: str,
    *,
    keepalive_s: int,
    will: tuple[str, bytes, bytes],
    session_expiry_s: int = 0,
    username: str | None = None,
    password: str | None = None,
) -> bytes:
    """CONNECT (3.1). `will`: topic, payload and `publish_properties`; QoS 1, retained.

    A session that outlives the connection is taken up again; without one we start clean.
    """
    flags = 0x04 | 0x08 | 0x20 | (0x02 if session_expiry_s == 0 else 0)
    flags |= (0x80 if username is not None else 0) | (0x40 if password is not None else 0)
    properties = struct.pack(">BIBH", MAXIMUM_PACKET_SIZE, MAX_PACKET, RECEIVE_MAX, RECEIVE_MAXIMUM)
    if session_expiry_s:
        properties = struct.pack(">BI", SESSION_EXPIRY, session_expiry_s) + properties
    topic, payload, will_properties = will
    parts = [
        b"\x00\x04MQTT\x05",
        struct.pack(">BH", flags, keepalive_s),
        _length(len(properties)), properties,
        _text(client_id),
        will_properties, _text(topic), _binary(payload),
    ]  # fmt: skip
    parts += [_text(each) for each in (username, password) if each is not None]
    return _packet(0x10, b"".join(parts))


def publish_properties(content_type: str) -> bytes:
    """The properties of a PUBLISH or of a will, with their length."""
    found = bytes((CONTENT_TYPE,)) + _text(content_type)
    return _length(len(found)) + found


def publish_bytes(
    topic: bytes, packet_id: int, payload: bytes, properties: bytes, *, retain: bool = False
) -> bytes:
    """PUBLISH with QoS 1 (3.3); `topic` in UTF-8."""
    size = 4 + len(topic) + len(properties) + len(payload)
    return b"".join((
        b"\x33" if retain else b"\x32", _length(size),
        len(topic).to_bytes(2, "big"), topic, packet_id.to_bytes(2, "big"), properties, payload,
    ))  # fmt: skip


def puback_bytes(packet_id: int) -> bytes:
    """PUBACK with success (3.4)."""
    return b"\x40\x02" + packet_id.to_bytes(2, "big")


def subscribe_bytes(packet_id: int, filters: Sequence[str]) -> bytes:
    """SUBSCRIBE with QoS 1 (3.8): what was published retained says so when it comes."""
    parts = [packet_id.to_bytes(2, "big"), b"\x00", *(_text(each) + b"\x09" for each in filters)]
    return _packet(0x82, b"".join(parts))


def _packet(first: int, rest: bytes) -> bytes:
    return bytes((first,)) + _length(len(rest)) + rest


def _length(size: int) -> bytes:
    if size < 128:
        return bytes((size,))
    found = bytearray()
    while size:
        size, low = size >> 7, size & 0x7F
        found.append(low | 0x80 if size else low)
    return bytes(found)


def _text(text: str) -> bytes:
    return _binary(text.encode())


def _binary(data: bytes) -> bytes:
    return len(data).to_bytes(2, "big") + data


# -- reading ---------------------------------------------------------------------------------------


class PacketReader:
    """Bytes as they come, packets as they end. Keeps one packet of MAX_PACKET bytes at most."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> Iterator[Packet]:
        """The packets that end in `data`. Raises MqttError; then nothing more is to be read."""
        data = self._rest + data if self._rest else data
        at, end = 0, len(data)
        while (body := _body(data, at, end)) is not None:
            start, stop = body
            if stop > end:
                break
            yield read_packet(data[at], data[start:stop])
            at = stop
        self._rest = data[at:]


def _body(data: bytes, at: int, end: int) -> tuple[int, int] | None:
    """Where the packet at `at` has its body; None while its length is not there."""
    size = shift = 0
    for place in range(at + 1, min(at + 5, end)):
        size |= (data[place] & 0x7F) << shift
        if data[place] < 0x80:
            if size > MAX_PACKET:
                raise MqttError(f"a packet of {size} bytes; {MAX_PACKET} are announced")
            if shift and not data[place]:
                raise MqttError("a length with more bytes than it needs")
            return place + 1, place + 1 + size
        shift += 7
    if end - at > 4:
        raise MqttError("a length of more than four bytes")
    return None


def read_packet(first: int, body: bytes) -> Packet:
    """One packet: its first byte and what follows its length. Raises MqttError."""
    kind = first >> 4
    if kind == PUBLISH:
        return _message(first, body)
    if first & 0x0F:
        raise MqttError(f"packet {kind} with flags {first & 0x0F}")
    rest = _Rest(body)
    match kind:
        case 4:  # PUBACK
            packet_id = rest.packet_id()
            code = rest.byte() if rest.left else 0
            if rest.left:
                rest.properties(PUBACK)
            found: Packet = Puback(packet_id, code)
        case 2:  # CONNACK
            flags, code = rest.byte(), rest.byte()
            if flags > 1 or (flags and code):
                raise MqttError(f"CONNACK with flags {flags} and code {code}")
            found = Connack(bool(flags), code, rest.properties(CONNACK))
        case 9:  # SUBACK
            packet_id = rest.packet_id()
            rest.properties(SUBACK)
            found = Suback(packet_id, rest.all())
            if not found.codes:
                raise MqttError("SUBACK without a code")
        case 13:  # PINGRESP
            found = Pingresp()
        case 14:  # DISCONNECT
            code = rest.byte() if rest.left else 0
            properties = rest.properties(DISCONNECT) if rest.left else {}
            found = Disconnect(code, str(properties.get(REASON_STRING, "")))
        case _:
            raise MqttError(f"packet {kind}, which a broker does not send to us")
    if rest.left:
        raise MqttError(f"packet {kind} with {rest.left} bytes too many")
    return found


def _message(first: int, body: bytes) -> Message:
    qos = first >> 1 & 3
    if qos > 1 or (not qos and first & 8):
        raise MqttError(f"PUBLISH with flags {first & 0x0F}; we have asked for QoS 1 at most")
    rest = _Rest(body)
    topic = rest.text()
    if not topic or "+" in topic or "#" in topic:
        raise MqttError("PUBLISH without a topic, or with a filter as one")
    packet_id = rest.packet_id() if qos else 0
    rest.properties(PUBLISH)
    return Message(topic, rest.all(), packet_id, bool(first & 1))


class _Rest:
    """What is left of a body."""

    def __init__(self, body: bytes) -> None:
        self._body, self._at = body, 0

    @property
    def left(self) -> int:
        return len(self._body) - self._at

    def _take(self, size: int) -> bytes:
        at = self._at
        if len(self._body) - at < size:
            raise MqttError("a packet that ends too soon")
        self._at = at + size
        return self._body[at : at + size]

    def all(self) -> bytes:
        return self._take(self.left)

    def byte(self) -> int:
        return self._take(1)[0]

    def number(self, size: int) -> int:
        return int.from_bytes(self._take(size), "big")

    def packet_id(self) -> int:
        found = self.number(2)
        if not found:
            raise MqttError("packet id 0")
        return found

    def text(self) -> str:
        try:
            found = self._take(self.number(2)).decode()
        except UnicodeDecodeError as error:
            raise MqttError(f"text that is not UTF-8: {error.reason}") from None
        if "\0" in found:
            raise MqttError("text with a null character")
        return found

    def length(self) -> int:
        """A variable byte integer (1.5.5), in as few bytes as it needs."""
        found = 0
        for shift in (0, 7, 14, 21):
            byte = self.byte()
            found |= (byte & 0x7F) << shift
            if byte < 0x80:
                if shift and not byte:
                    raise MqttError("a length with more bytes than it needs")
                return found
        raise MqttError("a length of more than four bytes")

    def properties(self, packet: int) -> Properties:
        size = self.length()
        if not size:
            return {}
        rest, found = _Rest(self._take(size)), Properties()
        allowed, repeated = ALLOWED[packet], REPEATED.get(packet, frozenset({USER_PROPERTY}))
        while rest.left:
            name = rest.length()
            if name not in allowed:
                raise MqttError(f"packet {packet} with property {name}")
            if name in found and name not in repeated:
                raise MqttError(f"property {name} twice")
            found[name] = value = rest.value(KINDS[name])
            if (name in FLAGS_OF_BOOLEANS and value not in (0, 1)) or (
                name in NOT_ZERO and value == 0
            ):
                raise MqttError(f"property {name} is {value!r}")
        return found

    def value(self, kind: int) -> Property:
        match kind:
            case 0 | 1 | 2:  # BYTE, TWO, FOUR
                return self.number((1, 2, 4)[kind])
            case 3:  # VARIABLE
                return self.length()
            case 4:  # BINARY
                return self._take(self.number(2))
            case 5:  # TEXT
                return self.text()
        return self.text(), self.text()
