"""The command as a whole: verbs, exit codes, and an output that programs can read."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.kit.command import Command, MakeSite

ROOT = Path(__file__).parents[2]
VERBS = (
    "run", "demo", "check", "read", "scan", "doctor", "sim", "decode", "replay", "score",
    "subscribe", "status", "outbox", "receipts", "audit", "models", "import",
)  # fmt: skip
PRINTS_RESULTS = (
    "check",
    "read",
    "scan",
    "doctor",
    "import",
    "replay",
    "score",
    "decode",
    "subscribe",
    "status",
    "outbox",
    "receipts",
    "audit",
    "models",
)


def test_help_names_every_verb(kerbstone: Command) -> None:
    said = kerbstone("--help")
    assert said.code == 0
    for verb in VERBS:
        assert re.search(rf"^    {verb}\s+\w", said.out, re.MULTILINE), verb
    for code in ("0", "1", "2", "3"):
        assert code in said.out


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_a_help_of_its_own(kerbstone: Command, verb: str) -> None:
    said = kerbstone(verb, "--help")
    assert said.code == 0
    assert said.out.startswith(f"usage: kerbstone {verb} ")
    assert "None" not in said.out


@pytest.mark.parametrize("verb", PRINTS_RESULTS)
def test_every_verb_that_prints_results_prints_json(kerbstone: Command, verb: str) -> None:
    assert "--json" in kerbstone(verb, "--help").out


def test_version(kerbstone: Command) -> None:
    said = kerbstone("--version")
    assert said.code == 0
    assert said.out.startswith("kerbstone ")


@pytest.mark.parametrize("words", [[], ["walk"], ["--loud"], ["replay"], ["decode"], ["read"]])
def test_wrong_use_is_exit_2_with_the_usage(kerbstone: Command, words: list[str]) -> None:
    said = kerbstone(*words)
    assert said.code == 2
    assert said.out == ""
    assert said.err.startswith("usage: kerbstone")


def test_an_unknown_verb_is_told_which_there_are(kerbstone: Command) -> None:
    said = kerbstone("walk")
    assert all(verb in said.err for verb in VERBS)


@pytest.mark.parametrize("verb", ["read", "replay", "outbox", "run", "check"])
def test_a_configuration_that_is_not_there_is_exit_2(
    kerbstone: Command, tmp_path: Path, verb: str
) -> None:
    path = tmp_path / "none.toml"
    words = {
        "read": ["read", "x", "--config", path],
        "replay": ["replay", "--edges", tmp_path / "none.csv", "--config", path],
        "outbox": ["outbox", "--config", path],
        "run": ["run", path],
        "check": ["check", path],
    }[verb]
    said = kerbstone(*words)
    assert said.code == 2
    assert str(path) in said.err
    assert said.out == ""


def test_a_reader_that_goes_away_is_no_traceback(site: MakeSite, tmp_path: Path) -> None:
    """`kerbstone replay ... | head -1`."""
    edges = tmp_path / "edges.csv"
    rows = "".join(f"{60_000 * i},a,{i % 2}\n" for i in range(3000))
    edges.write_text("t_ms,line,level\n" + rows)
    words = ["replay", "--config", str(site()), "--edges", str(edges)]
    with subprocess.Popen(
        [sys.executable, "-m", "edge.cli.main", *words],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait(60) in (0, 1)
