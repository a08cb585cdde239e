"""Polls and watchdog while the name server is a black hole and the next broker's TLS is silent.

As root only: the daemon gets a name server of its own in a mount namespace.
"""

import os
import shutil
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest

from tests.bench.report import Report
from tests.kit.process import ROOT

pytestmark = pytest.mark.bench

SECONDS = 75
WATCHDOG_S = 20
SITE = """
[site]
id = "t"
gateway = "gw-1"
[store]
dir = "{dir}/store"
run_dir = "{dir}/run"
ballast_mb = 0
[uplink]
url = "mqtts://broker.example:8883"
fallback = ["mqtts://127.0.0.1:{silent}"]
confirm = "broker"
[bus.meters]
kind = "modbus-tcp"
host = "127.0.0.1"
port = {meter}
[device.meter]
driver = "sdm630"
bus = "meters"
unit = 1
every_s = 1.0
points = ["voltage_l1"]
"""


def listen(serve: Callable[[socket.socket], None]) -> int:
    """A port at which each connection is served in a thread of its own."""
    server = socket.create_server(("127.0.0.1", 0))

    def accept() -> None:
        while True:
            threading.Thread(target=serve, args=(server.accept()[0],), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    port: int = server.getsockname()[1]
    return port


@pytest.mark.skipif(os.geteuid() != 0, reason="a name server of its own needs a mount namespace")
def test_connecting_never_blocks(tmp_path: Path, report: Report) -> None:
    if shutil.which("unshare") is None:
        pytest.skip("unshare is not here: apt-get install util-linux")
    asked: list[float] = []
    fed: list[float] = []
    knocks: list[socket.socket] = []

    def meter(link: socket.socket) -> None:
        with link:
            while len(head := link.recv(12)) == 12:
                asked.append(time.monotonic())
                number, _, _, unit, function, _, count = struct.unpack(">HHHBBHH", head)
                data = bytes(2 * count)
                answer = (number, 0, 3 + len(data), unit, function, len(data))
                link.sendall(struct.pack(">HHHBBB", *answer) + data)

    words = {"dir": tmp_path, "meter": listen(meter), "silent": listen(knocks.append)}
    (tmp_path / "site.toml").write_text(SITE.format(**words))
    (tmp_path / "run").mkdir()
    (tmp_path / "resolv.conf").write_text("nameserver 192.0.2.1\noptions timeout:30 attempts:3\n")
    note = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    note.bind(str(tmp_path / "notify"))

    def watch() -> None:
        while True:
            if b"WATCHDOG=1" in note.recv(4096):
                fed.append(time.monotonic())

    threading.Thread(target=watch, daemon=True).start()
    mount = f"mount --bind {tmp_path}/resolv.conf /etc/resolv.conf"
    run = f"exec {sys.executable} -m edge.cli.main run {tmp_path}/site.toml"
    notify = {"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": f"{WATCHDOG_S}000000"}
    daemon = subprocess.Popen(
        ["unshare", "-m", "sh", "-c", f"{mount} && {run}"],
        cwd=ROOT, env={**os.environ, **notify}, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    time.sleep(SECONDS)
    daemon.terminate()
    assert daemon.wait(30) == 0
    polls = [b - a for a, b in pairwise(at for at in asked if at > asked[0] + 5)]
    jitter = 100 * max(abs(pause - 1.0) for pause in polls)
    how = f"{len(polls)} polls of 1 s; {len(knocks)} knocks at a TLS that says nothing"
    report.add("black holes: worst jitter of a poll", jitter, 10, "%", "limit", how)
    pause = max(b - a for a, b in pairwise(fed))
    report.add("longest pause of the watchdog's feed", pause, WATCHDOG_S, "s", "WatchdogSec")
    for link in knocks:
        link.close()
