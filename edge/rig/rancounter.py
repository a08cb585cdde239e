"""Whether any test of a box has run: a run of pytest that must show something fails if none has."""

from collections import Counter
from typing import Final

import pytest

PROPERTY: Final = "rig_layer"
"""Of the report of a test of a box."""


class RanCounter:
    """What came of the tests of a box, those of all workers together."""

    def __init__(self) -> None:
        self._ran = 0
        self._skipped: Counter[str] = Counter()  # by the reason

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if not any(name == PROPERTY for name, _ in report.user_properties):
            return
        if report.skipped:
            said = report.longrepr
            reason = str(said[2]) if isinstance(said, tuple) else str(said)
            self._skipped[reason.removeprefix("Skipped: ")] += 1
        elif report.when == "call":
            self._ran += 1

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        fine = (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED)
        if not self._ran and session.exitstatus in fine:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if self._ran:
            return
        why = [f"{reason} ({count} skipped)" for reason, count in self._skipped.most_common()]
        for line in why or ["no test asks for a box"]:
            terminalreporter.write_line(f"no test of a box has run: {line}", red=True)
