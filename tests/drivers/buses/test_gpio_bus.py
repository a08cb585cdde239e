"""Edges from a chip to the daemon: stamps, numbers, losses, storms and lines in trouble."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import gpiod
import pytest

from drivers.buses.gpio import GpioChip, GpioListener, LineLimits, LineState, open_chip
from drivers.buses.gpio.listener import StormDetector
from drivers.buses.gpio.remote_chip import RemoteChip
from drivers.sim.gpio import SimChip
from drivers.sim.gpio_lines import RequestedLine
from edge.core import Edge, LineSpec, Reason

MS = 1_000_000
NAMES = ["LOOP0", "LOOP1", "DOOR", "HEAT"]
SOON = LineLimits(pause_s=0.03, pause_cap_s=0.12, calm_s=60.0)


class HeardEdges:
    """A bus at work, and what it said. `now_ns` is the clock of bus and wires."""

    def __init__(
        self, chip: str | GpioChip, lines: list[LineSpec], limits: LineLimits | None
    ) -> None:
        self.now_ns = 1_000 * MS
        self.batches: list[list[Edge]] = []
        self.states: list[LineState] = []
        self.bus = GpioListener(
            chip, lines, self.batches.append, self.states.append, lambda: self.now_ns, limits
        )

    @property
    def edges(self) -> list[Edge]:
        return [edge for batch in self.batches for edge in batch]

    async def until(self, count: int, line: str | None = None) -> list[Edge]:
        """Wait for that many edges (of a line), the initial ones not counted."""

        def found() -> list[Edge]:
            return [e for e in self.edges if e.seqno and line in (None, e.line)]

        await self.wait(lambda: len(found()) >= count)
        assert len(found()) == count
        return found()

    async def state(self, line: str, state: str) -> LineState:
        """Wait until the line is in that state."""

        def last() -> LineState | None:
            return next((s for s in reversed(self.states) if s.line == line), None)

        await self.wait(lambda: (found := last()) is not None and found.state == state)
        found = last()
        assert found is not None
        return found

    async def wait(self, check: object) -> None:
        assert callable(check)
        async with asyncio.timeout(60):
            while not check():
                await asyncio.sleep(0.002)


@asynccontextmanager
async def listening(
    chip: str | GpioChip, lines: list[LineSpec], limits: LineLimits | None = None
) -> AsyncIterator[HeardEdges]:
    heard = HeardEdges(chip, lines, limits)
    task = asyncio.create_task(heard.bus.run())
    await heard.wait(lambda: len({s.line for s in heard.states}) == len(lines))
    yield heard
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


@pytest.fixture(params=["here", "socket"])
def wires(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[SimChip, GpioChip]]:
    path = tmp_path / "gpio.sock" if request.param == "socket" else None
    with SimChip(NAMES, path) as sim:
        chip = RemoteChip(sim.connect) if path is None else open_chip(f"sim:{path}")
        yield sim, chip
        chip.close()


async def test_the_level_found_comes_first_and_is_no_edge(wires: tuple[SimChip, GpioChip]) -> None:
    sim, chip = wires
    sim.drive("LOOP0", True, 0)
    async with listening(chip, [LineSpec("LOOP0"), LineSpec("DOOR", "up"), LineSpec("1")]) as bus:
        assert bus.edges == [
            Edge("LOOP0", True, bus.now_ns, 0),
            Edge("DOOR", True, bus.now_ns, 0),
            Edge("1", False, bus.now_ns, 0),
        ]
        assert [s.state for s in bus.states] == ["open"] * 3


async def test_an_edge_keeps_the_stamp_and_the_number_of_the_kernel(
    wires: tuple[SimChip, GpioChip],
) -> None:
    sim, chip = wires
    async with listening(chip, [LineSpec("GPIO0")]) as bus:
        for i in range(4):
            sim.drive(0, i % 2 == 0, 1_000_000_001 + i)
        assert await bus.until(4) == [
            Edge("GPIO0", i % 2 == 0, 1_000_000_001 + i, i + 1) for i in range(4)
        ]


async def test_an_edge_while_a_line_is_opened_is_not_missed(
    wires: tuple[SimChip, GpioChip], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The wire changes right after the request, before the level is read."""
    sim, chip = wires
    made = RequestedLine.__init__

    def change_at_once(self: RequestedLine, *args: object) -> None:
        made(self, *args)  # type: ignore[arg-type]
        self.line.drive(True, 999 * MS)

    monkeypatch.setattr(RequestedLine, "__init__", change_at_once)
    async with listening(chip, [LineSpec("LOOP0")]) as bus:
        assert bus.edges == [
            Edge("LOOP0", False, 999 * MS, 0),
            Edge("LOOP0", True, 999 * MS, 1),
        ]
        assert sim.level(0) is True


