"""Confirmed records: a window and an outbox on disk, against one message at a time from memory."""

import json
import shutil
from contextlib import ExitStack
from pathlib import Path
from typing import Final, NamedTuple

import pytest

from edge.core import Draft
from edge.outbox.outbox import Outbox
from edge.process.merge import merge_bodies
from tests.bench.report import Report
from tests.bench.rig import memory_folder
from tests.bench.test_drain import after
from tests.kit.process import MeasuredProgram, quiet_broker
from tests.kit.virtualgateway import lived
from tests.week.offline import Again, mark

pytestmark = pytest.mark.bench

WARM_S: Final = 2.0
SECONDS: Final = 4.0
ROWS: Final = 60_000
TRIPS_S: Final = (0.0, 0.05)
PEERS: Final = ("paho", "aiomqtt")


class ConfirmedRate(NamedTuple):
    per_s: float
    cpu_us: float  # of a record


@pytest.fixture(scope="module")
def outbox(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """More records than anybody sends in this time; in few transactions."""
    folder = tmp_path_factory.mktemp("confirmed") / "outbox"
    made = Outbox.open(
        folder, limit_bytes=256 << 20, boot_id="b", merge=merge_bodies, ballast_bytes=0
    )
    made.begin()
    drafts: list[Draft] = []
    for commit in Again(lived(60)):
        drafts += commit.drafts
        if len(drafts) >= ROWS:
            break
    for start in range(0, len(drafts), 1000):
        made.commit(drafts[start : start + 1000], clock=mark(commit.at_ns))
    made.close()
    return folder


def measure(folder: Path, who: str, outbox: Path, trip_s: float) -> ConfirmedRate:
    folder.mkdir()
    with ExitStack() as stack:
        port = stack.enter_context(quiet_broker(folder)).port
        if trip_s:
            line = MeasuredProgram(folder / "line.log", "tests.bench.delay", port, trip_s / 2)
            port = stack.enter_context(line).said()["port"]
        program = stack.enter_context(publisher(folder, who, outbox, port))
        begin, end = after(program, WARM_S), after(program, SECONDS)
    confirmed = end["confirmed"] - begin["confirmed"]
    took_s = (end["at_ns"] - begin["at_ns"]) / 1e9
    assert confirmed, "nothing was confirmed"
    return ConfirmedRate(confirmed / took_s, 1e6 * (end["cpu_s"] - begin["cpu_s"]) / confirmed)


def publisher(folder: Path, who: str, outbox: Path, port: int) -> MeasuredProgram:
    log = folder / "publisher.log"
    if who != "ours":
        return MeasuredProgram(log, "tests.bench.single", who, port)
    own = shutil.copytree(outbox, folder / "outbox")
    words = {
        "folder": str(own), "run": str(memory_folder(folder)), "port": port,
        "receipt_s": None, "per_s": 1e6, "live_s": 0,
    }  # fmt: skip
    return MeasuredProgram(log, "tests.bench.sending", json.dumps(words))


def test_confirmed_records_and_their_cpu(tmp_path: Path, outbox: Path, report: Report) -> None:
    for trip_s in TRIPS_S:
        where = f"round trip {1000 * trip_s:.0f} ms"
        folder = tmp_path / f"{1000 * trip_s:.0f}"
        folder.mkdir()
        ours = measure(folder / "ours", "ours", outbox, trip_s)
        for peer in PEERS:
            other = measure(folder / peer, peer, outbox, trip_s)
            rows(report, where, peer, ours, other)


def rows(report: Report, where: str, peer: str, ours: ConfirmedRate, other: ConfirmedRate) -> None:
    how = f"{SECONDS:.0f} s; ours: window 200, each record read from and deleted on disk"
    against = f"{peer}, one at a time"
    report.add(f"confirmed, {where}", ours.per_s, other.per_s, "records/s", against, how)
    report.add(f"  CPU of a record, {where}", ours.cpu_us, other.cpu_us, "us", against)
