"""`kerbstone doctor`: what is wrong with each bus and each device, from the wires themselves or,
while the daemon works on them, from what it knows and what can be looked at beside it.

Nothing is written to a device but what its driver writes when it is opened and read.
"""

import asyncio
import contextlib
import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from drivers.buses import i2c_trouble, serial_diagnose
from drivers.buses.finding import Finding
from drivers.buses.gpio.linecheck import check_lines as look_at_lines
from drivers.buses.host import find_holder, look_up_node
from drivers.scan.found import StoppedError
from edge.config import (
    Bay,
    Bus,
    Device,
    GpioBus,
    I2cBus,
    Lane,
    ModbusRtuBus,
    ModbusTcpBus,
    SerialBus,
    Site,
)
from edge.control.buslock import BusLock
from edge.core import BusError
from edge.core.signalevent import SignalEvent
from edge.diagnose import probe
from edge.diagnose.exam import Exam, ExamFinding, split_finding
from edge.diagnose.probe import ProbeTick
from edge.gateway import wiring
from edge.gateway.scantargets import check_tcp
from edge.gateway.wiring import Wiring

PTY_PREFIX: Final = "/dev/pts/"  # whoever simulates a device holds its other end, too
LIMIT_S: Final = 240.0  # of all of it; then what was found so far is reported
ENDED_EARLY: Final = "ended early"  # by Ctrl-C
LOOK_S: Final = 0.1  # between two looks at how far it is
JOIN_S: Final = 2.0  # for a step to end when somebody has seen enough


async def examine_bus(exam: Exam, tick: ProbeTick) -> None:
    """All of one bus; what is found is in `exam`. Raises StoppedError."""
    bus = exam.site.buses[exam.bus]
    if isinstance(bus, GpioBus):
        return check_lines(exam, bus.chip)
    exam.add_wire(check_before_open(bus), "bus_port")
    if exam.broken:
        return None
    wire: Any = wiring.make_bus(bus)
    try:
        match bus:
            case I2cBus():
                await probe.probe_i2c(exam, wire, tick)
            case SerialBus():
                await probe.probe_serial(exam, wire, tick)
            case ModbusRtuBus():
                await probe.probe_rtu(exam, bus, wire, tick)
            case ModbusTcpBus():
                await probe.probe_tcp(exam, bus, wire, tick)
    except BusError as error:
        exam.add("", split_finding("fault", str(error)))
    finally:
        wire.close()


def check_lines(exam: Exam, chip: str, ours: str = "") -> None:
    """The lines of a GPIO chip: they are looked at, and not requested."""
    wiring = Wiring.of(exam.site)
    specs = wiring.lines.get(exam.bus, [])
    if chipless := look_at_lines(chip, []):
        exam.add_wire((split_finding(one.severity, one.sentence) for one in chipless), "bus_port")
        return
    for spec, one in zip(specs, look_at_lines(chip, specs, ours), strict=True):
        name = wiring.lined[spec.line].source.partition(".")[0]
        if one.severity != "note":
            said = one if one.remedy else split_finding(one.severity, one.sentence)
            exam.add(name, said, "gpio_lines")
        elif name in exam.names:
            exam.answers.add(name)


def check_before_open(bus: Bus) -> list[Finding]:
    """What the machine says of a bus, before it is opened."""
    match bus:
        case I2cBus(path=path) if not path.startswith(i2c_trouble.SIM):
            found = look_up_node(path)
            return i2c_trouble.host_findings(
                found, *i2c_trouble.host_facts(), find_holder(found.path)
            )
        case SerialBus(port=port) | ModbusRtuBus(port=port):
            if not os.path.realpath(port).startswith(PTY_PREFIX):
                return serial_diagnose.check_port(port)
        case ModbusTcpBus(host=host, port=tcp_port):
            try:
                check_tcp(host, tcp_port)
            except BusError as error:
                return [split_finding("fault", str(error))]
    return []


def make_exams(site: Site, words: Sequence[str]) -> list[Exam]:
    """The buses that these names mean, each with devices, lanes and bays; all without a name.

    Raises ValueError for a name that the configuration has not.
    """
    things: dict[str, Device | Lane | Bay] = {**site.devices, **site.lanes, **site.bays}
    for word in words:
        if word not in site.buses and word not in things:
            known = ", ".join([*site.buses, *things]) or "none"
            raise ValueError(f"no bus, device, lane or bay is called {word!r}; there are {known}")
    found = []
    for bus in site.buses:
        names = [
            name
            for name, thing in things.items()
            if thing.bus == bus and (not words or bus in words or name in words)
        ]
        if not words or bus in words or names:
            found.append(Exam(site, bus, tuple(names)))
    return found


class Doctor:
    """Looks at all buses at once, a thread each; what it finds is in the exams."""

    def __init__(self, exams: Sequence[Exam], limit_s: float = LIMIT_S) -> None:
        self.exams = exams
        self.error: BaseException | None = None
        self._limit_s = limit_s
        self._stop, self._ended = SignalEvent(), SignalEvent()
        self._open = len(exams)
        self._lock = threading.Lock()
        self._start_s = time.monotonic()

    def run(self, watch: Callable[[], None]) -> str:
        """Look; `watch` is called now and then. Says why it ended before its time, "" if not."""
        threads = [
            threading.Thread(target=self._look, args=(one,), name=one.bus, daemon=True)
            for one in self.exams
        ]
        why = ""
        try:
            for thread in threads:
                thread.start()
            # never with join: Python 3.11 takes a thread for ended whose join was interrupted
            while threads and not self._ended.wait(LOOK_S):
                watch()
                if self.took_s > self._limit_s:
                    why = f"ended after {self._limit_s:g} s"
                    break
        except KeyboardInterrupt:
            why = ENDED_EARLY
        if why:
            self._stop.set()
            with contextlib.suppress(KeyboardInterrupt):  # he cannot wait for the step to end
                self._ended.wait(JOIN_S)
        if self.error is not None:
            raise self.error
        return why

    @property
    def took_s(self) -> float:
        """Since it began."""
        return time.monotonic() - self._start_s

    def findings(self) -> list[ExamFinding]:
        """All that was found so far."""
        return [finding for one in self.exams for finding in one.findings()]

    def _look(self, exam: Exam) -> None:
        def tick(step: str) -> None:
            if self._stop.is_set():
                raise StoppedError
            exam.step = step

        try:
            with _holding_lock(exam):
                if not exam.refused:
                    asyncio.run(examine_bus(exam, tick))
            exam.finished = True
        except StoppedError:
            pass
        except BaseException as error:  # noqa: BLE001  a fault of ours: the command ends with it
            self.error = error
        with self._lock:
            self._open -= 1
            if not self._open:
                self._ended.set()


@contextlib.contextmanager
def _holding_lock(exam: Exam) -> Iterator[None]:
    """The bus's lock. Says in `refused` why it cannot be had."""
    lock = BusLock(Path(exam.site.store.run_dir), exam.bus)
    try:
        if not lock.take():
            exam.refused = lock.in_use()
    except OSError as error:
        exam.refused = f"no access to its lock ({error}); use sudo, or join the group kerbstone"
    try:
        yield
    finally:
        lock.release()
