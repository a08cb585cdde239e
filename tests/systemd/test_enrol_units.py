"""What the units of enrolment do with the word that it leaves: the line of the unit itself, run."""

import os
import shlex
import subprocess
from pathlib import Path

import pytest

UNITS = Path(__file__).parents[2] / "systemd"
RUN = "/run/kerbstone-identity"
ENROLS = ("kerbstone-enrol.service", "kerbstone-renew.service", "kerbstone-proposal.service")


def message(unit: str, tmp_path: Path, *words: str) -> list[str]:
    """What systemctl is asked, where these files lie in the unit's folder."""
    (line,) = [
        line.removeprefix("ExecStopPost=+")
        for line in (UNITS / unit).read_text().splitlines()
        if line.startswith("ExecStopPost=")
    ]
    program, option, script = shlex.split(line)
    folder, log = tmp_path / "run", tmp_path / "log"
    folder.mkdir(exist_ok=True)
    log.write_text("")
    for word in words:
        (folder / word).touch()
    systemctl = tmp_path / "systemctl"
    systemctl.write_text(f'#!/bin/sh\necho "$*" >> {log}\n')
    systemctl.chmod(0o755)
    subprocess.run(
        [program, option, script.replace(RUN, str(folder))], check=True, timeout=60,
        env={"PATH": f"{tmp_path}:{os.environ['PATH']}"},
    )  # fmt: skip
    return log.read_text().splitlines()


@pytest.mark.parametrize("unit", ENROLS)
def test_the_daemon_is_started_or_started_anew_and_once(unit: str, tmp_path: Path) -> None:
    assert message(unit, tmp_path) == [], "there is no identity yet"
    (anew,) = message(unit, tmp_path, "enrolled", "restart")
    assert anew.startswith("--no-block restart ")
    assert "kerbstone.service" in anew
    after = ["--no-block start kerbstone.service"] if "enrol" in unit else []
    assert message(unit, tmp_path) == after, "at a boot; what was stopped by hand stays so for days"


@pytest.mark.parametrize("unit", ENROLS)
def test_the_word_lies_where_the_unit_looks(unit: str) -> None:
    text = (UNITS / unit).read_text()
    assert f"RuntimeDirectory={Path(RUN).name}\n" in text
    assert "RuntimeDirectoryPreserve=yes\n" in text


def test_whoever_uses_the_identity_may_do_the_same() -> None:
    """One sandbox, three times: what one of them may do, the others may."""
    found = {
        unit: (UNITS / unit)
        .read_text()
        .partition("\n# user:")[2]
        .partition("\n[Install]")[0]
        .strip()
        for unit in ENROLS
    }
    assert len(set(found.values())) == 1
    assert (
        "ReadWritePaths=-/var/lib/kerbstone-identity -/boot/firmware -/run/kerbstone-proposal"
        in (found[ENROLS[0]])
    )


def test_a_technician_s_spool_is_root_s_and_the_group_s() -> None:
    """Sticky: nobody removes another's file; set-group: enrolment reads it by its group."""
    lines = (UNITS / "kerbstone.tmpfiles").read_text().splitlines()
    assert "d /run/kerbstone-proposal 3770 root kerbstone -" in lines
    assert "PathChanged=/run/kerbstone-proposal" in (UNITS / "kerbstone-proposal.path").read_text()
