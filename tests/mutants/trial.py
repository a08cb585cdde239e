"""Mutants on trial: one at a time in a copy of the repository, against the tests that reach it."""

import contextlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from tests.mutants.reach import ROOT, tracked

QUICK: Final = 60  # tests of the first turn: most mutants do not outlive them
LONGEST_S: Final = 120.0  # what the tests of one mutant may take by themselves
SLOWER: Final = 4.0  # a mutant may be so much slower than the code
START_S: Final = 60.0
SILENT: Final = 5  # pytest: no tests were found
FAILED: Final = re.compile(r"^(?:FAILED|ERROR) (\S.*?)(?: - |$)", re.MULTILINE)


class Fate(StrEnum):
    """What became of a mutant."""

    KILLED = "killed"
    HUNG = "hung"  # the tests did not end: that is noticed, too
    SURVIVED = "survived"
    UNREACHED = "unreached"  # no test runs the line


@dataclass(frozen=True, slots=True)
class Verdict:
    """`by`: the test that noticed it."""

    fate: Fate
    by: str = ""
    tests: int = 0
    seconds: float = 0.0

    @property
    def noticed(self) -> bool:
        return self.fate in (Fate.KILLED, Fate.HUNG)


class Bench:
    """A copy of the repository in which files are changed, and put back."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="kerbstone-mutants-")
        self.root = Path(self._folder.name) / "copy"
        self._second = int(time.time())

    def __enter__(self) -> Self:
        for name in tracked():
            target = self.root / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, target)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._folder.cleanup()

    def trial(
        self, path: str, changed: bytes, tests: Sequence[str], took: Sequence[float]
    ) -> Verdict:
        """`took`: how long each test takes on the code as it is. Stops at the first that fails.

        A test that fails on the code as it is, behind the same others, has noticed nothing, and is
        left out.
        """
        started = time.monotonic()
        wanted = _within(tests, took)
        left, flaky = list(wanted), set[str]()
        while left:
            turn = left[:QUICK] if len(left) == len(wanted) else left
            limit = START_S + SLOWER * sum(took[tests.index(one)] for one in turn)
            said = self._changed(path, changed, turn, limit)
            if said is None:
                return Verdict(Fate.HUNG, "", len(wanted), time.monotonic() - started)
            if said == "":
                left = left[len(turn) :]
                continue
            if self.passes(turn[: turn.index(said) + 1] if said in turn else [said], limit):
                return Verdict(Fate.KILLED, said, len(wanted), time.monotonic() - started)
            if said in flaky:
                left = left[len(turn) :]
                continue
            flaky.add(said)
            left = [one for one in left if one != said]
        fate = Fate.SURVIVED if wanted else Fate.UNREACHED
        return Verdict(fate, "", len(wanted), time.monotonic() - started)

    def passes(self, tests: Sequence[str], limit_s: float) -> bool:
        """Do these pass on the code as it is?"""
        return self._run(tests, limit_s) == ""

    def _changed(self, path: str, changed: bytes, tests: Sequence[str], limit: float) -> str | None:
        file = self.root / path
        before = file.read_bytes()
        try:
            self._write(file, changed)
            return self._run(tests, limit)
        finally:
            self._write(file, before)

    def _write(self, file: Path, data: bytes) -> None:
        file.write_bytes(data)
        # what is compiled is known by second and size: two writes must not share both
        self._second += 1
        os.utime(file, (self._second, self._second))

    def _run(self, tests: Sequence[str], limit_s: float) -> str | None:
        """The first test that fails, "" for none; None when they did not end."""
        listed = self.root / ".mutants"
        listed.write_text("\n".join(tests), encoding="utf-8")
        command = [
            *(sys.executable, "-m", "pytest", "-x", "-q", "-rfE", "--tb=no", "--no-header"),
            *("-p", "no:cacheprovider", "-p", "no:xdist", f"@{listed}"),
        ]
        env = {**os.environ, "PYTHONPATH": str(self.root)}
        with tempfile.TemporaryFile() as out:
            ran = subprocess.Popen(
                command, cwd=self.root, env=env, stdout=out, stderr=out, start_new_session=True
            )
            try:
                code = ran.wait(limit_s)
            except subprocess.TimeoutExpired:
                return None
            finally:
                _end(ran)
            out.seek(0)
            text = out.read().decode(errors="replace")
        if code == 0:
            return ""
        found = FAILED.search(text)
        # where the module cannot even be imported no test is named
        return found[1] if found else tests[0]


def _within(tests: Sequence[str], took: Sequence[float]) -> list[str]:
    """From the first on, as many as fit into the time."""
    found: list[str] = []
    total = 0.0
    for test, seconds in zip(tests, took, strict=True):
        if found and total + seconds > LONGEST_S:
            continue
        found.append(test)
        total += seconds
    return found


def _end(ran: subprocess.Popen[bytes]) -> None:
    """The whole group: tests start processes of their own."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(ran.pid, 9)
    ran.wait()
