"""Ten and more defects that gateways have had: incident.toml fails by each, and the report names
the moment."""

from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from edge.cli.main import main
from edge.rig.judgedrun import seconds
from edge.rig.judging import judge
from edge.rig.outcome import Outcome, Verdict
from edge.rig.runfile import read_run
from edge.rig.runlog import FaultSpan, RunLog
from edge.rig.scenariofile import check_scenario
from edge.rig.scenariolibrary import LIBRARY
from tests.rig.planted import DEFECTS, Defect, When, missed

INCIDENT = LIBRARY / "incident.toml"


def test_there_are_ten_and_each_says_what_it_is_and_how_it_shows() -> None:
    assert len(DEFECTS) >= 10
    expected = {each.name for each in check_scenario(INCIDENT).scenario.expects}
    for defect in DEFECTS.values():
        assert len(defect.text) > 40
        assert defect.shown
        assert defect.shown.keys() <= expected
    assert len({defect.text for defect in DEFECTS.values()}) == len(DEFECTS)


@pytest.mark.parametrize("name", DEFECTS)
def test_each_changes_one_place_or_two(name: str) -> None:
    changed: list[tuple[Any, str]] = []

    def note(owner: Any, attribute: str, value: Any) -> None:
        assert hasattr(owner, attribute)
        assert getattr(owner, attribute) is not value
        changed.append((owner, attribute))

    DEFECTS[name].plant(note)
    assert 1 <= len(changed) <= 2


FLAP = FaultSpan(name="flap", began_s=400.0)


def said(defect: Defect, verdict: Verdict, moment_s: float | None, name: str = "counted") -> str:
    log = RunLog(scenario="", layer="sim", seed=1, box="", faults=[FLAP])
    one = Outcome(place=0, name=name, what="volume", verdict=verdict, text="7", moment_s=moment_s)
    return missed(defect, log, [one])


def test_a_failure_at_another_moment_is_not_it() -> None:
    defect = Defect("", lambda patch: None, {"counted": When(10.0, 60.0, "flap")})
    assert said(defect, "fail", 410.0) == said(defect, "fail", 460.0) == ""
    assert "it names 400.0 s, which is not 10 to 60 s" in said(defect, "fail", 400.0)
    assert "it names None s" in said(defect, "fail", None)
    assert "not failed" in said(defect, "pass", 420.0)
    assert "not failed" in said(defect, "not_evaluated", 420.0)
    assert "does not expect" in said(defect, "fail", 420.0, "other")
    of_the_run = Defect("", lambda patch: None, {"counted": When(10.0, 60.0)})
    assert said(of_the_run, "fail", 20.0) == ""
    assert said(of_the_run, "fail", 420.0)


@pytest.mark.scene
@pytest.mark.parametrize("name", DEFECTS)
def test_the_incident_fails_by_it_at_its_moment(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The unmodified daemon passes it: tests/rig/test_library.py."""
    DEFECTS[name].plant(monkeypatch.setattr)
    words = ["rig", "run", str(INCIDENT), "--layer", "sim", "--quiet", "--out", str(tmp_path)]
    assert main(words) == 1
    scenario, log = read_run(tmp_path / "run.json")
    outcomes = judge(scenario, log)
    assert missed(DEFECTS[name], log, outcomes) == ""
    cases = {
        case.get("name"): case
        for case in ElementTree.parse(tmp_path / "junit.xml").iter("testcase")
    }
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    for one in outcomes:
        if one.name not in DEFECTS[name].shown:
            continue
        failure = cases[one.name].find("failure")
        assert failure is not None
        assert failure.text is not None
        assert f"(at {one.moment_s:.1f} s)" in failure.text
        assert one.moment_s is not None
        assert f'data-at="{one.moment_s:.3f}">go to {seconds(one.moment_s)}</a>' in page
