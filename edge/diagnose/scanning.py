"""`kerbstone scan`: every wire at once, a thread each, and none that somebody else works on."""

import asyncio
import contextlib
import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import drivers
from drivers.buses.i2c import SmbusI2c
from drivers.buses.modbus.rtu import ModbusRtu
from drivers.buses.modbus.tcp import ModbusTcp
from drivers.buses.serial_diagnose import check_port
from drivers.buses.serial_port import SerialPort
from drivers.buses.serial_trouble import bytes_finding
from drivers.scan import i2c, meters, port
from drivers.scan.found import Findings, Pace, StoppedError
from edge.config import Site
from edge.control.buslock import BusLock
from edge.core import BusError
from edge.core.driver import SerialLine
from edge.core.signalevent import SignalEvent
from edge.diagnose import tomlsnippet
from edge.gateway.scantargets import (
    BusesInUse,
    bus_at,
    check_tcp,
    kernel_addresses,
    parse_tcp_target,
    site_targets,
)

NO_BUSES_IN_USE: Final = BusesInUse()
PTS_PREFIX: Final = "/dev/pts/"  # whoever simulates a device holds its other end, too
LOOK_S: Final = 0.1  # between two looks at how far it is
JOIN_S: Final = 4.0  # for a step to end when somebody has seen enough
STOP_HINT: Final = "stop it first (systemctl stop kerbstone)"


@dataclass(slots=True)
class ScanJob:
    """One wire: `place` as it is named, what was found so far, and how far the search is.

    `refused` says why it was not searched; `whole` whether it was searched to its end.
    """

    place: str
    kind: str  # i2c, serial or modbus-tcp
    estimate_s: float
    findings: Findings = field(default_factory=Findings)
    refused: str = ""
    step: str = ""
    finished: bool = False
    whole: bool = True
    _done_s: float = 0.0
    _step_s: float = 0.0
    _since_s: float = 0.0

    def begin(self, step: str, seconds: float, more_s: float = 0.0) -> None:
        """The next step, which takes so long at most, and `more_s` of it beyond the estimate."""
        now_s = time.monotonic()
        over_s = max(0.0, now_s - self._since_s - self._step_s) if self.step else 0.0
        self.estimate_s += more_s + over_s
        self._done_s += self._step_s + over_s
        self.step, self._step_s, self._since_s = step, seconds, now_s

    @property
    def done_s(self) -> float:
        """How much of the estimate is over."""
        if self.finished:
            return self.estimate_s
        in_step_s = min(self._step_s, time.monotonic() - self._since_s)
        return min(self.estimate_s, self._done_s + in_step_s)

    def bus(self) -> tomlsnippet.SnippetBus | None:
        """What a configuration would say; None when nobody was found."""
        found = self.findings.devices
        if not found:
            return None
        devices = [tomlsnippet.SnippetDevice(one.driver, one.options, one.what) for one in found]
        if self.kind == "i2c":
            return tomlsnippet.SnippetBus({"kind": "i2c", "path": self.place}, devices)
        if self.kind == "modbus-tcp":
            host, tcp_port = parse_tcp_target(self.place)
            return tomlsnippet.SnippetBus(
                {"kind": self.kind, "host": host, "port": tcp_port}, devices
            )
        modbus = drivers.spec(found[0].driver).wiring == "modbus"
        kind = "modbus-rtu" if modbus else "serial"
        line = SerialLine.parse(found[0].line)
        return tomlsnippet.SnippetBus({"kind": kind, "port": self.place}, devices, line)


def make_scan_job(place: str, pace: Pace) -> ScanJob:
    """A place by its name: /dev/i2c-1, sim:/path, tcp:HOST:PORT or a port. Raises ValueError."""
    if place.startswith(("/dev/i2c-", "sim:/")):
        return ScanJob(place, "i2c", i2c.estimate_i2c_s())
    if place.startswith("tcp:"):
        parse_tcp_target(place)
        return ScanJob(place, "modbus-tcp", meters.estimate_units_s(pace))
    if place.startswith("/"):
        return ScanJob(place, "serial", port.estimate_port_s(pace))
    raise ValueError(
        f"{place!r} is no place: name an I2C bus (/dev/i2c-1), a serial port (/dev/ttyUSB0), or"
        " tcp:HOST:PORT"
    )