async def test_one_wake_up_delivers_one_list_in_the_order_of_time(
    wires: tuple[SimChip, GpioChip],
) -> None:
    sim, chip = wires
    async with listening(chip, [LineSpec("LOOP0"), LineSpec("LOOP1")]) as bus:
        bus.batches.clear()
        for i in range(10):
            sim.drive(i % 2, i % 4 < 2, bus.now_ns + i)
        await bus.until(10)
        assert [e.mono_ns - bus.now_ns for e in bus.edges] == list(range(10))
        assert len(bus.batches) == 1


async def test_a_stall_of_50_ms_at_1000_edges_a_second_loses_nothing(
    wires: tuple[SimChip, GpioChip],
) -> None:
    sim, chip = wires
    async with listening(chip, [LineSpec("LOOP0"), LineSpec("LOOP1")]) as bus:
        for i in range(1_000):
            for line in (0, 1):
                sim.drive(line, i % 2 == 0, bus.now_ns + i * MS)
            if i % 50 == 49:  # the loop did not run meanwhile
                await asyncio.sleep(0)
        for name in ("LOOP0", "LOOP1"):
            edges = await bus.until(1_000, name)
            assert [e.seqno for e in edges] == list(range(1, 1_001))
            assert sum(e.lost for e in edges) == 0
            assert [e.mono_ns for e in edges] == [bus.now_ns + i * MS for i in range(1_000)]


@pytest.mark.parametrize("sent", [1_024, 1_025, 2_048, 5_000])
async def test_an_overflow_is_counted_exactly(wires: tuple[SimChip, GpioChip], sent: int) -> None:
    """The kernel drops the oldest edges of a full buffer; its numbers tell how many."""
    sim, chip = wires
    async with listening(chip, [LineSpec("LOOP0")]) as bus:
        for i in range(sent):  # slow enough for no storm, while the loop is stuck for minutes
            sim.drive(0, i % 2 == 0, bus.now_ns + i * 100 * MS)
        edges = await bus.until(1_024)
        assert edges[0].lost == sent - 1_024
        assert sum(e.lost for e in edges[1:]) == 0
        assert len(edges) + sum(e.lost for e in edges) == edges[-1].seqno == sent
        sim.drive(0, sent % 2 == 0, bus.now_ns + sent * 100 * MS)
        edges = await bus.until(1_025)
        assert (edges[-1].seqno, edges[-1].lost) == (sent + 1, 0)


async def test_numbers_go_on_where_the_kernel_counts_over(wires: tuple[SimChip, GpioChip]) -> None:
    sim, chip = wires
    async with listening(chip, [LineSpec("LOOP0")]) as bus:
        held = sim.lines[0].holder
        assert held is not None
        held.seqno = 0xFFFF_FFFD  # after 16 months at 100 edges/s
        for i in range(4):
            sim.drive(0, i % 2 == 0, bus.now_ns + i)
        edges = await bus.until(4)
        assert [e.seqno for e in edges] == [0xFFFF_FFFE, 0xFFFF_FFFF, 2**32, 2**32 + 1]
        assert [e.lost for e in edges] == [0xFFFF_FFFD, 0, 0, 0]


