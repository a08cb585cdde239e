"""`kerbstone doctor` of a technician who is not root: what is open is looked at."""

import json
from pathlib import Path
from typing import Any

import pytest

from edge.cli.site_options import is_closed, load_site_or_report
from edge.diagnose.filechecks import SecretFile, read_secrets, secret_results
from edge.gateway.uplinksetup import TlsFiles
from tests.cli.doctor.cabinet import AIR, Site
from tests.kit.command import Command

STUCK = "/dev/i2c-1 is stuck: a device holds SCL or SDA low; switch the sensors off and on"
STATUS: dict[str, Any] = {
    "uptime_s": 900.0,
    "dropped": 0,
    "buses": {"air": "/dev/i2c-1", "meters": "/dev/ttyUSB0", "loops": "/dev/gpiochip0"},
    "devices": {
        "hut": {"bus": "air", "reads": 9, "state": "ok", "health": {"fan": "its fan stands still"}},
        "shop": {
            "bus": "meters", "reads": 9, "state": "silent", "text": "unit 2: no answer; look at it",
        },
    },
    "lanes": {"north_1": {"bus": "loops"}},
    "issues": [
        {
            "kind": "loop_fault", "about": "north_1 lead stuck_on", "severity": "fault",
            "cause": "north_1: the lead loop is occupied all the time.", "remedy": "Look at it.",
        }
    ],
}  # fmt: skip


