"""A real MQTT 5 broker for the demo: rumqttd out of the iotcore wheel, or mosquitto.

iotcore's keyword form listens on all interfaces and speaks 3.1.1 only; so it is given a file.
"""

import contextlib
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

READY_S: Final = 10.0
RUMQTTD: Final = """
id = 0
[router]
id = 0
max_connections = 20
max_outgoing_packet_count = 200
max_segment_size = 10485760
max_segment_count = 10
[v5.1]
name = "v5"
listen = "127.0.0.1:{port}"
next_connection_delay_ms = 1
    [v5.1.connections]
    connection_timeout_ms = 5000
    max_payload_size = 262144
    max_inflight_count = 200
    dynamic_filters = true
"""


class NoBrokerError(Exception):
    """Neither iotcore nor mosquitto is here; the text says what to install."""


@contextlib.contextmanager
def run_broker(folder: Path) -> Iterator[tuple[str, int]]:
    """Yields the broker's name and port; it listens on this machine only, and ends with us."""
    port = _free_port()
    try:
        from iotcore import Broker
    except ImportError:
        with _mosquitto(folder, port):
            yield "mosquitto", port
        return
    os.environ.setdefault("IOTCORE_LOG_LEVEL", "ERROR")
    file = folder / "rumqttd.toml"
    file.write_text(RUMQTTD.format(port=port), encoding="utf-8")
    with Broker(config_path=str(file)):
        yield "rumqttd (iotcore)", port


@contextlib.contextmanager
def _mosquitto(folder: Path, port: int) -> Iterator[None]:
    binary = shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin")
    if binary is None:
        raise NoBrokerError(
            "the demo needs a broker: `pip install iotcore` or `apt-get install mosquitto`"
        )
    file = folder / "mosquitto.conf"
    file.write_text(f"listener {port} 127.0.0.1\nallow_anonymous true\n", encoding="utf-8")
    quiet = subprocess.DEVNULL
    with subprocess.Popen([binary, "-c", str(file)], stdout=quiet, stderr=quiet) as process:
        try:
            _wait_for(port, process)
            yield
        finally:
            process.terminate()


def _wait_for(port: int, process: "subprocess.Popen[bytes]") -> None:
    end = time.monotonic() + READY_S
    while True:
        with contextlib.suppress(OSError):
            socket.create_connection(("127.0.0.1", port), 0.2).close()
            return
        if process.poll() is not None or time.monotonic() > end:
            raise NoBrokerError("mosquitto did not start")
        time.sleep(0.02)


def _free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])
