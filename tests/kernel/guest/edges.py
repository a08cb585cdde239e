"""The gateway's GPIO bus on a chip of the real kernel; prints what it saw as JSON."""

import asyncio
import json
import subprocess
import sys
import tempfile
import time
from array import array
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from importlib import import_module
from itertools import pairwise
from pathlib import Path
from typing import Any

import gpiod

from drivers.buses.gpio import GpiodFactory, GpioListener, LineLimits, LineState
from edge.core import Edge, LineSpec
from tests.kernel.guest.bank import Bank

gpiozero: Any = import_module("gpiozero")  # it has no types

LINES = ("LOOP0", "LOOP1", "", "SPARE")
PATIENCE_S = 60.0


@dataclass
class EdgeRecorder:
    """What a bus delivers and reports."""

    edges: list[Edge] = field(default_factory=list)
    states: list[LineState] = field(default_factory=list)
    stall: Callable[[], None] | None = None

    def deliver(self, edges: list[Edge]) -> None:
        self.edges += edges
        if self.stall is not None:
            self.stall()

    def of(self, line: str) -> list[Edge]:
        """Without the level found at opening."""
        return [edge for edge in self.edges if edge.line == line and edge.seqno]

    def accounted(self, line: str) -> int:
        return sum(1 + edge.lost for edge in self.of(line))

    def said(self, line: str) -> list[str]:
        return [state.state for state in self.states if state.line == line]


async def until(done: Callable[[], bool], timeout_s: float = PATIENCE_S) -> bool:
    """Whether it became true in time."""
    end = time.monotonic() + timeout_s
    while not done():
        if time.monotonic() > end:
            return False
        await asyncio.sleep(0.02)
    return True


@asynccontextmanager
async def listening(
    bank: Bank, lines: Sequence[LineSpec], limits: LineLimits | None = None
) -> AsyncIterator[EdgeRecorder]:
    """A bus that listens, and what it hears. Ends when each line has said something."""
    ear = EdgeRecorder()
    bus = GpioListener(bank.path, lines, ear.deliver, ear.states.append, limits=limits)
    task = asyncio.create_task(bus.run())
    try:
        await until(lambda: len({state.line for state in ear.states}) == len(lines))
        yield ear
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


class Pulses:
    """The other program; `times` are before and after each edge, once it has ended."""

    def __init__(self, bank: Bank, line: str, count: int, rate: float) -> None:
        program = Path(__file__).with_name("pulses.py")
        self._notes = tempfile.NamedTemporaryFile()  # noqa: SIM115  closed with this object
        command = [sys.executable, "-S", program, bank.pulls(line), count, rate, self._notes.name]
        self._process = subprocess.Popen([str(word) for word in command])

    @property
    def ended(self) -> bool:
        return self._process.poll() is not None

    def wait(self) -> None:
        if self._process.wait(PATIENCE_S):
            raise RuntimeError("the pulses ended with an error")

    def times(self) -> list[tuple[int, int]]:
        self.wait()
        noted = array("q", Path(self._notes.name).read_bytes())
        return list(zip(noted[::2], noted[1::2], strict=True))


async def counted(
    bank: Bank, count: int, rate: float, stall: Callable[[Pulses], None] | None = None
) -> dict[str, Any]:
    """Edges at a rate, with a listener that may be busy after each batch."""
    async with listening(bank, [LineSpec("LOOP0")]) as ear:
        pulses = Pulses(bank, "LOOP0", count, rate)
        ear.stall = None if stall is None else lambda: stall(pulses)
        await until(lambda: pulses.ended)
        times = pulses.times()
        ear.stall = None
        await until(lambda: ear.accounted("LOOP0") >= count, 10.0)
    edges = ear.of("LOOP0")
    return {
        "sent": count,
        "got": len(edges),
        "lost": sum(edge.lost for edge in edges),
        "last": edges[-1].seqno,
        "first_level": ear.edges[0].high,
        "numbers": all(a.seqno + 1 + b.lost == b.seqno for a, b in pairwise(edges)),
        "order": all(a.mono_ns <= b.mono_ns for a, b in pairwise(edges)),
        "levels": all(edge.high == (edge.seqno % 2 == 1) for edge in edges),
        # an edge is stamped after it was asked for, and before the next one was
        "early": sum(edge.mono_ns < times[edge.seqno - 1][0] for edge in edges),
        "late": sum(edge.mono_ns > times[edge.seqno][0] for edge in edges if edge.seqno < count),
        "inside": sum(edge.mono_ns <= times[edge.seqno - 1][1] for edge in edges),
        "rate": round(count * 1e9 / (times[-1][1] - times[0][0])),
        "states": ear.said("LOOP0"),
    }


