"""What a running gateway knows of its broker, as answers: each failure under its own check."""

from typing import Any

import pytest

from edge.diagnose.brokerchecks import FAILURE_CHECKS, LOGIN
from edge.diagnose.checks import CheckResult
from edge.diagnose.daemonlink import link_results
from edge.health.issuekinds import ISSUE_KINDS
from edge.uplink.connectfailure import REMEDIES, FailureClass

LINK: dict[str, Any] = {
    "connected": True, "broker": "mqtts://b:8883", "confirm": "platform", "for_s": 7200.0,
    "failure": None, "failed_by": None, "remedy": None, "trouble": None, "confirmed_s": 4.2,
    "unconfirmed": 12, "unsubscribed": [], "denied": [], "status_arrived": True,
    "round_trip_s": 0.042,
}  # fmt: skip


def answers(**link: Any) -> dict[str, CheckResult]:
    found = link_results({"link": {**LINK, **link}}, protocol="5")
    assert len({each.check for each in found}) == len(found) == len(LOGIN) + 2
    return {each.check: each for each in found}


def test_a_link_that_is_well_answers_all() -> None:
    found = answers()
    assert {each.outcome for each in found.values()} == {"ok"}
    assert found["round_trip"].cause == "42 ms"
    assert found["receipt"].cause == "by receipts, the last one 4.2 s ago"


@pytest.mark.parametrize("reason", REMEDIES)
def test_the_last_failure_stands_under_its_check(reason: FailureClass) -> None:
    found = answers(
        connected=False, failure="so", failed_by=reason, remedy=REMEDIES[reason], for_s=90.0
    )
    assert found["link_up"].outcome == "fault"
    assert found["link_up"].remedy == REMEDIES[reason]
    place = FAILURE_CHECKS[reason]
    if place in LOGIN:  # name, port and TLS are tried beside the gateway, and say it themselves
        assert found[place].outcome == "fault"
    others = {each.outcome for check, each in found.items() if check not in ("link_up", place)}
    assert others == {"not checked"}


@pytest.mark.parametrize(
    ("link", "check"),
    [
        ({"unsubscribed": ["k/down/cmd/+"]}, "right_subscribe"),
        ({"denied": ["air"]}, "right_publish"),
        ({"status_arrived": False}, "right_will"),
        ({"round_trip_s": 7.5}, "round_trip"),
        ({"confirmed_s": 4000.0}, "receipt"),
    ],
)
def test_what_is_wrong_with_a_link_that_stands(link: dict[str, Any], check: str) -> None:
    wrong = [each.check for each in answers(**link).values() if each.is_wrong]
    assert wrong == [check]


@pytest.mark.parametrize(
    "link", [{"confirmed_s": None}, {"confirmed_s": 9000.0}, {"confirm": "broker"}]
)
def test_a_grant_alone_does_not_prove_that_anything_arrives(link: dict[str, Any]) -> None:
    """mosquitto grants each subscription, and delivers nothing that its rules forbid to read."""
    assert answers(**link)["right_subscribe"].outcome == "not checked"


def test_where_no_receipt_comes_the_rules_for_reading_are_named() -> None:
    assert "down/#" in answers(confirmed_s=4000.0)["receipt"].remedy


def test_receipts_are_awaited_over_all_connections() -> None:
    """The platform's program does not run, and the link is a new one every few minutes."""
    link = {"confirmed_s": None, "for_s": 30.0, "unconfirmed": 269, "silence_limit_s": 600.0}
    silent = answers(**link, silent_s=1320.0)["receipt"]
    assert (silent.outcome, silent.remedy) == ("fault", ISSUE_KINDS["no_receipts"].remedy)
    assert "no receipt has come for 22 min of link" in silent.cause
    young = answers(**link, silent_s=20.0)["receipt"]
    assert (young.outcome, young.cause) == (
        "not checked",
        "269 records wait for the first confirmation by receipts",
    )
    none = answers(**{**link, "unconfirmed": 0}, silent_s=None)["receipt"]
    assert none.cause == "nothing waits for a confirmation, and none has come"


def test_a_status_that_is_on_its_way_is_not_refused() -> None:
    assert answers(status_arrived=None)["right_will"].outcome == "not checked"


def test_a_link_of_seconds_has_not_shown_that_the_name_is_free() -> None:
    assert answers(for_s=5.0)["name_taken"].outcome == "not checked"


def test_a_gateway_of_an_older_version_leaves_much_open() -> None:
    known = {"connected", "broker", "confirm", "for_s", "failure", "confirmed_s", "unconfirmed"}
    older = {key: value for key, value in LINK.items() if key in known}
    found = {each.check: each for each in link_results({"link": older}, protocol="5")}
    assert found["link_up"].outcome == "ok"
    assert found["right_subscribe"].outcome == found["right_will"].outcome == "not checked"
    assert {each.outcome for each in link_results({}, protocol="5")} == {"not checked"}
