"""A plugin of pytest for runs that exist to show something: to skip all of it is no success.

    python -m pytest -p tests.mustrun tests/kernel

Where no test passed and none failed, the run ends with 1 and a sentence that says what is missing:
each reason for a skip once.
"""

from collections import Counter

import pytest


class MustRun:
    """What came of the tests of a run, all workers together."""

    def __init__(self) -> None:
        self.ran = 0
        self.skipped: Counter[str] = Counter()  # by the reason

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        expected = hasattr(report, "wasxfail")  # it ran, and failed as it should
        if report.skipped and not expected:
            self.skipped[_reason(report.longrepr)] += 1
        elif report.when == "call" or report.failed or expected:
            self.ran += 1

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """A file that skips as a whole."""
        if report.skipped:
            self.skipped[_reason(report.longrepr)] += 1

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        if not self.ran and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if self.ran or terminalreporter.stats.get("error"):
            return
        why = [f"{reason} ({count} skipped)" for reason, count in self.skipped.most_common()]
        terminalreporter.section("nothing was shown", red=True)
        for line in why or ["no test was chosen"]:
            terminalreporter.line(f"nothing was shown: {line}", red=True)


def _reason(said: object) -> str:
    """What `pytest.skip` was given."""
    reported = str(said[2]) if isinstance(said, tuple) else str(said)
    return reported.removeprefix("Skipped: ")


def pytest_configure(config: pytest.Config) -> None:
    """A worker of xdist sees a part of the tests: only who started it can judge."""
    if not hasattr(config, "workerinput") and not config.option.collectonly:
        config.pluginmanager.register(MustRun())