class Scan:
    """Searches all jobs, until they are finished or `stop`. What is found is in the jobs.

    `site` says which bus is called how, and `at_work` on which of them a daemon works.
    """

    def __init__(
        self,
        jobs: Sequence[ScanJob],
        pace: Pace,
        site: Site | None = None,
        at_work: BusesInUse = NO_BUSES_IN_USE,
    ) -> None:
        self.jobs = jobs
        self.error: BaseException | None = None
        self._pace, self._site, self._at_work = pace, site, at_work
        self._stop, self._ended = SignalEvent(), SignalEvent()

    def run(self, watch: Callable[[], None]) -> bool:
        """Search; `watch` is called now and then. False when Ctrl-C ended it before its time."""
        threads = [
            threading.Thread(target=self._search, args=(one,), name=one.place, daemon=True)
            for one in self.jobs
        ]
        whole = True
        try:
            for thread in threads:
                thread.start()
            # never with join: Python 3.11 takes a thread for ended whose join was interrupted
            while not self._ended.wait(LOOK_S):
                watch()
        except KeyboardInterrupt:
            whole = False
            self.stop()
            with contextlib.suppress(KeyboardInterrupt):  # he cannot wait for the step to end
                self._ended.wait(JOIN_S)
            for one in self.jobs:
                one.whole = one.whole and one.finished
        if self.error is not None:
            raise self.error
        return whole

    def stop(self) -> None:
        """End soon; what was found stays."""
        self._stop.set()

    @property
    def share(self) -> float:
        """How much of it is over, 0 to 1."""
        total_s = sum(one.estimate_s for one in self.jobs)
        return sum(one.done_s for one in self.jobs) / total_s if total_s else 1.0

    @property
    def left_s(self) -> float:
        """How long it takes at most from now on."""
        return max((one.estimate_s - one.done_s for one in self.jobs), default=0.0)

    def _search(self, job: ScanJob) -> None:
        try:
            with self._alone(job):
                if not job.refused:
                    asyncio.run(self._searched(job))
        except StoppedError:
            job.whole = False
        except BusError as error:
            job.refused = str(error)
        except BaseException as error:  # noqa: BLE001  a fault of ours: the command ends with it
            self.error = error
        finally:
            job.finished = True
            if all(each.finished for each in self.jobs):
                self._ended.set()

    async def _searched(self, job: ScanJob) -> None:
        def tick(step: str, seconds: float, more_s: float = 0.0) -> None:
            if self._stop.is_set():
                raise StoppedError
            job.begin(step, seconds, more_s)

        if job.kind == "i2c":
            bus = SmbusI2c(job.place)
            try:
                await i2c.scan_i2c(bus, job.findings, tick, kernel_addresses(job.place))
            finally:
                bus.close()
        elif job.kind == "modbus-tcp":
            host, tcp_port = parse_tcp_target(job.place)
            check_tcp(host, tcp_port)
            line = ModbusTcp(host, tcp_port, self._pace.answer_s)
            try:
                await meters.scan_units(line, "", self._pace, job.findings, tick)
            finally:
                line.close()
        else:
            await port.scan_port(
                lambda line: SerialPort.at(job.place, line),
                lambda line, answer_s: ModbusRtu(
                    SerialPort.at(job.place, line), answer_s, 2 * answer_s
                ),
                self._pace,
                job.findings,
                tick,
            )
            job.findings.unknown += not_understood(job)

    @contextlib.contextmanager
    def _alone(self, job: ScanJob) -> Iterator[None]:
        """The place's lock, if it is a bus of the site. Says in `refused` who has it instead."""
        bus = bus_at(site_targets(self._site), job.place) if self._site is not None else ""
        if known := bus_at(self._at_work.buses, job.place):
            job.refused = (
                f"the running daemon uses it (bus {known}): {STOP_HINT}, or read its devices "
                "with kerbstone read"
            )
        elif job.kind == "i2c" and self._at_work.untold:  # nothing else keeps two masters apart
            job.refused = (
                f"a daemon runs and does not say whether it uses this bus: {STOP_HINT}, or name its"
                " site file (--config)"
            )
        elif job.kind == "serial" and not os.path.realpath(job.place).startswith(PTS_PREFIX):
            found = [
                str(finding) for finding in check_port(job.place) if finding.severity == "fault"
            ]
            job.refused = "; ".join(found)
        lock = None
        if bus and self._site is not None and not job.refused:
            lock = BusLock(Path(self._site.store.run_dir), bus)
            try:
                if not lock.take():
                    job.refused = lock.in_use()
            except OSError:
                lock = None  # a folder that is not ours: then no command of ours is there either
        try:
            yield
        finally:
            if lock is not None:
                lock.release()


def not_understood(job: ScanJob) -> list[str]:
    """What came on a port and could not be understood; nothing when somebody was found there."""
    if job.findings.devices or not job.findings.heard:
        return []
    line, heard = max(job.findings.heard.items(), key=lambda item: len(item[1]))
    if heard:
        return [str(finding) for finding in bytes_finding(job.place, line, heard)]
    tried = ", ".join(job.findings.heard)
    return [
        f"{job.place}: bytes came at {tried}, and no frame was in them: wrong baud rate or parity,"
        " A and B swapped, or another kind of device"
    ]
