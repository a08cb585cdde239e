"""One silent meter of ten behind one TCP endpoint: what becomes of the nine others."""

import signal
import time
from pathlib import Path

import pytest

from tests.bench.report import Report
from tests.bench.rig import LONG_S, METERS, VALUES, Moment, Who, values_between, world

pytestmark = pytest.mark.bench

EVERY_S = 0.05
BEFORE_S, AFTER_S = 3.0, 6.0
FIRST_TIMEOUT_S = 1.0


def rates(folder: Path, who: Who) -> tuple[float, float]:
    """Readings/s of the nine others: before, and after the first time-out."""
    with (
        world(folder) as one,
        one.gateway(who, EVERY_S, raw_commit_s=0.5, period_s=LONG_S) as gateway,
    ):
        one.first_value_ns(gateway)
        time.sleep(0.5)
        moments = [Moment.now()]
        time.sleep(BEFORE_S)
        moments.append(Moment.now())
        one.meters.send(signal.SIGUSR1)
        time.sleep(FIRST_TIMEOUT_S)
        moments.append(Moment.now())
        time.sleep(AFTER_S)
        moments.append(Moment.now())
        time.sleep(1.5)
        heard = one.listener.heard()
    before = values_between(who, heard, *moments[:2]) / VALUES / BEFORE_S
    after = values_between(who, heard, *moments[2:]) / VALUES / AFTER_S
    return before * (METERS - 1) / METERS, after


def test_the_nine_others(tmp_path: Path, report: Report) -> None:
    before, after = rates(tmp_path / "ours", "ours")
    script_before, script_after = rates(tmp_path / "script", "script")
    what = "one silent meter of ten: the nine others"
    report.add(what, after, before, "readings/s", "ours before", f"time-out 0.5 s, {AFTER_S:.0f} s")
    report.add(
        what,
        script_after,
        script_before,
        "readings/s",
        "script before",
        "the script, for comparison",
    )
