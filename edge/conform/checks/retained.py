"""What the broker holds of a gateway: status, description, and the newest record of each source."""

from collections.abc import Iterator
from typing import Final

from edge.conform.check import ConformanceCheck, NotSeenError
from edge.conform.evidence import DecodedEvidence, Heard
from edge.core import Stream
from edge.platform.auditreport import record_name
from edge.platform.receivedrecord import content_digest
from edge.wire import DecodedMessage

LAST: Final = frozenset(str(stream) for stream in Stream if stream.retained)


def status(evidence: DecodedEvidence) -> Iterator[str]:
    topic = evidence.product.topics.status
    if topic not in evidence.held:
        yield f"{topic}: nothing is retained"
        return
    held = evidence.held_status
    if held is None:
        return  # payload checks say what is wrong with it
    if held.get("state") != "online":
        yield f"{topic}: state is {held.get('state')!r:.40}, while the gateway is connected"


def epoch(evidence: DecodedEvidence) -> Iterator[str]:
    held = evidence.held_status
    if held is None or not isinstance(held.get("epoch"), int):
        raise NotSeenError("no status with an epoch is retained")
    seen = False
    for heard, message in evidence.records():
        data = message.data
        if data.get("redelivered") or data.get("backfilled"):
            continue
        seen = True
        if data["epoch"] not in evidence.epochs:
            yield f"{heard.arrival.topic}: epoch {data['epoch']}; the status has {held['epoch']}"
    if not seen:
        raise NotSeenError("no live record came")


def meta(evidence: DecodedEvidence) -> Iterator[str]:
    topic = evidence.product.topics.meta
    if topic not in evidence.held:
        yield f"{topic}: nothing is retained"


def sources(evidence: DecodedEvidence) -> Iterator[str]:
    held = evidence.held.get(evidence.product.topics.meta)
    if held is None or held.message is None:
        raise NotSeenError("no `meta` is retained")
    told = held.message.data
    known: set[str] = set()
    for part in ("devices", "lanes", "bays"):
        if isinstance(names := told.get(part), dict):
            known.update(names)
    heard = {
        message.topic.source for _, message in evidence.records() if message.topic.stream in LAST
    }
    if not heard:
        raise NotSeenError("no record of a lane, a bay or a device came")
    for name in sorted(heard - known):
        yield f"`meta` does not describe {name}, which sends records"


def last(evidence: DecodedEvidence) -> Iterator[str]:
    newest: dict[str, tuple[Heard, DecodedMessage]] = {}
    contents: dict[tuple[str, int, str, int], bytes] = {}
    for heard, message in evidence.records():
        contents[message.key] = content_digest(message.sent)
        if message.topic.stream in LAST and not message.data.get("backfilled"):
            newest[message.topic.source] = heard, message
    if not newest:
        raise NotSeenError("no live record of a lane, a bay or a device came")
    for source in sorted(newest):
        topic = evidence.product.topics.last(source)
        if topic not in evidence.raw.looked_for:
            continue
        held = evidence.held.get(topic)
        if held is None:
            yield f"{topic}: nothing is retained"
        elif held.message is not None:
            key = held.message.key
            name = record_name(*key)
            if key not in contents:
                yield f"{topic}: the record {name} was not sent while we listened"
            elif contents[key] != content_digest(held.message.sent):
                yield f"{topic}: it differs from the record {name}"


CHECKS: Final = (
    ConformanceCheck(
        "status.held",
        "A new subscriber gets the retained `status`: `online`.",
        "contract: status",
        status,
    ),
    ConformanceCheck(
        "status.epoch",
        "The epoch of the status is that of the live records.",
        "contract: status",
        epoch,
    ),
    ConformanceCheck(
        "meta.held", "A new subscriber gets the retained `meta`.", "contract: meta", meta
    ),
    ConformanceCheck(
        "meta.sources",
        "`meta` describes every lane, bay and device that sends records.",
        "contract: meta",
        sources,
    ),
    ConformanceCheck(
        "last.held",
        "`last` of each source holds its newest record, with the same content.",
        "contract: Topics",
        last,
        ("last",),
    ),
)
