"""One thread's work on one bus: its own bus object and drivers, and its own way to the main loop;
and the rules for a thread that hangs.

A thread cannot be killed. One that hangs in a system call is abandoned with all that it has, its
descriptor closed, and another one is tried once: the next worker shares nothing with it, so what it
brings when it comes back late reaches nobody. When that one hangs too, the process ends and systemd
starts it again; the board's watchdog stands behind that. One that does not end for a change of the
configuration is left behind in the same way, and counts. `BusWorkers` acts on these rules.
"""

import asyncio
import contextlib
from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Protocol

from edge.acquire.backpressure import rest_ns
from edge.acquire.busthread import BusThread, EdgeBridge, ThreadBridge
from edge.acquire.poll import Poller, PollState
from edge.config import Bus, ModbusRtuBus, ModbusTcpBus
from edge.core import (
    AsyncClock,
    Condition,
    Edge,
    LineSpec,
    Reason,
    Sweep,
    WaitingDevice,
    failed_sweep,
)
from edge.core.frametap import FrameTap
from edge.gateway.deviceconditions import DeviceConditions
from edge.gateway.wiring import PolledDevice
from edge.health.progress import Progress
from edge.wire.contract.boxevent import AlarmKind

if TYPE_CHECKING:  # gpiozero and gpiod are a twentieth of the daemon's memory: for boxes with lines
    from drivers.buses.gpio import GpioListener, LineState

BEAT_NS: Final = 250_000_000  # a kill is known to within this
FLOOR_S: Final = 90.0  # IEC 62056-21 at 300 baud reads for 75 s and is called for 5 before
QUESTIONS_LIMIT: Final = (
    20  # more than any driver asks one after the other while nobody answers in time
)
GRACE_S: Final = 15.0  # the watchdog waits so much longer: the bus is tried anew first
FORGET_TRIAL_NS: Final = 24 * 3_600_000_000_000  # of good work after a trial: it never was
OTHER_HUNG_LIMIT: Final = (
    2  # buses that hung, and were tried without any success: it is not the bus
)
WORKED_BEATS: Final = 2  # beats: the first comes before any device is asked


class BusListener(Protocol):
    """Takes what the buses bring; in the main loop."""

    def edges(self, batch: Sequence[Edge]) -> None: ...
    def sweeps(self, batch: Sequence[Sweep]) -> None: ...
    def fault(self, device: str, reason: Reason | None, text: str) -> None: ...
    def conditions(self, device: str, identity: str, health: Mapping[Condition, str]) -> None: ...
    def line(self, line: str, reason: Reason | None, text: str, at_ns: int) -> None: ...
    def alarm(self, kind: AlarmKind, text: str) -> None: ...


@dataclass(slots=True)
class LoopLoad:
    """What the threads of the buses get of the main loop. `piled_up`: windows wait to be closed."""

    piled_up: bool = False


@dataclass(frozen=True, slots=True)
class WorkerContext:
    """What all turns share: the main loop, the clock, who takes what they bring, who counts it."""

    loop: asyncio.AbstractEventLoop
    clock: AsyncClock
    listener: BusListener
    progress: Progress
    load: LoopLoad = field(default_factory=LoopLoad)


