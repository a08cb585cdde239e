"""The main loop of a running gateway: lets time pass, tick by tick, and notices what goes wrong."""

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from edge.acquire.clock import SystemClock
from edge.acquire.stage import Stage
from edge.core import Draft, Stamp, Stream
from edge.gateway.boxmonitor import BoxMonitor
from edge.gateway.boxversions import BoxVersions
from edge.gateway.busworkers import BusWorkers
from edge.gateway.commissioning import Commissioning
from edge.gateway.datasaver import DataSaver
from edge.gateway.flightrecorder import FlightRecorder
from edge.gateway.ingest import Ingest
from edge.gateway.issuewatch import IssueWatch
from edge.gateway.overload import OverloadMonitor, ShedCounts
from edge.gateway.pipeline import Pipeline
from edge.gateway.trialstate import WorkingParts
from edge.gateway.urgentevents import UrgentEvents
from edge.gateway.windowcommitter import WindowCommitter
from edge.gateway.windowschedule import GRACE_NS
from edge.gateway.wiring import Wiring
from edge.health.notify import Notify
from edge.health.progress import Progress
from edge.outbox import AsyncOutbox
from edge.uplink.sender import Sender
from edge.wire.contract.boxevent import AlarmKind, Configuration, Storage

LOG = logging.getLogger("kerbstone")

TICK_NS: Final = 500_000_000
ALIVE_S: Final = 5.0  # how often systemd hears that work is done, or oftener if it wants to


