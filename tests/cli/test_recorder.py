"""`kerbstone recorder` beside a daemon that answers, and without one; and what `replay` refuses."""

import base64
import stat
from pathlib import Path

import pytest

from tests.cli.answering_daemon import answering
from tests.kit.command import Command, MakeSite

ONE = {
    "number": 3, "size": 90_000, "age_s": 40.0, "left_s": 560.0, "from_s": 340.0, "to_s": 40.0,
    "reasons": ["congestion north: full\x1b[31m", "a lorry"],
}  # fmt: skip
TOLD = {"recordings": [ONE], "ring_s": 301.0, "ring_bytes": 200_000, "ready_s": None}


@pytest.fixture
def file(site: MakeSite, tmp_path: Path) -> Path:
    return site(more=f'[store]\nrun_dir = "{tmp_path / "run"}"')


def run_dir(file: Path) -> Path:
    return file.parent / "run"


def test_a_list_says_what_is_there_and_for_how_long(kerbstone: Command, file: Path) -> None:
    with answering(run_dir(file), {"recorder": TOLD}):
        said = kerbstone("recorder", "list", "--config", file)
    assert said.code == 0
    assert said.lines[:2] == [
        "In memory: the last 5 min, 195 kB",
        "Recording 3: 5 min up to 40 s ago, 87 kB; gone in 9 min",
    ]
    assert said.lines[2].startswith("  congestion north: full")
    assert said.lines[3] == "  a lorry"
    assert "\x1b" not in said.out


def test_what_is_frozen_says_when_it_is_there(kerbstone: Command, file: Path) -> None:
    with answering(run_dir(file), {"recorder": {**TOLD, "recordings": [], "ready_s": 42.0}}):
        said = kerbstone("recorder", "freeze", "--why", "a lorry", "--config", file)
    assert said.lines[-1] == "Another one will be there in 42 s"


def test_a_recording_is_saved_for_its_owner_alone(
    kerbstone: Command, file: Path, tmp_path: Path
) -> None:
    piece = {"data": base64.b64encode(b"abc").decode(), "size": 3}
    with answering(run_dir(file), {"recorder": {**TOLD, **piece}}):
        out = tmp_path / "some.rec"
        assert kerbstone("recorder", "save", "3", "--out", out, "--config", file).code == 0
        assert out.read_bytes() == b"abc"
        assert stat.S_IMODE(out.stat().st_mode) == 0o600
        said = kerbstone("recorder", "save", "4", "--config", file)
        assert (said.code, said.err) == (
            1, "kerbstone recorder: there is no recording 4; there are 3\n"
        )  # fmt: skip
        nowhere = tmp_path / "none" / "some.rec"
        assert kerbstone("recorder", "save", "3", "--out", nowhere, "--config", file).code == 3


@pytest.mark.parametrize(
    "piece", [{}, {"data": "?", "size": 3}, {"data": "", "size": 3}, {"data": "YWJj", "size": 1e12}]
)
def test_what_is_no_recording_is_not_saved(
    kerbstone: Command, file: Path, tmp_path: Path, piece: dict[str, object]
) -> None:
    with answering(run_dir(file), {"recorder": {**TOLD, **piece}}):
        out = tmp_path / "some.rec"
        assert kerbstone("recorder", "save", "3", "--out", out, "--config", file).code == 3
    assert not out.exists()


def test_without_a_daemon_there_is_nothing(kerbstone: Command, file: Path) -> None:
    said = kerbstone("recorder", "list", "--config", file)
    assert said.code == 3
    assert "no daemon runs" in said.err


def test_a_daemon_of_an_older_version_says_so(kerbstone: Command, file: Path) -> None:
    with answering(run_dir(file), {"status": {}}):
        said = kerbstone("recorder", "list", "--config", file)
    assert said.code == 3
    assert "of an older version" in said.err


@pytest.mark.parametrize(
    "words",
    [(), ("a.rec", "--edges", "b.csv"), ("a.rec", "--start", "2026-01-01"),
     ("a.rec", "--plot", "a.html"), ("--edges", "b.csv", "--test", "test_a.py"),
     ("a.rec", "--test", "a.py"), ("none.rec",)],
)  # fmt: skip
def test_a_replay_of_nothing_or_of_two_things_is_wrong_use(
    kerbstone: Command, file: Path, words: tuple[str, ...]
) -> None:
    said = kerbstone("replay", *words, "--config", file)
    assert said.code == 2
    assert said.err.startswith("kerbstone replay: ")
