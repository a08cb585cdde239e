"""The threads of a running site, one on each bus, and what becomes of one that hangs."""

import asyncio
import logging
from collections.abc import Callable, Collection, Container, Iterable, Mapping
from typing import Final

from edge.acquire.poll import Poller, PollState
from edge.core import AsyncClock, Reason, Sweep
from edge.core.frametap import FrameTap
from edge.gateway.busworker import (
    FLOOR_S,
    GRACE_S,
    WORKED_BEATS,
    BusListener,
    BusWorker,
    HungError,
    RestartTrials,
    WorkerContext,
    hang_timeout_s,
)
from edge.gateway.deviceconditions import DeviceConditions
from edge.gateway.overload import ShedCounts
from edge.gateway.wiring import PolledDevice, Wiring
from edge.health.progress import Progress

FOREVER_NS: Final = 1 << 63
LOOK_NS: Final = 1_000_000_000  # between two looks at who hangs; also what a new try waits
LOG = logging.getLogger("kerbstone.bus")

HUNG_TEXT: Final = "a call to bus {} has not returned for {:.0f} s"
REPLACED_TEXT: Final = (
    "bus {}: its thread hung in a system call for {:.0f} s and was given up; a new one was "
    "started. If this comes again, look at the adapter, its cable and its driver"
)
CHANGED_TEXT: Final = (
    "bus {}: its thread, which had to end for a change of the configuration, hung in a system call "
    "for {:.0f} s and was given up. If this comes again, look at the adapter, its cable and its "
    "driver"
)


