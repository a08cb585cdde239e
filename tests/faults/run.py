"""`python -m tests.faults.run [--short] [--write] [pytest's options]`: the fault matrix, injected.

Runs the tests of the matrix and those of this folder, then prints what came of each row. Exits 0
only if some passed, and all others were skipped with a reason. --write makes docs/faults.md and
runs nothing.
"""

import argparse
import os
import sys
from typing import Final

import pytest

from tests.faults.matrix import ROOT, matrix, node_ids
from tests.faults.report import KNOWN, Outcome, Result, document, table

DOCUMENT: Final = ROOT / "docs" / "faults.md"
FOLDER: Final = "tests/faults"
WORSE: Final[tuple[Outcome, ...]] = ("not run", "skipped", "passed", "failed")


class Outcomes:
    """A plugin of pytest: what came of each test, all its parameters together."""

    def __init__(self) -> None:
        self.results: dict[str, Result] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        known = getattr(report, "wasxfail", None)
        if known is not None:
            self.add(report.nodeid, "skipped", f"{KNOWN}: {known}")
        elif report.when == "call" or report.outcome != "passed":
            self.add(report.nodeid, report.outcome, _why(report.longrepr))

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """A file that cannot be imported, or that skips as a whole."""
        if report.outcome == "passed":
            return
        for name in node_ids(short=False):
            if name.startswith(f"{report.nodeid}::"):
                self.add(name, report.outcome, _why(report.longrepr))

    def add(self, node_id: str, outcome: Outcome, why: str) -> None:
        name = node_id.partition("[")[0]
        before = self.results.get(name, Result("not run"))
        if WORSE.index(outcome) > WORSE.index(before.outcome):
            self.results[name] = Result(outcome, why)


def _why(said: object) -> str:
    """The reason of a skip; failures are told by pytest itself."""
    return str(said[2]).removeprefix("Skipped: ") if isinstance(said, tuple) else ""


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.faults.run", description=__doc__)
    parser.add_argument("--short", action="store_true", help="without the slow tests")
    parser.add_argument("--write", action="store_true", help="make docs/faults.md, run nothing")
    options, more = parser.parse_known_args(arguments)
    if options.write:
        DOCUMENT.write_text(document(matrix()), encoding="utf-8")
        print(f"{DOCUMENT.relative_to(ROOT)}: written")
        return 0
    os.chdir(ROOT)
    if not options.short:
        os.environ["FAULTS"] = "all"
        os.environ["LONG"] = "1"
    chosen = [name for name in node_ids(short=options.short) if not name.startswith(FOLDER)]
    outcomes = Outcomes()
    usual = ["-q", "--timeout", "1800", "-p", "no:cacheprovider", "-p", "tests.mustrun"]
    code = pytest.main([*usual, *more, *chosen, FOLDER], plugins=[outcomes])
    print()
    print(table(matrix(), outcomes.results, short=options.short))
    return int(code)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
