"""The one command that starts a cluster: from nothing to a gateway that is let in, and its end."""

import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from deploy.broker.rabbitmq import cluster
from tests.kit.broker import free_port
from tests.kit.caller import Caller
from tests.kit.citybroker import TlsListener

PROGRAM = Path(cluster.__file__)


def free_base() -> int:
    """A port with the others that the command takes beside it."""
    for _ in range(50):
        base = free_port() % 20_000 + 20_000
        try:
            for port in (base, base + 1, base + 2, *range(base + 100, base + 103), base + 200):
                with socket.socket() as sock:
                    sock.bind(("127.0.0.1", port))
        except OSError:
            continue
        return base
    raise AssertionError("no seven free ports")


async def test_one_command_makes_a_cluster_and_ends_it(tmp_path: Path) -> None:
    if not cluster.installed():
        pytest.skip("RabbitMQ is not installed: apt install rabbitmq-server")
    base, folder = free_base(), tmp_path / "city"
    words = [str(folder), "--port", str(base), "--gateway", "gw-0007"]
    with subprocess.Popen([sys.executable, PROGRAM, *words], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        said = [process.stdout.readline().decode() for _ in range(3)]
        try:
            assert f"mqtts://127.0.0.1:{base + 2}" in said[0]
            pair = folder / "gateways/gw-0007.crt", folder / "gateways/gw-0007.key"
            for port in range(base, base + 3):
                caller = Caller()
                link = await caller.open(TlsListener(folder, port).broker(pair, "gw-0007"))
                await link.close()
        finally:
            process.send_signal(signal.SIGTERM)
            assert process.wait(60) == 0
    for port in (base, base + 1, base + 2, base + 200):
        with socket.socket() as sock:
            assert sock.connect_ex(("127.0.0.1", port)) != 0, "something was left running"
    assert (folder / ".erlang.cookie").stat().st_mode & 0o077 == 0