async def test_the_kernel_debounces_only_when_asked(wires: tuple[SimChip, GpioChip]) -> None:
    sim, chip = wires
    async with listening(chip, [LineSpec("LOOP0"), LineSpec("HEAT", "up", 0.01)]) as bus:
        loop, heat = sim.lines[0].holder, sim.lines[3].holder
        assert loop is not None
        assert heat is not None
        assert loop.settings.debounce_ns == 0
        assert (heat.settings.debounce_ns, heat.settings.bias) == (10 * MS, "up")
        for line in ("LOOP0", "HEAT"):
            for i, high in enumerate((False, True, False, True, False)):
                sim.drive(line, high, bus.now_ns + i * MS)
        sim.settle(bus.now_ns + 14 * MS)
        assert len(await bus.until(4, "LOOP0")) == 4
        assert await bus.until(1, "HEAT") == [Edge("HEAT", False, bus.now_ns + 14 * MS, 1)]


async def test_a_storm_closes_the_line_and_only_that_one(wires: tuple[SimChip, GpioChip]) -> None:
    sim, chip = wires
    lines = [LineSpec("LOOP0"), LineSpec("LOOP1")]
    async with listening(chip, lines, LineLimits(pause_s=0.5)) as bus:
        sent = 0
        while sim.consumer(0):
            sim.drive(0, sent % 2 == 0, bus.now_ns + sent * MS // 3)
            sent += 1
            if sent % 100 == 0:
                await asyncio.sleep(0)
        state = await bus.state("LOOP0", "chatter")
        assert state.reason is Reason.FAULT
        assert "loose wire" in state.text
        edges = [e for e in bus.edges if e.line == "LOOP0" and e.seqno]
        assert state.mono_ns == edges[-1].mono_ns
        assert 1_000 * MS <= edges[-1].mono_ns - edges[0].mono_ns < 1_200 * MS
        assert len(edges) + sum(e.lost for e in edges) == edges[-1].seqno
        sim.drive(1, True, bus.now_ns + 7)
        assert len(await bus.until(1, "LOOP1")) == 1

        await bus.state("LOOP0", "open")  # tried again, and it has calmed down
        initial = [e for e in bus.edges if e.line == "LOOP0"][-1]
        assert (initial.seqno, initial.high) == (0, sim.level(0))
        sim.drive(0, not sim.level(0), bus.now_ns)
        await bus.wait(lambda: bus.edges[-1].seqno == 1)


async def test_a_busy_junction_is_no_storm(wires: tuple[SimChip, GpioChip]) -> None:
    sim, chip = wires
    async with listening(chip, [LineSpec("LOOP0")], SOON) as bus:
        bus.now_ns += 10_000 * MS
        for i in range(4_000):  # 1,990 a second, twice for a second
            sim.drive(0, i % 2 == 0, bus.now_ns + i * 1_000 * MS // 1_990)
            if i % 500 == 0:
                await asyncio.sleep(0.002)
        await bus.until(4_000)
        assert [s.state for s in bus.states] == ["open"]


@pytest.mark.parametrize(
    ("rate", "seconds", "raging"), [(1_900, 30, False), (2_100, 30, True), (20_000, 0.9, False)]
)
def test_a_storm_is_a_rate_that_lasts(rate: int, seconds: float, raging: bool) -> None:
    storm = StormDetector(LineLimits())
    seen = [False]
    for first in range(0, int(rate * seconds), 50):
        times = [i * 1_000_000_000 // rate for i in (first, first + 49)]
        seen.append(storm.rages(50, *times))
    seen.append(storm.rages(1, 10**12, 10**12))  # a calm hour later
    assert any(seen) is raging


async def test_a_busy_line_says_who_has_it_and_disturbs_nobody(
    wires: tuple[SimChip, GpioChip],
) -> None:
    sim, chip = wires
    other = chip.request_lines({0: gpiod.LineSettings()}, "gpiomon", 16)
    lines = [LineSpec("LOOP0"), LineSpec("LOOP1")]
    async with listening(chip, lines, SOON) as bus:
        state = await bus.state("LOOP0", "busy")
        assert state.reason is Reason.BUSY
        assert "gpiomon" in state.text
        sim.drive(1, True, bus.now_ns)
        assert len(await bus.until(1)) == 1
        await asyncio.sleep(0.2)  # several attempts later
        assert len(bus.states) == 2  # it was said once
        other.release()
        await bus.state("LOOP0", "open")
        sim.drive(0, True, bus.now_ns)
        assert len(await bus.until(1, "LOOP0")) == 1


async def test_a_line_that_is_not_there_or_named_twice_is_said(
    wires: tuple[SimChip, GpioChip],
) -> None:
    _, chip = wires
    lines = [LineSpec("LOOP7"), LineSpec("LOOP0"), LineSpec("GPIO0")]
    async with listening(chip, lines) as bus:
        states = {s.line: s for s in bus.states}
        assert states["LOOP0"].state == "open"
        assert states["LOOP7"].state == "missing"
        assert "has no line LOOP7; it has 4, 0 to 3; did you mean LOOP" in states["LOOP7"].text
        assert states["GPIO0"].state == "busy"
        assert "another device of this configuration" in states["GPIO0"].text


async def test_a_chip_that_is_unplugged_comes_back(tmp_path: Path) -> None:
    path = tmp_path / "gpio.sock"
    lines = [LineSpec("LOOP0"), LineSpec("LOOP1")]
    with SimChip(NAMES, path) as sim:
        async with listening(f"sim:{path}", lines, SOON) as bus:
            sim.drive(0, True, bus.now_ns)
            await bus.until(1)
            await asyncio.to_thread(sim.close)
            gone = [await bus.state(spec.line, "missing") for spec in lines]
            assert all(s.reason is Reason.SILENT for s in gone)
            with SimChip(NAMES[::-1], path) as back:  # the lines come back in another order
                await bus.state("LOOP0", "open")
                await bus.state("LOOP1", "open")
                assert back.consumer(3).startswith("kerbstone-")
                back.drive("LOOP0", True, bus.now_ns)
                edges = await bus.until(2)
                assert (edges[1].line, edges[1].seqno) == ("LOOP0", 1)


async def test_a_chip_object_that_is_gone_is_asked_again_and_again(
    wires: tuple[SimChip, GpioChip],
) -> None:
    sim, chip = wires
    async with listening(chip, [LineSpec("LOOP0")], SOON) as bus:
        await asyncio.to_thread(sim.close)
        await bus.state("LOOP0", "missing")
        await asyncio.sleep(0.1)
    assert bus.states[-1].state == "missing"


async def test_the_end_delivers_what_was_waiting_and_gives_the_lines_back(
    wires: tuple[SimChip, GpioChip],
) -> None:
    sim, chip = wires
    async with listening(chip, [LineSpec("LOOP0")]) as bus:
        sim.drive(0, True, bus.now_ns)
    assert [e.seqno for e in bus.edges] == [0, 1]
    await bus.wait(lambda: sim.consumer(0) == "")
    bus.bus.close()


async def test_a_fault_of_ours_ends_the_bus(wires: tuple[SimChip, GpioChip]) -> None:
    sim, chip = wires
    opened = asyncio.Event()
    calls = 0

    def deliver(edges: list[Edge]) -> None:
        nonlocal calls
        calls += 1
        if calls == 2:
            raise RuntimeError("a bug")

    bus = GpioListener(chip, [LineSpec("LOOP0")], deliver, lambda state: opened.set())
    task = asyncio.create_task(bus.run())
    await asyncio.wait_for(opened.wait(), 60)
    sim.drive(0, True, time.monotonic_ns())
    with pytest.raises(RuntimeError, match="a bug"):
        await asyncio.wait_for(task, 60)
    async with asyncio.timeout(60):
        while sim.consumer(0):
            await asyncio.sleep(0.002)


async def test_chips_that_cannot_be_opened_are_explained(tmp_path: Path) -> None:
    for chip, text in (
        (f"sim:{tmp_path}/none.sock", "no simulator serves"),
        ("/dev/gpiochip250", "there is no chip /dev/gpiochip250; present: "),
        ("/dev/null", "is no GPIO chip"),
        (str(tmp_path), "is no GPIO chip"),
    ):
        async with listening(chip, [LineSpec("LOOP0")]) as bus:
            assert bus.states[0].state == "missing"
            assert text in bus.states[0].text
