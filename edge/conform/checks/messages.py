"""Topics and payloads: every message of the gateway, held against what the contract declares."""

from collections.abc import Iterator
from typing import Final

from edge.conform.check import ConformanceCheck, NotSeenError
from edge.conform.evidence import DecodedEvidence, Part
from edge.core import Stream
from edge.wire import JSON, MSGPACK

ALWAYS: Final = (Stream.EVENT, Stream.RAW)  # the first is always JSON, the second never
RETAINED: Final = ("status", "meta", "last")


def _heard(evidence: DecodedEvidence) -> None:
    if not evidence.heard:
        raise NotSeenError("nothing came from the gateway")


def topics(evidence: DecodedEvidence) -> Iterator[str]:
    _heard(evidence)
    for each in evidence.heard:
        if each.part == "topic":
            yield each.fault


def formats(evidence: DecodedEvidence) -> Iterator[str]:
    yield from _of_part(evidence, "format")


def headers(evidence: DecodedEvidence) -> Iterator[str]:
    yield from _of_part(evidence, "header")


def fields(evidence: DecodedEvidence) -> Iterator[str]:
    yield from _of_part(evidence, "fields")


def _of_part(evidence: DecodedEvidence, part: Part) -> Iterator[str]:
    _heard(evidence)
    told: set[str] = set()
    for each in (*evidence.heard, *evidence.held.values()):
        if each.part == part and each.fault not in told:
            told.add(each.fault)
            yield each.fault


def qos(evidence: DecodedEvidence) -> Iterator[str]:
    _heard(evidence)
    for each in evidence.heard:
        if each.arrival.qos != 1:
            yield f"{each.arrival.topic}: QoS {each.arrival.qos}"


def retain(evidence: DecodedEvidence) -> Iterator[str]:
    _heard(evidence)
    for each in evidence.heard:
        if each.place is None:
            continue
        wanted = each.place.kind in RETAINED
        if each.arrival.retain != wanted:
            word = "not retained" if wanted else "retained"
            yield f"{each.arrival.topic}: it was published {word}"


def encoding(evidence: DecodedEvidence) -> Iterator[str]:
    wanted = JSON if evidence.product.encoding == "json" else MSGPACK
    if evidence.product.mqtt != "5":
        raise NotSeenError("with MQTT 3.1.1 there is no content type")
    seen = False
    for heard, message in evidence.records():
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
