"""A mosquitto for one test (own port, own folder, ready when it answers), and who listens to it.

    broker = Mosquitto(tmp_path / "broker").start()
    listener = Subscriber(broker, "kerbstone/v1/+/+/up/air/#")
    ...
    lines = listener.stop(count=3)  # topic and payload of each message

Nothing of it imports an MQTT library. For answers that mosquitto never gives see `rawbroker`.
"""

import re
import shutil
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path

from edge.rig.ports import free_port as free_port  # of many tests

BINARY = shutil.which("mosquitto") or "/usr/sbin/mosquitto"
SUBSCRIBER = shutil.which("mosquitto_sub") or "/usr/bin/mosquitto_sub"


class Mosquitto:
    """Started by `start`, which may be called again after `kill`."""

    def __init__(
        self, folder: Path, conf: str = "allow_anonymous true\n", also_at: str = ""
    ) -> None:
        """`also_at`: an address of this machine where it listens beside 127.0.0.1."""
        self.folder, self.port = folder, free_port()
        self._conf = f"{conf}listener {self.port} {also_at}\n" if also_at else conf
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        assert self._process is not None, "not started"
        return self._process.pid

    @property
    def url(self) -> str:
        return f"mqtt://127.0.0.1:{self.port}"

    @property
    def log(self) -> str:
        return (self.folder / "log").read_text()

    def start(self) -> "Mosquitto":
        self.folder.mkdir(parents=True, exist_ok=True)
        file = self.folder / "mosquitto.conf"
        file.write_text(
            f"listener {self.port} 127.0.0.1\nsocket_domain ipv4\nuser root\n"
            f"log_dest file {self.folder}/log\nlog_type all\n{self._conf}"
        )
        quiet = subprocess.DEVNULL
        self._process = subprocess.Popen([BINARY, "-c", str(file)], stdout=quiet, stderr=quiet)
        end = time.monotonic() + 60
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), 0.2).close()
                return self
            except OSError:
                if self._process.poll() is not None or time.monotonic() > end:
                    raise RuntimeError(f"mosquitto did not start:\n{self.log}") from None
                time.sleep(0.02)

    def wait_for_acknowledgements(self) -> None:
        """Until its subscribers have acknowledged all that it has sent them."""
        end = time.monotonic() + 60
        while True:
            log = self.log
            sent = len(re.findall(r"Sending PUBLISH to \S+ \(d0, q1", log))
            if sent == log.count("Received PUBACK from"):
                return
            assert time.monotonic() < end, "a subscriber does not acknowledge"
            time.sleep(0.02)

    def send(self, number: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    def stop(self) -> None:
        """As systemd stops it: it may write down what it holds."""
        self.send(signal.SIGTERM)
        assert self._process is not None
        self._process.wait(60)

    def kill(self) -> None:
        """As a power cut: nothing is said to anybody."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait(60)


class Subscriber:
    """A mosquitto_sub that prints topic and payload of what comes."""

    def __init__(self, broker: Mosquitto, topic: str, *options: str) -> None:
        before = broker.log.count("Sending SUBACK")
        self._process = subprocess.Popen(
            [SUBSCRIBER, "-h", "127.0.0.1", "-p", str(broker.port), "-V", "5", "-q", "1",
             "-t", topic, "-F", "%t %p", *options],
            stdout=subprocess.PIPE,
            text=True,
        )  # fmt: skip
        self._lines: list[str] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        end = time.monotonic() + 60
        while broker.log.count("Sending SUBACK") <= before:
            assert time.monotonic() < end, "mosquitto_sub has not subscribed"
            time.sleep(0.01)

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._lines.append(line.rstrip("\n"))

    @property
    def lines(self) -> list[str]:
        """Those that have come so far."""
        return list(self._lines)

    @property
    def seen(self) -> int:
        """Lines so far."""
        return len(self._lines)

    def stop(self, count: int = 1) -> list[str]:
        """All lines: waits for `count` of them, and a moment more for what should not come."""
        end = time.monotonic() + 60
        while len(self._lines) < count and time.monotonic() < end:
            time.sleep(0.01)
        time.sleep(0.1)
        self._process.terminate()
        self._process.wait(60)
        self._reader.join(60)
        assert self._process.stdout is not None
        self._process.stdout.close()
        return self._lines


Make = Callable[..., Mosquitto]
"""What the fixture `mosquitto` gives: a broker of these settings, started."""
