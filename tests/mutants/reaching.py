"""A pytest plugin: which test reaches which line, and how long each takes.

    REACH=FOLDER python -m pytest -p tests.mutants.reaching ...

Each process writes FOLDER/NAME.coverage, whose contexts are the names of tests, and
FOLDER/NAME.json: `passed`, the seconds of each test that passed, and `failed`, the names of those
that did not, or could not be set up or cleared away. What was skipped is in neither.
"""

import json
import os
import warnings
from collections.abc import Generator
from pathlib import Path
from typing import Any

import coverage
import pytest

_FOLDER = Path(os.environ["REACH"])
_NAME = f"{os.environ.get('PYTEST_XDIST_WORKER', 'main')}-{os.getpid()}"
_MEASURE = coverage.Coverage(
    data_file=str(_FOLDER / f"{_NAME}.coverage"), source=["edge"], config_file=False
)
_SECONDS: dict[str, float] = {}
_NOT_PASSED: set[str] = set()
_FAILED: set[str] = set()
_MEASURE.start()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, Any, Any]:
    _MEASURE.switch_context(item.nodeid)
    return (yield)


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    if report.outcome != "passed":
        _NOT_PASSED.add(report.nodeid)
    if report.outcome == "failed":
        _FAILED.add(report.nodeid)
    _SECONDS[report.nodeid] = _SECONDS.get(report.nodeid, 0.0) + report.duration


def pytest_sessionfinish() -> None:
    _MEASURE.stop()
    with warnings.catch_warnings(action="ignore"):  # a process may have run nothing of ours
        _MEASURE.save()
    passed = {name: took for name, took in _SECONDS.items() if name not in _NOT_PASSED}
    result = json.dumps({"passed": passed, "failed": sorted(_FAILED)})
    (_FOLDER / f"{_NAME}.json").write_text(result, encoding="utf-8")
