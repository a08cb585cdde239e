"""Power cuts of one box on one disk: it boots, works, and its power goes; again and again.

The box is `kerbstone run` in a guest; its broker and the platform that receipts what it has stored
run here, and lose nothing. A meter runs on while the box has no power. In some cycles the way to
the broker closes before the cut, so that records lie on the disk alone.
"""

import os
import random
import signal
import subprocess
import sys
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from drivers.sim.meter_load import MeterLoad
from drivers.sim.meter_server import MeterServer
from drivers.sim.meter_tcp import MeterTcp
from edge.platform.openstore import open_store
from edge.rig.brokerlink import BrokerLink, LinkFault
from edge.rig.nbdserver import NbdServer
from edge.rig.rigbroker import OwnBroker
from edge.rig.volatiledisk import DISKS, DiskKind, VolatileDisk
from tests.kernel.build import ROOT
from tests.powercut.machine import CutGuest, CutMachine, CutMachineError, make_file_system
from tests.powercut.verdict import CutVerdict, judge_cuts

DAEMON: Final = ("-m", "edge.cli.main")
CARELESS: Final = ("-m", "tests.powercut.guest.careless")
GATEWAY: Final = "gw-cut"
HOST: Final = "10.0.2.2"  # what QEMU's network calls this machine
DISK_MB: Final = 48
UP_S: Final = 240.0  # until the daemon has numbered something; some 5 s on an idle machine
WORK_S: Final = (0.3, 9.0)
EARLY: Final = 0.2  # of the cuts: before the daemon works
OFFLINE: Final = 0.4  # of the cycles: the way to the broker closes
AT_WRITE: Final = 0.7  # of the cuts of a box that works: the cut is the moment of a write
WRITES: Final = 24  # at most, from the chosen moment on
WRITE_S: Final = 15.0  # a window ends each 2 s
DRAIN_S: Final = 240.0
STOP_S: Final = 120.0
SITE: Final = """\
[site]
id = "cut"
gateway = "{gateway}"
period_s = 2
[store]
dir = "{store}"
run_dir = "{run}"
limit_mb = 8
ballast_mb = 1
[uplink]
url = "mqtt://{host}:{broker}"
confirm = "platform"
receipt_s = 5
keepalive_s = 5
[streams]
manifest_s = 5
health_s = 60
[models]
congestion = false
anomaly = false
[bus.loops]
kind = "gpio"
chip = "/dev/gpiochip0"
[lane.north_1]
approach = "north"
bus = "loops"
lead = "lead"
trail = "trail"
spacing_m = 4.0
active = "high"
bias = "none"
[device.heat]
driver = "s0"
bus = "loops"
line = "heat"
imp_per_kwh = 1000
[bus.meters]
kind = "modbus-tcp"
host = "{host}"
port = {meter}
timeout_s = 0.5
[device.main_meter]
driver = "sdm630"
bus = "meters"
unit = 1
every_s = 1.0
"""


def site_file(broker: int, meter: int, *, warm: bool = False) -> str:
    """Of the box. `warm`: of a run on a disk in memory, before it has any other."""
    store, run = ("/tmp/warm/store", "/tmp/warm") if warm else ("/srv/store", "/run/kerbstone")
    return SITE.format(gateway=GATEWAY, store=store, run=run, host=HOST, broker=broker, meter=meter)


@dataclass(slots=True)
class CutFigures:
    """Of one disk. `seconds` are those of each cycle; `counts` of what happened on the way;
    `problems` are sentences about what must not be on any disk."""

    cycles: int = 0
    seconds: list[float] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    promised: dict[int, int] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    verdict: CutVerdict | None = None


