"""After a week without network: how fast the backlog goes out at a round trip of 50 ms, and what
that does to what is live."""

import json
import shutil
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import quantiles
from typing import Any, Final, NamedTuple

import msgpack
import pytest

from tests.bench.outage import Week
from tests.bench.report import Report
from tests.bench.rig import BenchSubscriber, memory_folder
from tests.kit.process import MeasuredProgram, quiet_broker
from tests.kit.virtualgateway import DEVICES, PERIOD_S

pytestmark = pytest.mark.bench

NOMINAL: Final = DEVICES / PERIOD_S  # records/s of the street
LIVE_S: Final = 0.2  # one live record: 15 times as many as the street has, for a p99
WARM_S: Final = 4.0  # connected, and the window has grown
SECONDS: Final = 12.0
RECEIPT_S: Final = 60.0
WAY_S: Final = 0.025
KINDS: Final[dict[str, dict[str, Any]]] = {
    "confirm = broker": {"receipt_s": None, "per_s": None},
    "confirm = platform": {"receipt_s": RECEIPT_S, "per_s": None},
    "no bound but the link": {"receipt_s": None, "per_s": 1e6},
}


class DrainRate(NamedTuple):
    per_s: float
    late_s: list[float]  # of live records, from before their commit to the subscriber
    cpu_percent: float


@contextmanager
def platform(folder: Path, port: int) -> Iterator[None]:
    """`kerbstone receipts` with its store on the same disk."""
    url, store = f"mqtt://127.0.0.1:{port}", folder / "platform.db"
    words = ("receipts", "--broker", url, "--store", store)
    log = folder / "platform.log"
    with MeasuredProgram(log, "tests.bench.launch", *words):
        end = time.monotonic() + 30
        while "listening" not in log.read_text():
            assert time.monotonic() < end, log.read_text()
            time.sleep(0.05)
        yield


def live_times(listener: BenchSubscriber, begin_ns: int, end_ns: int) -> list[float]:
    """Seconds of each live record that was committed in this time."""
    found = []
    for heard in listener.heard():
        if heard.topic.endswith("/up/air/live"):
            committed_ns = msgpack.unpackb(heard.payload)["committed_ns"]
            if begin_ns <= committed_ns < end_ns:
                found.append((heard.at_ns - committed_ns) / 1e9)
    return found


def measure(folder: Path, outbox: Path, words: dict[str, Any]) -> DrainRate:
    folder.mkdir()
    with ExitStack() as stack:
        broker = stack.enter_context(quiet_broker(folder))
        listener = BenchSubscriber(folder, broker.port)
        stack.enter_context(listener.program)
        listener.program.said()
        line = MeasuredProgram(folder / "line.log", "tests.bench.delay", broker.port, WAY_S)
        stack.enter_context(line)
        if words["receipt_s"] is not None:
            stack.enter_context(platform(folder, broker.port))
        result = {
            "folder": str(outbox), "run": str(memory_folder(folder)),
            "port": line.said()["port"], "live_s": LIVE_S, **words,
        }  # fmt: skip
        sender = MeasuredProgram(folder / "sender.log", "tests.bench.sending", json.dumps(result))
        stack.enter_context(sender)
        begin = after(sender, WARM_S)
        end = after(sender, SECONDS)
        time.sleep(1.0)
        late_s = live_times(listener, begin["at_ns"], end["at_ns"])
    took_s = (end["at_ns"] - begin["at_ns"]) / 1e9
    drained = (end["confirmed"] - begin["confirmed"]) / took_s - len(late_s) / took_s
    cpu = 100 * (end["cpu_s"] - begin["cpu_s"]) / took_s
    return DrainRate(drained, late_s, cpu)


def after(program: MeasuredProgram, seconds: float) -> dict[str, Any]:
    """What it says when so much time has passed."""
    first = found = program.said()
    while found["at_ns"] - first["at_ns"] < seconds * 1e9:
        found = program.said()
    return found


def ms(run: DrainRate, percent: int) -> float:
    return 1000 * quantiles(run.late_s, n=100)[percent - 1]


def test_a_week_goes_out_while_live_records_stay_fresh(
    tmp_path: Path, week: Week, report: Report
) -> None:
    how = f"round trip 50 ms, {SECONDS:.0f} s, a live record each {LIVE_S} s"
    alone = measure(tmp_path / "alone", tmp_path / "empty", KINDS["confirm = broker"])
    outbox = shutil.copytree(week.folder, tmp_path / "outbox")  # each takes a part of it
    for name, words in KINDS.items():
        run = measure(tmp_path / name.replace(" ", "_"), outbox, words)
        cpu = f"{how}; {run.cpu_percent:.0f} % CPU"
        report.add(f"drain, {name}", run.per_s, NOMINAL, "records/s", "live rate", cpu)
        for percent in (50, 99):
            report.add(
                f"  live meanwhile, p{percent}", ms(run, percent), ms(alone, percent), "ms",
                "no backlog", "commit to subscriber; half a round trip is 25 ms",
            )  # fmt: skip
