"""Devices and lines that are polled and watched while no daemon runs, for a person who looks on.

The threads of the buses, their drivers and what is told of them are the daemon's own. There is no
outbox and no link: nothing is kept or sent. The locks of these buses are held meanwhile.
"""

import asyncio
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from edge.acquire.clock import SystemClock
from edge.config import Site
from edge.control.buslock import BusLock
from edge.control.protocol import VerbError
from edge.core import Condition, ContactLine, Edge, Reason, Sweep
from edge.diagnose.standalone import published_alone
from edge.gateway.busworkers import BusWorkers
from edge.gateway.linewatch import LineWatch
from edge.gateway.livestatus import device_status, not_known
from edge.gateway.wiring import Wiring
from edge.health.progress import Progress

STEP_NS: Final = 50_000_000


class WireWatch:
    """Some devices, lanes and contacts of a site, or all (`names` None), within its `async with`.

    Raises VerbError for a name that is nobody's, and where another process has a bus.
    """

    def __init__(self, site: Site, names: Collection[str] | None = None) -> None:
        self._site, self._clock, self._progress = site, SystemClock(), Progress()
        self._wiring = Wiring.of(site)
        self._points = self._wiring.points()
        self._started_ns = self._clock.now().mono_ns
        self.lines = LineWatch(self._wiring.setup(), self._wiring.lined, self._started_ns)
        self._values = published_alone(site, self._wiring)
        known = (*self._points, *self.lines.lanes, *self.lines.contacts)
        for name in names or ():
            if name not in known:
                raise VerbError(not_known(name, known))
        self.names = frozenset(known if names is None else names)
        self._leave_out_others()
        self._locks: list[BusLock] = []
        self._buses: BusWorkers | None = None

    def _leave_out_others(self) -> None:
        """Nobody asks or opens what was not named."""
        wiring = self._wiring
        for bus, devices in list(wiring.polled.items()):
            wiring.polled[bus] = [each for each in devices if each.name in self.names]
        for bus, specs in list(wiring.lines.items()):
            wiring.lines[bus] = [
                spec for spec in specs if _owner(wiring.lined[spec.line]) in self.names
            ]
        wiring.polled = {bus: found for bus, found in wiring.polled.items() if found}
        wiring.lines = {bus: found for bus, found in wiring.lines.items() if found}

    async def __aenter__(self) -> "WireWatch":
        for bus in (*self._wiring.polled, *self._wiring.lines):
            lock = BusLock(Path(self._site.store.run_dir), bus)
            if not lock.take():
                self._release()
                raise VerbError(lock.in_use())
            self._locks.append(lock)
        try:
            self._buses = BusWorkers(self._wiring, self._clock, self, self._progress)
            self._buses.start()
        except BaseException:
            self._release()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._buses is not None:
            await self._buses.stop()
        self._release()

    def _release(self) -> None:
        for lock in self._locks:
            lock.release()
        self._wiring.close()

    async def wait(self, for_s: float, *, lines: bool) -> None:
        """So long; without `lines` only until every device has answered or failed.

        Raises whatever fault of ours ended a thread.
        """
        end_ns = self._clock.now().mono_ns + int(for_s * 1e9)
        while (now_ns := self._clock.now().mono_ns) < end_ns:
            if not lines and self._is_known():
                return
            await self._clock.sleep_until(min(end_ns, now_ns + STEP_NS))
            if self._buses is not None and (error := self._buses.error()) is not None:
                raise error

    def _is_known(self) -> bool:
        devices = () if self._buses is None else self._buses.devices()
        watched = [source for source, owner in self._sources() if owner in self.names]
        now_ns = self._clock.now().mono_ns
        lines = (self.lines.line_status(source, now_ns) for source in watched)
        return all(each.latest is not None or each.reason is not None for each in devices) and all(
            line["on"] is not None or "closed" in line for line in lines
        )

    def _sources(self) -> list[tuple[str, str]]:
        lined = self._wiring.lined.values()
        return [(found.source, _owner(found)) for found in lined]

    def answer(self) -> dict[str, Any]:
        """As the verb `live`, without what only a daemon has."""
        now_ns = self._clock.now().mono_ns
        devices = () if self._buses is None else self._buses.devices()
        return {
            "site": self._site.place.id,
            "gateway": self._site.place.gateway,
            "site_name": self._site.place.name or "",
            "names": self._site.names,
            "uptime_s": round((now_ns - self._started_ns) / 1e9, 1),
            "devices": [
                device_status(each, self._site, self._values.published, now_ns) for each in devices
            ],
            "lanes": [
                self.lines.lane_status(name, now_ns)
                for name in self.lines.lanes
                if name in self.names
            ],
            "contacts": [
                self.lines.contact_status(name, now_ns)
                for name in self.lines.contacts
                if name in self.names
            ],
        }

    # -- what the buses bring ----------------------------------------------------------------------

    def edges(self, batch: Sequence[Edge]) -> None:
        lined = self._wiring.lined
        self.lines.take(lined[edge.line].contact(edge) for edge in batch)

    def sweeps(self, batch: Sequence[Sweep]) -> None:
        """The pollers keep the last of each device; others may be corrected with it."""
        for each in batch:
            self._values.inputs.take(each)

    def line(self, line: str, reason: Reason | None, text: str, at_ns: int) -> None:
        if reason is not None:
            self.lines.close(self._wiring.lined[line].source, text)

    def fault(self, device: str, reason: Reason | None, text: str) -> None:
        """The pollers keep it."""

    def conditions(self, device: str, identity: str, health: Mapping[Condition, str]) -> None:
        """The pollers keep them."""

    def alarm(self, kind: str, text: str) -> None:
        """A bus that hangs: its devices are silent then."""


def _owner(line: ContactLine) -> str:
    """The lane of a loop, or the device itself."""
    return line.source.partition(".")[0]


def watch_once(
    site: Site, names: Collection[str] | None, for_s: float, *, lines: bool
) -> dict[str, Any]:
    """Read and watch for a while. Raises VerbError as `WireWatch` does."""

    async def watch() -> dict[str, Any]:
        async with WireWatch(site, names) as wires:
            await wires.wait(for_s, lines=lines)
            return wires.answer()

    return asyncio.run(watch())
