"""All lines of one chip that we listen to: edges in batches, each line in trouble by itself.

gpiozero's pins bring mode, bias and debounce; edges do not pass through its `when_changed`, which
drops time, number and every edge after a loss. They are read in batches from the descriptor of
each line's request. Each line is a request by itself, with a buffer and numbers of its own.
"""

import asyncio
import errno
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Final

import gpiod
from gpiod.line import Value
from gpiozero import GPIOPinInUse, GPIOZeroError

from drivers.buses.forceclose import force_close
from drivers.buses.gpio.chip import EVENT_BUFFER, GpioChip, LineRequest
from drivers.buses.gpio.factory import GpiodFactory
from drivers.buses.gpio.linetrouble import LineTrouble, State, no_chip, no_line
from drivers.buses.gpio.pin import GpiodPin
from edge.core import Edge, LineSpec, Reason

BY_TIME: Final = attrgetter("mono_ns")
PULL: Final = {"none": "floating", "up": "up", "down": "down"}
COUNTER: Final = 0xFFFF_FFFF  # the kernel counts in 32 bits; at 100 edges/s that is 16 months
RISING: Final = gpiod.EdgeEvent.Type.RISING_EDGE


@dataclass(frozen=True, slots=True)
class LineLimits:
    """What a line may do, and how long we stay away when it does not behave."""

    storm_per_s: float = 2_000.0  # edges; beyond, for `storm_s`, the line is closed
    storm_s: float = 1.0
    pause_s: float = 2.0  # before the first retry; doubled with each
    pause_cap_s: float = 300.0
    calm_s: float = 60.0  # open for so long: the next trouble is a first one again


@dataclass(frozen=True, slots=True)
class LineState:
    """How a line fares from `mono_ns` on; `text` is a sentence with a remedy.

    `reason` is None exactly when the line is open. Until it is open again nothing is known of it;
    then an edge with seqno 0 tells the level found.
    """

    line: str
    state: State
    text: str
    mono_ns: int
    reason: Reason | None = None


class StormDetector:
    """Notices more edges than a contact can make. Times are those of the edges."""

    def __init__(self, limits: LineLimits) -> None:
        self._limits = limits
        self._from_ns: int | None = None
        self._count = 0

    def rages(self, count: int, first_ns: int, last_ns: int) -> bool:
        """`count` more edges, between these times: is it a storm?"""
        if self._from_ns is None:
            self._from_ns = first_ns
        self._count += count
        seconds = (last_ns - self._from_ns) / 1e9
        if seconds < self._limits.storm_s:
            return False
        raging = self._count > self._limits.storm_per_s * seconds
        self._from_ns, self._count = last_ns, 0
        return raging


