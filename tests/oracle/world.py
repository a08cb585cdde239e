"""The site of the oracle: simulators, fault proxy, broker, platform, and the gateway between."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from edge.rig.brokerlink import BrokerLink
from tests.kit.broker import Mosquitto
from tests.oracle.simulators import LANES

ROOT: Final = Path(__file__).parents[2]
KERBSTONE: Final = (sys.executable, "-m", "tests.oracle.launch")
RESTART_S: Final = 1.0  # of one that has ended by itself
GATEWAY: Final = "gw-1"
UNITS: Final = 20
EVERY_S: Final = 0.2  # five times the nominal reading a second
DISK_MB: Final = 24  # of the small disk: outbox, ballast, and room to fill up
FAKETIME: Final = next(iter(sorted(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))), None)
CONF: Final = (  # nothing survives a kill; the log says what came
    "allow_anonymous true\npersistence false\n"
)
SITE: Final = """
[site]
id = "oracle"
gateway = "{gateway}"
period_s = {period_s}
[store]
dir = "{state}/store"
run_dir = "{folder}/run"
limit_mb = 8
ballast_mb = 2
[uplink]
url = "mqtt://127.0.0.1:{proxy}"
confirm = "platform"
receipt_s = {receipt_s}
keepalive_s = 5
[streams]
manifest_s = {manifest_s}
health_s = 60
[models]
congestion = false
anomaly = false
[bus.loops]
kind = "gpio"
chip = "sim:{folder}/gpio.sock"
[bus.meters]
kind = "modbus-tcp"
host = "127.0.0.1"
port = {meters}
timeout_s = 0.5
"""
LANE: Final = """
[lane.{name}]
approach = "{name}"
bus = "loops"
lead = "{name}_lead"
trail = "{name}_trail"
spacing_m = 4.0
active = "high"
bias = "none"
"""
METER: Final = """
[device.m{unit}]
driver = "oracle"
bus = "meters"
unit = {unit}
every_s = {every_s}
"""


class SupervisedProcess:
    """Started, killed, started again; what it says is in one file."""

    def __init__(self, log: Path, command: Sequence[object], **env: object) -> None:
        self._log, self._command = log, [str(word) for word in command]
        self._env = {**os.environ, **{key: str(value) for key, value in env.items()}}
        self._process: subprocess.Popen[bytes] | None = None
        self.starts, self.wanted = 0, False
        self.codes: list[int] = []  # of those that have ended by themselves
        self._again_s: float | None = None

    def start(self) -> None:
        self.wanted, self._again_s = True, None
        self.starts += 1
        with self._log.open("ab") as log:
            log.write(f"--- start {self.starts} at {time.monotonic_ns() // 1000} us\n".encode())
            log.flush()
            self._process = subprocess.Popen(
                self._command, cwd=ROOT, env=self._env, stdout=log, stderr=log
            )

    def watch(self) -> None:
        """As a supervisor: one that has ended by itself is started again."""
        if self.wanted and self._process is not None:
            code = self._process.poll()
            if code is None:
                return
            if self._again_s is None:
                self.codes.append(code)
                self._again_s = time.monotonic() + RESTART_S
            elif time.monotonic() >= self._again_s:
                self.start()

    def send(self, number: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    def kill(self) -> None:
        self.wanted = False
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._process.wait(60)

    def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Ask it to end; the exit code."""
        self.wanted = False
        self.send(number)
        assert self._process is not None
        return self._process.wait(90)


