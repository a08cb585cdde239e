"""What a serial line of eight meters carries at the best, and how two masters use it."""

import asyncio
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

from pymodbus.client import ModbusSerialClient

from drivers.buses.modbus import ModbusRtu
from drivers.buses.serial_port import SerialPort
from drivers.meters.register_map import ModbusDevice, parse_register_map
from edge.acquire.clock import SystemClock
from edge.acquire.poll import Poller, PollState
from edge.core import Polled, Sweep
from tests.bench.dead import Timed
from tests.bench.meter_bus import TABLE, TURNAROUND_S, UNITS
from tests.kit.process import MeasuredProgram

REGISTERS: Final = 40
VALUES: Final = 20
TIMEOUT_S: Final = 0.5


@dataclass(frozen=True, slots=True)
class LineTiming:
    """A line of this speed, 8N1, on which each meter is asked for 40 registers in one request."""

    baud: int

    @property
    def busy_s(self) -> float:
        """Question and answer of one meter."""
        return (8 + 5 + 2 * REGISTERS) * 10 / self.baud

    @property
    def turn_s(self) -> float:
        """The shortest time from one question to the next: silence and turnaround are in it."""
        return self.busy_s + 35 / self.baud + TURNAROUND_S

    @property
    def ceiling(self) -> float:
        """Percent of the time that the wire can be busy at the best."""
        return 100 * self.busy_s / self.turn_s


class LineProcess:
    """The simulated line as a process of its own."""

    def __init__(self, program: MeasuredProgram) -> None:
        self._program = program
        self.port: str = program.said()["pty"]

    def seen(self) -> dict[str, Any]:
        """End it. Gives what it has seen."""
        self._program.stop()
        return self._program.said()


@contextmanager
def line(folder: Path, wire: LineTiming, silent: Sequence[int] = ()) -> Iterator[LineProcess]:
    """Eight meters; `silent` units do not answer. Nobody broke the silence between frames."""
    arguments = (wire.baud, *silent)
    with MeasuredProgram(folder / "line.log", "tests.bench.meter_bus", *arguments) as program:
        one = LineProcess(program)
        yield one
        seen = one.seen()
    assert seen["requests"]
    assert (seen["early"], seen["damaged"], seen["collisions"]) == (0, 0, 0), seen


@dataclass(slots=True)
class LineUse:
    """What came when (monotonic ns), and what CPU its thread had taken by then (s)."""

    answers: list[int] = field(default_factory=list)
    cpu_s: list[float] = field(default_factory=list)
    silences_s: list[float] = field(default_factory=list)  # how long each took

    def came(self) -> None:
        """An answer, now."""
        self.answers.append(time.monotonic_ns())
        self.cpu_s.append(time.thread_time())

    @property
    def cpu_per_1000_values_ms(self) -> float:
        """From the first answer on: what a start costs is another matter."""
        return 1e6 * (self.cpu_s[-1] - self.cpu_s[0]) / (VALUES * (len(self.answers) - 1))

    def shares(self, wire: LineTiming, runs: int, turns: int) -> list[float]:
        """Of the ceiling, in so many runs of so many turns each; those before them warm up."""
        first = len(self.answers) - runs * turns - 1
        assert first >= 0, f"only {len(self.answers)} answers"
        marks = self.answers[first::turns]
        return [turns * wire.turn_s * 1e9 / (end - begin) for begin, end in pairwise(marks)]


def ours(wire: LineTiming, port: str, seconds: float, silent: Sequence[int] = ()) -> LineUse:
    """The poller of one bus, asked to go as fast as the line does. Who is `silent` is timed."""
    table = parse_register_map(TABLE.read_text("utf-8"), TABLE)
    bus = ModbusRtu(SerialPort(port, wire.baud), TIMEOUT_S)
    used = LineUse()
    meters: dict[int, Polled] = {unit: ModbusDevice(bus, table, unit) for unit in UNITS}
    meters |= {unit: Timed(meters[unit], used.silences_s) for unit in silent}
    devices = [PollState(f"m{unit}", meter, every_ns=1_000_000) for unit, meter in meters.items()]

    def take(sweep: Sweep) -> None:
        if any(value is not None for value in sweep.values):
            assert None not in sweep.values
            used.came()

    async def run() -> None:
        task = asyncio.create_task(poller.run())
        await asyncio.sleep(seconds)
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task

    poller = Poller(devices, SystemClock(), take, lambda *_: None)
    try:
        asyncio.run(run())
    finally:
        bus.close()
    return used


def script(wire: LineTiming, port: str, seconds: float) -> LineUse:
    """The same by pymodbus, one meter after the other."""
    client = ModbusSerialClient(port, baudrate=wire.baud, timeout=TIMEOUT_S, retries=0)
    used = LineUse()
    try:
        assert client.connect()
        end_ns = time.monotonic_ns() + int(seconds * 1e9)
        while time.monotonic_ns() < end_ns:
            for unit in UNITS:
                answer = client.read_input_registers(0, count=REGISTERS, device_id=unit)
                assert len(answer.registers) == REGISTERS
                used.came()
    finally:
        client.close()  # type: ignore[no-untyped-call]  # pymodbus annotates this one not
    return used
