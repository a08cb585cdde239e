"""Everything breaks at random, and in the end every number, reading, Wh and vehicle is there once.

`ORACLE_S` seconds (20 here, 720 in `make oracle`) with the faults of `SEED`, in real time with real
processes. The period is 5 s instead of a minute: twelve times as many windows end, are committed
and are handed over while something breaks, and single records are as small as ever. Receipts are
waited for 10 s, manifests come each 30 s, for the same reason.
"""

import json
import os
import shutil
import signal
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.kit.broker import BINARY
from tests.oracle.found import PlatformFindings, stored, truth, with_outbox
from tests.oracle.inject import Injector, possible
from tests.oracle.report import figures, table
from tests.oracle.schedule import schedule
from tests.oracle.verdict import judge
from tests.oracle.world import OracleRun

SECONDS = float(os.environ.get("ORACLE_S") or "20")
SEED = int(os.environ.get("SEED") or "4")
ONLY = os.environ.get("ONLY")  # kinds of faults with commas between, to look at them alone
KEEP = os.environ.get("ORACLE_KEEP")  # a folder for what is left of a run
LONG = SECONDS >= 60
PATIENCE_S = 240.0  # until all is receipted: `receipt_s` doubles with each repeat
FRESH_S = 60.0


@pytest.fixture
def world(tmp_path: Path) -> Iterator[OracleRun]:
    if not Path(BINARY).exists():
        pytest.skip("mosquitto is not installed: apt-get install mosquitto")
    words = {"period_s": 5, "receipt_s": 10, "manifest_s": 30}
    if not LONG:
        words = {"period_s": 2, "receipt_s": 5, "manifest_s": 5}
    one = OracleRun(tmp_path, SEED, **words)
    yield one
    one.close()
    if KEEP:
        ignore = shutil.ignore_patterns("*.sock", "log")
        shutil.copytree(tmp_path, KEEP, dirs_exist_ok=True, ignore=ignore)


@pytest.mark.timeout(SECONDS + 900)
def test_every_number_reading_and_vehicle_is_there_once_or_declared(world: OracleRun) -> None:
    kinds, skipped = possible(world)
    kinds = [kind for kind in kinds if ONLY is None or kind in ONLY.split(",")]
    faults = schedule(SEED, SECONDS, kinds)
    print(f"\nSEED={SEED}, {SECONDS:.0f} s, {len(faults)} faults; not injected: {skipped or '-'}")
    world.broker.start()
    world.platform.start()
    world.daemon.start()
    injector = Injector(world, faults, print)
    injector.play(SECONDS)
    fresh_us = until_fresh(world, injector.last_ns // 1000)
    wait_until_receipted(world, injector.last_ns)
    stopped_us = time.monotonic_ns() // 1000
    code = world.daemon.end()
    wait_for_the_platform(world)
    world.platform.end(signal.SIGINT)
    world.end_simulators()
    wall_us = (time.time_ns() - time.monotonic_ns()) // 1000
    if KEEP:
        Path(KEEP).mkdir(parents=True, exist_ok=True)
        (Path(KEEP) / "times.json").write_text(json.dumps([stopped_us, wall_us]))
    found = with_outbox(stored(world.store, wall_us), world.state / "store", world.folder / "copy")
    verdict = judge(found, truth(world.folder), stopped_us)
    audit = world.audit()
    reported = figures(world, found, injector, verdict, fresh_us)
    print(table(reported, injector.done, skipped))
    print(json.dumps({"seed": SEED, "seconds": SECONDS, "faults": injector.done, **reported}))
    print(*verdict.findings[:60], sep="\n")
    assert verdict.findings == []
    assert code == 0, world.daemon.codes
    assert audit.returncode == 0, audit.stdout[-3000:]
    assert set(injector.done) == set(kinds) or SECONDS < 720
    assert 0 < fresh_us < FRESH_S * 1e6
    assert judge_notices(world, wall_us, stopped_us, found)


def until_fresh(world: OracleRun, last_us: int) -> int:
    """Us from the last fault to the arrival of the first record made after it."""
    end = time.monotonic() + FRESH_S
    while time.monotonic() < end:
        world.platform.watch()
        wall_us = (time.time_ns() - time.monotonic_ns()) // 1000
        came = [r.came_us for r in stored(world.store, wall_us).rows if r.span[1] > last_us]
        if came:
            return min(came) - last_us
        time.sleep(0.5)
    return -1


def wait_until_receipted(world: OracleRun, last_ns: int) -> None:
    """Until only what was made after the last fault waits."""
    end = time.monotonic() + PATIENCE_S
    while True:
        reported = world.outbox()
        if reported and (reported["oldest"] is None or reported["oldest"][1] > last_ns):
            return
        if time.monotonic() > end:
            print(f"after {PATIENCE_S:.0f} s older rows have no receipt: {reported}")
            return
        world.daemon.watch()
        world.platform.watch()
        time.sleep(0.2)


def wait_for_the_platform(world: OracleRun) -> None:
    """Until it stores nothing more."""
    before, size = -1, -2
    while before != size:
        time.sleep(1.0)
        db = sqlite3.connect(f"file:{world.store}?mode=ro", uri=True)
        before, (size,) = size, db.execute("SELECT count(*) FROM record").fetchone()
        db.close()


def judge_notices(world: OracleRun, wall_us: int, stopped_us: int, found: PlatformFindings) -> bool:
    """That this judge can find something: a record less, or one twice, is a finding each."""
    true = truth(world.folder)
    taken = found.rows.pop(len(found.rows) // 2)
    less = judge(found, true, stopped_us)
    found.rows += [taken, taken]
    twice = judge(found, true, stopped_us)
    return bool(less.findings and twice.findings)
