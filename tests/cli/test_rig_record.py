"""`kerbstone rig record`: a recording becomes a folder that passes the check, without secrets."""

from pathlib import Path

import pytest

from edge.gateway.flightrecorder import Recording
from edge.rig.scenario import Trace
from edge.rig.scenariofile import check_scenario
from edge.rig.traces import recorded_spells
from tests.gateway.recordedstreet import RecordedStreet
from tests.kit.command import Command

SECRET = "a secret of the site"
LOGIN = f'[uplink]\nusername = "gw-1"\nproxy_password = "{SECRET}"\n'


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    """Two minutes of the demo's street; its site file lies beside it."""
    folder = tmp_path / "box"
    folder.mkdir()
    street = RecordedStreet(folder)
    street.live(120)
    street.recorder.freeze("somebody asks")
    street.live(10)
    (found,) = street.recorder.recordings
    assert isinstance(found, Recording)
    return street.recorder.path(found).rename(folder / "two.rec")


def test_a_recording_becomes_a_scenario(
    kerbstone: Command, recording: Path, tmp_path: Path
) -> None:
    site, out = recording.with_name("site.toml"), tmp_path / "out"
    site.write_text(site.read_text() + f'# password = "{SECRET}"\n')
    said = kerbstone("rig", "record", out, "--from", recording, "--config", site)
    assert said.code == 0, said.err
    assert "look at them" in said.out
    assert "single vehicles" in said.out
    files = {path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file()}
    assert {"scenario.toml", "edges.csv", "site.toml", "values/cabinet.csv"} <= files
    assert not any(SECRET in path.read_text() for path in out.rglob("*") if path.is_file())
    assert {path.stat().st_mode & 0o077 for path in (out, *out.rglob("*"))} == {0}
    checked = check_scenario(out / "scenario.toml")
    assert checked.warnings == ()
    text = (out / "scenario.toml").read_text()
    assert "look at each whether it was right" in text
    assert kerbstone("rig", "check", out / "scenario.toml").code == 0


def test_a_recording_is_a_trace_as_it_is_and_has_the_same_contacts(
    kerbstone: Command, recording: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    assert kerbstone(
        "rig", "record", out, "--from", recording, "--config", recording.with_name("site.toml")
    ).code == 0  # fmt: skip
    checked = check_scenario(out / "scenario.toml")
    edges = recorded_spells(checked.scenario, checked.site.site)
    text = (out / "scenario.toml").read_text().replace(
        'file = "edges.csv"\nkind = "edges"', f'file = "{recording}"\nkind = "recording"'
    )  # fmt: skip
    (out / "other.toml").write_text(text)
    other = check_scenario(out / "other.toml")
    assert isinstance(other.scenario.traces[0], Trace)
    found = recorded_spells(other.scenario, other.site.site)

    def rounded(spells: object) -> list[tuple[str, float, float]]:
        return [(s.loop, round(s.on_s, 5), round(s.off_s, 5)) for s in spells]  # type: ignore[attr-defined]

    whole = rounded(found)
    assert len(whole) > 40
    assert [one for one in rounded(edges) if one in whole] == whole
    ended = len(edges) - len(whole)  # who was on a loop at the end: the edges end there
    assert ended <= 2


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        ([], 2, "required"),
        (["--minutes", "0"], 2, "write minutes"),
        (["--minutes", "5", "--from", "x.rec"], 2, "not allowed"),
        (["--from", "nowhere.rec"], 2, "it is not there"),
        (["--minutes", "1"], 3, "no daemon runs"),
    ],
)
def test_what_cannot_be_is_said(
    kerbstone: Command, recording: Path, tmp_path: Path, words: list[str], code: int, says: str
) -> None:
    site = recording.with_name("site.toml")
    text = site.read_text().replace("/tmp/kerbstone-demo", str(tmp_path))
    site.write_text(text)
    said = kerbstone("rig", "record", tmp_path / "out", *words, "--config", site)
    assert said.code == code
    assert says in said.err
    assert not (tmp_path / "out").exists()


def test_what_is_there_stays(kerbstone: Command, recording: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "mine").write_text("of value")
    words = ("--from", recording, "--config", recording.with_name("site.toml"))
    said = kerbstone("rig", "record", out, *words)
    assert said.code == 2
    assert "is there already" in said.err
    assert [path.name for path in out.iterdir()] == ["mine"]


def test_a_recording_of_another_site_is_none_of_this(
    kerbstone: Command, recording: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other.toml"
    other.write_text('[site]\nid = "x"\ngateway = "y"\n[uplink]\nurl = "mqtt://b"\n')
    said = kerbstone("rig", "record", tmp_path / "out", "--from", recording, "--config", other)
    assert said.code == 2
    assert "nothing in it is of this site" in said.err
