"""What a simulated gateway costs its process: each message against paho, and a whole record."""

import json
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.bench.report import Report
from tests.kit.broker import Mosquitto
from tests.kit.platform import COMMAND
from tests.kit.process import QUIET, ROOT, environment

pytestmark = pytest.mark.bench

CONNECTIONS, MESSAGES, RUNS = 300, 100, 3
BACKLOG = ("--gateways", "1000", "--backlog", "20", "--records", "200000", "--jitter", "1")


def said(*command: str) -> dict[str, Any]:
    done = subprocess.run(
        command, cwd=ROOT, env=environment(), capture_output=True, text=True, check=True
    )
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_cost_of_a_fleet(tmp_path: Path, report: Report) -> None:
    broker = Mosquitto(tmp_path / "broker", QUIET).start()
    try:
        found: dict[str, list[dict[str, Any]]] = {"paho": [], "own": []}
        for _ in range(RUNS):  # in turn: what else runs here meets both
            for kind, runs in found.items():
                words = (kind, str(broker.port), str(CONNECTIONS), str(MESSAGES))
                runs.append(said(sys.executable, "-m", "tests.bench.fleetclients", *words))
        middle = {
            kind: {key: statistics.median(each[key] for each in runs) for key in ("us", "kib")}
            for kind, runs in found.items()
        }
        how = f"{CONNECTIONS} connections, {MESSAGES} messages of 1,000 bytes each, QoS 1"
        for key, what, unit in (("us", "CPU of a message", "us"), ("kib", "a connection", "KiB")):
            ours, peer = middle["own"][key], middle["paho"][key]
            report.add(f"fleet: {what}", ours, peer, unit, "paho", how)
        whole = said(
            *COMMAND, "fleet", "--broker", broker.url, *BACKLOG, "--confirm", "broker", "--no-last",
            "--json",
        )  # fmt: skip
        assert whole["unconfirmed"] == 0
        report.add(
            "fleet: CPU of a record", whole["cpu_us_per_record"], middle["own"]["us"], "us",
            "its message alone", f"{whole['records_per_s']} records/s, {' '.join(BACKLOG)}",
        )  # fmt: skip
        limit_mib = 400.0
        report.add("fleet: memory of it", whole["rss_bytes"] / 2**20, limit_mib, "MiB", "limit")
    finally:
        broker.kill()
