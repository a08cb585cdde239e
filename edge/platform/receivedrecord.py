"""One record as the platform keeps it: the payload as it came, what it is found by, and what of it
is its content and what only the envelope of one sending.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final, Literal

import msgpack

from edge.core import TimeQuality
from edge.wire import DecodedMessage, WireError
from edge.wire.strict import load_json, load_msgpack

# may differ when a record is sent again; decision 13 keeps them out of the manifest's digest too
ENVELOPE: Final = frozenset({"from", "to", "tq", "bounds", "backfilled", "redelivered"})
REFUSED_PAYLOAD_KEPT: Final = 64 << 10  # bytes of the payload of a message that is refused
Key = tuple[str, int, str, int]  # gateway, epoch, stream, number


def content_digest(sent: Mapping[str, Any]) -> bytes:
    """12 bytes that say whether two records have the same content, whatever their encoding."""
    return _digest(_content(sent))


def _content(sent: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in sent.items() if name not in ENVELOPE}


def _digest(content: dict[str, Any]) -> bytes:
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), default=_bytes)
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=12).digest()


def _bytes(value: Any) -> str:
    if isinstance(value, bytes):
        return value.hex()
    raise TypeError(value)


@dataclass(frozen=True, slots=True)
class WallTimes:
    """When, as the clock map of one sending said: ISO 8601 in UTC, and what that is worth.

    `tq` is the word as it is stored, and may be damaged.
    `bounds` is JSON, a pair of times or nulls between which a record without a clock lies, or None.
    """

    start: str
    end: str
    tq: str
    bounds: str | None = None

    def better(self, other: "WallTimes") -> bool:
        """Whether this one is to replace the other."""
        mine, others = (
            (TimeQuality.parse(each.tq) or TimeQuality.NONE).rank for each in (self, other)
        )
        bounded = self.bounds is not None and other.bounds is None
        return mine > others or (mine == others and bounded)


@dataclass(frozen=True, slots=True)
class ReceivedRecord:
    """`received` is the platform's own wall clock, ISO 8601. Times in `mono` are microseconds.

    `data` is the map as it was sent, where it has just been decoded: it need not be again.
    """

    topic: str
    key: Key
    source: str
    boot: int
    mono: tuple[int, int]
    wall: WallTimes
    received: str
    content_type: str | None
    payload: bytes
    data: Mapping[str, Any] | None = field(default=None, compare=False, repr=False)

    @property
    def branch(self) -> str:
        """Prefix, site and gateway of its topic: where its receipt goes, below `down`."""
        return self.topic.removesuffix(self._tail)

    @property
    def fits_topic(self) -> bool:
        """Whether its topic names its stream and its source."""
        return self.topic.endswith(self._tail)

    @property
    def _tail(self) -> str:
        return f"/up/{self.key[2]}/{self.source}" if self.source else f"/up/{self.key[2]}"

    @property
    def size(self) -> int:
        """Bytes, near enough."""
        return len(self.topic) + len(self.payload)

    def digest(self) -> bytes:
        """Of its content. Raises WireError when the stored bytes are damaged."""
        return content_digest(self.sent())

    def dated(self, wall: WallTimes) -> "ReceivedRecord":
        return replace(self, wall=wall)

    def sent(self) -> dict[str, Any]:
        """The map as it was sent. Raises WireError when the stored bytes are damaged.

        As strict as when it came: bytes in which a name stands twice, or that are of another
        alphabet, say one thing to this program and another one to the next that reads the store.
        """
        return load_payload(self.payload)


def load_payload(payload: bytes) -> dict[str, Any]:
    """The map that a stored payload holds. Raises WireError."""
    load = load_json if payload[:1] == b"{" else load_msgpack
    try:
        found = load(payload)
    except WireError as error:
        raise WireError(f"it cannot be read: {error!s:.200}") from error
    if not isinstance(found, dict):
        raise WireError("the stored payload is not a map")
    return found


def same_content(stored: object, came: bytes) -> bool:
    """Whether two payloads are of one record, sent twice. What is damaged is the same as nothing.

    Most come again as they came, since the broker sends what was not acknowledged; those that a
    gateway sends again differ in the envelope.
    """
    if stored == came:
        return True
    if not isinstance(stored, bytes):
        return False
    try:
        mine, other = (_content(load_payload(each)) for each in (stored, came))
    except WireError:
        return False
    # the same names in the same order, as nearly always; else whatever the encoding was
    return msgpack.packb(mine) == msgpack.packb(other) or _digest(mine) == _digest(other)


@dataclass(frozen=True, slots=True)
class RefusedMessage:
    """A message that is no record here, and has no receipt; its payload may be cut.

    Foreign is what names another gateway or site than its own, undecodable what the wire format or
    the store does not allow; rate is a record beyond what its gateway may send. `gw` is in whose
    branch it came, for which a broker's ACL vouches; may be empty.
    """

    kind: Literal["foreign", "undecodable", "rate"]
    gw: str
    topic: str
    why: str
    size: int
    payload: bytes
    received: str

    @property
    def kept_size(self) -> int:
        """Bytes, near enough."""
        return len(self.topic) + len(self.payload)


def refused_record(entry: ReceivedRecord, why: str) -> RefusedMessage:
    """Of a record that a store cannot hold."""
    payload = entry.payload
    return RefusedMessage(
        "undecodable", entry.key[0], entry.topic, why, len(payload),
        payload[:REFUSED_PAYLOAD_KEPT], entry.received,
    )  # fmt: skip


def make_received(
    message: DecodedMessage, topic: str, payload: bytes, content_type: str | None, received: str
) -> ReceivedRecord:
    """What to store of a decoded record."""
    sent = message.sent
    start, end = sent["mono"]
    return ReceivedRecord(
        topic,
        message.key,
        message.topic.source,
        sent["boot"],
        (start, end),
        wall_times_of(sent),
        received,
        content_type,
        payload,
        sent,
    )


def wall_times_of(sent: Mapping[str, Any]) -> WallTimes:
    """The envelope's times. What `bounds` says is kept only when it is a pair of texts or nulls."""
    return WallTimes(sent["from"], sent["to"], sent["tq"], bounds_text(sent.get("bounds")))


def bounds_text(bounds: object) -> str | None:
    """`["2026-...Z", null]` as one text; None for what is no such pair."""
    match bounds:
        case [str() | None as low, str() | None as high]:
            return json.dumps([low, high])
    return None


def is_bounds(text: str) -> bool:
    """Whether a stored text is what `bounds_text` makes."""
    try:
        return bounds_text(json.loads(text)) == text
    except (ValueError, RecursionError):
        return False