class BusWorker:
    """Made in the main loop; touches no wire until `start`.

    A bus has polled devices or, when it is a GPIO chip, lines.
    """

    def __init__(
        self,
        name: str,
        bus: Any,
        context: WorkerContext,
        devices: Sequence[PollState],
        lines: Sequence[LineSpec],
    ) -> None:
        self.name, self.owner, self.lines = name, f"bus-{name}", lines
        self._context, self._bus = context, bus
        self._sweeps: ThreadBridge[Sweep] = ThreadBridge(context.loop, context.listener.sweeps)
        self._edges = EdgeBridge(context.loop, context.listener.edges)
        self._error: BaseException | None = None
        self.abandoned = context.loop.create_future()
        self.beats = 0  # pieces of work
        self.poller: Poller | None = None
        self.heard_ns: int | None = None  # when a GPIO bus last proved that it listens
        if devices:
            self.poller = Poller(
                list(devices),
                context.clock,
                lambda sweep: self._sweeps.put((sweep,)),
                partial(self._post, context.listener.fault),
                self._beat,
                partial(self._post, context.listener.conditions),
                self._rest_ns,
            )
            self.thread = BusThread(name, partial(self._poll, self.poller))
        else:
            from drivers.buses.gpio import GpioListener

            self._bus = GpioListener(bus, lines, self._edges.put, self._line)
            self.heard_ns = context.clock.now().mono_ns
            self.thread = BusThread(name, partial(self._listen, self._bus))

    def restore(self, broken: Container[str], known: Mapping[str, DeviceConditions]) -> None:
        """Before `start`. A device that was broken when the former process ended says so when it
        answers again."""
        for device in self.poller.devices.values() if self.poller is not None else ():
            if (conditions := known.get(device.name)) is not None:
                device.identity, device.health = conditions.identity, conditions.health
            device.reason = Reason.SILENT if device.name in broken else None
        if self.heard_ns is not None:
            self.heard_ns = self._context.clock.now().mono_ns

    def start(self) -> None:
        self.thread.start()

    async def retire(self) -> bool:
        """Ask it to end, for another one that comes in its place; what it has brought is taken.
        False: it does not end."""
        if not await asyncio.to_thread(self.thread.stop):
            return False
        for bridge in (self._sweeps, self._edges):
            bridge.cut()
        if not self.abandoned.done():
            self.abandoned.set_result(None)
        return True

    def abandon(self) -> None:
        """From the main loop: nobody waits for it any more, and its descriptor is closed."""
        for bridge in (self._sweeps, self._edges):
            bridge.cut()
        if not self.abandoned.done():
            self.abandoned.set_result(None)
        self.thread.abandon()
        self._bus.abandon()

    @property
    def error(self) -> BaseException | None:
        """The first fault of ours, in the thread or in what takes what it brings."""
        errors = (self._error, self._edges.error, self._sweeps.error, self.thread.error)
        return next((error for error in errors if error is not None), None)

    @property
    def dropped(self) -> tuple[int, int]:
        """Sweeps and edges that the main loop was too busy to take."""
        return self._sweeps.dropped, self._edges.dropped

    def watch_frames(self, tap: FrameTap) -> bool:
        """Write down what goes over the wire; False for a bus without frames, as of lines."""
        if self.poller is None or not hasattr(self._bus, "tap"):
            return False
        self._bus.tap = tap
        return True

    async def read(self, name: str) -> Sweep:
        """One reading now, between two polls; a failed one when the thread is given up."""
        poller = self.poller
        assert poller is not None

        async def through_the_queue() -> Sweep:
            done: asyncio.Future[Sweep] = asyncio.get_running_loop().create_future()

            async def command() -> None:
                found = await poller.read(name)
                if not done.done():  # whoever asked may have gone
                    done.set_result(found)

            poller.command(command)
            return await done

        if not self.abandoned.done():
            reading = asyncio.wrap_future(self.thread.call(through_the_queue))
            waits = (reading, self.abandoned)
            try:
                await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
                if reading.done():
                    return reading.result()
            finally:
                reading.cancel()
        count = len(poller.devices[name].polled.points)
        return failed_sweep(name, self._context.clock.now().mono_ns, count, Reason.SILENT)

    # -- in its thread ---------------------------------------------------------------------------

    def _rest_ns(self) -> int:
        return rest_ns(self._sweeps.waited_ns(), self._context.load.piled_up)

    def _beat(self) -> None:
        """After each piece of work; the watchdog waits for it."""
        if not self.abandoned.done():  # else another one is expected to work
            self.beats += 1
            self._context.progress.done(self.owner, self._context.clock.now().mono_ns)

    async def _poll(self, poller: Poller) -> None:
        try:
            await poller.run()
        finally:
            self._bus.close()

    async def _listen(self, gpio: "GpioListener") -> None:
        """Listen, and show that the loop turns: silent lines are no hung thread."""
        clock = self._context.clock
        listening = asyncio.create_task(gpio.run())
        try:
            while not listening.done():
                self._beat()
                now_ns = clock.now().mono_ns
                gpio.look()
                self._post(self._set_watched_until, now_ns)  # behind the edges that came before
                await clock.sleep_until(now_ns + BEAT_NS)
            listening.result()
        finally:
            listening.cancel()
            await asyncio.gather(listening, return_exceptions=True)

    def _set_watched_until(self, at_ns: int) -> None:
        """In the main loop: every edge of an earlier moment has been taken."""
        self.heard_ns = at_ns

    def _line(self, state: "LineState") -> None:
        listener = self._context.listener
        self._post(listener.line, state.line, state.reason, state.text, state.mono_ns)

    def _post(self, call: Callable[..., None], *arguments: object) -> None:
        with contextlib.suppress(RuntimeError):  # the main loop has ended: nobody is there to hear
            self._context.loop.call_soon_threadsafe(self._guarded, partial(call, *arguments))

    def _guarded(self, call: Callable[[], None]) -> None:
        if self.abandoned.done():
            return  # it comes back late: another one is at work
        try:
            call()
        except BaseException as error:  # noqa: BLE001  a fault of ours: the app ends with it
            self._error = self._error or error


class HungError(Exception):
    """A bus hangs and trying it anew does not help: the process has to end."""


def hang_timeout_s(bus: Bus, devices: Sequence[PolledDevice], floor_s: float = FLOOR_S) -> float:
    """How long a bus's thread may go without having finished with a device.

    A silent device is no hang: opening and reading it may take its time-out several times over.
    The time-out is the longest that the bus or a device on it is configured with (`timeout_s`, 30 s
    at most); drivers without one bound their reading by themselves, to less than the floor.
    """
    configured = [d.polled.timeout_s for d in devices if isinstance(d.polled, WaitingDevice)]
    if isinstance(bus, ModbusRtuBus | ModbusTcpBus):
        configured.append(bus.timeout_s)
    return max(floor_s, QUESTIONS_LIMIT * max(configured, default=0.0))


@dataclass(slots=True)
class _Trial:
    since_ns: int
    worked: bool = False


class RestartTrials:
    """Which buses were tried anew, and how it went. Times are monotonic ns."""

    def __init__(self) -> None:
        self._trials: dict[str, _Trial] = {}
        self.count = 0  # since the start of the process

    def request_restart(
        self, bus: str, now_ns: int, left: bool = False, *, changed: bool = False
    ) -> str:
        """This bus hangs: "" when it is to be tried anew, else why that is no use.

        `left`: the thread that was left behind last time still hangs. At most one a bus does.
        `changed`: it did not end in time for a change. It may only be slow, so it is no hang that
        comes again unless the one before still hangs.
        """
        found = self._trials.get(bus)
        again = found is not None and not changed and now_ns - found.since_ns < FORGET_TRIAL_NS
        if left or again:
            return f"bus {bus} hangs in a system call again, after it got a new thread"
        others = [name for name, t in self._trials.items() if not t.worked]
        if len(others) >= OTHER_HUNG_LIMIT:
            return f"bus {bus} hangs in a system call, and so do {' and '.join(others)}"
        self._trials[bus] = _Trial(now_ns)
        self.count += 1
        return ""

    def mark_worked(self, bus: str) -> None:
        """The thread that was tried has got work done."""
        if (found := self._trials.get(bus)) is not None:
            found.worked = True
