"""The units of the enrolment server and of the broker's list, judged by systemd's own tools."""

import configparser
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from edge.provision import brokerexport
from edge.provision.registry import FOLDER
from edge.provision.serverdir import ServerDirectory
from tests.kit.enrolment import EnrolmentServer

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy/provision"
SYSTEM = Path("usr/lib/systemd/system")
SERVICE = DEPLOY / "kerbstone-provision.service"
PROGRAMS = ("opt/kerbstone/venv/bin/kerbstone", "usr/bin/dd", "usr/bin/openssl", "usr/bin/chmod",
            "usr/bin/mv", "usr/bin/systemctl")  # fmt: skip


def run(name: str, *arguments: str | Path) -> tuple[int, str]:
    program = shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin:/sbin")
    if program is None:
        pytest.skip(f"{name} is not here; apt install systemd")
    command = [program, *map(str, arguments)]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=60, check=False, stdin=subprocess.DEVNULL
    )
    return done.returncode, done.stdout + done.stderr


@pytest.fixture
def stage(tmp_path: Path) -> Path:
    """A root with the system's own targets, our units as they are, and programs where they say."""
    units = tmp_path / SYSTEM
    units.mkdir(parents=True)
    for kind in ("target", "slice", "mount"):
        for unit in (Path("/") / SYSTEM).glob(f"*.{kind}"):
            (units / unit.name).write_bytes(unit.read_bytes())
    for unit in (*DEPLOY.glob("*.service"), *DEPLOY.glob("*.path")):
        shutil.copy(unit, units)
    for each in PROGRAMS:
        program = tmp_path / each
        program.parent.mkdir(parents=True, exist_ok=True)
        program.write_text("#!/bin/sh\n")
        program.chmod(0o755)
    return tmp_path


@pytest.mark.parametrize(
    "unit", ["kerbstone-provision.service", "kerbstone-crl.service", "kerbstone-crl.path"]
)
def test_a_unit_is_clean(stage: Path, unit: str) -> None:
    words = ("systemd-analyze", "verify", "--man=no", f"--root={stage}", unit)
    assert run(*words) == (0, "")
    broken = stage / SYSTEM / unit
    broken.write_text(broken.read_text().replace("[Unit]", "[Unit]\nDescriptiom=x", 1))
    assert "Unknown key" in run(*words)[1]


@pytest.mark.parametrize(("unit", "limit"), [("kerbstone-provision", 17), ("kerbstone-crl", 17)])
def test_its_exposure_is_at_most_1_7(unit: str, limit: int) -> None:
    words = ("systemd-analyze", "security", "--offline=true")
    path = DEPLOY / f"{unit}.service"
    code, text = run(*words, f"--threshold={limit}", path)
    assert code == 0, text[-200:]
    assert run(*words, "--threshold=5", path)[0] != 0, "else the threshold would prove nothing"


def test_the_user_is_made(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    sysusers = DEPLOY / "kerbstone-provision.sysusers"
    code, text = run("systemd-sysusers", f"--root={tmp_path}", sysusers)
    assert code == 0, text
    line = (tmp_path / "etc/passwd").read_text().splitlines()[-1].split(":")
    assert (line[0], line[5]) == (_section(SERVICE, "Service")["User"], FOLDER)
    assert line[6].endswith("nologin")


def test_the_folder_of_the_unit_is_the_command_s_own() -> None:
    unit = _section(SERVICE, "Service")
    assert f"/var/lib/{unit['StateDirectory']}" == FOLDER
    assert unit["ExecStart"].split()[1:] == ["provision", "serve"]


def test_the_list_goes_from_where_it_is_written_to_where_the_broker_reads_it() -> None:
    watched = _section(DEPLOY / "kerbstone-crl.path", "Path")["PathChanged"]
    assert watched == str(ServerDirectory(Path(FOLDER)).crl)
    text = (DEPLOY / "kerbstone-crl.service").read_text()
    conf = (ROOT / "deploy/broker/mosquitto/kerbstone.conf").read_text()
    place = f"/etc/mosquitto/kerbstone/{brokerexport.CRL_FILE}"
    assert f"crlfile {place}\n" in conf
    steps = _steps(text)
    assert f"if={watched}" in steps[0].split()
    assert steps[-2].endswith(f" {place}"), "whole: it is moved there"
    assert steps[-2].split()[-2] == steps[0].partition(" of=")[2].split()[0]
    assert steps[-1].endswith("try-reload-or-restart mosquitto.service")


@pytest.mark.skipif(shutil.which("openssl") is None, reason="needs openssl")
@pytest.mark.parametrize("there", ["a list", "a link", "no list"])
def test_a_list_is_copied_and_a_link_or_rubbish_is_not(
    there: str, tmp_path: Path, world: EnrolmentServer
) -> None:
    """The steps of the unit, run: the folder is the server user's, who is not root."""
    source, broker = tmp_path / "kerbstone-provision", tmp_path / "kerbstone"
    source.mkdir()
    broker.mkdir()
    good, list_ = world.home.crl.read_bytes(), source / "crl.pem"
    (broker / "crl.pem").write_bytes(b"the former one")
    match there:
        case "a list":
            list_.write_bytes(good)
        case "a link":
            (tmp_path / "secret").write_bytes(good)
            list_.symlink_to(tmp_path / "secret")
        case _:
            list_.write_bytes(b"root:*:::\n")
    ended = 0
    for step in _steps((DEPLOY / "kerbstone-crl.service").read_text())[:-1]:
        words = step.replace("/var/lib/kerbstone-provision", str(source))
        words = words.replace("/etc/mosquitto/kerbstone", str(broker))
        ended = ended or subprocess.run(words.split(), check=False, capture_output=True).returncode
    assert (ended == 0) == (there == "a list")
    assert (broker / "crl.pem").read_bytes() == (good if not ended else b"the former one")


def _steps(text: str) -> list[str]:
    return [line.split("=", 1)[1] for line in text.splitlines() if line.startswith("ExecStart=")]


def _section(file: Path, name: str) -> dict[str, str]:
    """Of a key that stands there twice, the last line."""
    parser = configparser.RawConfigParser(strict=False)
    parser.optionxform = str  # type: ignore[assignment,method-assign]  # as configparser documents it
    parser.read(file)
    return dict(parser[name])
