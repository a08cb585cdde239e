"""`kerbstone rig`: scenario files are checked, faults are listed."""

import json
from pathlib import Path

from edge.rig.faultcatalogue import FAULT_KINDS
from edge.rig.scenarioschema import scenario_schema
from tests.kit.command import Command

ROOT = Path(__file__).parents[2]
INCIDENT = ROOT / "edge" / "rig" / "library" / "incident.toml"


def test_a_right_scenario_is_in_order(kerbstone: Command) -> None:
    said = kerbstone("rig", "check", INCIDENT)
    assert (said.code, said.err) == (0, "")
    assert "3 faults, 13 expectations; layers sim, pty, qemu, bench" in said.out
    assert said.out.endswith("incident.toml is in order\n")


def test_one_wrong_file_of_several_is_exit_2_and_each_is_told(
    kerbstone: Command, tmp_path: Path
) -> None:
    wrong = tmp_path / "wrong.toml"
    text = INCIDENT.read_text(encoding="utf-8").replace("ringroad.toml", str(INCIDENT.parent / "x"))
    wrong.write_text(text.replace("duration_s = 960", "duration_s = -1"), encoding="utf-8")
    said = kerbstone("rig", "check", wrong, INCIDENT)
    assert said.code == 2
    assert "wrong.toml:12: scenario.site: " in said.err
    assert "wrong.toml:13: scenario.duration_s: -1 is not between 1.0 and 86400.0" in said.err
    assert said.err.endswith("wrong.toml cannot be used: 2 errors\n")
    assert "incident.toml is in order" in said.out


def test_a_program_gets_one_object_for_each_file(kerbstone: Command, tmp_path: Path) -> None:
    gone = tmp_path / "gone.toml"
    said = kerbstone("rig", "check", "--json", gone, INCIDENT)
    assert said.code == 2
    first, second = map(json.loads, said.out.splitlines())
    assert (first["ok"], second["ok"]) == (False, True)
    assert first["errors"][0]["line"] == 0
    assert second["layers"] == ["sim", "pty", "qemu", "bench"]


def test_faults_are_listed_with_the_reason_of_each_layer(kerbstone: Command) -> None:
    said = kerbstone("rig", "faults", "gateway")
    assert said.code == 0
    assert "  kill  it is killed, and started again as systemd does; over at once\n" in said.out
    assert "    not on bench: the rig does not log in to a box on the bench\n" in said.out
    rows = kerbstone("rig", "faults", "--json").out.splitlines()
    assert len(rows) == len(FAULT_KINDS)
    flap = next(row for row in map(json.loads, rows) if row["kind"] == "flap")
    assert flap["amount"] == {"unit": "s", "low": 0.5, "high": 3600, "default": 5}


def test_the_schema_is_printed(kerbstone: Command) -> None:
    said = kerbstone("rig", "schema")
    assert said.code == 0
    assert json.loads(said.out) == json.loads(json.dumps(scenario_schema()))
