"""Topics and payloads: every message of the gateway, held against what the contract declares."""

from collections.abc import Iterator
from typing import Final

from edge.conform.check import ConformanceCheck, NotSeenError
from edge.conform.evidence import DecodedEvidence, Part
from edge.core import Stream
from edge.wire import JSON, MSGPACK

ALWAYS: Final = (Stream.EVENT, Stream.RAW)  # the first is always JSON, the second never
RETAINED: Final = ("status", "meta", "last")


def _heard(reading: DecodedEvidence) -> None:
    if not reading.heard:
        raise NotSeenError("nothing came from the gateway")


def topics(reading: DecodedEvidence) -> Iterator[str]:
    _heard(reading)
    for each in reading.heard:
        if each.part == "topic":
            yield each.fault


def formats(reading: DecodedEvidence) -> Iterator[str]:
    yield from _of_part(reading, "format")


def headers(reading: DecodedEvidence) -> Iterator[str]:
    yield from _of_part(reading, "header")


def fields(reading: DecodedEvidence) -> Iterator[str]:
    yield from _of_part(reading, "fields")


def _of_part(reading: DecodedEvidence, part: Part) -> Iterator[str]:
    _heard(reading)
    told: set[str] = set()
    for each in (*reading.heard, *reading.held.values()):
        if each.part == part and each.fault not in told:
            told.add(each.fault)
            yield each.fault


def qos(reading: DecodedEvidence) -> Iterator[str]:
    _heard(reading)
    for each in reading.heard:
        if each.arrival.qos != 1:
            yield f"{each.arrival.topic}: QoS {each.arrival.qos}"


def retain(reading: DecodedEvidence) -> Iterator[str]:
    _heard(reading)
    for each in reading.heard:
        if each.place is None:
            continue
        wanted = each.place.kind in RETAINED
        if each.arrival.retain != wanted:
            word = "not retained" if wanted else "retained"
            yield f"{each.arrival.topic}: it was published {word}"


def encoding(reading: DecodedEvidence) -> Iterator[str]:
    wanted = JSON if reading.product.encoding == "json" else MSGPACK
    if reading.product.mqtt != "5":
        raise NotSeenError("with MQTT 3.1.1 there is no content type")
    seen = False
    for heard, message in reading.records():
        if message.topic.stream in ALWAYS:
            continue
        seen = True
        if heard.arrival.content_type != wanted:
            yield f"{heard.arrival.topic}: {heard.arrival.content_type}; the product says {wanted}"
    if not seen:
        raise NotSeenError("no record came whose encoding can be chosen")


CHECKS: Final = (
    ConformanceCheck(
        "topics.declared",
        "Every topic below `up` is one that the contract declares.",
        "contract: Topics",
        topics,
    ),
    ConformanceCheck(
        "topics.qos", "Every message is published with QoS 1.", "contract: Topics", qos
    ),
    ConformanceCheck(
        "topics.retain",
        "`status`, `meta` and `last` are published retained, and nothing else.",
        "contract: Topics",
        retain,
    ),
    ConformanceCheck(
        "payload.format",
        "Every payload is a strict JSON or MessagePack map of at most 1 MiB, "
        "with a content type of its message.",
        "contract: Topics",
        formats,
    ),
    ConformanceCheck(
        "payload.header",
        "`v`, `gw`, and of records the whole header are there, in their range, "
        "and as the topic says.",
        "contract: Header",
        headers,
    ),
    ConformanceCheck(
        "payload.fields",
        "Every field that the contract declares has its type and range. Fields "
        "and kinds of events that it does not know are allowed.",
        "contract: Messages",
        fields,
    ),
    ConformanceCheck(
        "payload.encoding",
        "Records have the encoding that the product file names; events are "
        "always JSON, `raw` is always MessagePack.",
        "contract: Topics",
        encoding,
    ),
)
