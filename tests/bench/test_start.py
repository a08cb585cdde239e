"""From exec to the first value that a subscriber gets."""

import subprocess
import sys
import time
from pathlib import Path
from statistics import median

import pytest

from tests.bench.report import Report
from tests.bench.rig import LONG_S, Who, world

pytestmark = pytest.mark.bench

ROUNDS = 5


def first_value_s(folder: Path, who: Who) -> float:
    with world(folder) as one:
        begin_ns = time.monotonic_ns()
        with one.gateway(who, 1.0, raw_commit_s=0.0, period_s=LONG_S, models="true") as gateway:
            return (one.first_value_ns(gateway) - begin_ns) / 1e9


def nothing_s() -> float:
    begin = time.perf_counter()
    subprocess.run([sys.executable, "-c", "pass"], check=True)
    return time.perf_counter() - begin


def test_start(tmp_path: Path, report: Report) -> None:
    ours, script, python = [], [], []
    for number in range(ROUNDS):
        ours.append(first_value_s(tmp_path / f"ours{number}", "ours"))
        script.append(first_value_s(tmp_path / f"script{number}", "script"))
        python.append(nothing_s())
    how = f"median of {ROUNDS}; models load after the first value"
    what = "exec to the first published value"
    report.add(what, median(ours), median(script), "s", "script", how)
    report.add(what, median(ours), median(python), "s", "python -c pass", how)
