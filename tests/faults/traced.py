"""A site whose daemon runs under strace, which makes system calls fail or take their time."""

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any, Final

import pytest

from drivers.sim.i2c import I2cKernel
from drivers.sim.i2c_server import I2cServer
from drivers.sim.sht4x import Sht4x
from tests.kit.broker import Mosquitto
from tests.kit.gateway import KERBSTONE, GatewayProcess, Records

STRACE: Final = shutil.which("strace") or "/usr/bin/strace"
SYNCS: Final = "fsync,fdatasync"
EVERY_S: Final = 0.25
UP: Final = "kerbstone/v1/test/gw-1/up/#"
AIR: Final = f"""
[privacy]
passages = true
[streams]
raw = true
raw_commit_s = 0.5
[bus.hut]
kind = "i2c"
path = "sim:{{dir}}/hut.sock"
[device.hut_air]
driver = "sht4x"
bus = "hut"
every_s = {EVERY_S}
"""


class TracedSite(GatewayProcess):
    """The process is the daemon: strace lives beside it (-D), and stops it at these calls only."""

    def __init__(
        self, folder: Path, broker: Mosquitto, inject: str, calls: str = SYNCS, **words: Any
    ) -> None:
        super().__init__(folder, broker, AIR, **words)
        self.calls = folder / "calls"
        self._strace = (
            STRACE, "-D", "-f", "--seccomp-bpf", "-o", str(self.calls),
            "-e", f"trace={calls}", "-e", f"inject={calls}:{inject}",
        )  # fmt: skip
        self.command = (*self._strace, *KERBSTONE)  # type: ignore[misc]

    def without(self) -> "TracedSite":
        """From the next start on nothing is injected."""
        self.command = KERBSTONE  # type: ignore[misc]
        return self

    @property
    def injected(self) -> int:
        """Calls that failed or were late so far."""
        if not self.calls.exists():
            return 0
        return len(re.findall(r"\((?:INJECTED|DELAYED)", self.calls.read_text()))


def needs_strace() -> None:
    if not Path(STRACE).exists():
        pytest.skip("strace is not installed: apt-get install strace")
    probe = [STRACE, "-D", "-f", "--seccomp-bpf", "-o", "/dev/null", "-e", "trace=fsync", "true"]
    if subprocess.run(probe, capture_output=True, check=False).returncode:
        pytest.skip("nothing may be traced here")


def sensor(folder: Path) -> I2cServer:
    held = {"temperature": 21.0, "humidity": 50.0}
    return I2cServer(I2cKernel({0x44: Sht4x(held)}), folder / "hut.sock")


def polls(records: Records) -> list[float]:
    """When each value was read, in seconds, in order and once."""
    sweeps = [s for r in records.of("raw") for s in r["sweeps"]]
    return sorted({s["mono"] / 1e6 for s in sweeps if s["values"][0] is not None})
