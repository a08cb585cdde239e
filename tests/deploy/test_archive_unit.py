"""The units that archive old days, judged by systemd's own tools; and what their example says."""

import argparse
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from edge.cli import archive
from tests.deploy.test_sink_unit import DEPLOY, stage
from tests.deploy.test_sink_unit import UNIT as SINK
from tests.kit.process import ROOT, environment
from tests.kit.sandbox import allowed_calls, missing
from tests.provision.test_deploy import SYSTEM, run

__all__ = ["stage"]

UNIT, TIMER = DEPLOY / "kerbstone-archive.service", DEPLOY / "kerbstone-archive.timer"


def test_the_units_are_clean(stage: Path) -> None:
    for each in (UNIT, TIMER):
        (stage / SYSTEM / each.name).write_bytes(each.read_bytes())
    words = ("systemd-analyze", "verify", "--man=no", f"--root={stage}", TIMER.name, UNIT.name)
    assert run(*words) == (0, "")


def test_its_exposure_is_at_most_1_7() -> None:
    code, text = run("systemd-analyze", "security", "--offline=true", "--threshold=17", UNIT)
    assert code == 0, text[-300:]


def test_its_options_are_those_of_the_command() -> None:
    parser = argparse.ArgumentParser()
    archive.register(parser.add_subparsers(dest="verb"))
    example = re.search(
        r'^ARCHIVE_OPTIONS="(.*)"$', (DEPLOY / "archive.example.env").read_text(), re.MULTILINE
    )
    assert example is not None
    assert "kerbstone archive $ARCHIVE_OPTIONS" in UNIT.read_text()
    args = parser.parse_args(["archive", *shlex.split(example[1])])
    assert (args.older_than, args.keep) == (30, 730)


PACKS = """
import psycopg
from edge.platform.postgres.recordpack import pack
pack([b"x" * 100_000])
print("packed")
"""


@pytest.mark.parametrize("unit", [UNIT, SINK], ids=lambda unit: unit.stem)
def test_old_days_can_be_packed_and_read_under_its_filter_of_system_calls(unit: Path) -> None:
    """pyarrow asks the kernel for memory near its processor (mbind), and goes on without it."""
    if why := missing():
        pytest.skip(why)
    assert "mbind" not in allowed_calls(unit)
    words = [sys.executable, "-m", "tests.kit.sandbox", str(unit), sys.executable, "-c", PACKS]
    said = subprocess.run(
        words, capture_output=True, text=True, cwd=ROOT, env=environment(), check=False
    )
    assert (said.returncode, said.stdout) == (0, "packed\n"), said.stderr