@dataclass(slots=True, kw_only=True)
class MainLoop:
    """All parts of a gateway are there, and what the former process left is read back."""

    wiring: Wiring
    clock: SystemClock
    pipeline: Pipeline
    stage: Stage
    urgent: UrgentEvents
    outbox: AsyncOutbox
    sender: Sender
    ingest: Ingest
    buses: BusWorkers
    box_monitor: BoxMonitor
    data_saver: DataSaver
    overload: OverloadMonitor
    committer: WindowCommitter
    commissioning: Commissioning
    watch: IssueWatch
    versions: BoxVersions
    progress: Progress
    notify: Notify
    stopping: asyncio.Event
    recorder: FlightRecorder | None = None  # it is off
    _alive_ns: int = field(default=0, init=False)
    _loading: asyncio.Future[None] | None = field(default=None, init=False)

    async def run(self, sending: "asyncio.Task[None]") -> None:
        """Until `stop`: end windows, keep the stage marked, feed the watchdog. Raises whatever
        fault of ours ended a part; `sending` is the sender's."""
        while not self.stopping.is_set():
            now = self.clock.now()
            if not self.sender.knows_clock(now):
                await self.committer.keep_clock(now)
            self.sender.add_mark(now)
            self.stage.mark(min(now.mono_ns - GRACE_NS, self.buses.watched_until_ns()))
            self._load_models()
            self._raise_faults(sending)
            self._log_troubles()
            self.buses.set_piled_up(self.committer.windows_due(now))
            given_up = self.buses.shed_counts() + ShedCounts(raw=self.ingest.raw.given_up)
            self.urgent.add(self.overload.look(now.mono_ns, given_up))
            self.data_saver.look(now.mono_ns)
            self._begin_anew()
            self.urgent.put(await self.box_monitor.observe(now))  # the list of issues logs them
            await self.watch.look(now)
            if self.recorder is not None:
                self.recorder.look(now.mono_ns)
            self.versions.look(now)
            await self.committer.tick(now)
            self.commissioning.told.look(self.urgent.waiting)
            self._feed_watchdog(now)
            await self._sleep(min(now.mono_ns + TICK_NS, self.committer.next_ns))

    def stop(self) -> None:
        self.stopping.set()
        self.urgent.wake.set()

    # -- for whoever watches a configuration that is on trial --------------------------------------

    @property
    def connected(self) -> bool:
        return self.sender.connected

    def healthy(self, now_ns: int) -> bool:
        """Each part has worked, and none is overdue."""
        return self.progress.healthy(now_ns)[0] and self.progress.worked()

    def announce(self, kind: AlarmKind, text: str) -> None:
        """An event, and a problem that stands in the status as long as this process runs."""
        self.ingest.announce(kind, text)

    def note(self, kind: AlarmKind, text: str) -> None:
        """A problem in the status, without an event."""
        self.ingest.note(kind, text)

    def withdraw(self, kind: AlarmKind) -> None:
        """What was announced is over."""
        self.ingest.withdraw(kind)

    def report(self, event: Configuration) -> None:
        """How a change of the configuration goes."""
        now_ns = self.clock.now().mono_ns
        self.urgent.add([Draft(Stream.EVENT, "gateway", now_ns, now_ns, event)])

    def working(self) -> WorkingParts:
        """What can be read now: devices that have answered, and lines that are open."""
        devices = (d.name for d in self.buses.devices() if d.reason is None and d.reads)
        lines = (f"line {line}" for line in self.wiring.lined)
        return WorkingParts(
            tuple(devices), tuple(each for each in lines if each not in self.ingest.problems)
        )

    def failing(self) -> Mapping[str, str]:
        """What cannot be read now, with why: devices, and lines as `line NAME`."""
        lines = (f"line {line}" for line in self.wiring.lined)
        found = {each: self.ingest.problems[each] for each in lines if each in self.ingest.problems}
        return found | {d.name: d.text for d in self.buses.devices() if d.reason is not None}

    @property
    def connection_failures(self) -> int:
        """Attempts to connect that failed so far."""
        return self.sender.counts.connection_failures

    def link_words(self) -> tuple[str, str]:
        """The broker that was tried last, and why it is not reached."""
        return self.sender.connection.broker, self.sender.connection.failure

    # -- for systemd -------------------------------------------------------------------------------

    def summary(self) -> str:
        """One line for `systemctl status`."""
        site = self.wiring.site
        link = "connected" if self.sender.connected else "not connected"
        broken = f"; broken: {', '.join(self.ingest.problems)}" if self.ingest.problems else ""
        devices, lanes = len(self.wiring.points()), len(site.lanes)
        bays = f"{len(site.bays)} bays, " if site.bays else ""
        return f"{devices} devices, {lanes} lanes, {bays}{link}{broken}"

    def _feed_watchdog(self, now: Stamp) -> None:
        due_s = min(self.notify.watchdog_s or ALIVE_S, ALIVE_S)
        if now.mono_ns - self._alive_ns < due_s * 1e9:
            return
        self._alive_ns = now.mono_ns
        healthy, why = self.progress.healthy(now.mono_ns)
        if healthy:
            self.notify.alive()
            self.notify.status(self.summary())
        else:
            LOG.error("the watchdog is not fed: %s", why)

    # -- within a tick -----------------------------------------------------------------------------

    async def _sleep(self, until_ns: int) -> None:
        """Until then, or until somebody asks to stop, or something urgent came in."""
        sleeping = asyncio.create_task(self.clock.sleep_until(until_ns))
        waking = asyncio.create_task(self.urgent.wake.wait())
        await asyncio.wait((sleeping, waking), return_when=asyncio.FIRST_COMPLETED)
        sleeping.cancel()
        waking.cancel()
        self.urgent.wake.clear()

    def _load_models(self) -> None:
        """After the first news, so that the first value is not late; off the loop."""
        if self.ingest.heard and self._loading is None:
            loop = asyncio.get_running_loop()
            self._loading = loop.run_in_executor(None, self.pipeline.load)
            self._loading.add_done_callback(lambda _: self.sender.publish_meta())

    def _raise_faults(self, sending: "asyncio.Task[None]") -> None:
        """A fault of ours in any part ends the process; systemd starts it again."""
        if (error := self.buses.error()) is not None:
            raise error
        for part in (sending, self._loading):
            if part is not None and part.done():
                part.result()

    def _log_troubles(self) -> None:
        """What is counted in the status is worth an event the first time."""
        if self.stage.overflow:
            text = "the stage is full: if the daemon is killed, entries that are not in it are lost"
            self.urgent.alarm_once("stage", text)
        if self.clock.floor.overruled is not None:
            self.urgent.alarm_once("wrong_time", self.clock.floor.overruled)
        if self.outbox.journal_failure is not None:
            self.urgent.alarm_once("journal", self.outbox.journal_failure)

    def _begin_anew(self) -> None:
        """The outbox did not answer at the start and does now: go on from what lies there."""
        why = self.outbox.restart
        if why is not None:
            LOG.warning("%s The daemon stops for this reason.", why)
            now_ns = self.clock.now().mono_ns
            body = Storage(state="off", text=why)
            self.urgent.waiting.append(Draft(Stream.EVENT, "gateway", now_ns, now_ns, body))
            self.stop()