class WatchedLine:
    """One line: from the kernel's events to edges, and how its opening goes.

    Raises OSError and gpiozero's pin errors from `open`.
    """

    def __init__(self, spec: LineSpec, limits: LineLimits) -> None:
        self.spec = spec
        self._limits = limits
        self._pin: GpiodPin | None = None
        self._request: LineRequest | None = None
        self._seqno = 0
        self._storm = StormDetector(limits)
        self.raging = False
        self.failures = 0
        self.opened_ns: int | None = None
        self.reported: tuple[str, str] | None = None  # state and text last reported

    def pause_s(self, now_ns: int) -> float:
        """How long to stay away after one more failure: growing, capped."""
        limits = self._limits
        if self.opened_ns is not None and now_ns - self.opened_ns >= limits.calm_s * 1e9:
            self.failures = 0
        self.opened_ns = None
        self.failures += 1
        # not 2**failures: after years of failing that would not fit a float
        return min(limits.pause_cap_s, limits.pause_s * 2.0 ** min(self.failures - 1, 30))

    @property
    def fd(self) -> int:
        """Readable when an edge waits. The line must be open."""
        assert self._request is not None
        return self._request.fd

    @property
    def fd_or_none(self) -> int | None:
        """For another thread than the one that opens and closes: None unless it is open."""
        request = self._request
        try:
            return None if request is None else request.fd
        except (OSError, ValueError, gpiod.RequestReleasedError):  # closed just now
            return None

    @property
    def is_open(self) -> bool:
        return self._request is not None

    def open(self, factory: GpiodFactory, clock_ns: Callable[[], int]) -> list[Edge]:
        """Request the line. Gives the level found as an edge 0, and what came since."""
        pin = factory.pin(self.spec.line)
        if pin.taken:
            raise GPIOPinInUse(f"another device of this configuration uses {pin!r} too")
        pin.input_with_pull(PULL[self.spec.bias])
        pin.bounce = self.spec.debounce_s or None
        pin.edges = "both"
        try:
            request = pin.watch()
            self._pin, self._request = pin, request
            self._seqno, self._storm, self.raging = 0, StormDetector(self._limits), False
            return self._first(request, pin.line, clock_ns)
        except OSError:
            self.close()
            pin.close()
            raise

    def _first(self, request: LineRequest, line: int, clock_ns: Callable[[], int]) -> list[Edge]:
        # The kernel watches already. If nothing came until after the level was read, the level
        # held all the time; else it was the contrary of what the first edge made of it.
        now_ns = clock_ns()
        high = request.get_value(line) is Value.ACTIVE
        edges = self.take()
        if edges:
            high, now_ns = not edges[0].high, min(now_ns, edges[0].mono_ns)
        return [Edge(self.spec.line, high, now_ns, 0), *edges]

    def take(self) -> list[Edge]:
        """What waits, in the kernel's order; nothing if nothing waits. Raises OSError."""
        request = self._request
        if request is None or not request.wait_edge_events(0):  # a read would block
            return []
        name, seqno, rising = self.spec.line, self._seqno, RISING
        edges = []
        for event in request.read_edge_events(EVENT_BUFFER):
            step = (event.line_seqno - seqno) & COUNTER
            seqno += step
            edges.append(
                Edge(name, event.event_type is rising, event.timestamp_ns, seqno, step - 1)
            )
        if edges:
            count = seqno - self._seqno
            self.raging = self._storm.rages(count, edges[0].mono_ns, edges[-1].mono_ns)
            self._seqno = seqno
        return edges

    def close(self) -> None:
        """Give the line back. Always safe."""
        if self._pin is not None:
            self._pin.close()
        self._pin = self._request = None


