"""Which tests reach a line: the suites run once under coverage, with the test as its context."""

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import coverage

ROOT: Final = Path(__file__).parents[2]
WITHOUT: Final = "not bench and not kernel and not scene"
TIMEOUT_S: Final = 240  # of one test; coverage makes it slower


class ReachError(Exception):
    """The suites do not pass, or reach nothing: no mutant says anything."""


@dataclass(slots=True)
class Reach:
    """`lines`: by file and line the tests that run it; `seconds`: how long a test takes."""

    seconds: dict[str, float] = field(default_factory=dict)
    lines: dict[str, dict[int, set[str]]] = field(default_factory=dict)

    def tests(self, path: str, line: int, last: int) -> list[str]:
        """Those that run a statement: its own tests first, and of these the quick ones."""
        here = self.lines.get(path, {})
        found = set().union(*(here.get(number, set()) for number in range(line, last + 1)))
        package = path.split("/")[1]
        return sorted(found, key=lambda test: (not _is_of(test, package), self.seconds[test], test))

    def took(self, tests: Iterable[str]) -> float:
        return sum(self.seconds[test] for test in tests)


def measure(
    suites: Sequence[str], files: Sequence[str], cache: Path, workers: int, root: Path = ROOT
) -> Reach:
    """Run the suites, or read what they said the last time if nothing has changed since.

    Raises ReachError, with the names of all tests that fail: they would notice no mutant, and what
    only they notice would seem to survive. Nothing is kept of such a run.
    """
    folder = cache / _state(suites)
    if not (folder / "done").exists():
        folder.mkdir(parents=True, exist_ok=True)
        for old in folder.iterdir():
            old.unlink()
        print("which test reaches which line:", *suites, flush=True)
        code = _run(root, folder, ["-n", str(workers), "--dist", "loadfile", *suites])
        if code not in (0, 1):  # not collected, or broken off: no test has said so
            raise ReachError(f"the suites could not be run: pytest ended with {code}")
        if failed := _failed(folder):
            print("once more, alone:", *failed, flush=True)
            code = _run(root, folder, ["-n", "0", *failed])
            failed = _failed(folder)
        if failed:
            some = "1 test fails" if len(failed) == 1 else f"{len(failed)} tests fail"
            head = f"{some} on the unchanged code, so no mutant was tried:"
            raise ReachError("\n  ".join([head, *failed]))
        if code:
            raise ReachError(f"the suites could not be run: pytest ended with {code}")
        (folder / "done").touch()
    return _read(folder, files)


def _run(root: Path, folder: Path, what: Sequence[str]) -> int:
    """With what pytest ended. A worker of another run may start this one: its name is not ours."""
    command = [
        *(sys.executable, "-m", "pytest", "-q", "-p", "tests.mutants.reaching"),
        *("-p", "no:cacheprovider", "--timeout", str(TIMEOUT_S), "-m", WITHOUT, *what),
    ]
    outer = {name: said for name, said in os.environ.items() if "PYTEST_XDIST" not in name}
    env = {**outer, "REACH": str(folder), "PYTHONPATH": str(ROOT)}
    return subprocess.run(command, cwd=root, env=env, check=False).returncode


def _failed(folder: Path) -> list[str]:
    """Of all processes those that did not pass later, each name once."""
    reported = [json.loads(path.read_text(encoding="utf-8")) for path in folder.glob("*.json")]
    passed = {name for each in reported for name in each["passed"]}
    return sorted({name for each in reported for name in each["failed"]} - passed)


def _read(folder: Path, files: Sequence[str]) -> Reach:
    reach = Reach()
    for reported in folder.glob("*.json"):
        reach.seconds |= json.loads(reported.read_text(encoding="utf-8"))["passed"]
    for measured in folder.glob("*.coverage"):
        data = coverage.CoverageData(str(measured))
        data.read()
        for path in files:
            mine = reach.lines.setdefault(path, {})
            for line, contexts in data.contexts_by_lineno(str(ROOT / path)).items():
                mine.setdefault(line, set()).update(reach.seconds.keys() & set(contexts))
    if not any(tests for lines in reach.lines.values() for tests in lines.values()):
        raise ReachError("no test reaches any line that is to be changed")
    return reach


def _state(suites: Sequence[str]) -> str:
    """Names the state of code and tests, and what was run."""
    known = hashlib.sha256("\n".join(suites).encode())
    for path in tracked():
        known.update(path.encode())
        known.update(hashlib.sha256((ROOT / path).read_bytes()).digest())
    return known.hexdigest()[:16]


def tracked() -> list[str]:
    """Every file of the repository, those that are not committed yet too."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, check=True).stdout
    names = sorted(set(filter(None, result.decode().split("\0"))))
    return [name for name in names if (ROOT / name).is_file()]


def _is_of(test: str, package: str) -> bool:
    return test.startswith(f"tests/{package}/")
