"""A bus in a process of its own, over the socket: real time, kill -9, and a new start."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from queue import Queue
from typing import Any

import pytest

from drivers.sim.gpio import SimChip
from drivers.sim.loops import LineLevel, play_levels

ROOT = Path(__file__).parents[3]
BUS = """
import asyncio, json, sys, time
from drivers.buses.gpio import GpioListener, LineLimits
from edge.core import LineSpec

def say(what):
    print(json.dumps(what), flush=True)

def deliver(edges):
    say([[e.line, e.high, e.mono_ns, e.seqno, e.lost] for e in edges])

async def stalling():
    while True:
        await asyncio.sleep(0.002)
        time.sleep(float(sys.argv[2]))

async def main():
    bus = GpioListener(sys.argv[1], [LineSpec("GPIO0"), LineSpec("GPIO1")], deliver,
                  lambda s: say({"line": s.line, "state": s.state}),
                  limits=LineLimits(pause_s=0.05))
    await asyncio.gather(bus.run(), *([stalling()] if len(sys.argv) > 2 else []))

asyncio.run(main())
"""


class GpioProcess:
    """The bus at work; `edges` are those that it delivered."""

    def __init__(self, *arguments: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", BUS, *arguments],
            cwd=ROOT,
            env=os.environ | {"PYTHONPATH": str(ROOT)},
            stdout=subprocess.PIPE,
            text=True,
        )
        self._said: Queue[Any] = Queue()
        self.edges: list[tuple[str, bool, int, int, int]] = []
        self.states: list[tuple[str, str]] = []
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self._said.put(json.loads(line))

    def until(self, check: Any, timeout_s: float = 60.0) -> None:
        end = time.monotonic() + timeout_s
        while not check():
            said = self._said.get(timeout=max(0.01, end - time.monotonic()))
            if isinstance(said, dict):
                self.states.append((said["line"], said["state"]))
            else:
                self.edges += [tuple(edge) for edge in said]

    def numbered(self, line: str) -> list[tuple[int, int, int]]:
        """(stamp, number, lost) of the edges of a line, without the initial one."""
        return [
            (ns, seqno, lost) for name, _, ns, seqno, lost in self.edges if name == line and seqno
        ]

    def end(self, how: signal.Signals = signal.SIGKILL) -> None:
        self.process.send_signal(how)
        self.process.wait(60)
        self._reader.join(60)
        assert self.process.stdout is not None
        self.process.stdout.close()


@pytest.fixture
def sim(tmp_path: Path) -> Iterator[SimChip]:
    with SimChip(["GPIO0", "GPIO1"], tmp_path / "gpio.sock") as chip:
        yield chip


def started(sim: SimChip, *more: str) -> GpioProcess:
    process = GpioProcess(f"sim:{sim.path}", *more)
    process.until(lambda: len(process.edges) == 2)
    assert sim.wait_requested([0, 1])
    return process


def test_stalls_of_50_ms_at_1000_edges_a_second_lose_nothing(sim: SimChip) -> None:
    process = started(sim, "0.05")
    start_ns = time.monotonic_ns()
    rows = [LineLevel(i * 1_000_000, i % 2, i % 4 < 2) for i in range(1_000)]
    assert play_levels(sim, rows, start_ns, "real") == 1_000
    process.until(lambda: len(process.edges) == 2 + 1_000)
    for line in (0, 1):
        want = [
            (start_ns + r.t_ns, i + 1, 0) for i, r in enumerate(r for r in rows if r.line == line)
        ]
        assert process.numbered(f"GPIO{line}") == want
    process.end()


def test_a_process_killed_with_9_lets_go_and_the_next_counts_from_1(sim: SimChip) -> None:
    process = started(sim)
    for i in range(10):
        sim.drive(0, i % 2 == 0, i + 1)
    process.until(lambda: len(process.numbered("GPIO0")) == 10)
    process.end(signal.SIGKILL)
    for i in range(7):  # nobody's, as with a kernel
        sim.drive(0, i % 2 == 0, 100 + i)
    process = started(sim)
    assert ["GPIO0", True, 0] in [[line, high, seqno] for line, high, _, seqno, _ in process.edges]
    sim.drive(0, False, 1_000)
    process.until(lambda: process.numbered("GPIO0"))
    assert process.numbered("GPIO0") == [(1_000, 1, 0)]
    process.end()


def test_a_second_process_waits_until_the_first_is_gone(sim: SimChip) -> None:
    first = started(sim)
    second = GpioProcess(f"sim:{sim.path}")
    second.until(lambda: len(second.states) == 2)
    assert set(second.states) == {("GPIO0", "busy"), ("GPIO1", "busy")}
    first.end(signal.SIGKILL)
    second.until(lambda: ("GPIO0", "open") in second.states and ("GPIO1", "open") in second.states)
    sim.drive(1, True, 5)
    second.until(lambda: second.numbered("GPIO1"))
    assert second.numbered("GPIO1") == [(5, 1, 0)]
    second.end()


def test_a_process_that_is_stopped_overflows_and_knows_by_how_much(sim: SimChip) -> None:
    """SIGSTOP for longer than the buffer lasts: the numbers account for every edge."""
    process = started(sim)
    process.process.send_signal(signal.SIGSTOP)
    for i in range(3_000):
        sim.drive(0, i % 2 == 0, (i + 1) * 10_000_000)
    process.process.send_signal(signal.SIGCONT)
    process.until(lambda: process.edges[-1][3] == 3_000)
    edges = process.numbered("GPIO0")
    # a few may have been taken before the stop took hold; none is unaccounted for
    assert len(edges) + sum(lost for _, _, lost in edges) == 3_000
    assert len(edges) >= 1_024
    process.end()
