"""Recorded traffic of each kind: a file in this repository is checked, played, and counted."""

import gzip
from pathlib import Path
from typing import Any, Final, get_args

import pytest

from edge.core import ConfigError
from edge.rig import traces
from edge.rig.judging import judge
from edge.rig.outcome import verdict_of
from edge.rig.recordedcontacts import LoopSpell, RecordedChange, whole_spells
from edge.rig.runner import run
from edge.rig.scenario import Detector, Trace
from edge.rig.scenariofile import check_scenario
from edge.rig.simlayer import SimLayer
from edge.rig.traces import recorded_passages, recorded_spells
from tests.rig.scenes import read_site, scenario

TRACES: Final = Path(__file__).parent / "traces"
KINDS: Final = ("edges", "vehicles", "indiana", "iris", "sumo")
RECORDED: Final = {"north_1": 23, "north_2": 17}


@pytest.mark.parametrize("kind", KINDS)
def test_each_recorded_vehicle_is_counted_on_sim(kind: str, tmp_path: Path) -> None:
    checked = check_scenario(TRACES / f"{kind}.toml")
    assert checked.warnings == ()
    log = run(checked.scenario, SimLayer(tmp_path / "box"))
    assert log.ending == "whole", log.text
    outcomes = judge(checked.scenario, log)
    assert verdict_of(outcomes) == "pass", [one.text for one in outcomes]
    assert len(outcomes) == 3


def test_logs_and_edges_of_the_same_traffic_are_the_same_contacts() -> None:
    """An Indiana log counts in tenths of a second, and so do these files."""
    found = {}
    for kind in ("edges", "indiana", "iris"):
        checked = check_scenario(TRACES / f"{kind}.toml")
        spells = recorded_spells(checked.scenario, checked.site.site)
        found[kind] = [(s.loop, round(s.off_s - s.on_s, 3)) for s in spells]
        assert len(spells) == sum(RECORDED.values())
    assert found["edges"] == found["indiana"] == found["iris"]


def test_every_kind_but_a_recording_has_a_file_here() -> None:
    wanted = get_args(Trace.__annotations__["kind"].__origin__)
    assert {*wanted} == {*KINDS, "recording"}


def test_a_contact_of_which_the_begin_or_the_end_is_not_known_is_left_out() -> None:
    rows: list[tuple[str, bool | None, float, bool]] = [
        ("a", True, 0.0, True), ("a", False, 1.0, False), ("a", True, 2.0, False),
        ("b", True, 2.5, False), ("a", False, 3.0, False), ("a", True, 4.0, False),
        ("a", None, 5.0, False), ("a", False, 6.0, False), ("*", None, 7.0, False),
        ("b", False, 8.0, False), ("b", True, 9.0, False),
    ]  # fmt: skip
    changes = [RecordedChange(*row) for row in rows]
    assert [*whole_spells(changes)] == [LoopSpell("a", 2.0, 3.0)]


def spells(folder: Path, duration_s: float = 300.0, more: str = "", **keys: Any) -> list[Any]:
    trace = Trace(**{"file": str(TRACES / "indiana.csv"), "kind": "indiana", **keys})
    found = recorded_spells(scenario(folder, duration_s, traces=(trace,)), read_site(folder, more))
    return [(one.loop, round(one.on_s, 3), round(one.off_s, 3)) for one in found]


LINES = """
[lane.west_1]
approach = "west"
bus = "loops"
lead = "D5"
"""


def test_without_a_word_a_detector_is_the_line_that_is_called_like_it(tmp_path: Path) -> None:
    found = spells(tmp_path, more=LINES)
    assert {loop for loop, _, _ in found} == {"west_1.lead"}
    assert len(found) == 23


