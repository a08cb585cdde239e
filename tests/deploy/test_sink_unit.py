"""The unit of a sink, judged by systemd's own tools; and what its example says."""

import argparse
import re
import shlex
from pathlib import Path

import pytest

from edge.cli import sink
from edge.platform.postgres.migrate import migrations
from tests.provision.test_deploy import SYSTEM, run

DEPLOY = Path(__file__).parents[2] / "deploy/city"
UNIT = DEPLOY / "kerbstone-sink@.service"


@pytest.fixture
def stage(tmp_path: Path) -> Path:
    units = tmp_path / SYSTEM
    units.mkdir(parents=True)
    for kind in ("target", "slice", "mount"):
        for unit in (Path("/") / SYSTEM).glob(f"*.{kind}"):
            (units / unit.name).write_bytes(unit.read_bytes())
    (units / UNIT.name).write_bytes(UNIT.read_bytes())
    program = tmp_path / "opt/kerbstone/venv/bin/kerbstone"
    program.parent.mkdir(parents=True)
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    return tmp_path


def test_the_unit_is_clean(stage: Path) -> None:
    words = ("systemd-analyze", "verify", "--man=no", f"--root={stage}", "kerbstone-sink@1.service")
    assert run(*words) == (0, "")
    broken = stage / SYSTEM / UNIT.name
    broken.write_text(broken.read_text().replace("[Unit]", "[Unit]\nDescriptiom=x", 1))
    assert "Unknown key" in run(*words)[1]


def test_its_exposure_is_at_most_1_7() -> None:
    words = ("systemd-analyze", "security", "--offline=true")
    code, text = run(*words, "--threshold=17", UNIT)
    assert code == 0, text[-300:]
    assert run(*words, "--threshold=5", UNIT)[0] != 0, "else the threshold would prove nothing"


def test_its_options_are_those_of_the_command() -> None:
    parser = argparse.ArgumentParser()
    sink.register(parser.add_subparsers(dest="verb"))
    started = re.search(r"^ExecStart=\S+ (.*) \$SINK_OPTIONS$", UNIT.read_text(), re.MULTILINE)
    example = re.search(
        r'^SINK_OPTIONS="(.*)"$', (DEPLOY / "sink.example.env").read_text(), re.MULTILINE
    )
    assert started is not None
    assert example is not None
    args = parser.parse_args([*shlex.split(started[1]), *shlex.split(example[1])])
    assert (len(args.broker), args.key.name) == (3, "platform-sink.key")


def test_its_user_is_made(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    code, text = run("systemd-sysusers", f"--root={tmp_path}", DEPLOY / "kerbstone-sink.sysusers")
    assert code == 0, text
    assert (tmp_path / "etc/passwd").read_text().splitlines()[-1].split(":")[0] == "kerbstone-sink"


def test_files_of_sql_go_with_the_program() -> None:
    """They are read from the package: a wheel without them could not make its tables."""
    assert [each.number for each in migrations()] == [*range(1, len(migrations()) + 1)]
    for each in migrations():
        assert "CREATE" in each.statements