class BusWorkers:
    """Starts and stops the threads. What they bring arrives in the main loop, in batches.

    A thread that has done nothing for `hang_timeout_s` (None: as long as its devices may need)
    hangs: it is abandoned, its devices are reported silent, and a new thread with a new bus and new
    drivers is tried, once. When that does not help, `error` gives HungError. The other buses have
    threads and objects of their own and notice nothing. `again` makes the wiring anew.
    """

    def __init__(
        self,
        wiring: Wiring,
        clock: AsyncClock,
        listener: BusListener,
        progress: Progress,
        *,
        floor_s: float | None = None,
        again: Callable[[], Wiring] | None = None,
    ) -> None:
        self._context = WorkerContext(asyncio.get_running_loop(), clock, listener, progress)
        self._clock, self._wiring, self._progress, self._listener = (
            clock,
            wiring,
            progress,
            listener,
        )
        self._floor_s = FLOOR_S if floor_s is None else floor_s
        self._again = again or (lambda: Wiring.of(wiring.site))  # as it is then
        self._error: BaseException | None = None
        self._trials = RestartTrials()
        self._abandoned: dict[str, BusWorker] = {}  # abandoned, the latest of each bus
        self._waiting: dict[str, BusWorker] = {}  # to be tried at the next look
        self._resting: set[str] = set()  # between `rest` and `follow`: nobody expects them
        self._over = ShedCounts()  # of turns that are over
        self._watching: asyncio.Task[None] | None = None
        self.workers: dict[str, BusWorker] = {}
        for bus, devices in wiring.polled.items():
            self._expect(bus)
            made = [_device(d) for d in devices]
            self.workers[bus] = BusWorker(bus, wiring.buses[bus], self._context, made, ())
        for bus, lines in wiring.lines.items():
            self._expect(bus)
            self.workers[bus] = BusWorker(bus, wiring.buses[bus], self._context, (), lines)

    def restore(self, broken: Container[str], known: Mapping[str, DeviceConditions]) -> None:
        """What devices had reported to the process before; lines are watched from now on at the
        earliest. Before `start`."""
        for worker in self.workers.values():
            worker.restore(broken, known)

    def start(self) -> None:
        for worker in self.workers.values():
            self._expect(worker.name)
            worker.start()
        self._watching = self._context.loop.create_task(self._watch(), name="watch-buses")

    async def stop(self) -> None:
        """Ask all threads to end; one that hangs is left behind, and said so."""
        if self._watching is not None:
            self._watching.cancel()
            await asyncio.gather(self._watching, return_exceptions=True)
        workers = [worker for name, worker in self.workers.items() if name not in self._waiting]
        ended = await asyncio.gather(*(asyncio.to_thread(worker.thread.stop) for worker in workers))
        for worker, fine in zip(workers, ended, strict=True):
            if not fine:
                LOG.error("bus %s hangs in a system call and is given up", worker.name)

    async def rest(self, buses: Collection[str]) -> None:
        """End the threads of these, for `follow`; until then their devices are not read. One that
        does not end is left behind as one that hangs, and counts like it."""
        self._resting.update(buses)
        for bus in buses:
            self._waiting.pop(bus, None)
        resting = [self.workers[bus] for bus in buses if bus in self.workers]
        ended = await asyncio.gather(*(worker.retire() for worker in resting))
        now_ns = self._clock.now().mono_ns
        for worker, fine in zip(resting, ended, strict=True):
            if not fine and not self._is_left(worker):
                silent_s = self._progress.silent_ns(worker.owner, now_ns) / 1e9
                self._leave_behind(worker, silent_s, now_ns, CHANGED_TEXT, changed=True)

    def follow(self, buses: Collection[str]) -> None:
        """Threads for these, as the wiring says now; others that are not there any more go.

        A device of the same name and driver goes on with what was counted and learnt of it.
        """
        self._resting.difference_update(buses)
        for bus in buses:
            before = self.workers.pop(bus, None)
            known: Mapping[str, PollState] = {}
            hung = before is not None and self._is_left(before)
            if before is not None:
                self._over += _given_up(before)
                known = {} if before.poller is None else before.poller.devices
            polled = self._wiring.polled.get(bus)
            if polled is None:
                self._progress.forget(f"bus-{bus}")
                continue
            made = [_successor(device, known.get(device.name), hung) for device in polled]
            worker = BusWorker(bus, self._wiring.buses[bus], self._context, made, ())
            self.workers[bus] = worker
            self._expect(bus)
            worker.start()
        order = [*self._wiring.polled, *self._wiring.lines]
        self.workers = {bus: self.workers[bus] for bus in order if bus in self.workers}

    def error(self) -> BaseException | None:
        """The first fault of ours, in a thread or in what takes what it brings; or HungError."""
        workers = (worker.error for worker in self.workers.values())
        return next((error for error in (self._error, *workers) if error is not None), None)

    def watched_until_ns(self) -> int:
        """Until when all GPIO buses have proved to listen; without one nothing limits it."""
        heard = (worker.heard_ns for worker in self.workers.values())
        return min((ns for ns in heard if ns is not None), default=FOREVER_NS)

    def set_piled_up(self, windows: bool) -> None:
        """Whether windows wait to be closed: then buses that are late give way."""
        self._context.load.piled_up = windows

    def shed_counts(self) -> ShedCounts:
        """What was given up since the start, because there was too much to do."""
        return sum(map(_given_up, self.workers.values()), self._over)

    def snapshot_devices(self) -> dict[str, bytes]:
        """What the algorithms of devices have learnt, for `Baselines`: device -> its snapshot."""
        devices = (d for poller in self.pollers.values() for d in poller.devices.values())
        return {device.name: device.kept for device in devices if device.kept}

    @property
    def pollers(self) -> dict[str, Poller]:
        """Of each bus with devices that are asked."""
        return {b: worker.poller for b, worker in self.workers.items() if worker.poller is not None}

    def devices(self) -> list[PollState]:
        """All that are asked."""
        return [device for devices in self.devices_by_bus().values() for device in devices]

    def devices_by_bus(self) -> dict[str, list[PollState]]:
        """The same, of each bus."""
        return {bus: [*poller.devices.values()] for bus, poller in self.pollers.items()}

    @property
    def dropped(self) -> int:
        """Sweeps and edges that the main loop was too busy to take."""
        found = self.shed_counts()
        return found.readings + found.edges

    @property
    def hang_count(self) -> int:
        """How often a thread was left behind since the start."""
        return self._trials.count

    async def read(self, name: str) -> Sweep:
        """One reading now, between two polls. Raises KeyError for a name that is not polled."""
        for bus, poller in self.pollers.items():
            if name in poller.devices:
                return await self.workers[bus].read(name)
        raise KeyError(name)

    def names(self) -> Iterable[str]:
        """Of all buses that have a thread."""
        return self.workers.keys()

    def watch_frames(self, bus: str, tap: FrameTap) -> bool:
        """Let a bus write its frames into `tap`, for as long as somebody asks for them. False: it
        has no frames. Raises KeyError for a bus that is nobody's."""
        return self.workers[bus].watch_frames(tap)

    def device(self, name: str) -> PollState:
        """What is known of it. Raises KeyError for a name that is not polled."""
        for poller in self.pollers.values():
            if name in poller.devices:
                return poller.devices[name]
        raise KeyError(name)

    # -- who hangs -------------------------------------------------------------------------------

    def _expect(self, bus: str) -> None:
        limit_s = self._limit_s(bus) + GRACE_S
        self._progress.expect(f"bus-{bus}", limit_s, self._clock.now().mono_ns)

    def _limit_s(self, bus: str) -> float:
        config = self._wiring.site.buses[bus]
        return hang_timeout_s(config, self._wiring.polled.get(bus, ()), self._floor_s)

    async def _watch(self) -> None:
        """Look, until cancelled. Time in which this could not look is nobody's silence."""
        try:
            while self._error is None:
                now_ns = self._clock.now().mono_ns
                self._progress.look(now_ns)
                self._look(now_ns)
                await self._clock.sleep_until(now_ns + LOOK_NS)
        except Exception as error:  # noqa: BLE001  a fault of ours, or a table that is not there now
            self._error = self._error or error

    def _look(self, now_ns: int) -> None:
        for bus, worker in self._waiting.items():
            self._over += _given_up(self.workers[bus])
            self.workers[bus] = worker
            self._expect(bus)
            worker.start()
        self._waiting.clear()
        for bus, left in self._abandoned.items():
            if bus not in self.workers and not left.thread.alive:
                self._trials.mark_worked(bus)  # of a bus that is gone: its call has returned
        for bus, worker in list(self.workers.items()):
            if bus in self._resting:  # the site file may not have it any more
                continue
            if worker.beats >= WORKED_BEATS:
                self._trials.mark_worked(bus)
            silent_s = self._progress.silent_ns(worker.owner, now_ns) / 1e9
            if silent_s > self._limit_s(bus) and worker.thread.alive:  # one that ended has an error
                self._handle_hang(worker, silent_s, now_ns)

    def _handle_hang(self, worker: BusWorker, silent_s: float, now_ns: int) -> None:
        if self._leave_behind(worker, silent_s, now_ns, REPLACED_TEXT):
            self._waiting[worker.name] = self._next(worker, silent_s)
            self._expect(worker.name)

    def _leave_behind(
        self, worker: BusWorker, silent_s: float, now_ns: int, text: str, *, changed: bool = False
    ) -> bool:
        """Whether another thread may be tried on its bus; if not, `error` says why. `text`: for
        people, of the bus and the seconds."""
        bus = worker.name
        left = self._abandoned.get(bus)
        still = left is not None and left.thread.alive
        no_use = self._trials.request_restart(bus, now_ns, still, changed=changed)
        worker.abandon()
        self._report_silent(worker, HUNG_TEXT.format(bus, silent_s))  # after what it had brought
        if no_use:
            self._listener.alarm("bus", f"{no_use}: the gateway's process starts again")
            self._error = HungError(no_use)
            return False
        self._abandoned[bus] = worker
        self._listener.alarm("bus", text.format(bus, silent_s))
        return True

    def _is_left(self, worker: BusWorker) -> bool:
        """It was given up, and nothing has come in its place yet."""
        return self._abandoned.get(worker.name) is worker

    def _report_silent(self, worker: BusWorker, text: str) -> None:
        for device in worker.poller.devices.values() if worker.poller is not None else ():
            self._listener.fault(device.name, Reason.SILENT, text)
        for spec in worker.lines:
            self._listener.line(spec.line, Reason.SILENT, text, worker.heard_ns or 0)

    def _next(self, worker: BusWorker, silent_s: float) -> BusWorker:
        """Another one on the same bus: a new bus object, new drivers, the devices as known."""
        bus, wiring = worker.name, self._again()
        self._wiring.buses[bus] = wiring.buses[bus]
        if worker.poller is None:
            return BusWorker(bus, wiring.buses[bus], self._context, (), wiring.lines[bus])
        self._wiring.polled[bus] = wiring.polled[bus]
        before = worker.poller.devices
        made = [_follower(d, before[d.name], silent_s) for d in wiring.polled[bus]]
        return BusWorker(bus, wiring.buses[bus], self._context, made, ())


