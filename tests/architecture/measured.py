"""A daemon of any checkout, traced: four edges of one vehicle, their record, its confirmation."""

import json
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from drivers.sim.gpio import SimChip
from edge.acquire.clock import SystemClock
from tests.architecture.carried import MARK_NS, MARKS
from tests.kit.broker import Mosquitto
from tests.kit.gateway import LOOPS

ROOT: Final = Path(__file__).parents[2]
PACKAGES: Final = ("edge", "drivers", "models", "deploy")
PERIOD_S: Final = 2
BEGIN_S: Final = 0.25  # of the window: then the vehicle comes
STEPS_S: Final = (0.0, 0.29, 0.35, 0.64)  # lead on, trail on, lead off, trail off
LINES: Final = (("lead", True), ("trail", True), ("lead", False), ("trail", False))
WAIT_S: Final = 60.0
PYTHON: Final = (sys.executable, "-m")
SITE: Final = """
[site]
id = "test"
gateway = "gw-1"
period_s = {period_s}
[store]
dir = "{dir}/store"
run_dir = "{dir}/run"
limit_mb = 16
[uplink]
url = "{url}"
confirm = "{confirm}"
"""


def follow(root: Path, confirm: str) -> dict[str, Any]:
    """What the profile noted, of a daemon of this checkout, confirmed by `broker` or `platform`."""
    with tempfile.TemporaryDirectory(prefix="kerbstone-hops-") as name:
        folder = Path(name)
        code = beside_this(root, folder)
        (folder / "run").mkdir()
        site = folder / "site.toml"
        broker = Mosquitto(folder / "broker").start()
        words = {"dir": folder, "url": broker.url, "period_s": PERIOD_S, "confirm": confirm}
        site.write_text((SITE + LOOPS).format(**words))
        out = folder / "followed.json"
        try:
            with (
                SimChip(["lead", "trail"], folder / "gpio.sock") as chip,
                city(code, broker, folder, confirm),
                daemon(code, out, site, folder / "daemon.log") as process,
            ):
                if not chip.wait_requested(["lead", "trail"], WAIT_S):
                    raise RuntimeError((folder / "daemon.log").read_text())
                drive(chip)
                time.sleep(2 * PERIOD_S + 0.8)  # its window, and the commit of the next
                process.send_signal(signal.SIGTERM)
                process.wait(WAIT_S)
        finally:
            broker.kill()
        if not out.exists():
            raise RuntimeError((folder / "daemon.log").read_text())
        found: dict[str, Any] = json.loads(out.read_text())
        return found


def beside_this(root: Path, folder: Path) -> Path:
    """The packages of a checkout with the tools of this one: all are measured by the same rule."""
    code = folder / "code"
    code.mkdir()
    for package in PACKAGES:
        (code / package).symlink_to(root / package)
    (code / "tests").symlink_to(ROOT / "tests")
    return code


def drive(chip: SimChip) -> None:
    """One vehicle in the next window. Each edge has its mark in the last digits of its time."""
    now = SystemClock().now()
    shift_ns = now.wall_ns - now.mono_ns if now.tq in ("ntp", "nts") else 0
    period_ns = PERIOD_S * 1_000_000_000
    begin_ns = time.monotonic_ns()
    begin_ns += period_ns - (begin_ns + shift_ns) % period_ns + int(BEGIN_S * 1e9)
    for (line, high), after_s, mark in zip(LINES, STEPS_S, MARKS, strict=True):
        at_ns = (begin_ns + int(after_s * 1e9)) // MARK_NS * MARK_NS + mark
        time.sleep(max(0.0, (at_ns - time.monotonic_ns()) / 1e9))
        chip.drive(line, high, at_ns)


@contextmanager
def daemon(code: Path, out: Path, site: Path, log: Path) -> Iterator["subprocess.Popen[bytes]"]:
    with log.open("wb") as said:
        process = subprocess.Popen(
            [*PYTHON, "tests.architecture.following", str(code), str(out), "run", "-v", str(site)],
            cwd=code, stdout=said, stderr=said,
        )  # fmt: skip
        try:
            yield process
        finally:
            _end(process)


@contextmanager
def city(code: Path, broker: Mosquitto, folder: Path, confirm: str) -> Iterator[None]:
    """Who sends receipts, where these confirm."""
    if confirm == "broker":
        yield
        return
    store, quiet = str(folder / "city.db"), subprocess.DEVNULL
    process = subprocess.Popen(
        [*PYTHON, "edge.cli.main", "receipts", "--broker", broker.url, "--store", store],
        cwd=code, stdout=quiet, stderr=quiet,
    )  # fmt: skip
    try:
        end = time.monotonic() + WAIT_S
        while "Sending SUBACK" not in broker.log:
            if process.poll() is not None or time.monotonic() > end:
                raise RuntimeError("kerbstone receipts has not subscribed")
            time.sleep(0.02)
        yield
    finally:
        _end(process)


def _end(process: "subprocess.Popen[bytes]") -> None:
    if process.poll() is None:
        process.kill()
        process.wait(WAIT_S)
