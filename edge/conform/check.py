"""A check of the kit: what it asks, what it needs, and how it came out."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final, Literal

from edge.conform.evidence import DecodedEvidence
from edge.conform.product import Ability

Need = Literal["receipts", "drop", "restart", "expendable"] | Ability
Verdict = Literal["passed", "failed", "skipped"]
FAULTS_LIMIT: Final = 20  # sentences that a report has of one check

NEEDS: Final[dict[Need, str]] = {
    "expendable": "`expendable = true` in the product file: its records may be lost",
    "receipts": '`confirm = "platform"` in the product file',
    "drop": "`--drop-command`, or `client_id` in the product file",
    "restart": "`--restart-command`",
    "last": '"last" in `can` of the product file',
    "resend": '"resend" in `can` of the product file',
    "signed": '"signed" in `can` of the product file',
}
"""What a check may need, and where it is given."""


class NotSeenError(Exception):
    """What a check judges did not occur; the text says what."""


@dataclass(frozen=True, slots=True)
class ConformanceCheck:
    """`judge` gives a sentence for each fault, or raises NotSeenError."""

    id: str
    asks: str
    source: str  # where the contract says so
    judge: Callable[[DecodedEvidence], Iterable[str]]
    needs: tuple[Need, ...] = ()
    contract: int = 1


@dataclass(frozen=True, slots=True)
class Result:
    """How one check came out. `faults` are sentences; `reason` is why it was skipped."""

    check: ConformanceCheck
    verdict: Verdict
    faults: tuple[str, ...] = ()
    more: int = 0  # faults beyond the limit
    reason: str = ""


def judge(check: ConformanceCheck, evidence: DecodedEvidence, given: frozenset[Need]) -> Result:
    """`given` is what the product file and the command line gave."""
    if evidence.product.contract < check.contract:
        return Result(check, "skipped", reason=f"needs contract version {check.contract}")
    if missing := [need for need in check.needs if need not in given]:
        return Result(check, "skipped", reason=f"needs {NEEDS[missing[0]]}")
    try:
        faults = list(check.judge(evidence))
    except NotSeenError as error:
        return Result(check, "skipped", reason=str(error))
    if faults:
        shown = tuple(faults[:FAULTS_LIMIT])
        return Result(check, "failed", shown, len(faults) - len(shown))
    return Result(check, "passed")
