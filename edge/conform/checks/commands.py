"""Commands: bound to an epoch, answered once for each id, harmless when they are malformed."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from edge.conform.check import ConformanceCheck, NotSeenError
from edge.conform.evidence import DecodedEvidence
from edge.conform.steps import Step
from edge.platform.auditreport import record_name

NEEDS: Final = ("expendable",)


def _asked(reading: DecodedEvidence, step: Step) -> float:
    for each in reading.raw.asked:
        if each.label == step:
            return each.at_s
    raise NotSeenError("the command was not sent: the gateway has published no status `online`")


def _answer(reading: DecodedEvidence, step: Step) -> Mapping[str, Any] | None:
    _asked(reading, step)
    return next((message.data for message in reading.answers(step)), None)


def _refused(reading: DecodedEvidence, step: Step, what: str) -> Iterator[str]:
    answer = _answer(reading, step)
    if answer is None:
        yield f"{what} got no answer"
    elif answer.get("ok") is not False or not answer.get("error"):
        yield f"{what} was answered {answer!r:.200}, without `ok: false` and `error`"


def answered(reading: DecodedEvidence) -> Iterator[str]:
    answer = _answer(reading, Step.STATUS)
    if answer is None:
        yield "the command `status` got no answer"
    elif answer.get("ok") is not True or "error" in answer or answer.get("verb") != "status":
        yield f"the command `status` was answered {answer!r:.200}"


def status(reading: DecodedEvidence) -> Iterator[str]:
    asked_s = _asked(reading, Step.STATUS)
    if not reading.statuses(asked_s, _asked(reading, Step.SAME)):
        yield "the command `status` did not publish the status again"


def same(reading: DecodedEvidence) -> Iterator[str]:
    first = _answer(reading, Step.STATUS)
    if first is None or first.get("ok") is not True:
        raise NotSeenError("the first command was not carried out")
    after_s = _asked(reading, Step.SAME)
    answers = [
        message.data for heard, message in reading.of("answer", "status")
        if heard.at_s >= after_s and message.data.get("id") == first.get("id")
    ]  # fmt: skip
    if not answers:
        yield "the same command, sent again, got no answer"
    for each in answers:
        if each != first:
            yield f"the same command, sent again, got another answer: {each!r:.200}"


def stale(reading: DecodedEvidence) -> Iterator[str]:
    yield from _refused(reading, Step.STALE, "a command with another epoch")


def unknown(reading: DecodedEvidence) -> Iterator[str]:
    yield from _refused(reading, Step.UNKNOWN, "a command that does not exist")


def malformed(reading: DecodedEvidence) -> Iterator[str]:
    if _answer(reading, Step.AFTER) is None:
        yield "after messages that are no commands, a command got no answer"
    if reading.answers(Step.FOREIGN):
        yield "a command that names another gateway was answered"


def resend(reading: DecodedEvidence) -> Iterator[str]:
    key = reading.raw.resent
    if key is None:
        raise NotSeenError("no record came that could be asked for")
    asked_s, answer = _asked(reading, Step.RESEND), _answer(reading, Step.RESEND)
    if answer is None:
        yield "the command `resend` got no answer"
    elif answer.get("ok") is not True or not answer.get("resent"):
        yield f"the command `resend` of {record_name(*key)} was answered {answer!r:.200}"
    came = [
        heard for heard, message in reading.records()
        if message.key == key and heard.at_s >= asked_s
    ]  # fmt: skip
    if not came:
        yield f"{record_name(*key)} was asked for, and did not come"


def gone(reading: DecodedEvidence) -> Iterator[str]:
    answer = _answer(reading, Step.GONE)
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
