"""A running daemon becomes that of another configuration, where that is sound (`changescope`).

Everything that can be refused is built before anything is touched. Words are exchanged at once, the
uplink between two connections. What is polled changes between two windows: the threads of the buses
that are concerned end in the last second of a window and begin behind it. Lines, lanes and all
other buses go on in their threads, and the main loop takes what they bring all the time. Until
then a change can be withdrawn.
"""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from edge.acquire.clock import SystemClock
from edge.acquire.stage import Stage
from edge.config import Problem, Site, outdated_keys
from edge.control.buslock import BusLock
from edge.core import ConfigError, Draft, Point
from edge.gateway.busworkers import BusWorkers
from edge.gateway.changescope import ChangeScope
from edge.gateway.gatewaystatus import StatusSources
from edge.gateway.ingest import Ingest
from edge.gateway.pipeline import Pipeline
from edge.gateway.recover import new_source_gaps
from edge.gateway.sitelocks import Locks
from edge.gateway.trieddaemon import ChangeWithdrawnError
from edge.gateway.uplinksetup import make_brokers
from edge.gateway.windowcommitter import WindowCommitter
from edge.gateway.wiring import Wiring
from edge.health.openissues import OpenIssues
from edge.process.enginesetup import DeviceSetup
from edge.uplink.broker import Broker
from edge.uplink.sender import Sender

BEFORE_END_NS: Final = 1_000_000_000  # so long before a window's end the threads are asked to end


@dataclass(slots=True, kw_only=True)
class ChangingParts:
    """What knows the site, and is told a new one. `points`, `broker_names` and `outdated` are
    changed in place: others read them. `site_used`: of whoever has made something of the site."""

    wiring: Wiring
    pipeline: Pipeline
    stage: Stage
    clock: SystemClock
    buses: BusWorkers
    committer: WindowCommitter
    ingest: Ingest
    sender: Sender
    sources: StatusSources
    issues: OpenIssues
    points: dict[str, Sequence[Point]]
    broker_names: list[str]
    outdated: list[Problem]
    locks: Locks
    site_used: Callable[[], None]


class LiveChange:
    """Belongs to the main loop; one change at a time."""

    def __init__(self, parts: ChangingParts) -> None:
        self._parts = parts

    def can_change(self, site: Site) -> bool:
        """Whether anything that counts now would go on: a state of which nothing fits is none."""
        here = set(self._parts.pipeline.engine.setup.names())
        return not here or bool(here & _sources(site))

    async def change(self, site: Site, scope: ChangeScope, withdrawn: asyncio.Event | None) -> None:
        """Become that of `site`. Raises ConfigError, and ChangeWithdrawnError when `withdrawn` is
        set while it waits; then it has changed nothing.

        `withdrawn` None: the last good one comes back. Its connection does not wait for the buses:
        a gateway that is deaf is so no longer than it must.
        """
        parts = self._parts
        wiring = await asyncio.to_thread(Wiring.of, site)
        try:
            devices = wiring.setup().devices
        except ValueError as error:
            raise ConfigError(f"{site.file}: {error}") from error
        brokers = make_brokers(site, parts.clock.wrong) if scope.uplink else None
        if brokers is not None and withdrawn is None:
            self._use_brokers(brokers)
        if scope.buses:
            new = set(wiring.buses) - set(parts.wiring.buses)
            self._lock(new)
            if not await self._window_ends(withdrawn):
                self._unlock(new)
                raise ChangeWithdrawnError
            await self._change_buses(wiring, devices, scope)
        else:
            self._use_site(site)
            parts.committer.read_wiring()
        if brokers is not None and withdrawn is not None:
            self._use_brokers(brokers)
        parts.sender.publish_meta()
        parts.sender.publish_status()

    async def _window_ends(self, withdrawn: asyncio.Event | None) -> bool:
        """Wait until it is about to end. False: the change was withdrawn."""
        parts, never = self._parts, withdrawn or asyncio.Event()
        waits = [
            asyncio.ensure_future(parts.clock.sleep_until(parts.committer.next_ns - BEFORE_END_NS)),
            asyncio.ensure_future(never.wait()),
        ]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for each in waits:
                each.cancel()
        return not never.is_set()

    async def _change_buses(
        self, wiring: Wiring, devices: Sequence[DeviceSetup], scope: ChangeScope
    ) -> None:
        parts = self._parts
        await parts.buses.rest(scope.buses)

        def between_windows(end_ns: int) -> list[Draft]:
            former = {each.name for each in parts.pipeline.engine.setup.devices}
            parts.pipeline.change_devices(devices)
            gone = former - {each.name for each in devices}
            kept, changed = parts.wiring, set(scope.buses)
            kept.buses = {n: b if n in changed else kept.buses[n] for n, b in wiring.buses.items()}
            kept.polled = {
                n: d if n in changed else kept.polled[n] for n, d in wiring.polled.items()
            }
            self._use_site(wiring.site)
            parts.stage.describe(parts.wiring.staged())
            for name in sorted(gone):
                parts.ingest.forget_device(name)
            return [*new_source_gaps(parts.pipeline.engine.fresh, end_ns)]

        await parts.committer.change(between_windows)
        parts.buses.follow(scope.buses)
        self._unlock(bus for bus in scope.buses if bus not in parts.wiring.buses)

    def _use_site(self, site: Site) -> None:
        parts = self._parts
        parts.wiring.site = parts.sources.site = site
        parts.issues.names = site.names
        parts.points.clear()
        parts.points.update(parts.wiring.points())
        parts.outdated[:] = outdated_keys(site)
        parts.site_used()

    def _use_brokers(self, brokers: list[Broker]) -> None:
        parts = self._parts
        parts.sources.brokers = brokers
        parts.broker_names[:] = [str(each) for each in brokers]
        parts.sender.use_brokers(brokers)

    def _lock(self, buses: Iterable[str]) -> None:
        """A bus that is new has no other master. Raises ConfigError."""
        run_dir = Path(self._parts.wiring.site.store.run_dir)
        taken: list[str] = []
        for bus in sorted(buses):
            lock = BusLock(run_dir, bus)
            if not lock.take():
                self._unlock(taken)
                raise ConfigError(lock.in_use())
            taken.append(bus)
            self._parts.locks.append(lock)

    def _unlock(self, buses: Iterable[str]) -> None:
        run_dir = Path(self._parts.wiring.site.store.run_dir)
        paths = {BusLock(run_dir, bus).path for bus in buses}
        for lock in [each for each in self._parts.locks if each.path in paths]:
            self._parts.locks.remove(lock)
            lock.release()


def _sources(site: Site) -> set[str]:
    return {*site.lanes, *site.devices, *site.bays}