async def storm(bank: Bank) -> dict[str, Any]:
    """One line rages, its neighbour does not."""
    limits = LineLimits(storm_per_s=1_500, storm_s=0.5, pause_s=1.0)
    async with listening(bank, [LineSpec("LOOP0"), LineSpec("LOOP1")], limits) as ear:
        calm, wild = Pulses(bank, "LOOP1", 100, 25), Pulses(bank, "LOOP0", 10_000, 5_000)
        await until(lambda: "chatter" in ear.said("LOOP0"))
        await until(lambda: wild.ended and calm.ended)
        reopened = await until(lambda: ear.said("LOOP0")[-1] == "open")
        before = len(ear.of("LOOP0"))
        bank.pull("LOOP0", True)
        heard = await until(lambda: len(ear.of("LOOP0")) > before)
        await until(lambda: ear.accounted("LOOP1") == 100, 10.0)
        bank.pull("LOOP0", False)
    return {
        "wild": ear.said("LOOP0"),
        "calm": ear.said("LOOP1"),
        "calm_got": len(ear.of("LOOP1")),
        "calm_lost": sum(edge.lost for edge in ear.of("LOOP1")),
        "reopened": reopened,
        "heard": heard,
        "text": next(s.text for s in ear.states if s.state == "chatter"),
    }


async def busy(bank: Bank) -> dict[str, Any]:
    """Somebody else has the line, and gives it back."""
    other = gpiod.request_lines(bank.path, consumer="doorbell", config={0: gpiod.LineSettings()})
    async with listening(bank, [LineSpec("LOOP0")], LineLimits(pause_s=0.2)) as ear:
        other.release()
        await until(lambda: ear.said("LOOP0")[-1] == "open")
    return {"states": ear.said("LOOP0"), "text": ear.states[0].text}


async def gone(bank: Bank) -> dict[str, Any]:
    """The chip vanishes under open lines, and comes back."""
    async with listening(
        bank, [LineSpec("LOOP0"), LineSpec("LOOP1")], LineLimits(pause_s=0.2)
    ) as ear:
        bank.unplug()
        await until(lambda: ear.said("LOOP0")[-1] != "open" and ear.said("LOOP1")[-1] != "open")
        began, turns = time.process_time(), time.monotonic()
        await asyncio.sleep(1.0)
        share = (time.process_time() - began) / (time.monotonic() - turns)
        bank.plug()
        await until(lambda: ear.said("LOOP0")[-1] == "open")
        bank.pull("LOOP0", True)
        heard = await until(lambda: any(edge.high for edge in ear.of("LOOP0")))
        bank.pull("LOOP0", False)
    text = next(s.text for s in ear.states if s.line == "LOOP0" and s.state == "missing")
    return {"states": ear.said("LOOP0"), "text": text, "heard": heard, "busy_share": share}


async def settings(bank: Bank) -> dict[str, Any]:
    """Names, bias and the kernel's debounce, as the kernel takes them."""
    reported: dict[str, Any] = {}
    lines = [
        LineSpec("LOOP0", "up"),
        LineSpec("GPIO2", "down"),
        LineSpec("3", "none", 0.2),
        LineSpec("LOOP9"),
    ]
    async with listening(bank, lines) as ear:
        reported["states"] = {state.line: state.state for state in ear.states}
        reported["missing"] = next(s.text for s in ear.states if s.line == "LOOP9")
        reported["pulled"] = [bank.pulled("LOOP0"), bank.pulled(2)]
        reported["levels"] = {edge.line: edge.high for edge in ear.edges}
        before = len(ear.edges)
        for level in (True, False, True, False, True):  # a contact that bounces
            bank.pull(3, level)
        await until(lambda: len(ear.edges) > before)
        await asyncio.sleep(0.5)
        reported["debounced"] = [edge.high for edge in ear.of("3")]
    with gpiod.Chip(bank.path) as chip:
        reported["free"] = not chip.get_line_info(0).used
    return reported


def pins(bank: Bank) -> dict[str, Any]:
    """gpiozero's own devices over our factory."""
    factory = GpiodFactory(bank.path)
    door = gpiozero.DigitalInputDevice(
        "LOOP0", pull_up=None, active_state=True, pin_factory=factory
    )
    lamp = gpiozero.LED("SPARE", pin_factory=factory)
    bank.pull("LOOP0", True)
    opened = door.wait_for_active(10)
    lamp.on()
    lit = bank.level("SPARE")
    lamp.off()
    reported = {"active": bool(opened), "lamp": [lit, bank.level("SPARE")]}
    for device in (door, lamp, factory):
        device.close()
    return reported


async def main() -> None:
    """One scene after the other, each on a fresh chip."""
    reported: dict[str, Any] = {}
    scenes: dict[str, Callable[[Bank], Any]] = {
        "steady": lambda bank: counted(bank, 2_000, 1_000),
        "stalled": lambda bank: counted(bank, 1_000, 1_000, lambda _: time.sleep(0.05)),
        "overrun": lambda bank: counted(bank, 3_000, 1_000, lambda pulses: pulses.wait()),
        "storm": storm,
        "busy": busy,
        "gone": gone,
        "settings": settings,
        "pins": pins,
    }
    for name, scene in scenes.items():
        bank = Bank(LINES)
        print("scene", name, flush=True)
        found = scene(bank)
        reported[name] = await found if asyncio.iscoroutine(found) else found
        bank.close()
    print(json.dumps(reported))


if __name__ == "__main__":
    asyncio.run(main())
