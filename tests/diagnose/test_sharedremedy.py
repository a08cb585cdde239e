"""The gateway's status and the doctor give one remedy where all devices of a bus fail."""

from pathlib import Path

import pytest

import drivers
from edge.config import load_site
from edge.core import Reason
from edge.core.remedies import split_remedy
from edge.diagnose.exam import Exam, split_finding
from edge.gateway.deviceissues import SHARED_REMEDY, device_findings
from tests.gateway.issueparts import Polled

BEFORE = (
    "unit {unit}: no answer within 0.5 s: it has answered before; check its supply and its wire"
)
NEVER = "unit {unit}: no answer within 0.5 s: none has answered so far; check that A is not B"
SITE = """
[site]
id = "quay"
gateway = "gw-1"
[uplink]
url = "mqtt://localhost:1883"
[bus.meters]
kind = "modbus-rtu"
port = "/dev/ttyUSB0"
[device.one]
driver = "sdm120"
bus = "meters"
unit = 1
[device.two]
driver = "sdm120"
bus = "meters"
unit = 2
"""


@pytest.mark.parametrize(
    ("text", "remedy"), [(BEFORE, SHARED_REMEDY), (NEVER, "check that A is not B")]
)
def test_status_and_doctor_say_the_same(tmp_path: Path, text: str, remedy: str) -> None:
    texts = {name: text.format(unit=unit) for unit, name in ((1, "one"), (2, "two"))}
    devices = [Polled(name, Reason.SILENT, said) for name, said in texts.items()]
    found = device_findings({"meters": devices}, {}, {}, 0)
    (issue,) = (each for each in found if each.kind == "bus_fails")
    file = tmp_path / "site.toml"
    file.write_text(SITE)
    exam = Exam(load_site(file, drivers.catalogue()), "meters", ("one", "two"))
    exam.failed = {name: split_finding("fault", said) for name, said in texts.items()}
    doctor = next(exam.findings()).finding
    assert doctor.remedy == remedy
    assert issue.remedy.lower().startswith(remedy.lower())


@pytest.mark.parametrize("reason", [Reason.CRC, Reason.SILENT, Reason.FAULT])
def test_a_failure_without_a_remedy_gets_that_of_its_reason(reason: Reason) -> None:
    text = "wrong sum in 6805056808"
    cause, remedy = split_remedy(text, reason)
    assert cause == text
    assert remedy
    assert split_remedy(text) == (text, "")
