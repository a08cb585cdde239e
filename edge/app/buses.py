"""The threads of a running site: a poller or a set of GPIO lines on each bus."""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Container, Mapping, Sequence
from functools import partial
from typing import Final, Protocol

from drivers.buses.gpio.bus import GpioBus
from drivers.buses.gpio.line import LineState
from edge.acquire.busthread import BusThread, Crossing, EdgeCrossing
from edge.acquire.poll import Device, Poller
from edge.app.told import Told
from edge.app.wiring import PolledDevice, Wiring
from edge.core import Clock, Condition, Edge, Reason, Sweep
from edge.health.progress import Progress

BEAT_NS: Final = 250_000_000  # a kill is known to within this
FOREVER_NS: Final = 1 << 63
SILENCE_S: Final = 90.0  # a poll of a silent device with the longest time-out allowed, and some
LOG = logging.getLogger("kerbstone.bus")


class Taker(Protocol):
    """Takes what the buses bring; in the main loop."""

    def edges(self, batch: Sequence[Edge]) -> None: ...
    def sweeps(self, batch: Sequence[Sweep]) -> None: ...
    def fault(self, device: str, reason: Reason | None, text: str) -> None: ...
    def told(self, device: str, identity: str, health: Mapping[Condition, str]) -> None: ...
    def line(self, line: str, reason: Reason | None, text: str, at_ns: int) -> None: ...


class Buses:
    """Starts and stops the threads. What they bring arrives in the main loop, in batches."""

    def __init__(
        self,
        wiring: Wiring,
        clock: Clock,
        taker: Taker,
        progress: Progress,
        broken: Container[str],
        told: Mapping[str, Told],
    ) -> None:
        loop = asyncio.get_running_loop()
        self._loop, self._clock, self._wiring = loop, clock, wiring
        self._edges = EdgeCrossing(loop, taker.edges)
        self._sweeps: Crossing[Sweep] = Crossing(loop, taker.sweeps)
        self._taker, self._progress = taker, progress
        self._heard: dict[str, int] = {}  # when each GPIO bus last proved that it listens
        self._error: BaseException | None = None
        self.pollers: dict[str, Poller] = {}
        self.threads: dict[str, BusThread] = {}
        for bus, devices in wiring.polled.items():
            self.pollers[bus] = Poller(
                [_device(d, d.name in broken, told.get(d.name, Told())) for d in devices],
                clock,
                lambda sweep: self._sweeps.put((sweep,)),
                self._report,
                self._beat(f"bus-{bus}"),
                self._hear,
            )
            self.threads[bus] = BusThread(bus, partial(self._poll, bus))
        for bus, lines in wiring.lines.items():
            gpio = GpioBus(wiring.buses[bus], lines, self._edges.put, self._line)
            self._heard[f"bus-{bus}"] = clock.now().mono_ns
            self.threads[bus] = BusThread(bus, partial(self._listen, gpio, f"bus-{bus}"))

    def start(self) -> None:
        for thread in self.threads.values():
            thread.start()

    async def stop(self) -> None:
        """Ask all threads to end; one that hangs is left behind, and said so."""
        ended = await asyncio.gather(
            *(asyncio.to_thread(thread.stop) for thread in self.threads.values())
        )
        for name, fine in zip(self.threads, ended, strict=True):
            if not fine:
                LOG.error("bus %s hangs in a system call and is left behind", name)

    def error(self) -> BaseException | None:
        """The first fault of ours, in a thread or in what takes what it brings."""
        threads = (thread.error for thread in self.threads.values())
        errors = (self._error, self._edges.error, self._sweeps.error, *threads)
        return next((error for error in errors if error is not None), None)

    def heard_ns(self) -> int:
        """Until when all GPIO buses have proved to listen; without one nothing limits it."""
        return min(self._heard.values(), default=FOREVER_NS)

    def kept(self) -> dict[str, bytes]:
        """What the algorithms of devices have learnt, for the next start."""
        devices = (d for poller in self.pollers.values() for d in poller.devices.values())
        return {device.name: device.kept for device in devices if device.kept}

    @property
    def dropped(self) -> int:
        """What the main loop was too busy to take."""
        return self._edges.dropped + self._sweeps.dropped

    async def read(self, name: str) -> Sweep:
        """One reading now, between two polls. Raises KeyError for a name that is not polled."""
        bus = next(
            b for b, devices in self._wiring.polled.items() for d in devices if d.name == name
        )
        poller = self.pollers[bus]

        async def through_the_queue() -> Sweep:
            done: asyncio.Future[Sweep] = asyncio.get_running_loop().create_future()

            async def command() -> None:
                found = await poller.read(name)
                if not done.done():  # whoever asked may have gone
                    done.set_result(found)

            poller.command(command)
            return await done

        return await asyncio.wrap_future(self.threads[bus].call(through_the_queue))

    def _beat(self, owner: str) -> Callable[[], None]:
        """What a bus calls after each piece of work; the watchdog waits for it."""
        self._progress.expect(owner, SILENCE_S, self._clock.now().mono_ns)
        return lambda: self._progress.done(owner, self._clock.now().mono_ns)

    async def _poll(self, bus: str) -> None:
        try:
            await self.pollers[bus].run()
        finally:
            self._wiring.buses[bus].close()

    async def _listen(self, gpio: GpioBus, owner: str) -> None:
        """Listen, and show that the loop turns: silent lines are no hung thread."""
        beat = self._beat(owner)
        listening = asyncio.create_task(gpio.run())
        try:
            while not listening.done():
                beat()
                now_ns = self._heard[owner] = self._clock.now().mono_ns
                await self._clock.sleep_until(now_ns + BEAT_NS)
            listening.result()
        finally:
            listening.cancel()
            await asyncio.gather(listening, return_exceptions=True)

    def _report(self, device: str, reason: Reason | None, text: str) -> None:
        self._to_main(self._taker.fault, device, reason, text)

    def _hear(self, device: str, identity: str, health: Mapping[Condition, str]) -> None:
        self._to_main(self._taker.told, device, identity, health)

    def _line(self, state: LineState) -> None:
        self._to_main(self._taker.line, state.line, state.reason, state.text, state.mono_ns)

    def _to_main(self, call: Callable[..., None], *arguments: object) -> None:
        with contextlib.suppress(RuntimeError):  # the main loop has ended: nobody is there to hear
            self._loop.call_soon_threadsafe(self._guarded, partial(call, *arguments))

    def _guarded(self, call: Callable[[], None]) -> None:
        try:
            call()
        except BaseException as error:  # noqa: BLE001  a fault of ours: the app ends with it
            self._error = self._error or error


def _device(device: PolledDevice, broken: bool, told: Told) -> Device:
    """A device that was broken when the former process ended says so when it answers again."""
    found = Device(device.name, device.polled, int(device.every_s * 1e9))
    found.identity, found.health = told.identity, told.health
    found.reason = Reason.SILENT if broken else None
    return found
