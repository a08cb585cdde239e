"""Processes that are measured from outside, and are gone at the end of a `with` block.

An example:

    with MeasuredProgram(tmp_path / "log", "tests.bench.meters", table, 1) as meters:
        port = meters.said()["port"]  # the next line of its output, which is JSON
        seconds, mib = meters.cpu_s(), meters.rss_mib()
"""

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from tests.kit.broker import Mosquitto

ROOT: Final = Path(__file__).parents[2]
BENCH: Final = "tests.bench."
# modules are compiled once, as where a program is installed: the start counts
COMPILED: Final = Path(tempfile.gettempdir()) / f"kerbstone-bench-{os.getpid()}"
# for the broker: no log, and no message is held back
QUIET: Final = (
    "log_type none\nallow_anonymous true\nmax_queued_messages 0\nmax_inflight_messages 0\n"
)


def environment() -> dict[str, str]:
    """For a process of the bench."""
    env = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
    return {**env, "PYTHONPYCACHEPREFIX": str(COMPILED)}


class MeasuredProgram:
    """`python -m MODULE ARGUMENTS` with its output in `log`; ends with the `with` block."""

    def __init__(self, log: Path, module: str, *arguments: object) -> None:
        self._log = log.open("wb")
        command = [sys.executable, "-m", module, *map(str, arguments)]
        self._process = subprocess.Popen(
            command,
            cwd=ROOT,
            env=environment(),
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
        )
        self.pid = self._process.pid

    def __enter__(self) -> "MeasuredProgram":
        return self

    def __exit__(self, *_: object) -> None:
        if self._process.poll() is None:
            self._process.kill()
        self._process.communicate()
        self._log.close()

    def said(self) -> dict[str, Any]:
        """The next line of its output, which is JSON."""
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line, self._epitaph()
        found: dict[str, Any] = json.loads(line)
        return found

    def send(self, number: signal.Signals) -> None:
        self._process.send_signal(number)

    def stop(self) -> None:
        """SIGTERM, and wait."""
        self.send(signal.SIGTERM)
        self._process.wait(20)

    def kill(self) -> None:
        """SIGKILL, and wait."""
        self.send(signal.SIGKILL)
        self._process.wait(20)

    def alive(self) -> None:
        """Fails, with its log, when it has ended by itself."""
        assert self._process.poll() is None, self._epitaph()

    def _epitaph(self) -> str:
        return f"it has ended, code {self._process.poll()}: {Path(self._log.name).read_text()}"

    def cpu_s(self) -> float:
        """Seconds of CPU of all its threads so far, to the nanosecond where the kernel says it."""
        self.alive()
        ran_ns = 0
        for task in Path(f"/proc/{self.pid}/task").iterdir():
            try:
                ran_ns += int((task / "schedstat").read_text().split()[0])
            except FileNotFoundError:  # a thread that has ended, or a kernel without it
                continue
        if ran_ns:
            return ran_ns / 1e9
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def rss_mib(self) -> float:
        """Memory that it has resident now."""
        for line in Path(f"/proc/{self.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) / 1024
        raise AssertionError("no VmRSS")

    def written(self) -> int:
        """Bytes that it has caused to go to a disk."""
        for line in Path(f"/proc/{self.pid}/io").read_text().splitlines():
            if line.startswith("write_bytes:"):
                return int(line.split()[1])
        raise AssertionError("no write_bytes")


@contextmanager
def quiet_broker(folder: Path) -> Iterator[Mosquitto]:
    """A mosquitto that writes no log and holds nothing back."""
    broker = Mosquitto(folder / "broker", QUIET)
    try:
        yield broker.start()
    finally:
        broker.kill()


def bare_rss_mib() -> float:
    """Of a Python that has imported asyncio and waits."""
    command = [sys.executable, "-c", "import asyncio, sys; print(flush=True); sys.stdin.read()"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        pages = int(Path(f"/proc/{process.pid}/statm").read_text().split()[1])
        process.communicate()
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20
