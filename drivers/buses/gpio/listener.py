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
from operator import attrgetter
from typing import Final

from gpiozero import GPIOZeroError

from drivers.buses.forceclose import force_close
from drivers.buses.gpio.chip import GpioChip
from drivers.buses.gpio.factory import GpiodFactory
from drivers.buses.gpio.linetrouble import LineTrouble, no_chip, no_line
from drivers.buses.gpio.watchedline import LineLimits, LineState, WatchedLine
from edge.core import Edge, LineSpec, Reason

BY_TIME: Final = attrgetter("mono_ns")


class _ListenedLine:
    """A line, and how its opening goes."""

    def __init__(self, spec: LineSpec, limits: LineLimits) -> None:
        self.line = WatchedLine(spec, limits)
        self.failures = 0
        self.opened_ns: int | None = None
        self.reported: tuple[str, str] | None = None  # state and text last reported

    def pause_s(self, now_ns: int, limits: LineLimits) -> float:
        """How long to stay away after one more failure: growing, capped."""
        if self.opened_ns is not None and now_ns - self.opened_ns >= limits.calm_s * 1e9:
            self.failures = 0
        self.opened_ns = None
        self.failures += 1
        # not 2**failures: after years of failing that would not fit a float
        return min(limits.pause_cap_s, limits.pause_s * 2.0 ** min(self.failures - 1, 30))


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
        self._entries = [_ListenedLine(spec, self._limits) for spec in lines]
        self._factory: GpiodFactory | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._wake = asyncio.Event()
        self._ready: dict[_ListenedLine, None] = {}
        self._due: dict[_ListenedLine, None] = {}
        self._timers: dict[_ListenedLine, asyncio.TimerHandle] = {}
        self._news: list[LineState] = []
        self._abandoned = False

    async def run(self) -> None:
        """Listen until cancelled; what the kernel holds by then is delivered before the end."""
        self._loop = asyncio.get_running_loop()
        self._due = dict.fromkeys(self._entries)
        try:
            while True:
                self._turn()
                await self._wake.wait()
                self._wake.clear()
        finally:
            self._ready = dict.fromkeys(self._entries)
            self._due.clear()
            self._turn()
            self.close()

    def look(self) -> None:
        """Take what waits on any line, from the thread that runs `run`: edges of a moment before
        are then delivered, though nobody has been woken for them yet."""
        if self._loop is not None:
            self._ready = dict.fromkeys(each for each in self._entries if each.line.is_open)
            self._turn()

    def close(self) -> None:
        """Give back all lines and the chip. Always safe; from the thread that ran `run`."""
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()
        for entry in self._entries:
            self._shut(entry)
        if self._factory is not None:
            self._factory.close()
            self._factory = None

    def abandon(self) -> None:
        """Give up all lines for ever, though `run` may hang in one. From any thread; no waiting."""
        self._abandoned = True
        for entry in self._entries:
            fd = entry.line.fd_or_none
            if fd is not None:
                force_close(fd, entry.line)

    def _turn(self) -> None:
        """One wake-up: open what is due, read what is ready, deliver it all together."""
        if self._abandoned:
            return
        due, self._due = self._due, {}
        ready, self._ready = self._ready, {}
        batches = [self._open(entry) for entry in due]
        batches += [self._read(entry) for entry in ready]
        batches = [batch for batch in batches if batch]
        if len(batches) == 1:
            self._deliver(batches[0])
        elif batches:
            self._deliver(sorted((edge for batch in batches for edge in batch), key=BY_TIME))
        news, self._news = self._news, []
        for state in news:  # after the edges: nothing of a line follows the news of its closing
            self._report(state)

    def _open(self, entry: _ListenedLine) -> list[Edge]:
        assert self._loop is not None
        self._timers.pop(entry, None)
        line = entry.line
        try:
            factory = self._ensure_factory()
        except OSError as error:
            self._fail(entry, no_chip(self._name, error))
            return []
        try:
            edges = line.open(factory, self._clock_ns)
        except (OSError, GPIOZeroError) as error:
            self._line_failed(entry, error)
            return []
        entry.opened_ns = self._clock_ns()
        self._loop.add_reader(line.fd, self._mark_ready, entry)
        name = line.spec.line
        self._report_line(entry, LineState(name, "open", f"line {name} is open", edges[0].mono_ns))
        if line.raging:
            self._storm(entry, edges[-1].mono_ns)
        return edges

    def _read(self, entry: _ListenedLine) -> list[Edge]:
        try:
            edges = entry.line.take()
        except OSError as error:
            self._line_failed(entry, error)
            return []
        if edges and entry.line.raging:
            self._storm(entry, edges[-1].mono_ns)
        return edges

    def _mark_ready(self, entry: _ListenedLine) -> None:
        # only noted here: what goes wrong while reading must end `run`, not a callback of the loop
        self._ready[entry] = None
        self._wake.set()

    def _mark_due(self, entry: _ListenedLine) -> None:
        self._due[entry] = None
        self._wake.set()

    def _ensure_factory(self) -> GpiodFactory:
        if self._factory is None:
            self._factory = GpiodFactory(self._chip, consumer=f"kerbstone-{os.getpid()}")
        return self._factory

    def _storm(self, entry: _ListenedLine, mono_ns: int) -> None:
        line, limits = entry.line.spec.line, self._limits
        text = (
            f"line {line} changes more than {limits.storm_per_s:.0f} times a second and is closed: "
            "look for a loose wire, a missing pull-up or a card that oscillates"
        )
        self._fail(entry, LineTrouble("chatter", Reason.FAULT, text), mono_ns)

    def _line_failed(self, entry: _ListenedLine, error: OSError | GPIOZeroError) -> None:
        if isinstance(error, OSError) and error.errno == errno.ENODEV:
            self._chip_gone(error)
        spec = entry.line.spec
        self._fail(entry, no_line(self._name, spec, error, self._holder(spec, error)))

    def _chip_gone(self, error: OSError) -> None:
        """All its lines are dead; the next attempt opens it anew, with new names."""
        for entry in self._entries:
            if entry.line.is_open:
                self._fail(entry, no_line(self._name, entry.line.spec, error, ""))
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

    def _fail(self, entry: _ListenedLine, trouble: LineTrouble, mono_ns: int | None = None) -> None:
        assert self._loop is not None
        if entry in self._timers:
            return  # closed already, together with its chip
        self._shut(entry)
        now_ns = self._clock_ns()
        pause_s = entry.pause_s(now_ns, self._limits)
        self._timers[entry] = self._loop.call_later(pause_s, self._mark_due, entry)
        at_ns = now_ns if mono_ns is None else mono_ns
        name = entry.line.spec.line
        self._report_line(
            entry, LineState(name, trouble.state, trouble.text, at_ns, trouble.reason)
        )

    def _shut(self, entry: _ListenedLine) -> None:
        self._ready.pop(entry, None)
        if entry.line.is_open:
            if self._loop is not None:
                self._loop.remove_reader(entry.line.fd)
            entry.line.close()

    def _report_line(self, entry: _ListenedLine, state: LineState) -> None:
        """The first time, and when it changes; not the hours between."""
        if entry.reported != (state.state, state.text):
            entry.reported = (state.state, state.text)
            self._news.append(state)
