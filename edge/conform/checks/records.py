"""Records: numbers without holes, keys for ever, times that fit, marks of what is late."""

from collections.abc import Iterable, Iterator
from typing import Final

from edge.conform.check import ConformanceCheck, NotSeenError
from edge.conform.evidence import DecodedEvidence
from edge.core import Stream
from edge.platform.auditreport import record_name
from edge.platform.receivedrecord import Key, content_digest
from edge.wire import DecodedMessage

NUMBERS: Final = frozenset({"missing", "lost", "damage", "undecodable"})
TIMES: Final = frozenset({"overlap", "hole"})
LIVE: Final = frozenset(str(stream) for stream in Stream if stream.retained)
LATE_S: Final = 60.0  # beside two periods: nobody calls a record live that is so late


def _seen(evidence: DecodedEvidence) -> None:
    if not any(True for _ in evidence.records()):
        raise NotSeenError("no record came")


def _found(evidence: DecodedEvidence, kinds: Iterable[str]) -> Iterator[str]:
    _seen(evidence)
    for finding in evidence.audit:
        if finding.kind in kinds:
            yield finding.text


def live(evidence: DecodedEvidence) -> Iterator[str]:
    if not any(message.topic.stream in LIVE for _, message in evidence.records()):
        yield "it sent no record of a lane, a bay or a device"


def numbers(evidence: DecodedEvidence) -> Iterator[str]:
    yield from _found(evidence, NUMBERS)


def times(evidence: DecodedEvidence) -> Iterator[str]:
    yield from _found(evidence, TIMES)


def unique(evidence: DecodedEvidence) -> Iterator[str]:
    _seen(evidence)
    first: dict[Key, bytes] = {}
    for _, message in evidence.records():
        content = content_digest(message.sent)
        if first.setdefault(message.key, content) != content:
            yield f"{record_name(*message.key)} came with two different contents"
    for finding in evidence.audit:
        if finding.kind == "conflict":
            yield finding.text


def repeats(evidence: DecodedEvidence) -> Iterator[str]:
    came: set[Key] = set()
    again = 0
    for _, message in evidence.records():
        if message.key in came:
            again += 1
            if not message.data.get("redelivered"):
                yield f"{record_name(*message.key)} came again without `redelivered`"
        came.add(message.key)
    if not again:
        raise NotSeenError("no record came twice")


def length(evidence: DecodedEvidence) -> Iterator[str]:
    """The wall moves as the monotonic clock does, but for what a clock is set by."""
    _seen(evidence)
    for _, message in evidence.records():
        start, end = message.data["from"], message.data["to"]
        if start > end:
            yield f"{record_name(*message.key)}: `from` {start} is after `to` {end}"
        elif (start == end) is not _same(message):
            yield f"{record_name(*message.key)}: `from` and `to` do not fit `mono`"


def _same(message: DecodedMessage) -> bool:
    """Whether start and end are one time, in milliseconds; within one, the wall says."""
    start, end = message.data["mono"]
    if 0 < end - start < 1000:
        return bool(message.data["from"] == message.data["to"])
    return bool(start == end)


def backfilled(evidence: DecodedEvidence) -> Iterator[str]:
    """Against our own clock: how much later than the one that came soonest after its end, so far.

    What comes at first is not judged: nobody knows yet what is soon.
    """
    came: set[Key] = set()
    soonest: dict[int, float] = {}
    allowed_s = LATE_S + 2 * evidence.product.period_s
    judged = 0
    for heard, message in evidence.records():
        data = message.data
        if message.key in came:
            continue
        came.add(message.key)
        after_s = heard.at_s - data["mono"][1] / 1e6
        soonest[data["boot"]] = min(after_s, soonest.get(data["boot"], after_s))
        late_s = after_s - soonest[data["boot"]]
        if data.get("redelivered") or late_s <= allowed_s:
            continue
        judged += 1
        if not data.get("backfilled"):
            yield f"{record_name(*message.key)} came {late_s:.0f} s late without `backfilled`"
    if not judged:
        raise NotSeenError("no record came late for the first time")


CHECKS: Final = (
    ConformanceCheck(
        "records.live", "Records of lanes, bays or devices come.", "contract: Messages", live
    ),
    ConformanceCheck(
        "records.numbers",
        "Numbers of each epoch and stream have no hole, but what a `drop` "
        "event declares or another record covers.",
        "contract: Header",
        numbers,
    ),
    ConformanceCheck(
        "records.unique",
        "What comes again under the same epoch, stream and number has the same content.",
        "contract: Header",
        unique,
    ),
    ConformanceCheck(
        "records.repeats",
        "A record that comes again is marked `redelivered`.",
        "decision 12",
        repeats,
    ),
    ConformanceCheck(
        "records.times",
        "Periods of a source follow each other without hole or overlap, but for "
        "what `gap` events name.",
        "contract: event",
        times,
    ),
    ConformanceCheck(
        "records.wall",
        "`from` and `to` are in order, and one moment where `mono` is one.",
        "contract: Header",
        length,
    ),
    ConformanceCheck(
        "records.backfilled",
        "A record that comes late for the first time is marked `backfilled`.",
        "contract: Header",
        backfilled,
    ),
)