class GpioListener:
    """Listens to `lines` of `chip` until cancelled; a line that fails leaves the others alone.

    `deliver` gets one list per wake-up, in the order of time; `report` the changes of a line's
    state. Both are called in the thread that runs `run` and must not block or raise. Times are
    those of `clock_ns`, which must be the clock of the edges (CLOCK_MONOTONIC).
    """

    def __init__(
        self,
        chip: str | GpioChip,
        lines: Sequence[LineSpec],
        deliver: Callable[[list[Edge]], None],
        report: Callable[[LineState], None],
        clock_ns: Callable[[], int] = time.monotonic_ns,
        limits: LineLimits | None = None,
    ) -> None:
        self._chip = chip
        self._name = chip if isinstance(chip, str) else chip.get_info().name
        self._deliver, self._report, self._clock_ns = deliver, report, clock_ns
        self._limits = limits or LineLimits()
        self._lines = [WatchedLine(spec, self._limits) for spec in lines]
        self._factory: GpiodFactory | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._wake = asyncio.Event()
        self._ready: dict[WatchedLine, None] = {}
        self._due: dict[WatchedLine, None] = {}
        self._timers: dict[WatchedLine, asyncio.TimerHandle] = {}
        self._news: list[LineState] = []
        self._abandoned = False

    async def run(self) -> None:
        """Listen until cancelled; what the kernel holds by then is delivered before the end."""
        self._loop = asyncio.get_running_loop()
        self._due = dict.fromkeys(self._lines)
        try:
            while True:
                self._turn()
                await self._wake.wait()
                self._wake.clear()
        finally:
            self._ready = dict.fromkeys(self._lines)
            self._due.clear()
            self._turn()
            self.close()

    def look(self) -> None:
        """Take what waits on any line, from the thread that runs `run`: edges of a moment before
        are then delivered, though nobody has been woken for them yet."""
        if self._loop is not None:
            self._ready = dict.fromkeys(each for each in self._lines if each.is_open)
            self._turn()

    def close(self) -> None:
        """Give back all lines and the chip. Always safe; from the thread that ran `run`."""
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()
        for line in self._lines:
            self._shut(line)
        if self._factory is not None:
            self._factory.close()
            self._factory = None

    def abandon(self) -> None:
        """Give up all lines for ever, though `run` may hang in one. From any thread; no waiting."""
        self._abandoned = True
        for line in self._lines:
            fd = line.fd_or_none
            if fd is not None:
                force_close(fd, line)

    def _turn(self) -> None:
        """One wake-up: open what is due, read what is ready, deliver it all together."""
        if self._abandoned:
            return
        due, self._due = self._due, {}
        ready, self._ready = self._ready, {}
        batches = [self._open(line) for line in due]
        batches += [self._read(line) for line in ready]
        batches = [batch for batch in batches if batch]
        if len(batches) == 1:
            self._deliver(batches[0])
        elif batches:
            self._deliver(sorted((edge for batch in batches for edge in batch), key=BY_TIME))
        news, self._news = self._news, []
        for state in news:  # after the edges: nothing of a line follows the news of its closing
            self._report(state)

    def _open(self, line: WatchedLine) -> list[Edge]:
        assert self._loop is not None
        self._timers.pop(line, None)
        try:
            factory = self._ensure_factory()
        except OSError as error:
            self._fail(line, no_chip(self._name, error))
            return []
        try:
            edges = line.open(factory, self._clock_ns)
        except (OSError, GPIOZeroError) as error:
            self._line_failed(line, error)
            return []
        line.opened_ns = self._clock_ns()
        self._loop.add_reader(line.fd, self._mark_ready, line)
        name = line.spec.line
        self._report_line(line, LineState(name, "open", f"line {name} is open", edges[0].mono_ns))
        if line.raging:
            self._storm(line, edges[-1].mono_ns)
        return edges

    def _read(self, line: WatchedLine) -> list[Edge]:
        try:
            edges = line.take()
        except OSError as error:
            self._line_failed(line, error)
            return []
        if edges and line.raging:
            self._storm(line, edges[-1].mono_ns)
        return edges

    def _mark_ready(self, line: WatchedLine) -> None:
        # only noted here: what goes wrong while reading must end `run`, not a callback of the loop
        self._ready[line] = None
        self._wake.set()

    def _mark_due(self, line: WatchedLine) -> None:
        self._due[line] = None
        self._wake.set()

    def _ensure_factory(self) -> GpiodFactory:
        if self._factory is None:
            self._factory = GpiodFactory(self._chip, consumer=f"kerbstone-{os.getpid()}")
        return self._factory

    def _storm(self, line: WatchedLine, mono_ns: int) -> None:
        name, limits = line.spec.line, self._limits
        text = (
            f"line {name} changes more than {limits.storm_per_s:.0f} times a second and is closed: "
            "look for a loose wire, a missing pull-up or a card that oscillates"
        )
        self._fail(line, LineTrouble("chatter", Reason.FAULT, text), mono_ns)

    def _line_failed(self, line: WatchedLine, error: OSError | GPIOZeroError) -> None:
        if isinstance(error, OSError) and error.errno == errno.ENODEV:
            self._chip_gone(error)
        spec = line.spec
        self._fail(line, no_line(self._name, spec, error, self._holder(spec, error)))

    def _chip_gone(self, error: OSError) -> None:
        """All its lines are dead; the next attempt opens it anew, with new names."""
        for line in self._lines:
            if line.is_open:
                self._fail(line, no_line(self._name, line.spec, error, ""))
        if self._factory is not None:
            self._factory.close()
            self._factory = None

    def _holder(self, spec: LineSpec, error: OSError | GPIOZeroError) -> str:
        if self._factory is None or not isinstance(error, OSError) or error.errno != errno.EBUSY:
            return ""
        try:
            return self._factory.chip.get_line_info(self._factory.pin(spec.line).line).consumer
        except OSError:
            return ""  # gone meanwhile: the sentence goes without it

    def _fail(self, line: WatchedLine, trouble: LineTrouble, mono_ns: int | None = None) -> None:
        assert self._loop is not None
        if line in self._timers:
            return  # closed already, together with its chip
        self._shut(line)
        now_ns = self._clock_ns()
        pause_s = line.pause_s(now_ns)
        self._timers[line] = self._loop.call_later(pause_s, self._mark_due, line)
        at_ns = now_ns if mono_ns is None else mono_ns
        name = line.spec.line
        self._report_line(line, LineState(name, trouble.state, trouble.text, at_ns, trouble.reason))

    def _shut(self, line: WatchedLine) -> None:
        self._ready.pop(line, None)
        if line.is_open:
            if self._loop is not None:
                self._loop.remove_reader(line.fd)
            line.close()

    def _report_line(self, line: WatchedLine, state: LineState) -> None:
        """The first time, and when it changes; not the hours between."""
        if line.reported != (state.state, state.text):
            line.reported = (state.state, state.text)
            self._news.append(state)