@pytest.fixture
def closed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests may be run by root, to whom nothing is closed."""
    monkeypatch.setattr("edge.cli.doctor.is_closed", lambda file: True)


@pytest.mark.usefixtures("closed")
def test_without_the_site_file_the_gateway_s_word_and_the_box_are_looked_at(
    kerbstone: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edge.cli.doctor.ask_daemon", lambda *_: STATUS)
    said = kerbstone("doctor", "--config", tmp_path / "site.toml")
    assert said.code == 1
    assert (
        "fault    device_answers meters/shop: unit 2: no answer.\n         Look at it." in said.out
    )
    assert "warning  device_reports air/hut: its fan stands still." in said.out
    assert "fault    lane_verdict north_1 lead stuck_on: north_1: the lead loop" in said.out
    assert "ok       device_answers air/hut" in said.out
    assert "ok       memory" in said.out
    assert "ok       gateway_runs: it has run for 15 min" in said.out
    assert "is not open to you: use sudo" in said.out
    rows = json.loads(kerbstone("doctor", "--json", "--config", tmp_path / "site.toml").out)
    outcomes = {row["id"]: row["outcome"] for row in rows["checks"]}
    assert {outcomes[each] for each in ("site_file", "secret_files", "bus_port", "dns")} == {
        "not checked"
    }


@pytest.mark.usefixtures("closed")
def test_one_device_can_be_asked_for_and_a_wrong_name_is_said_to_be_one(
    kerbstone: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edge.cli.doctor.ask_daemon", lambda *_: STATUS)
    said = kerbstone("doctor", "shop", "--config", tmp_path / "site.toml")
    assert (said.code, "hut" in said.out) == (1, False)
    lane = kerbstone("doctor", "north_1", "--config", tmp_path / "site.toml")
    assert "fault    lane_verdict north_1 lead stuck_on" in lane.out
    bus = kerbstone("doctor", "loops", "--config", tmp_path / "site.toml")
    assert "fault    lane_verdict north_1 lead stuck_on" in bus.out, "it is on this bus"
    assert "hut" not in bus.out
    wrong = kerbstone("doctor", "shpo", "--config", tmp_path / "site.toml")
    assert wrong.code == 2
    assert "there are air, meters, loops, hut, shop, north_1" in wrong.err


@pytest.mark.usefixtures("closed")
@pytest.mark.parametrize(("contacts", "sound"), [({}, 2), ({"heat": {}, "hatch": {}}, 0)])
def test_a_door_or_a_pulse_output_that_status_shows_can_be_asked_for(
    contacts: dict[str, Any],
    sound: int,
    kerbstone: Command,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """An older gateway names them in its open issues only."""
    chatters = {"kind": "contact_fault", "about": "heat chatter", "severity": "warning",
                "cause": "heat chatters.", "remedy": "Look at its card."}  # fmt: skip
    status = {**STATUS, "contacts": contacts, "issues": [chatters]}
    monkeypatch.setattr("edge.cli.doctor.ask_daemon", lambda *_: status)
    said = kerbstone("doctor", "heat", "--config", tmp_path / "site.toml")
    assert (said.code, said.err) == (1, "")
    assert "warning  gpio_lines heat chatter: heat chatters." in said.out
    assert kerbstone("doctor", "hatch", "--config", tmp_path / "site.toml").code == sound


@pytest.mark.usefixtures("closed")
def test_a_model_s_issue_is_not_that_of_a_lane_with_its_name(
    kerbstone: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    edges = {"loop": {"last_s": 4.0, "edges": 9, "over_s": 60.0}}
    issue = {"kind": "model_fails", "about": "congestion", "severity": "fault", "cause": "Late."}
    lanes = {"congestion": {"bus": "loops", "edges": edges}}
    status = {**STATUS, "lanes": lanes, "issues": [issue]}
    monkeypatch.setattr("edge.cli.doctor.ask_daemon", lambda *_: status)
    said = kerbstone(
        "doctor", "congestion", "--check", "models", "--check", "lanes", "--config",
        tmp_path / "site.toml",
    )  # fmt: skip
    assert "Late" not in said.out
    assert "ok       lane_verdict congestion" in said.out


@pytest.mark.usefixtures("closed")
def test_a_device_behind_a_bus_that_fails_is_no_fault_of_its_own(
    kerbstone: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    device = {"bus": "air", "reads": 9, "state": "silent", "text": STUCK}
    issue = {
        "kind": "bus_fails", "about": "bus air", "severity": "fault",
        "cause": "bus air: it is stuck: no values of hut, roof.", "remedy": "Switch them off.",
    }  # fmt: skip
    status = {**STATUS, "devices": {"hut": device, "roof": device}, "issues": [issue]}
    monkeypatch.setattr("edge.cli.doctor.ask_daemon", lambda *_: status)
    said = kerbstone("doctor", "--check", "wires", "--config", tmp_path / "site.toml")
    assert [line for line in said.lines if line.startswith("fault")] == [
        "fault    bus_line bus air: bus air: it is stuck: no values of hut, roof."
    ]


@pytest.mark.usefixtures("closed")
def test_without_the_gateway_the_box_is_looked_at_all_the_same(
    kerbstone: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edge.cli.doctor.ask_daemon", lambda *_: None)
    said = kerbstone("doctor", "--config", tmp_path / "site.toml")
    assert said.code != 2
    assert "ok       memory" in said.out
    assert "warning  gateway_runs" in said.out


def test_a_file_that_may_not_be_read_is_closed_and_one_that_is_missing_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "site.toml"
    monkeypatch.setattr("edge.cli.site_options.find_site_file", lambda: file)
    assert not is_closed(file)
    monkeypatch.setattr(Path, "open", _refused)
    assert is_closed(file)
    assert not is_closed(tmp_path / "other.toml"), "no daemon of this box runs with it"


def test_where_root_s_folder_may_hold_the_signed_file_it_is_closed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On an enrolled box there is none where a technician would put his."""
    file, signed = tmp_path / "site.toml", tmp_path / "identity/site.toml"
    monkeypatch.setattr("edge.cli.site_options.find_site_file", lambda: file)
    monkeypatch.setattr("edge.cli.site_options.SIGNED_SITE_FILE", signed)
    assert not is_closed(file)
    monkeypatch.setattr(Path, "stat", _refused)
    assert is_closed(file)
    assert not is_closed(tmp_path / "other.toml")


def test_a_file_that_is_closed_and_not_of_this_box_cannot_be_read(
    kerbstone: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The daemon of this box says nothing of what stands there."""
    monkeypatch.setattr("edge.cli.doctor.ask_daemon", lambda *_: STATUS)
    monkeypatch.setattr(Path, "open", _refused)
    said = kerbstone("doctor", "--config", tmp_path / "other.toml")
    assert (said.code, "cannot be read" in said.err) == (2, True)
    assert "north_1" not in said.out


def test_a_secret_in_a_closed_folder_is_not_said_to_be_missing(
    wired: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = load_site_or_report(wired(AIR))
    assert site is not None
    with monkeypatch.context() as patch:
        patch.setattr(Path, "stat", _refused)
        secrets = read_secrets(site, TlsFiles(key=Path("/root/key.pem")), None)
    assert secrets == [
        SecretFile("/root/key.pem", None, None, "/root/key.pem is not open to you: use sudo")
    ]
    assert [one.outcome for one in secret_results(secrets, "kerbstone")] == ["not checked"]


def _refused(path: Path, *_: Any, **__: Any) -> None:
    raise PermissionError(13, "Permission denied", str(path))
