"""A real daemon with a real broker, whose folders are kept and harmed between two lives."""

import json
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from edge.control.protocol import ask_daemon
from edge.outbox import Outbox
from tests.kit.broker import SUBSCRIBER, Mosquitto
from tests.kit.gateway import AIR, KERBSTONE, LOOPS, ROOT, GatewayProcess
from tests.kit.promises import everything

Place = tuple[int, str, int]  # epoch, stream, number
LATE_S: Final = 15.0  # for records that may come yet


@dataclass(frozen=True, slots=True)
class StartReport:
    """What one start has come to."""

    ready_s: float
    events: frozenset[str]
    problems: frozenset[str]
    quarantined: int
    damaged: int
    in_memory: str | None
    lost: int  # records that lay in the folder and did not come within a while


class DamagedSite(GatewayProcess):
    """Its broker is persistent, so that a subscriber misses nothing."""

    def __init__(self, folder: Path, broker: Mosquitto) -> None:
        super().__init__(folder, broker, LOOPS, AIR, period_s=1)
        self.store, self.run_dir, self._kept = folder / "store", folder / "run", folder / "kept"
        self._manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._manager.bind(str(folder / "notify"))
        self._heard = (folder / "heard").open("wb")
        self._subscriber: subprocess.Popen[bytes] | None = None
        self._before = 0  # bytes that were heard before this life
        self.pending: set[Place] = set()  # what lies in the folder that is kept

    def subscribe(self) -> None:
        topics = ["-t", "kerbstone/v1/test/gw-1/up/#", "-F", "%t %p"]
        command = [SUBSCRIBER, "-p", str(self.broker.port), "-V", "5", "-q", "1", *topics]
        self._subscriber = subprocess.Popen(command, stdout=self._heard)

    def begin(self, within_s: float) -> float:
        """Start it, and wait until it says READY. Seconds that it took."""
        self._manager.settimeout(within_s)
        began = time.monotonic()
        log = self.log.open("a")
        self._logs.append(log)
        self._daemon = subprocess.Popen(
            [*KERBSTONE, "run", "-v", str(self.config)], cwd=ROOT, stderr=log, stdout=log,
            env={**os.environ, "NOTIFY_SOCKET": str(self.folder / "notify")},
        )  # fmt: skip
        while True:
            try:
                said = self._manager.recv(4096)
            except TimeoutError:
                said = b""
            assert said, f"not ready within {within_s} s:\n{self.log.read_text()[-2000:]}"
            if said.startswith(b"READY=1"):
                return time.monotonic() - began

    def end(self) -> None:
        """-9, and what it has said to its manager is forgotten."""
        if self._daemon is not None and self.running:
            self.kill()
        self._manager.setblocking(False)
        try:
            while self._manager.recv(4096):
                pass
        except BlockingIOError:
            pass

    def answer(self, verb: str) -> dict[str, Any]:
        found = ask_daemon(self.run_dir, verb, 60)
        assert found is not None, "it has no control socket"
        return found

    def heard(self) -> list[dict[str, Any]]:
        """Records that the broker has passed on in this life."""
        data = Path(self._heard.name).read_bytes()[self._before :]
        found = []
        for line in data.split(b"\n")[:-1]:
            topic, _, payload = line.partition(b" ")
            if not any(part in topic for part in (b"/up/last/", b"/up/status", b"/up/meta")):
                found.append(json.loads(payload))
        return found

    def fresh(self, epoch: int, stream: str) -> list[dict[str, Any]]:
        return [r for r in self.heard() if r.get("epoch") == epoch and r.get("stream") == stream]

    def wait(self, done: Callable[[], Any], what: str) -> None:
        end = time.monotonic() + 90
        while not done():
            assert self.running, f"it has ended:\n{self.log.read_text()[-2000:]}"
            assert time.monotonic() < end, f"{what}:\n{self.log.read_text()[-2000:]}"
            time.sleep(0.05)

    def live(self, within_s: float) -> StartReport:
        """One start after which two records of the air have come, and what it says of itself."""
        self._before = Path(self._heard.name).stat().st_size
        ready_s = self.begin(within_s)
        status = self.answer("status")
        epoch = status["epoch"]

        self.wait(lambda: len(self.fresh(epoch, "air")) >= 2, "no records after the start")
        patience = time.monotonic() + LATE_S
        while (lost := self.pending - self._keys()) and time.monotonic() < patience:
            counts = self.answer("outbox")
            if counts["quarantined"] or counts["damaged"]:
                break  # it is known, and will not come
            time.sleep(0.1)
        status, counts = self.answer("status"), self.answer("outbox")
        events = self.fresh(epoch, "event")
        self.end()
        return StartReport(
            ready_s,
            frozenset(f"{event['event']} {event.get('reason', '')}" for event in events),
            frozenset(status["problems"]),
            counts["quarantined"],
            counts["damaged"],
            counts["in_memory"],
            len(lost),
        )

    def _keys(self) -> set[Place]:
        found = set()
        for record in self.heard():
            if "covers" not in record and "seq" in record:
                found.add((record["epoch"], record["stream"], record["seq"]))
        return found

    def keep(self) -> list[str]:
        """Put both folders by, and name the files in them."""
        files = []
        for folder in (self.store, self.run_dir):
            shutil.copytree(
                folder, self._kept / folder.name, ignore=lambda at, names: _special(at, names)
            )
            files += [
                str(path.relative_to(self.folder))
                for path in sorted(folder.rglob("*"))
                if path.is_file() and path.suffix != ".lock"
            ]
        copy = shutil.copytree(self._kept / "store", self.folder / "copy")
        outbox = Outbox.open(copy, limit_bytes=16 << 20, boot_id="?", ballast_bytes=0)
        outbox.begin()
        self.pending = {
            (each.record.key.epoch, str(each.record.key.stream), each.record.key.seq)
            for each in everything(outbox)
        }
        outbox.close()
        return files

    def restore(self) -> None:
        for folder in (self.store, self.run_dir):
            shutil.rmtree(folder)
            shutil.copytree(self._kept / folder.name, folder)

    def close(self) -> None:
        super().close()
        if self._subscriber is not None:
            self._subscriber.terminate()
            self._subscriber.wait(60)
        self._heard.close()
        self._manager.close()


def _special(at: str, names: list[str]) -> list[str]:
    """Sockets are not copied."""
    return [name for name in names if not (Path(at, name).is_file() or Path(at, name).is_dir())]
