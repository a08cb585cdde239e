"""Single records as they go out: one map with short names, in JSON or MessagePack."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import lru_cache, partial
from json import JSONEncoder
from typing import Any, Final, Literal, NamedTuple

import msgpack

from edge.core import Envelope, Record, Stream
from edge.wire.strict import WireError, check_value

Encoding = Literal["json", "msgpack"]

JSON: Final = "application/vnd.kerbstone.record+json"
MSGPACK: Final = "application/vnd.kerbstone.record+msgpack"
RAW: Final = "application/vnd.kerbstone.raw+msgpack"

HEADER: Final = frozenset(
    {"v", "gw", "epoch", "stream", "seq", "source", "boot", "from", "to", "tq", "bounds", "mono",
     "backfilled", "redelivered"}
)  # fmt: skip
HEADER_KEYS: Final = HEADER | {"since"}
"""What sending adds to a body; the chain of a manifest is over the rest."""
# a float64 in MessagePack whose exponent is all ones: infinite, or not a number
NOT_FINITE: Final = re.compile(rb"\xcb[\x7f\xff][\xf0-\xff]")
MAX_WALL_NS: Final = 253_402_300_799_999_000_000  # end of the year 9999, the last ISO 8601 can say

_unpack = partial(msgpack.unpackb, strict_map_key=False, use_list=False)  # it may be a key
_to_json = JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode


class Payload(NamedTuple):
    """Bytes and the MQTT 5 content type that says what they are."""

    data: bytes
    content_type: str


def encode_json(value: Mapping[str, Any]) -> bytes:
    """Compact strict JSON in UTF-8. Raises WireError for NaN and for what JSON cannot say."""
    try:
        return _to_json(value).encode()
    except (ValueError, TypeError, RecursionError) as error:
        raise WireError(f"cannot be written as JSON: {error}") from error


def encode(record: Record, envelope: Envelope, gw: str, encoding: Encoding) -> Payload:
    """One record as a message. Events are always JSON, `raw` is always MessagePack.

    Raises WireError when the body holds what cannot be sent, or a name of the header.
    """
    found = record_map(record, envelope, gw)
    stream = record.key.stream
    if stream is Stream.RAW:
        return Payload(msgpack.packb(found), RAW)
    if encoding == "json" or stream is Stream.EVENT:
        return Payload(encode_json(found), JSON)
    try:
        packed = msgpack.packb(found)
    except (ValueError, TypeError, OverflowError) as error:
        raise WireError(f"cannot be written as MessagePack: {error}") from error
    if NOT_FINITE.search(packed):
        # it may also be something else that looks so; what was written tells
        check_value(_unpack(packed))
    return Payload(packed, MSGPACK)


def record_map(record: Record, envelope: Envelope, gw: str) -> dict[str, Any]:
    """The map that goes out; times in `mono` are microseconds."""
    key, stream = record.key, record.key.stream
    found: dict[str, Any] = {
        "v": 1,
        "gw": gw,
        "epoch": key.epoch,
        "stream": str(stream),
        "seq": key.seq,
    }
    if record.source:
        found["source"] = record.source
    found["boot"] = record.boot
    found["from"] = iso_time(envelope.from_wall_ns)
    found["to"] = iso_time(envelope.to_wall_ns)
    found["tq"] = str(envelope.tq)
    if envelope.bounds_ns is not None:
        low, high = envelope.bounds_ns
        found["bounds"] = [
            None if low is None else iso_time(low),
            None if high is None else iso_time(high + 999_999),  # not cut to an earlier millisecond
        ]
    found["mono"] = [record.from_ns // 1000, record.to_ns // 1000]
    if envelope.backfilled:
        found["backfilled"] = True
    if envelope.redelivered:
        found["redelivered"] = True
    if not HEADER_KEYS.isdisjoint(record.body):
        names = ", ".join(sorted(HEADER_KEYS.intersection(record.body)))
        raise WireError(f"the body of a record must not have {names}: the gateway adds these")
    found.update(record.body)
    if stream is Stream.EVENT and "since_s" in record.body:
        found["since"] = iso_time(envelope.from_wall_ns - round(record.body["since_s"] * 1e9))
    return found


def iso_time(wall_ns: int) -> str:
    """`2026-11-25T01:00:00.000Z`; what no calendar can say is cut to its ends."""
    seconds, rest = divmod(min(max(wall_ns, 0), MAX_WALL_NS), 1_000_000_000)
    return f"{_second(seconds)}.{rest // 1_000_000:03}Z"


@lru_cache(64)
def _second(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")
