"""How old a value is when the subscriber gets it, with every batch committed at once."""

import os
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median, quantiles

import pytest

from tests.bench.report import Report
from tests.bench.rig import LONG_S, Who, world

pytestmark = pytest.mark.bench

SECONDS = 6.0
EVERY_S = 0.1
STAMP = "stamp"  # the point that holds when the meter answered, in us
BLOCK = 4096


def ages_ms(folder: Path, who: Who) -> list[float]:
    with (
        world(folder, "clock20") as one,
        one.gateway(who, EVERY_S, raw_commit_s=0.0, period_s=LONG_S) as gateway,
    ):
        one.first_value_ns(gateway)
        time.sleep(SECONDS)
        found = []
        for each in one.listener.heard():
            stamps: Sequence[object] = ()
            if who == "ours" and each.raw:
                stamps = [sweep.values[-1] for sweep in each.sweeps()]
            elif who == "script" and each.values:
                stamps = [each.message()[STAMP]]
            found += [each.at_ns / 1e6 - int(s) / 1e3 for s in stamps if isinstance(s, int)]
    return found[len(found) // 6 :]  # the first second belongs to the start


def fsyncs_ms(folder: Path) -> list[float]:
    """What the disk takes for one block, appended and synchronised."""
    took = []
    block = os.urandom(BLOCK)
    with (folder / "fsync").open("wb", buffering=0) as file:
        for _ in range(100):
            time.sleep(0.005)
            begin = time.perf_counter()
            file.write(block)
            os.fsync(file.fileno())
            took.append(1e3 * (time.perf_counter() - begin))
    return took


def test_age_of_a_value(tmp_path: Path, report: Report) -> None:
    ours, script = ages_ms(tmp_path / "ours", "ours"), ages_ms(tmp_path / "script", "script")
    disk = fsyncs_ms(tmp_path)
    for name, at in (("p50", median), ("p99", lambda ages: quantiles(ages, n=100)[98])):
        how = f"10 meters each {EVERY_S} s, commit at once, {len(ours)} values"
        report.add(f"age of a value, {name}", at(ours), at(disk), "ms", "one fsync of 4 KiB", how)
        report.add(f"age of a value, {name}", at(ours), at(script), "ms", "script, no disk", how)
