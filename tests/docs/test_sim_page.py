"""docs/sim.md is true: its commands, in its order, say what it says that they say."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest

from tests.docs.pages import ROOT, text
from tests.long import LONG

PAGE: Final = ROOT / "docs" / "sim.md"
BLOCK: Final = re.compile(r"^```console\n(.*?)^```", re.MULTILINE | re.DOTALL)
YOU: Final = "/home/you/try"
REST: Final = "..."  # any text in a line, or any lines
STAYS: Final = ("kerbstone sim site.toml", "kerbstone run desk/site.toml")  # until Ctrl-C
WAIT_S: Final = 60.0
JUDGED: Final = "fault    lane_verdict"  # is said after minutes of traffic: only by `make long`
JUDGED_S: Final = 200.0
CODES: Final = {  # where the page says that it is not 0
    "kerbstone doctor --check wires --config desk/site.toml": {0, 1},
    "kerbstone doctor --check lanes --config desk/site.toml": {0, 1},
    "kerbstone read main_meter --config desk/site.toml": {0, 3},
    "kerbstone status --config desk/site.toml": {0, 1},
}


@dataclass(frozen=True)
class PageCommand:
    """A command of the page, and what it says there."""

    words: str
    shown: tuple[str, ...]


def commands() -> Iterator[PageCommand]:
    for block in BLOCK.findall(text(PAGE)):
        words, shown = "", list[str]()
        for line in block.splitlines():
            if line.startswith("$ "):
                if words:
                    yield PageCommand(words, tuple(shown))
                words, shown = line[2:], []
            else:
                shown.append(line)
        if words:
            yield PageCommand(words, tuple(shown))


def differs(shown: tuple[str, ...], said: list[str]) -> str:
    """The first line that the page shows and the command does not say; "" when there is none."""
    at, anywhere = 0, False
    for line in shown:
        if line.strip() == REST:
            anywhere = True
            continue
        parts = [re.escape(" ".join(part.split())) for part in line.split(REST)]
        wanted = re.compile(r".*".join(parts) + (r".*" if line.endswith(REST) else ""))
        found = next(
            (n for n, one in enumerate(said[at:], at) if wanted.fullmatch(" ".join(one.split()))),
            None,
        )
        if found is None or (not anywhere and found != at):
            return line
        at, anywhere = found + 1, False
    return "" if anywhere or at >= len(said) or not shown else said[at]


def test_a_difference_is_found() -> None:
    said = ["a 1", "b 2 x", "c"]
    assert differs(("a   1", "b ... x", "c"), said) == ""
    assert differs(("...", "c"), said) == ""
    assert differs(("a 1", "..."), said) == ""
    assert differs(("a 1", "c"), said) == "c"
    assert differs(("b 2 x", "..."), said) == "b 2 x"
    assert differs(("a 1", "b 2 x"), said) == "c"
    assert differs(("a 1", "...", "d"), said) == "d"


class Terminal:
    """A folder that was empty, and what was started in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.running: list[subprocess.Popen[str]] = []
        bin_ = folder.parent / "bin"
        bin_.mkdir()
        program = bin_ / "kerbstone"
        program.write_text(f'#!/bin/sh\nexec {sys.executable} -m edge.cli.main "$@"\n')
        program.chmod(0o755)
        path = f"{bin_}:{os.environ['PATH']}"
        self.env = {**os.environ, "PYTHONPATH": str(ROOT), "PATH": path, "COLUMNS": "400"}

    def stays(self, one: PageCommand) -> None:
        """Start it, and wait until it has said what the page shows."""
        log = self.folder.parent / f"log-{len(self.running)}"
        with log.open("w") as out:
            self.running.append(
                subprocess.Popen(one.words.split(), cwd=self.folder, env=self.env, stdout=out,
                                 stderr=out, text=True)
            )  # fmt: skip
        end = time.monotonic() + WAIT_S
        asked = self.folder / "desk" / "run" / "control.sock"  # by whom a gateway can be asked
        while differs(one.shown, self._plain(log.read_text())) or (
            " run " in one.words and not asked.exists()
        ):
            assert time.monotonic() < end, (one, log.read_text())
            assert self.running[-1].poll() is None, log.read_text()
            time.sleep(0.05)

    def runs(self, one: PageCommand) -> None:
        """Run it; what changes with time it may say a little later."""
        judged = any(line.startswith(JUDGED) for line in one.shown)
        end = time.monotonic() + (JUDGED_S if judged else WAIT_S)
        while LONG or not judged:
            done = subprocess.run(
                ["sh", "-c", one.words], cwd=self.folder, env=self.env, timeout=WAIT_S, text=True,
                stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            )  # fmt: skip
            wrong = differs(one.shown, self._plain(done.stdout))
            if not wrong:
                assert done.returncode in CODES.get(one.words, {0}), (one.words, done.stdout)
                break
            assert time.monotonic() < end, (one.words, wrong, done.stdout)
            time.sleep(0.2)

    def end(self) -> None:
        for one in reversed(self.running):
            one.send_signal(signal.SIGINT)
            assert one.wait(WAIT_S) in (0, 130)

    def _plain(self, said: str) -> list[str]:
        return [line for line in said.replace(str(self.folder), YOU).splitlines() if line.strip()]


@pytest.mark.timeout(600)
def test_its_commands_say_what_it_shows(tmp_path: Path) -> None:
    folder = tmp_path / "try"
    folder.mkdir()
    terminal = Terminal(folder)
    try:
        for one in commands():
            if one.words in STAYS:
                terminal.stays(one)
            else:
                terminal.runs(one)
        terminal.end()
    finally:
        for process in terminal.running:
            process.kill()
            process.wait()
    assert {each.name for each in folder.iterdir()} == {"site.toml", "desk", "mine.toml"}


def test_every_kind_of_thing_is_tried() -> None:
    verbs = {one.words.split()[1] for one in commands() if one.words.startswith("kerbstone ")}
    assert verbs >= {"sample", "sim", "check", "scan", "read", "doctor", "run", "status"}
    assert len(list(commands())) > 15


@pytest.mark.parametrize("fault", re.findall(r"kerbstone sim fault \w+ (\w+)", text(PAGE)))
def test_a_fault_that_it_names_in_its_text_is_one(fault: str) -> None:
    listed = subprocess.run(
        [sys.executable, "-m", "edge.cli.main", "sim", "deploy/cabinet.example.toml", "--faults"],
        cwd=ROOT, capture_output=True, text=True, timeout=WAIT_S, check=True,
    ).stdout  # fmt: skip
    assert fault == "none" or re.search(rf"\b{fault}\b", listed)