class DiskRun:
    """`saved` is the machine as `CutMachine.keep` wrote it; None: the whole of it boots each time.
    `folder` is its own. `run` once."""

    def __init__(
        self, guest: CutGuest, saved: Path | None, kind: DiskKind, folder: Path, seed: int,
        report: Callable[[str], None], command: Sequence[str] = DAEMON,
    ) -> None:  # fmt: skip
        self._guest, self._saved, self._kind, self._folder = guest, saved, kind, folder
        self._chance = random.Random(f"{seed}/{kind}")
        self._report, self._command = report, [*command]
        self._figures = CutFigures()
        self._up_s = 5.0  # what a start took the last time
        self._new_card = False

    def run(self, cycles: int) -> CutFigures:
        """So many cuts, then a start after which all is delivered; and the verdict."""
        self._folder.mkdir(parents=True)
        with ExitStack() as stack:
            self._open(stack)
            for number in range(1, cycles + 1):
                began = time.monotonic()
                told = self._cycle()
                took_s = time.monotonic() - began
                self._figures.seconds.append(took_s)
                self._figures.cycles = number
                self._report(f"{self._kind} {number}/{cycles}: {told}; {took_s:.1f} s")
            self._deliver()
        with closing(open_store(self._store, write=False)) as store:
            self._figures.verdict = judge_cuts(store, GATEWAY, self._figures.promised)
        return self._figures

    # inside

    def _open(self, stack: ExitStack) -> None:
        self._store = self._folder / "platform.db"
        broker = OwnBroker(self._folder / "broker")
        stack.callback(broker.close)
        broker.start()
        self._platform = self._start_platform(broker.port)
        stack.callback(self._end_platform)
        self._link = stack.enter_context(BrokerLink(broker.host, broker.port, 1))
        meter = MeterTcp({1: MeterServer("sdm630", MeterLoad(3).values)}).start()
        stack.callback(meter.stop)
        self._site = site_file(self._link.port, meter.port)
        self._image = self._folder / "disk.img"
        make_file_system(self._image, DISK_MB)
        self._disk = self._new_disk()
        self._server = NbdServer(self._folder / "disk.sock", self._disk)
        stack.callback(self._server.stop)
        self._server.start()

    def _new_disk(self) -> VolatileDisk:
        chance = random.Random(self._chance.random())
        return VolatileDisk(bytearray(self._image.read_bytes()), DISKS[self._kind], chance)

    def _cycle(self) -> str:
        """One boot and its cut; what came of it, for people."""
        early = self._chance.random() < EARLY
        machine = self._boot()
        began = time.monotonic()
        try:
            if early:
                self._listen(machine, began + self._chance.uniform(0.0, self._up_s), "")
            elif self._listen(machine, began + UP_S, "given"):
                self._up_s = time.monotonic() - began
                self._work(machine)
            self._server.freeze()
            cut_s = time.monotonic() - began
            for one in machine.kill():
                self._take(one)
        finally:
            machine.close()
        self._link.set(LinkFault("fine"))
        cut = self._disk.cut()
        if self._new_card:
            self._disk, self._new_card = self._new_disk(), False
            self._server.insert(self._disk)
        self._server.thaw()
        counts = self._figures.counts
        counts["writes waiting at cuts"] += cut.writes
        counts["sectors kept"] += cut.kept
        counts["sectors lost"] += cut.lost
        counts["writes torn"] += cut.torn
        return (f"cut {cut_s:.1f} s after power came, {cut.writes} writes waited ({cut.policy}: "
                f"{cut.kept} sectors kept, {cut.lost} lost)")  # fmt: skip

    def _boot(self) -> CutMachine:
        machine = CutMachine(self._guest, self._server.path, self._saved)
        if self._saved is None:
            machine.answer("ready", UP_S)
        machine.say(
            go={
                "boot_id": "" if self._saved is None else str(uuid.uuid4()),
                "chance": os.urandom(32).hex(),
                "wall_s": time.time(),
                "site": self._site,
                "command": self._command,
            }
        )
        return machine

    def _work(self, machine: CutMachine) -> None:
        """It works for a while, and the way to its broker may close meanwhile."""
        works_s = self._chance.uniform(*WORK_S)
        end = time.monotonic() + works_s
        if self._chance.random() < OFFLINE:
            self._listen(machine, time.monotonic() + self._chance.uniform(0.0, works_s), "")
            self._link.set(LinkFault("down"))
            self._figures.counts["cuts while offline"] += 1
        self._listen(machine, end, "")
        if self._chance.random() < AT_WRITE:
            self._server.freeze_after(self._chance.randint(1, WRITES))
            end = time.monotonic() + WRITE_S
            while not self._server.frozen.is_set() and time.monotonic() < end:
                self._listen(machine, time.monotonic() + 0.01, "")

    def _listen(self, machine: CutMachine, until_s: float, wanted: str) -> bool:
        """Take what it says until then, or until it has said this. Whether it has."""
        for one in machine.heard(until_s):
            self._take(one)
            if wanted and wanted in one:
                return True
            if "ended" in one or not one.get("disk", {}).get("mounted", True):
                return False
        return False

    def _take(self, one: dict[str, Any]) -> None:
        figures = self._figures
        if "given" in one:
            epoch, count = one["given"]
            figures.promised[epoch] = max(count, figures.promised.get(epoch, 0))
        elif "ended" in one:
            figures.problems.append(f"the daemon ended with {one['ended']}: {one['log'][-600:]}")
        elif "disk" in one:
            found = one["disk"]
            figures.counts["starts"] += 1
            figures.counts["file systems repaired"] += "repaired" in found
            if not found["mounted"]:
                self._lost_disk(str(found["said"]))

    def _lost_disk(self, said: str) -> None:
        """Somebody puts a new card into the box. Only one that lies may need that."""
        self._figures.counts["file systems lost"] += 1
        if not self._disk.manner.lies:
            self._figures.problems.append(f"the disk cannot be mounted: {said}")
        self._new_card = True

    def _deliver(self) -> None:
        """A last start: everything goes, then it is stopped as systemd stops it."""
        machine = self._boot()
        try:
            self._listen(machine, time.monotonic() + UP_S, "given")
            running = max(self._figures.promised, default=0)
            end = time.monotonic() + DRAIN_S
            while not self._is_empty(machine):
                if time.monotonic() > end:
                    self._figures.problems.append(f"after {DRAIN_S:.0f} s records still wait")
                    break
            machine.say(stop=True)
            for one in machine.heard(time.monotonic() + STOP_S):
                if "ended" in one:
                    if one["ended"] != 0:
                        self._take(one)
                    break
            else:
                self._figures.problems.append("the daemon does not end when it is told to")
        except CutMachineError as error:
            self._figures.problems.append(str(error))
        finally:
            machine.close()
        self._figures.promised.pop(running, None)  # of these nobody has cut any
        self._wait_for_platform()

    def _is_empty(self, machine: CutMachine) -> bool:
        """Whether the box has nothing to deliver but what came just now."""
        machine.say(ask=True)
        for one in machine.heard(time.monotonic() + 15.0):
            self._take(one)
            if "outbox" in one:
                rows, gone = one["outbox"].get("rows"), one["outbox"].get("confirmed")
                time.sleep(0.3)
                return isinstance(rows, int) and rows - (gone or 0) <= 0
        return False

    def _start_platform(self, port: int) -> "subprocess.Popen[bytes]":
        with (self._folder / "platform.log").open("wb") as log:
            return subprocess.Popen(
                [sys.executable, *DAEMON, "receipts", "--broker", f"mqtt://127.0.0.1:{port}",
                 "--store", str(self._store)],
                cwd=ROOT, stdout=log, stderr=log,
            )  # fmt: skip

    def _wait_for_platform(self) -> None:
        """Until it stores nothing more."""
        size = -1
        while size != (size := self._store.stat().st_size + _wal_size(self._store)):
            time.sleep(1.5)

    def _end_platform(self) -> None:
        if self._platform.poll() is not None:
            log = (self._folder / "platform.log").read_text(errors="replace")
            self._figures.problems.append(f"the platform has ended by itself: {log[-600:]}")
            return
        self._platform.send_signal(signal.SIGINT)
        self._platform.wait(60)


def _wal_size(store: Path) -> int:
    wal = store.with_name(f"{store.name}-wal")
    return wal.stat().st_size if wal.exists() else 0


def causes(figures: CutFigures) -> Iterator[str]:
    """Why a run cannot be believed or is wrong, beside its verdict."""
    yield from figures.problems
    if not figures.counts["writes waiting at cuts"]:
        yield "no cut found a write in the disk's cache: nothing could have been lost"
