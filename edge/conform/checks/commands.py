"""Commands: bound to an epoch, answered once for each id, harmless when they are malformed."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from edge.conform.check import ConformanceCheck, NotSeenError
from edge.conform.evidence import DecodedEvidence
from edge.conform.steps import Step
from edge.platform.auditreport import record_name

NEEDS: Final = ("expendable",)


def _asked(evidence: DecodedEvidence, step: Step) -> float:
    for each in evidence.raw.asked:
        if each.label == step:
            return each.at_s
    raise NotSeenError("the command was not sent: the gateway has published no status `online`")


def _answer(evidence: DecodedEvidence, step: Step) -> Mapping[str, Any] | None:
    _asked(evidence, step)
    return next((message.data for message in evidence.answers(step)), None)


def _refused(evidence: DecodedEvidence, step: Step, what: str) -> Iterator[str]:
    answer = _answer(evidence, step)
    if answer is None:
        yield f"{what} got no answer"
    elif answer.get("ok") is not False or not answer.get("error"):
        yield f"{what} was answered {answer!r:.200}, without `ok: false` and `error`"


def answered(evidence: DecodedEvidence) -> Iterator[str]:
    answer = _answer(evidence, Step.STATUS)
    if answer is None:
        yield "the command `status` got no answer"
    elif answer.get("ok") is not True or "error" in answer or answer.get("verb") != "status":
        yield f"the command `status` was answered {answer!r:.200}"


def status(evidence: DecodedEvidence) -> Iterator[str]:
    asked_s = _asked(evidence, Step.STATUS)
    if not evidence.statuses(asked_s, _asked(evidence, Step.SAME)):
        yield "the command `status` did not publish the status again"


def same(evidence: DecodedEvidence) -> Iterator[str]:
    first = _answer(evidence, Step.STATUS)
    if first is None or first.get("ok") is not True:
        raise NotSeenError("the first command was not carried out")
    after_s = _asked(evidence, Step.SAME)
    answers = [
        message.data for heard, message in evidence.of("answer", "status")
        if heard.at_s >= after_s and message.data.get("id") == first.get("id")
    ]  # fmt: skip
    if not answers:
        yield "the same command, sent again, got no answer"
    for each in answers:
        if each != first:
            yield f"the same command, sent again, got another answer: {each!r:.200}"


def stale(evidence: DecodedEvidence) -> Iterator[str]:
    yield from _refused(evidence, Step.STALE, "a command with another epoch")


def unknown(evidence: DecodedEvidence) -> Iterator[str]:
    yield from _refused(evidence, Step.UNKNOWN, "a command that does not exist")


def malformed(evidence: DecodedEvidence) -> Iterator[str]:
    if _answer(evidence, Step.AFTER) is None:
        yield "after messages that are no commands, a command got no answer"
    if evidence.answers(Step.FOREIGN):
        yield "a command that names another gateway was answered"


def resend(evidence: DecodedEvidence) -> Iterator[str]:
    key = evidence.raw.resent
    if key is None:
        raise NotSeenError("no record came that could be asked for")
    asked_s, answer = _asked(evidence, Step.RESEND), _answer(evidence, Step.RESEND)
    if answer is None:
        yield "the command `resend` got no answer"
    elif answer.get("ok") is not True or not answer.get("resent"):
        yield f"the command `resend` of {record_name(*key)} was answered {answer!r:.200}"
    came = [
        heard for heard, message in evidence.records()
        if message.key == key and heard.at_s >= asked_s
    ]  # fmt: skip
    if not came:
        yield f"{record_name(*key)} was asked for, and did not come"


def gone(evidence: DecodedEvidence) -> Iterator[str]:
    answer = _answer(evidence, Step.GONE)
    if answer is None:
        yield "the command `resend` for a record with a receipt got no answer"
    elif answer.get("ok") is not True or answer.get("resent") or not answer.get("gone"):
        yield f"the command `resend` for a record with a receipt was answered {answer!r:.200}"


CHECKS: Final = (
    ConformanceCheck(
        "commands.answer",
        "A command of the current epoch is answered with its id and verb.",
        "decision 14",
        answered,
        NEEDS,
    ),
    ConformanceCheck(
        "commands.status",
        "The command `status` publishes the status again.",
        "decision 14",
        status,
        NEEDS,
    ),
    ConformanceCheck(
        "commands.same_id", "The same id again gets the same answer.", "decision 14", same, NEEDS
    ),
    ConformanceCheck(
        "commands.stale",
        "A command with another epoch is refused, with the reason.",
        "decision 14",
        stale,
        NEEDS,
    ),
    ConformanceCheck(
        "commands.unknown",
        "A command that does not exist is refused, with the reason.",
        "decision 14",
        unknown,
        NEEDS,
    ),
    ConformanceCheck(
        "commands.malformed",
        "What is no command or receipt, or names another gateway, is "
        "passed over: the next command is answered.",
        "decision 14",
        malformed,
        NEEDS,
    ),
    ConformanceCheck(
        "commands.resend",
        "`resend` sends a record again that has no receipt yet.",
        "decision 14",
        resend,
        ("resend", "receipts", "expendable"),
    ),
    ConformanceCheck(
        "commands.gone",
        "`resend` names as `gone` what has its receipt.",
        "decision 14",
        gone,
        ("resend", "receipts", "expendable"),
    ),
)
