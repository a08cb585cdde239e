"""As fast as it goes: from Modbus TCP to confirmed MQTT, every reading sent."""

import socket
import struct
import time
from pathlib import Path
from statistics import median
from typing import NamedTuple

import pytest

from tests.bench.report import Report
from tests.bench.rig import VALUES, Moment, Who, values_between, world

pytestmark = pytest.mark.bench

SECONDS = 8.0
ROUNDS = 3
FASTEST_S = 0.001  # the shortest period that a site may ask for
SETTLE_S = 2.5  # what was read last is committed and sent


class ValueRate(NamedTuple):
    per_s: float
    cpu_ms: float  # for 1,000 values
    cores: float  # that it used


def measure(folder: Path, who: Who) -> ValueRate:
    with world(folder) as one:
        every_s = FASTEST_S if who == "ours" else 0.0
        with one.gateway(who, every_s, raw_commit_s=1.0) as gateway:
            one.first_value_ns(gateway)
            begin, before_s = Moment.now(), gateway.cpu_s()
            time.sleep(SECONDS)
            end, cpu_s = Moment.now(), gateway.cpu_s() - before_s
            time.sleep(SETTLE_S)
            values = values_between(who, one.listener.heard(), begin, end)
        took_s = (end.mono_ns - begin.mono_ns) / 1e9
    assert values
    return ValueRate(values / took_s, 1e6 * cpu_s / values, cpu_s / took_s)


def ceiling(folder: Path) -> float:
    """Values/s that the endpoint gives to a loop that only asks, and looks at nothing."""
    with world(folder) as one:
        asking = struct.pack(">HHHBBHH", 1, 0, 6, 1, 4, 0, 2 * VALUES)
        answers = 0
        with socket.create_connection(("127.0.0.1", one.meters_port)) as sock:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            begin = time.perf_counter()
            while (took_s := time.perf_counter() - begin) < 2.0:
                sock.sendall(asking)
                assert len(sock.recv(4096)) == 9 + 4 * VALUES
                answers += 1
        return answers * VALUES / took_s


def test_values_per_second_and_their_cpu(tmp_path: Path, report: Report) -> None:
    ours, script = [], []
    for number in range(ROUNDS):
        ours.append(measure(tmp_path / f"ours{number}", "ours"))
        script.append(measure(tmp_path / f"script{number}", "script"))
    how = f"10 meters x 20 values, one endpoint, raw; median of {ROUNDS} x {SECONDS:.0f} s"
    cpu = [median(run.cpu_ms for run in runs) for runs in (ours, script)]
    rate = [median(run.per_s for run in runs) for runs in (ours, script)]
    cores = [median(run.cores for run in runs) for runs in (ours, script)]
    asked = ceiling(tmp_path / "bare")
    report.add("CPU for 1,000 values", cpu[0], cpu[1], "ms", "script", how)
    report.add("values/s", rate[0], rate[1], "/s", "script", how)
    report.add("values/s", rate[0], asked, "/s", "endpoint, asked by a bare socket", how)
    report.add("cores used for it", cores[0], cores[1], "", "script", "the rest: waits for meters")