def test_time_is_that_of_the_scenario(tmp_path: Path) -> None:
    detectors = (Detector(detector="6", loop="north_2.trail"),)
    whole = spells(tmp_path, detectors=detectors)
    part = spells(tmp_path, 20.0, detectors=detectors, skip_s=10.0)
    wanted = [(loop, round(on - 10, 3), round(off - 10, 3)) for loop, on, off in whole]
    assert part == [one for one in wanted if 0 <= one[1] < 20]
    assert 0 < len(part) < len(whole)
    trace = Trace(file=str(TRACES / "vehicles.csv"), kind="vehicles", skip_s=10.0)
    made = scenario(tmp_path, 20.0, traces=(trace,))
    assert all(0 <= one.t_s < 20 for one in recorded_passages(made, read_site(tmp_path)))


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({}, "no loop of the site is one of its detectors; it has 5, 6"),
        ({"detectors": (Detector(detector="9", loop="north_1"),)}, "has no detector 9"),
        ({"detectors": (Detector(detector="5", loop="east"),)}, "the site has no loop east"),
        ({"signal": "8"}, "no event is left"),
        ({"file": "tests/recordings/logs/hires.csv"}, r"cannot be read, such as .*row 25"),
        ({"file": "tests", "kind": "iris"}, r"has no \.vlog file"),
    ],
)
def test_a_log_that_cannot_be_used_says_why(
    tmp_path: Path, keys: dict[str, Any], said: str
) -> None:
    file = keys.get("file")
    if file is not None:
        keys = {**keys, "file": str(Path(__file__).parents[2] / file)}
    with pytest.raises(ConfigError, match=said):
        spells(tmp_path, **keys)


def test_of_a_log_with_several_signals_one_has_to_be_named(tmp_path: Path) -> None:
    text = (TRACES / "indiana.csv").read_text()
    other = "".join(f"{line.replace(',7,', ',8,')}\n" for line in text.splitlines()[1:])
    (tmp_path / "two.csv").write_text(text + other)
    detectors = (Detector(detector="5", loop="north_1"),)
    with pytest.raises(ConfigError, match="of 2 signals: 7, 8"):
        spells(tmp_path, file="two.csv", detectors=detectors)
    assert len(spells(tmp_path, file="two.csv", detectors=detectors, signal="8")) == 23


@pytest.mark.parametrize(
    "text",
    [
        '<i><instantOut id="north_1" state="enter" time="nan" speed="1" length="4"/></i>',
        '<i><instantOut id="north_1" state="enter" time="1" speed="inf" length="4"/></i>',
        '<i><instantOut id="north_1" state="enter" time="1" speed="9" length="-5"/></i>',
        '<?xml version="1.0" encoding="nonsense"?><i/>',
        '<!DOCTYPE i [<!ENTITY a "'
        + "x" * 100_000
        + '">]><i>'
        + '<x y="&a;&a;&a;"/>' * 500
        + "</i>",
        '<!DOCTYPE i [<!ENTITY a SYSTEM "file:///etc/passwd">]><i>&a;<x y="&a;"/></i>',
        "<i>" * 100_000,
    ],
)
def test_what_is_no_run_of_sumo_is_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / "t.xml").write_text(text)
    with pytest.raises(ConfigError):
        list(traces._sumo(tmp_path / "t.xml"))


def test_a_vehicle_without_end_and_a_file_that_cannot_be_inflated_are_refused(
    tmp_path: Path,
) -> None:
    file = tmp_path / "t.csv"
    file.write_text("t_s,lane,speed_kmh,length_m\n1,north_1,50,inf\n")
    with pytest.raises(ConfigError, match="row 2: length_m is inf"):
        list(traces._table(file))
    data = bytearray(gzip.compress(b"t_ms,line,level\n1,a,0\n" * 1000))
    data[20] ^= 0xFF
    (tmp_path / "t.csv.gz").write_bytes(data)
    with pytest.raises(ConfigError, match="cannot be read"):
        list(traces._edge_changes(tmp_path / "t.csv.gz", read_site(tmp_path)))
