"""How well a line at 9600 baud is used: eight meters, 40 registers each, and one of them silent."""

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median

import pytest
from pymodbus.client import ModbusSerialClient

from drivers.buses.modbus import ModbusRtu
from drivers.buses.serial_port import SerialPort
from drivers.meters.register_map import ModbusDevice, parse
from edge.acquire.clock import SystemClock
from edge.acquire.poll import Device, Poller
from edge.core import Sweep
from tests.bench.program import Program
from tests.bench.report import Report
from tests.bench.rig import TABLES

pytestmark = pytest.mark.bench

BAUD = 9600
METERS = 8
REGISTERS = 40
TURNAROUND_S = 0.005  # of the simulated meters
CHAR_S = 10 / BAUD
WIRE_S = (8 + 5 + 2 * REGISTERS) * CHAR_S  # question and answer
CEILING_S = WIRE_S + 3.5 * CHAR_S + TURNAROUND_S
ROUNDS = 5
FIRST_TIMEOUT_S = 1.5  # and until the line is back at its pace
SILENT_S = 10.0


@contextmanager
def line(folder: Path, *arguments: str) -> Iterator[str]:
    """A pseudo-terminal with eight SDM630 behind it; their first 40 registers are 20 values."""
    module = "drivers.sim.meter"
    with Program(
        folder / "line.log", module, "--pty", "--units", f"1-{METERS}", *arguments
    ) as meters:
        yield meters.said()["pty"]


def ours(port: str, seconds: float) -> list[Sweep]:
    """What the poller of one bus delivers, asked to go as fast as the line does."""
    table = parse((TABLES / "meter20.toml").read_text("utf-8"), TABLES / "meter20.toml")
    bus = ModbusRtu(SerialPort(port, BAUD), timeout_s=0.5)
    devices = [
        Device(f"m{unit}", ModbusDevice(bus, table, unit), every_ns=1_000_000)
        for unit in range(1, METERS + 1)
    ]
    sweeps: list[Sweep] = []
    poller = Poller(devices, SystemClock(), sweeps.append, lambda *_: None)

    async def run() -> None:
        task = asyncio.create_task(poller.run())
        await asyncio.sleep(seconds)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    try:
        asyncio.run(run())
    finally:
        bus.close()
    return [sweep for sweep in sweeps if any(value is not None for value in sweep.values)]


def round_s(sweeps: list[Sweep]) -> float:
    """Median time of a round of all meters."""
    times = [sweep.mono_ns for sweep in sweeps]
    rounds = [b - a for a, b in zip(times[::METERS], times[METERS::METERS], strict=False)]
    assert len(rounds) >= ROUNDS
    return median(rounds) / 1e9


def script_round_s(port: str) -> float:
    """The same by pymodbus, one meter after the other."""
    client = ModbusSerialClient(port, baudrate=BAUD, timeout=0.5, retries=0)
    took = []
    try:
        assert client.connect()
        for _ in range(ROUNDS):
            begin = time.monotonic()
            for unit in range(1, METERS + 1):
                answer = client.read_input_registers(0, count=REGISTERS, device_id=unit)
                assert len(answer.registers) == REGISTERS
            took.append(time.monotonic() - begin)
    finally:
        client.close()  # type: ignore[no-untyped-call]  # pymodbus annotates this one not
    return median(took)


def test_use_of_the_line(tmp_path: Path, report: Report) -> None:
    ceiling = 100 * WIRE_S / CEILING_S
    with line(tmp_path) as port:
        whole = ours(port, METERS * CEILING_S * (ROUNDS + 2.5))
    with line(tmp_path) as port:
        script = METERS * CEILING_S / script_round_s(port)
    share = METERS * CEILING_S / round_s(whole)
    what, how = "RTU 9600 8N1, 8 x 40 registers: use of wire time", f"median of {ROUNDS} rounds"
    limit = "ceiling: t3.5 and 5 ms turnaround"
    report.add(what, ceiling * share, ceiling, "%", limit, how)
    report.add(what, ceiling * share, ceiling * script, "%", "pymodbus serial", how)


def test_use_of_the_line_with_one_silent(tmp_path: Path, report: Report) -> None:
    with line(tmp_path, "--fault", f"{METERS}:silent") as port:
        heard = ours(port, FIRST_TIMEOUT_S + SILENT_S)
    begin_ns = heard[-1].mono_ns - int(SILENT_S * 1e9)
    count = sum(sweep.mono_ns > begin_ns for sweep in heard)
    what = "the same, 1 of 8 silent: answers of the others"
    possible = 1 / CEILING_S
    how = f"{SILENT_S:.0f} s, its retries in it; all that the line can carry is the limit"
    report.add(what, count / SILENT_S, possible, "/s", "ceiling", how)
