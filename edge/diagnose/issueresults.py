"""What the gateway has in its list of open issues, as answers of the doctor: he says the same.

Who looks at the same thing a moment later may see it otherwise: an alarm holds on for ten minutes,
a device has just answered. What is open stays a finding until the gateway has closed it.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from edge.core.humanize import as_sentence
from edge.diagnose.brokerchecks import FAILURE_CHECKS
from edge.diagnose.checks import CHECKS, CheckId, CheckResult, Outcome, check_of_issue
from edge.gateway.issuefindings import box_findings
from edge.health.issuekinds import ISSUE_KINDS
from edge.health.openissues import IssueFinding, whose_issue
from edge.uplink.connectfailure import REMEDIES
from edge.wire.contract.health import BoardCondition, Health, Throttle

# what sends people to the doctor: here it would send them in a circle
POINTER: Final = re.compile(r"\s*`kerbstone doctor[^`]*` says more\.?")
ALONE: Final = (
    "Stop the gateway (`systemctl stop kerbstone`) and ask again: the doctor then reads the device "
    "himself, and looks for the cause."
)
SUBSCRIPTION: Final = "subscription"  # in the cause of `broker_denies`, when it is one


def issue_results(issues: Iterable[Mapping[str, Any]]) -> list[CheckResult]:
    """Of the list as the gateway gives it; `gateway_runs` takes what only a newer one knows."""
    return [_result(each) for each in issues if isinstance(each, Mapping)]


def _result(issue: Mapping[str, Any]) -> CheckResult:
    kind, about, cause, remedy = (
        str(issue.get(key, "")) for key in ("kind", "about", "cause", "remedy")
    )
    check: CheckId = check_of_issue(kind) or "gateway_runs"
    if kind == "broker_denies" and SUBSCRIPTION in cause:
        check = "right_subscribe"
    if kind == "broker_untrusted":  # name, dates or authority: by its remedy
        whose = {text: FAILURE_CHECKS[reason] for reason, text in REMEDIES.items()}
        check = whose.get(remedy, check)
    outcome: Outcome = "fault" if issue.get("severity") == "fault" else "warning"
    if (without := POINTER.sub("", remedy)) != remedy:
        remedy = without or ALONE
    of = whose_issue(kind, about)
    return CheckResult(check, about, outcome, as_sentence(cause), as_sentence(remedy), of)


def finding_result(found: IssueFinding) -> CheckResult:
    """The same of what the doctor has looked at himself, by the gateway's own rules."""
    kind = ISSUE_KINDS[found.kind]
    return _result(
        {
            "kind": found.kind,
            "about": found.about,
            "severity": kind.severity,
            "cause": found.cause,
            "remedy": found.remedy or kind.remedy.format(about=found.about),
        }
    )


def alarm_results(
    alarms: Mapping[BoardCondition, str], seen: Sequence[Throttle] = ()
) -> list[CheckResult]:
    """Alarms of the box by their sentences; `seen` is what the board had to hold back before."""
    health = Health(throttled_seen=list(seen))
    return [finding_result(each) for each in box_findings(alarms, health, "clean", "")]


def without_contradictions(
    told: Sequence[CheckResult], own: Sequence[CheckResult]
) -> list[CheckResult]:
    """What we have found ourselves, without an `ok` or `not checked` of a check that was told to be
    wrong: of lanes and wires, with the same lane or device; of a broker, with no other broker. What
    is told already is left out."""
    whole = {each.check for each in told if not _is_of_a_part(each)}
    parts = {(each.check, _name(each)) for each in told}
    causes = {(each.check, each.cause) for each in told}

    def holds(each: CheckResult) -> bool:
        if each.is_wrong:
            return (each.check, each.cause) not in causes
        return each.check not in whole and (each.check, _name(each)) not in parts

    return [each for each in own if holds(each)]


def _is_of_a_part(told: CheckResult) -> bool:
    """Of a lane or a wire, or of one of several brokers."""
    group = CHECKS[told.check].group
    return group in ("lanes", "wires") or (group == "broker" and bool(told.about))


def _name(result: CheckResult) -> str:
    """Of the device or lane: a wire's answer has its bus before it, a lane's its loop behind. What
    is no issue of theirs is told of the gateway, or of a broker."""
    if CHECKS[result.check].group not in ("lanes", "wires"):
        return result.about
    if result.whose is not None:
        return result.whose
    return result.about.rpartition("/")[2].partition(" ")[0]
