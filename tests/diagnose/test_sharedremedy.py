"""The gateway's status and the doctor blame the same and give one remedy where all devices of a
bus fail."""

from pathlib import Path

import pytest

import drivers
from edge.config import load_site
from edge.core import Reason
from edge.core.remedies import split_remedy
from edge.diagnose.checks import fault
from edge.diagnose.exam import Exam, Failure
from edge.diagnose.passivechecks import fill_from_status
from edge.diagnose.withoutsite import device_results
from edge.gateway.deviceissues import SHARED_REMEDY, device_findings
from tests.gateway.issueparts import Polled

BEFORE = (
    "unit {unit}: no answer within 0.5 s: it has answered before; check its supply and its wire"
)
NEVER = "unit {unit}: no answer within 0.5 s: none has answered so far; check that A is not B"
EACH = ["meters/one", "meters/two"]
SITE = """
[site]
id = "quay"
gateway = "gw-1"
[uplink]
url = "mqtt://localhost:1883"
[bus.meters]
kind = "modbus-rtu"
port = "/dev/pts/4711"
[device.one]
driver = "sdm120"
bus = "meters"
unit = 1
[device.two]
driver = "sdm120"
bus = "meters"
unit = 2
"""


@pytest.fixture
def exam(tmp_path: Path) -> Exam:
    file = tmp_path / "site.toml"
    file.write_text(SITE)
    return Exam(load_site(file, drivers.catalogue()), "meters", ("one", "two"))


@pytest.mark.parametrize(
    ("text", "reason", "remedy"),
    [
        (BEFORE, Reason.SILENT, SHARED_REMEDY),
        (NEVER, Reason.SILENT, "check that A is not B"),
        ("unit {unit}: wrong sum", Reason.CRC, "check shield, terminator, and cables"),
    ],
)
def test_status_and_doctor_say_the_same(exam: Exam, text: str, reason: Reason, remedy: str) -> None:
    texts = {name: text.format(unit=unit) for unit, name in ((1, "one"), (2, "two"))}
    devices = [Polled(name, reason, said) for name, said in texts.items()]
    found = device_findings({"meters": devices}, {}, {}, 0)
    (issue,) = (each for each in found if each.kind == "bus_fails")
    exam.failed = {name: Failure(said, reason) for name, said in texts.items()}
    doctor = next(exam.findings()).finding
    assert doctor.remedy.startswith(remedy)
    assert issue.remedy.lower().startswith(remedy.lower())


@pytest.mark.parametrize(
    ("own", "other", "about"),
    [
        ((Reason.FAULT, "broken"), (Reason.FAULT, "broken"), EACH),
        ((Reason.FAULT, "broken"), (Reason.SILENT, "no answer"), EACH),
        ((Reason.BUSY, "unit 1: busy"), (Reason.BUSY, "unit 2: busy"), EACH),
        ((Reason.BUSY, "never quiet"), (Reason.BUSY, "never quiet"), ["meters"]),
        ((Reason.CRC, "damaged"), (Reason.SILENT, "no answer"), ["meters"]),
    ],
)
def test_status_and_doctor_blame_the_same(
    exam: Exam, own: tuple[Reason, str], other: tuple[Reason, str], about: list[str]
) -> None:
    said = {"one": own, "two": other}
    devices = [Polled(name, *each) for name, each in said.items()]
    problems = {name: text for name, (_, text) in said.items()}
    issues = [
        {"kind": each.kind, "about": each.about, "cause": each.cause, "severity": "fault"}
        for each in device_findings({"meters": devices}, problems, {}, 0)
        if each.cause
    ]
    told = {f"meters/{issue['about']}".replace("meters/bus ", "") for issue in issues}
    assert told == {*about}
    status = {
        "devices": {name: {"state": str(each[0]), "text": each[1]} for name, each in said.items()},
        "issues": issues,
    }
    assert fill_from_status([exam], status) == [], "each is told once, with what is to blame"
    assert [one.about for one in exam.results() if one.outcome == "fault"] == about


@pytest.mark.parametrize("state", ["crc", "silent", "fault", "of_a_newer_gateway"])
@pytest.mark.parametrize("text", ["unit 1: wrong sum", "unit 1: no answer; look at it", ""])
def test_without_the_site_file_a_device_has_the_same_remedy(
    exam: Exam, state: str, text: str
) -> None:
    device = {"bus": "meters", "state": state, "text": text}
    status = {"devices": {"one": device, "two": {"bus": "meters", "state": "ok", "reads": 9}}}
    (without,) = (each for each in device_results(status, ()) if each.is_wrong)
    fill_from_status([exam], status)
    (with_site,) = (each for each in exam.results() if each.is_wrong)
    told = fault("device_answers", with_site.cause, with_site.remedy, with_site.about)
    assert without == told


@pytest.mark.parametrize("reason", [Reason.CRC, Reason.SILENT, Reason.FAULT])
def test_a_failure_without_a_remedy_gets_that_of_its_reason(reason: Reason) -> None:
    text = "wrong sum in 6805056808"
    cause, remedy = split_remedy(text, reason)
    assert cause == text
    assert remedy
    assert split_remedy(text) == (text, "")
