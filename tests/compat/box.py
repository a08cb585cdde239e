"""A box under test: its folder, its site file, and the daemon in it as a process.

A site file of a version folder has words in place of what another run has elsewhere: `@dir@`,
`@broker@`, and 1, the port of the meters.
"""

import os
import signal
import subprocess
import sys
import time
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
KERBSTONE: Final = (sys.executable, "-m", "tests.compat.launch")
BOOT_ID: Final = "00000000-0000-4000-8000-000000000001"

HEAD: Final = """
[site]
id = "compat"
gateway = "{gateway}"
zone = "Europe/Berlin"
period_s = {period_s}
[store]
dir = "@dir@/store"
run_dir = "@dir@/run"
limit_mb = 8
ballast_mb = 0
[uplink]
url = "@broker@"
confirm = "{confirm}"
encoding = "{encoding}"
receipt_s = 600
window = 4
[streams]
raw = {raw}
raw_commit_s = 5
health_s = 10
manifest_s = 5
[privacy]
passages = true
"""
LOOPS: Final = """
[bus.loops]
kind = "gpio"
chip = "sim:@dir@/gpio.sock"
[lane.north_1]
approach = "north"
bus = "loops"
lead = "lead"
trail = "trail"
spacing_m = 4.0
active = "high"
bias = "none"
[bay.bakery]
kind = "loading"
bus = "loops"
line = "bay"
active = "high"
bias = "none"
min_stay_s = 1
[device.door]
driver = "contact"
bus = "loops"
line = "door"
active = "high"
bias = "none"
event = "door"
"""
AIR: Final = """
[bus.air]
kind = "i2c"
path = "sim:@dir@/i2c.sock"
[device.hut_air]
driver = "sen55"
bus = "air"
every_s = 1.0
settle_reads = 1
"""
METERS: Final = """
[bus.meters]
kind = "modbus-tcp"
host = "127.0.0.1"
port = 1  # of the meters
"""
METER: Final = """
[device.meter_{unit}]
driver = "sdm120"
bus = "meters"
unit = {unit}
every_s = 1.0
"""


def meters(count: int) -> str:
    return METERS + "".join(METER.format(unit=unit) for unit in range(1, count + 1))


class Box:
    """`text` is the site file with its words; `env` is told to the launcher."""

    def __init__(
        self, folder: Path, text: str, broker: str, meters: int, env: Mapping[str, object] = {}
    ) -> None:
        self.folder, self.text = folder, text
        for name in ("run", "state"):
            (folder / name).mkdir(parents=True, exist_ok=True)
        self.site = folder / "site.toml"
        port = "port = {} ".format
        words = {"@dir@": str(folder), "@broker@": broker, port(1): port(meters)}
        for word, meant in words.items():
            text = text.replace(word, meant)
        self.site.write_text(text)
        self.log = folder / "daemon.log"
        boot = folder / "boot_id"
        boot.write_text(f"{BOOT_ID}\n")
        self.env = {"COMPAT_BOOT": str(boot), **{key: str(each) for key, each in env.items()}}
        self._daemon: subprocess.Popen[bytes] | None = None

    @property
    def gateway(self) -> str:
        return str(tomllib.loads(self.text)["site"]["gateway"])

    def at(self, mono_ns: int, wall_ns: int) -> None:
        """It is that time for it now."""
        self.env["COMPAT_MONO_NS"] = str(mono_ns - time.monotonic_ns())
        self.env["COMPAT_WALL_NS"] = str(wall_ns - time.time_ns())

    def start(self) -> None:
        with self.log.open("ab") as log:
            self._daemon = subprocess.Popen(
                [*KERBSTONE, "run", "-v", str(self.site), "--state", str(self.folder / "state")],
                cwd=ROOT, env={**os.environ, **self.env}, stdin=subprocess.DEVNULL,
                stdout=log, stderr=log,
            )  # fmt: skip

    def wait(self, done: Callable[[], object], timeout_s: float = 90.0) -> None:
        """Until it is so, while the daemon runs."""
        end = time.monotonic() + timeout_s
        while not done():
            assert self._daemon is None or self._daemon.poll() is None, self.log.read_text()
            assert time.monotonic() < end, self.log.read_text()
            time.sleep(0.02)

    @property
    def running(self) -> bool:
        return self._daemon is not None and self._daemon.poll() is None

    def send(self, number: signal.Signals) -> None:
        assert self._daemon is not None
        self._daemon.send_signal(number)

    def kill(self) -> None:
        """-9; nothing when none runs."""
        if self._daemon is not None and self.running:
            self._daemon.kill()
            self._daemon.wait(60)

    def stop(self) -> None:
        assert self._daemon is not None
        self._daemon.terminate()
        assert self._daemon.wait(60) == 0, self.log.read_text()
