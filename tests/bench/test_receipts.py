"""`kerbstone receipts` on a backlog: how many records a second it stores, with what CPU and disk;
against `mosquitto_sub`, which writes the same payloads to a file and knows nothing of them."""

import json
import resource
import subprocess
import sys
import time
from pathlib import Path
from statistics import median
from typing import Final, NamedTuple

import pytest

from tests.bench.report import Report
from tests.kit.broker import SUBSCRIBER, Mosquitto
from tests.kit.platform import MqttBroker
from tests.kit.process import ROOT, environment, quiet_broker

pytestmark = pytest.mark.bench

GATEWAYS: Final = 50
MINUTES: Final = 60  # 612 records of each
RUNS: Final = 3
IDLE_S: Final = 1.0
CLIENT: Final = "kerbstone-receipts-bench"
FILTERS: Final = ("kerbstone/v1/+/+/up/+", "kerbstone/v1/+/+/up/+/+")


class Spent(NamedTuple):
    """From its first record to its last, of a program that finds all of them at the broker."""

    per_s: float
    cpu_us: float
    disk: float  # bytes for each byte of payload


def receipts(broker: Mosquitto, store: Path, *words: str) -> list[str]:
    command = ["receipts", "--broker", broker.url, "--store", str(store), "--client-id", CLIENT]
    return [sys.executable, "-m", "tests.bench.launch", *command, *words]


def subscriber(broker: Mosquitto, *words: str) -> list[str]:
    where = ["-h", "127.0.0.1", "-p", str(broker.port), "-V", "5", "-c", "-i", "peer", "-x", "3600"]
    topics = [word for name in FILTERS for word in ("-t", name)]
    return [SUBSCRIBER, *where, "-q", "1", *topics, *words]


def spent(command: list[str], out: Path, idle_s: float) -> tuple[float, float]:
    """Seconds and seconds of CPU, of a process that ends by itself after being idle."""
    before, begin = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    with out.open("wb") as file:
        subprocess.run(command, cwd=ROOT, env=environment(), stdout=file, check=True,
                       stderr=subprocess.DEVNULL)  # fmt: skip
    took = time.monotonic() - begin - idle_s
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return took, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def backlog(broker: MqttBroker) -> dict[str, int]:
    """Publish while nobody is there."""
    words = ["-m", "tests.bench.publishing", str(broker.port), str(GATEWAYS), str(MINUTES)]
    done = subprocess.run([sys.executable, *words], cwd=ROOT, env=environment(), input="\n",
                          capture_output=True, text=True, check=True)  # fmt: skip
    told: dict[str, int] = json.loads(done.stdout.splitlines()[-1])
    return told


def measure(folder: Path) -> tuple[Spent, Spent]:
    """Ours and the peer's, one after the other, of the same backlog."""
    folder.mkdir()
    store, out = folder / "city.db", folder / "out"
    with quiet_broker(folder) as broker:
        subprocess.run(subscriber(broker, "-E"), check=True)
        # what starting and stopping takes, with nothing to store
        start, start_cpu = spent(receipts(broker, store, "--idle", str(IDLE_S)), out, IDLE_S)
        told = backlog(broker)
        count, size = told["messages"], told["bytes"]
        words = subscriber(broker, "-F", "%p", "-C", str(count))
        peer_s, peer_cpu = spent(words, folder / "payloads", 0)
        idle = ("--idle", str(IDLE_S), "--json")
        ours_s, ours_cpu = spent(receipts(broker, store, *idle), out, IDLE_S)
    counts = json.loads(out.read_text())
    assert (counts["stored"], counts["repeats"], counts["conflicts"]) == (count, 0, 0), counts
    ours = Spent(
        count / (ours_s - start),
        1e6 * (ours_cpu - start_cpu) / count,
        store.stat().st_size / size,
    )
    written = (folder / "payloads").stat().st_size
    return ours, Spent(count / peer_s, 1e6 * peer_cpu / count, written / size)


def test_a_backlog_is_stored_and_receipted(tmp_path: Path, report: Report) -> None:
    runs = [measure(tmp_path / str(number)) for number in range(RUNS)]
    how = f"backlog of {GATEWAYS} gateways and {MINUTES} minutes, median of {RUNS}"
    peer = "mosquitto_sub -F %p"
    for what, unit, field in (
        ("receipts: records stored", "records/s", "per_s"),
        ("receipts: CPU a record", "us", "cpu_us"),
        ("receipts: bytes on disk for one of payload", "bytes", "disk"),
    ):
        ours, theirs = (median(getattr(run[which], field) for run in runs) for which in (0, 1))
        report.add(what, ours, theirs, unit, peer, how)