class OracleRun:
    """All processes and places of one run."""

    def __init__(self, folder: Path, seed: int, *, period_s: int, receipt_s: int, manifest_s: int):
        self.folder, self.state, self.store = folder, folder / "state", folder / "platform.db"
        for name in ("state", "run"):
            (folder / name).mkdir()
        self.disk = _mounted(self.state)
        self.began_ns = time.monotonic_ns()
        self.simulators = subprocess.Popen(
            [sys.executable, "-m", "tests.oracle.simulators", str(folder), str(UNITS), str(seed)],
            cwd=ROOT, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert self.simulators.stdout is not None
        port = json.loads(self.simulators.stdout.readline())["port"]
        self.broker = Mosquitto(folder / "broker", CONF)
        self.proxy = BrokerLink("127.0.0.1", self.broker.port).start()
        self.config = folder / "site.toml"
        words = {
            "gateway": GATEWAY, "period_s": period_s, "receipt_s": receipt_s, "folder": folder,
            "manifest_s": manifest_s, "state": self.state, "proxy": self.proxy.port, "meters": port,
        }  # fmt: skip
        lanes = [LANE.format(name=name) for name in LANES]
        meters = [METER.format(unit=unit, every_s=EVERY_S) for unit in range(1, UNITS + 1)]
        self.config.write_text(SITE.format(**words) + "".join([*lanes, *meters]))
        self.daemon = SupervisedProcess(
            folder / "daemon.log", [*KERBSTONE, "run", "-v", self.config],
            ORACLE_BOOT=self.boot(1), **self._faked(),
        )  # fmt: skip
        self.platform = SupervisedProcess(
            folder / "platform.log",
            [*KERBSTONE, "receipts", "--json", "--broker", self.broker.url, "--store", self.store],
            ORACLE_BOOT=self.folder / "boot_id",
        )  # fmt: skip

    def boot(self, number: int) -> Path:
        """The machine has been started so often: it has another boot id."""
        file = self.folder / "boot_id"
        file.write_text(f"00000000-0000-4000-8000-{number:012}\n")
        return file

    def cut_power(self, number: int) -> None:
        """Dead at once; what is in memory is gone. What was not synced stays: see `make crash`."""
        self.daemon.kill()
        shutil.rmtree(self.folder / "run")
        (self.folder / "run").mkdir()
        self.boot(number)

    def set_wall(self, shift_s: float) -> None:
        new = self.folder / "wall.new"
        new.write_text(f"{shift_s:+.0f}\n")
        new.replace(self.folder / "wall")

    def fill(self) -> None:
        """Not a byte is left on the disk: somebody else takes what is given up, too."""
        with (self.state / "others").open("ab", buffering=0) as file:
            for size in (1 << 16, 1 << 12, 1):
                try:
                    while True:
                        file.write(bytes(size))
                except OSError:
                    continue

    def free(self) -> None:
        (self.state / "others").unlink(missing_ok=True)

    def outbox(self) -> dict[str, Any]:
        """What `kerbstone outbox` says; {} while the daemon does not answer."""
        done = self._run("outbox", "--config", str(self.config), "--json")
        found: dict[str, Any] = json.loads(done.stdout) if done.returncode == 0 else {}
        return found

    def audit(self) -> subprocess.CompletedProcess[str]:
        """What `kerbstone audit` makes of the store."""
        return self._run("audit", "--store", str(self.store), "--json")

    def end_simulators(self) -> None:
        """The truth is on the disk after this."""
        self.simulators.send_signal(signal.SIGTERM)
        assert self.simulators.wait(60) == 0

    def close(self) -> None:
        self.daemon.kill()
        self.platform.kill()
        self.broker.kill()
        self.proxy.stop()
        if self.simulators.poll() is None:
            self.simulators.kill()
            self.simulators.wait(60)
        assert self.simulators.stdout is not None
        self.simulators.stdout.close()
        if self.disk:
            subprocess.run(["umount", "--lazy", str(self.state)], check=False)

    def _run(self, *words: str) -> subprocess.CompletedProcess[str]:
        env = {**os.environ, "ORACLE_BOOT": str(self.folder / "boot_id")}
        return subprocess.run(
            [*KERBSTONE, *words],
            cwd=ROOT, env=env, capture_output=True, text=True, timeout=300, check=False,
        )  # fmt: skip

    def _faked(self) -> dict[str, object]:
        if FAKETIME is None:
            return {}
        self.set_wall(0)
        return {
            "LD_PRELOAD": FAKETIME, "FAKETIME_TIMESTAMP_FILE": self.folder / "wall",
            "FAKETIME_NO_CACHE": 1, "FAKETIME_DONT_FAKE_MONOTONIC": 1, "NO_FAKE_STAT": 1,
        }  # fmt: skip


def _mounted(folder: Path) -> bool:
    """A small disk in memory at this folder, where we may mount."""
    if os.geteuid() != 0 or shutil.which("mount") is None:
        return False
    command = ["mount", "-t", "tmpfs", "-o", f"size={DISK_MB}m", "oracle", str(folder)]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0
