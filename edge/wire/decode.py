"""From a topic and a payload back to what a gateway said. Every byte is hostile until then."""

import re
from dataclasses import dataclass
from typing import Any, Final

from edge.core import TOPIC_PREFIX, TimeQuality
from edge.wire.batches import raw_sweeps
from edge.wire.records import JSON, MSGPACK, RAW
from edge.wire.strict import (
    MAX_PAYLOAD,
    WireError,
    WrongGatewayError,
    load_json,
    load_msgpack,
)
from edge.wire.topics import Topic, check_identifier, parse_topic

MAX_NUMBER: Final = 1 << 53  # JavaScript's whole numbers end there
JSON_TYPES: Final = frozenset({JSON, "application/json"})
MOMENT: Final = re.compile(
    r"[0-9]{4}-[01][0-9]-[0-3][0-9]T[0-2][0-9]:[0-5][0-9]:[0-5][0-9]\.[0-9]{3}Z"
)
FLAGS: Final = ("backfilled", "redelivered")


@dataclass(frozen=True, slots=True)
class DecodedMessage:
    """One decoded message. `sent` is the map as it was sent, `data` the same or, of a batch, its
    readable form.

    `kind` is record, last, answer, status or meta. For records and `last`, the header has been
    checked: epoch, stream, seq, boot, mono are there and are whole numbers.
    """

    topic: Topic
    data: dict[str, Any]
    sent: dict[str, Any]

    @property
    def kind(self) -> str:
        return self.topic.kind

    @property
    def key(self) -> tuple[str, int, str, int]:
        """What names a record for ever: gateway, epoch, stream, number."""
        data = self.data
        return self.topic.gw, data["epoch"], data["stream"], data["seq"]


def decode(
    topic: str, payload: bytes, content_type: str | None = None, *, prefix: str = TOPIC_PREFIX
) -> list[DecodedMessage]:
    """What a message says. Without a content type (MQTT 3.1.1) the payload shows what it is.

    An empty `last` says nothing: what was retained there is taken away.

    Raises WireError, and nothing else, whatever the bytes are; of these WrongGatewayError when the
    payload names another gateway than the topic.
    """
    place = parse_topic(topic, prefix)
    if not payload and place.kind == "last":
        return []
    if len(payload) > MAX_PAYLOAD:
        raise WireError(f"{len(payload)} bytes; {MAX_PAYLOAD} are allowed")
    data = _load(payload, content_type)
    if data.__class__ is not dict:
        raise WireError("the payload is not a map")
    if data.get("gw") != place.gw:
        raise WrongGatewayError(f"gw is {data.get('gw')!r:.40}, the topic says {place.gw}")
    version = data.get("v")
    if version.__class__ is not int or version != 1:
        raise WireError(f"v is {version!r:.20}; this program reads 1")
    shown = data
    if place.kind in ("record", "last"):
        _header(data, place)
        if data["stream"] == "raw":
            shown = _expand_batch(data)
    return [DecodedMessage(place, shown, data)]


def _load(payload: bytes, content_type: str | None) -> Any:
    looks_like_json = payload[:1] == b"{"
    match content_type:
        case None | "":
            return load_json(payload) if looks_like_json else load_msgpack(payload)
        case kind if kind in JSON_TYPES:
            return load_json(payload)
        case kind if kind in (MSGPACK, RAW):
            return load_msgpack(payload)
    raise WireError(f"unknown content type {content_type!r:.80}")


def _header(data: dict[str, Any], topic: Topic) -> None:
    for name, low in (("epoch", 0), ("seq", 1), ("boot", 0)):
        _number(data.get(name), name, low)
    stream = data.get("stream")
    if stream.__class__ is not str:
        raise WireError("stream is missing")
    if topic.kind == "record" and stream != topic.stream:
        raise WireError(f"stream is {stream!r:.40}, the topic says {topic.stream}")
    source = data.get("source", "")
    if source.__class__ is not str or source != topic.source:
        raise WireError(f"source is {source!r:.40}, the topic says {topic.source!r}")
    check_identifier(stream)
    match data.get("mono"):
        case [start, end]:
            _number(start, "mono[0]")
            _number(end, "mono[1]")
            if end < start:
                raise WireError("mono ends before it begins")
        case _:
            raise WireError("mono is not a pair")
    for name in ("from", "to"):
        if data.get(name).__class__ is not str:
            raise WireError(f"{name} is missing")
    tq = TimeQuality.parse(data.get("tq"))
    if tq is None:
        raise WireError(f"tq is {data.get('tq')!r:.20}")
    if "bounds" in data:
        _bounds(data["bounds"], tq)
    for name in FLAGS:
        if data.get(name, True) is not True:
            raise WireError(f"{name} is present but not true")


def _bounds(bounds: Any, tq: TimeQuality) -> None:
    """The earliest and the latest that the wall can have shown; null for an end nobody knows."""
    if not tq.is_guessed:
        raise WireError(f"bounds are present, but tq is {tq}")
    if bounds.__class__ is not list or len(bounds) != 2 or bounds == [None, None]:
        raise WireError("bounds must be a pair with at least one time")
    for end in bounds:
        if end is not None and (end.__class__ is not str or not MOMENT.fullmatch(end)):
            raise WireError(f"bounds hold {end!r:.40}, which is not a time in UTC")
    if None not in bounds and bounds[0] > bounds[1]:  # of one form: in order as texts
        raise WireError("bounds end before they begin")


def _number(value: Any, name: str, low: int = 0) -> None:
    if value.__class__ is not int or not low <= value < MAX_NUMBER:
        raise WireError(f"{name} is {value!r:.30}, not a whole number from {low}")


def _expand_batch(data: dict[str, Any]) -> dict[str, Any]:
    """A batch with its sweeps as lists, as JSON can show them."""
    points, sweeps = raw_sweeps(data)
    shown = {name: value for name, value in data.items() if name != "tables"}
    shown["points"] = {source: list(keys) for source, keys in points.items()}
    shown["sweeps"] = [
        {
            "source": sweep.source,
            "mono": sweep.mono_ns // 1000,
            "values": list(sweep.values),
            "quality": {
                points[sweep.source][number]: str(quality)
                for number, quality in enumerate(sweep.qualities)
                if quality.reason is not None
            },
        }
        for sweep in sweeps
    ]
    return shown
