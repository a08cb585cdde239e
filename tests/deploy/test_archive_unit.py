"""The units that archive old days, judged by systemd's own tools; and what their example says."""

import argparse
import re
import shlex
from pathlib import Path

from edge.cli import archive
from tests.deploy.test_sink_unit import DEPLOY, stage
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
