"""What happens when the broker ends the connection, and when the gateway starts anew."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from edge.conform.check import ConformanceCheck, NotSeenError
from edge.conform.evidence import DecodedEvidence
from edge.conform.steps import Step

STARTS: Final = 1 << 21  # here the counter of starts begins again
DROP: Final = ("drop",)
RESTART: Final = ("restart",)


def _since(evidence: DecodedEvidence, moment_s: float | None, what: str) -> float:
    if moment_s is None:
        raise NotSeenError(f"the gateway was not {what}: it has published no status `online`")
    return moment_s


def will(evidence: DecodedEvidence) -> Iterator[str]:
    since_s = _since(evidence, evidence.raw.dropped_s, "disconnected")
    until_s = evidence.raw.restarted_s or float("inf")
    said = [each for each in evidence.statuses(since_s, until_s) if each.get("state") == "offline"]
    if not said:
        yield "its connection was ended, and no will said `offline`"
    for each in said[:1]:
        if each.get("why") != "lost":
            yield f"its connection was ended, and the will says {each.get('why')!r:.40}, not `lost`"


def returns(evidence: DecodedEvidence) -> Iterator[str]:
    since_s = _since(evidence, evidence.raw.dropped_s, "disconnected")
    hook_s = _since(evidence, evidence.raw.drop_ended_s, "disconnected")
    until_s = min(hook_s + evidence.product.return_s, evidence.raw.restarted_s or float("inf"))
    back = [each for each in evidence.statuses(since_s, until_s) if each.get("state") == "online"]
    if not back:
        yield f"it did not come back within {evidence.product.return_s:g} s"
    for each in back[:1]:
        if each.get("epoch") != evidence.epochs[0]:
            yield f"it came back with another epoch: {each.get('epoch')}, not {evidence.epochs[0]}"


def meta(evidence: DecodedEvidence) -> Iterator[str]:
    since_s = _since(evidence, evidence.raw.dropped_s, "disconnected")
    times = [heard.at_s for heard, _ in evidence.of("meta")]
    if not times and evidence.product.topics.meta not in evidence.held:
        raise NotSeenError("it never published `meta`")
    if not any(at_s >= since_s for at_s in times):
        yield "it came back, and did not publish `meta` again"


def retained(evidence: DecodedEvidence) -> Iterator[str]:
    since_s = _since(evidence, evidence.raw.dropped_s, "disconnected")
    ids = [each.id for each in evidence.raw.asked if each.label == Step.RETAINED]
    if any(
        heard.at_s >= since_s and message.data.get("id") in ids and message.data.get("ok") is True
        for heard, message in evidence.of("answer")
    ):
        yield "a retained command was carried out when it came back"


def _new_epoch(evidence: DecodedEvidence) -> tuple[int, int]:
    """The former epoch, and the one after the restart."""
    since_s = _since(evidence, evidence.raw.restarted_s, "restarted")
    before = evidence.epochs[0]
    found = [
        each["epoch"]
        for each in evidence.statuses(since_s)
        if each.get("state") == "online" and isinstance(each.get("epoch"), int)
    ]
    new = [each for each in found if each != before]
    if not new:
        raise NotSeenError("it published no status with another epoch after the restart")
    return before, new[0]


def epoch(evidence: DecodedEvidence) -> Iterator[str]:
    try:
        before, after = _new_epoch(evidence)
    except NotSeenError:
        since_s = _since(evidence, evidence.raw.restarted_s, "restarted")
        if evidence.statuses(since_s):
            yield "it has the same epoch after a restart"
            return
        raise
    if (after >> 32) % STARTS != ((before >> 32) + 1) % STARTS:
        yield f"epoch {after} does not count one start more than {before}"


def _first(evidence: DecodedEvidence, stream: str, kind: str = "") -> Iterator[Mapping[str, Any]]:
    _, after = _new_epoch(evidence)
    for _, message in evidence.records():
        if message.key[1:3] == (after, stream) and kind in ("", message.data.get("event")):
            yield message.data


def former(evidence: DecodedEvidence) -> Iterator[str]:
    before, after = _new_epoch(evidence)
    told = [
        each["former"]
        for each in _first(evidence, "manifest")
        if each["seq"] == 1 and isinstance(each.get("former"), dict)
    ]
    if not told:
        yield f"the first manifest of epoch {after} does not name the former epoch"
        return
    if told[0].get("epoch") != before:
        yield f"the first manifest of epoch {after} names {told[0].get('epoch')}, not {before}"
        return
    last = told[0].get("last")
    for _, message in evidence.records():
        _, of, stream, seq = message.key
        if of == before and (not isinstance(last, dict) or seq > last.get(stream, 0)):
            yield f"{stream} {seq} of epoch {before} came, and `former` does not count it"
            return


def gap(evidence: DecodedEvidence) -> Iterator[str]:
    _, after = _new_epoch(evidence)
    if not any(True for _ in _first(evidence, "event", "gap")):
        yield f"no `gap` event of epoch {after} names the time in which it did not run"


def stale(evidence: DecodedEvidence) -> Iterator[str]:
    _new_epoch(evidence)
    if not any(each.label == Step.FORMER for each in evidence.raw.asked):
        raise NotSeenError("the command was not sent")
    answers = evidence.answers(Step.FORMER)
    if not answers:
        yield "a command with the epoch before the restart got no answer"
    elif answers[0].data.get("ok") is not False:
        yield "a command with the epoch before the restart was carried out"


CHECKS: Final = (
    ConformanceCheck(
        "connection.will",
        "When its connection breaks, the broker publishes the will: `offline`, `lost`.",
        "contract: status",
        will,
        DROP,
    ),
    ConformanceCheck(
        "connection.returns",
        "It comes back within `return_s`, `online`, with the same epoch.",
        "contract: status",
        returns,
        DROP,
    ),
    ConformanceCheck(
        "connection.meta",
        "When it comes back it publishes `meta` again.",
        "contract: meta",
        meta,
        DROP,
    ),
    ConformanceCheck(
        "connection.retained",
        "A retained command that waits for it is not carried out.",
        "decision 14",
        retained,
        ("drop", "expendable"),
    ),
    ConformanceCheck(
        "starts.epoch",
        "A restart has a new epoch, which counts one start more.",
        "contract: Header",
        epoch,
        RESTART,
    ),
    ConformanceCheck(
        "starts.former",
        "The first manifest of an epoch names the former one and its last numbers.",
        "decisions 5, 13",
        former,
        RESTART,
    ),
    ConformanceCheck(
        "starts.gap",
        "A `gap` event names the time in which the gateway did not run.",
        "contract: event",
        gap,
        RESTART,
    ),
    ConformanceCheck(
        "starts.stale",
        "After a restart, a command with the former epoch is refused.",
        "decision 14",
        stale,
        ("restart", "expendable"),
    ),
)