def _given_up(worker: BusWorker) -> ShedCounts:
    readings, edges = worker.dropped
    rested_ns = 0 if worker.poller is None else worker.poller.rested_ns
    return ShedCounts(rested_ns=rested_ns, readings=readings, edges=edges)


def _device(device: PolledDevice) -> PollState:
    return PollState(device.name, device.polled, int(device.every_s * 1e9))


def _successor(device: PolledDevice, before: PollState | None, hung: bool) -> PollState:
    """The device as it is configured now, after what was polled under its name. `hung`: it was
    reported as silent."""
    if before is None or type(before.polled) is not type(device.polled):
        return _device(device)
    return _follower(device, before, 0.0, Reason.SILENT if hung else before.reason)


def _follower(
    device: PolledDevice, before: PollState, silent_s: float, reason: Reason | None = Reason.SILENT
) -> PollState:
    """The same device with a new driver: what was counted, reported and learnt goes on."""
    found = _device(device)
    found.identity, found.health, found.reason = before.identity, before.health, reason
    found.reads, found.errors, found.missed = before.reads, before.errors, before.missed
    found.unsettled, found.unsettled_since_ns = before.unsettled, before.unsettled_since_ns
    found.kept, found.latest = before.kept, before.latest
    if found.stateful is not None and found.kept:
        found.stateful.restore(found.kept, silent_s)
    return found
