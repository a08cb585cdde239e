"""What the gateway has in its list stands in the doctor's answers, and nothing contradicts it."""

from typing import Any, get_args

import pytest

from edge.diagnose.checks import CHECKS, CheckResult, check_of_issue, fault, passed, warn
from edge.diagnose.issueresults import issue_results, without_contradictions
from edge.health.issuekinds import ISSUE_KINDS
from edge.uplink.connectfailure import REMEDIES, FailureClass
from edge.wire.contract.issues import IssueName


def issue(kind: str, about: str = "", **words: Any) -> dict[str, Any]:
    return {"kind": kind, "about": about, "severity": "fault", "cause": "So it is.",
            "remedy": "Mend it.", **words}  # fmt: skip


@pytest.mark.parametrize("kind", get_args(IssueName))
def test_each_kind_is_a_finding_of_one_check_that_is_not_ok_beside_it(kind: IssueName) -> None:
    check = check_of_issue(kind)
    assert check is not None
    [told] = issue_results([issue(kind, severity=ISSUE_KINDS[kind].severity)])
    assert (told.check, told.outcome) == (check, ISSUE_KINDS[kind].severity)
    kept = without_contradictions([told], [passed(check, "all is well")])
    assert CHECKS[check].group in ("lanes", "wires") or kept == []


def test_an_issue_of_a_newer_gateway_is_told_too() -> None:
    [told] = issue_results([issue("flooded_cabinet")])
    assert (told.check, told.cause) == ("gateway_runs", "So it is.")


def test_a_subscription_that_is_refused_is_one() -> None:
    cause = "The broker does not allow a subscription to a/down/cmd/+"
    [told] = issue_results([issue("broker_denies", cause=cause)])
    assert told.check == "right_subscribe"


@pytest.mark.parametrize(
    ("reason", "check"),
    [("host_name", "tls_name"), ("not_yet", "tls_dates"), ("authority", "tls_authority")],
)
def test_a_certificate_is_distrusted_under_the_check_of_its_reason(
    reason: FailureClass, check: str
) -> None:
    [told] = issue_results([issue("broker_untrusted", remedy=REMEDIES[reason])])
    assert told.check == check


def test_a_fallback_that_was_not_trusted_does_not_speak_for_the_other_broker() -> None:
    a, b = "mqtts://a:8883", "mqtts://b:8883"
    told = issue_results([issue("broker_untrusted", b, remedy=REMEDIES["authority"])])
    own = [passed("tls_authority", "verified", about) for about in (a, b)]
    assert without_contradictions(told, own) == own[:1]
    of_all = issue_results([issue("broker_untrusted", remedy=REMEDIES["authority"])])
    assert without_contradictions(of_all, own) == [], "an older gateway does not say which"


def test_a_lane_with_a_fault_does_not_speak_for_its_neighbour() -> None:
    told = issue_results([issue("loop_fault", "north_1 lead swapped")])
    own = [passed("lane_verdict", "none", name) for name in ("north_1", "north_2")]
    assert without_contradictions(told, own) == own[1:]


@pytest.mark.parametrize(
    ("kind", "about", "own", "kept"),
    [
        ("bus_fails", "bus air", passed("bus_line", "sound", "air"), False),
        ("bus_fails", "bus air", passed("bus_line", "sound", "bus"), True),
        ("line_closed", "line a", passed("gpio_lines", "", "loops/line"), True),
        ("device_fails", "hut", passed("device_answers", "", "air/hut"), False),
    ],
)
def test_what_is_told_of_a_bus_or_a_line_is_of_nothing_that_is_called_so(
    kind: str, about: str, own: CheckResult, kept: bool
) -> None:
    assert without_contradictions(issue_results([issue(kind, about)]), [own]) == [own] * kept


def test_what_both_have_found_stands_there_once() -> None:
    told = [fault("disk_writable", "The file system is read-only", "Replace the card")]
    own = [*told, warn("temperature", "84 Cel", "Check the fan")]
    assert without_contradictions(told, own) == own[1:]


def test_what_is_no_issue_is_left_out() -> None:
    assert issue_results(["nonsense", 7]) == []  # type: ignore[list-item]


def test_an_alarm_that_holds_on_is_not_called_well() -> None:
    told = issue_results([issue("hot", severity="warning")])
    assert without_contradictions(told, [passed("temperature", "62 Cel")]) == []
    assert isinstance(told[0], CheckResult)


@pytest.mark.parametrize(
    ("remedy", "kept"),
    [
        ("Check its plug. `kerbstone doctor hut` says more.", "Check its plug."),
        ("`kerbstone doctor` says more.", "Stop the gateway"),
        ("`kerbstone check` says what is wrong with it.", "`kerbstone check` says"),
    ],
)
def test_the_doctor_sends_nobody_to_the_doctor(remedy: str, kept: str) -> None:
    [told] = issue_results([issue("device_fails", "hut", remedy=remedy)])
    assert told.remedy.startswith(kept)
    assert "kerbstone doctor" not in told.remedy
