"""The page of the doctor: what is wrong first, one line an answer, and one reason once."""

from collections.abc import Mapping

from edge.diagnose.checks import CHECKS, CheckResult, fault, passed, unchecked, warn
from edge.diagnose.doctorpage import DoctorReport, report_lines, report_object

ONE, TWO = "mqtts://a:8883", "mqtts://b:8883"


def report(
    *results: CheckResult, asked: frozenset[str] = frozenset(CHECKS),
    names: Mapping[str, str] | None = None,
) -> DoctorReport:  # fmt: skip
    return DoctorReport(results, [], "read on the wires", "", asked, "site.toml", names or {})


def test_faults_stand_first_and_what_nobody_looked_at_last() -> None:
    lines = report_lines(
        report(
            passed("temperature", "51 Cel"),
            unchecked("login", "first: tcp", ONE),
            warn("clock_source", "No time service runs", "start one"),
            unchecked("quota", "first: tcp", ONE),
            fault("tcp", "Connection refused", "check the port in uplink.url", ONE),
        )
    )
    assert list(lines) == [
        "read on the wires",
        "fault    tcp: Connection refused.",
        "         Check the port in uplink.url.",
        "warning  clock_source: No time service runs.",
        "         Start one.",
        "ok       temperature: 51 Cel",
        "not checked: login, quota: first: tcp",
    ]


def test_which_broker_it_is_is_said_where_there_are_two() -> None:
    lines = [*report_lines(report(passed("dns", "192.0.2.1", ONE), passed("dns", "::1", TWO)))]
    assert lines[1:] == [f"ok       dns {ONE}: 192.0.2.1", f"ok       dns {TWO}: ::1"]


def test_a_lane_has_its_name_beside_its_id_for_people_and_not_for_programs() -> None:
    one = report(
        warn("lane_edges", "quiet", "look", "north_1 lead"), names={"north_1": "Nordstraße"}
    )
    assert "warning  lane_edges north_1 (Nordstraße) lead: quiet." in report_lines(one)
    assert report_object(one)["checks"][0]["about"] == "north_1 lead"


def test_one_check_has_no_head_about_wires() -> None:
    one = report(unchecked("receipt", "why"), asked=frozenset({"receipt"}))
    assert list(report_lines(one)) == ["not checked: receipt: why"]


def test_programs_get_every_answer_in_the_order_of_the_table() -> None:
    found = report_object(report(passed("memory", "9 MB"), fault("dns", "no", "do", ONE)))
    assert [(each["id"], each["outcome"]) for each in found["checks"]] == [
        ("dns", "fault"), ("memory", "ok"),
    ]  # fmt: skip
    assert set(found["checks"][0]) == {"id", "about", "outcome", "cause", "remedy"}
    [finding] = found["findings"]
    assert (finding["check"], finding["severity"], finding["bus"]) == ("dns", "fault", "")
    assert {"through", "whole", "fine", "not_reached"} <= set(found)
