"""The daemon: joins the parts, lets time pass, and ends cleanly.

The order matters. At a start: the outbox opens, the former stage is read back, only then the wires.
At a stop: the wires, the open window, the link, the outbox.
"""

import asyncio
import logging
from pathlib import Path
from typing import Any, Final

from edge.acquire.clock import SystemClock, boot_id
from edge.acquire.stage import Stage
from edge.config import Site
from edge.control.protocol import ControlServer
from edge.core import AsyncClock, Draft, Stamp, Stream, TimeQuality
from edge.gateway.boxmonitor import BoxMonitor
from edge.gateway.boxmonitorsetup import make_box_monitor, make_metrics
from edge.gateway.busworkers import BusWorkers
from edge.gateway.datasaver import DataSaver
from edge.gateway.ingest import Ingest
from edge.gateway.manifestschedule import ManifestSchedule
from edge.gateway.overload import OverloadMonitor, ShedCounts
from edge.gateway.pipeline import Pipeline
from edge.gateway.sitelocks import Locks, lock_site
from edge.gateway.uplinksetup import find_signer, make_brokers, make_sender
from edge.gateway.verbs import control_verbs, gateway_status
from edge.gateway.windowcommitter import WindowCommitter
from edge.gateway.windowschedule import GRACE_NS
from edge.gateway.wiring import Wiring
from edge.health.loglimit import LogLimit
from edge.health.notify import Notify
from edge.health.progress import Progress
from edge.outbox import AsyncOutbox, Epoch
from edge.process.merge import merge_bodies
from edge.uplink.sender import Sender

LOG = logging.getLogger("kerbstone")

TICK_NS: Final = 500_000_000
ALIVE_S: Final = 5.0  # how often systemd hears that work is done, or oftener if it wants to
DRAIN_S: Final = 3.0  # at a stop, for the last records; what is left waits on the card
SENDER_SILENCE_S: Final = 120.0
COMMITTER_SILENCE_PERIODS: Final = 2  # periods without a commit, and a minute


class Daemon:
    """One site, from its wires to its broker."""

    def __init__(self, site: Site, clock: AsyncClock, log: LogLimit | None = None) -> None:
        self.site, self.clock, self._log = site, clock, log
        self.wiring = Wiring.of(site)
        wrong = None
        if isinstance(clock, SystemClock):
            clock.synced_as, wrong = TimeQuality(site.place.time), clock.wrong
        self.brokers = make_brokers(site, wrong)
        self.pipeline: Pipeline = self.wiring.pipeline()
        self.progress, self.notify = Progress(), Notify()
        self.boot_id = boot_id()
        self.stage = Stage(
            Path(site.store.run_dir), self.boot_id, site.place.owner, self.wiring.staged()
        )
        self.ingest = Ingest(self.wiring, self.pipeline, self.stage, clock)
        self.data_saver = DataSaver(self)
        self.overload = OverloadMonitor(clock.now().mono_ns)
        self.started_ns = clock.now().mono_ns
        # from `run` on
        self.writer: AsyncOutbox
        self.epoch: Epoch
        self.manifest_schedule: ManifestSchedule
        self.box_monitor: BoxMonitor
        self.committer: WindowCommitter
        self.sender: Sender
        self.buses: BusWorkers
        self._stopping = False
        self._alive_ns = 0
        self._loading: asyncio.Future[None] | None = None
        self._locks: Locks = []

    # -- life ------------------------------------------------------------------------------------

    def stop(self) -> None:
        self._stopping = True
        self.ingest.wake.set()

    async def run(self) -> None:
        """Until `stop`. Raises SiteBusyError, SiteFolderError, and whatever fault of ours ended a
        part."""
        self._locks = lock_site(self.site, self.wiring.buses)
        try:
            store = self.site.store
            self.writer = await AsyncOutbox.start(
                Path(store.dir),
                limit_bytes=store.limit_mb << 20,
                boot_id=self.boot_id,
                run_dir=Path(store.run_dir),
                merge=merge_bodies,
                ballast_bytes=store.ballast_mb << 20,
                owner=self.site.place.owner,
            )
            try:
                await self._with_outbox()
            finally:
                await self.writer.close()
        finally:
            self.stage.close()
            self.notify.close()
            for lock in self._locks:
                lock.release()

    async def _with_outbox(self) -> None:
        self.epoch = self.writer.epoch
        await self._know_the_past()
        self.manifest_schedule = ManifestSchedule(
            self.epoch, self.site.streams.manifest_s, find_signer(self.site), self.clock.now()
        )
        self.writer.riding = self.manifest_schedule.riding
        self.sender = make_sender(self)
        self.committer = WindowCommitter(
            self.wiring, self.pipeline, self.ingest, self.stage, self.writer, self.clock,
            self.boot_id, self.manifest_schedule,
        )  # fmt: skip
        self.committer.box_monitor = self.box_monitor = make_box_monitor(self, self._log)
        self.committer.offer = self.writer.on_rows = self._committed
        self._expect("committer", COMMITTER_SILENCE_PERIODS * self.site.period_ns / 1e9 + 60)
        await self.committer.recover()
        self.buses = BusWorkers(
            self.wiring, self.clock, self.ingest, self.progress, self.ingest.problems,
            self.ingest.devices,
        )  # fmt: skip
        self.committer.snapshot_devices = self.buses.snapshot_devices
        self.committer.heard_ns = self.buses.watched_until_ns
        control = ControlServer(Path(self.site.store.run_dir), control_verbs(self))
        await control.start()
        metrics = make_metrics(self, self.box_monitor)
        await metrics.start()
        self._expect("sender", SENDER_SILENCE_S)
        sending = asyncio.create_task(self.sender.run(), name="sender")
        self.ingest.changed = self.sender.publish_status
        self.ingest.described = self.sender.publish_meta
        try:
            self.buses.start()
            self.notify.ready(self._summary())
            await self._live(sending)
        finally:
            self.notify.stopping("sending what is left")
            self.ingest.changed = self.ingest.described = lambda: None
            await control.close()
            await metrics.close()
            await self.buses.stop()
            await self.committer.close(self.clock.now().mono_ns, partial=True, last=True)
            await self.sender.drain(DRAIN_S)
            sending.cancel()
            await asyncio.gather(sending, return_exceptions=True)
            await self.committer.sealed()

    async def _know_the_past(self) -> None:
        """A wall clock that lies before what a former boot knew for certain is likely wrong; and
        what a former process of this boot was certain of is not watched for again."""
        if isinstance(self.clock, SystemClock):
            before_ns, _ = await self.writer.bounds(self.epoch.boot)
            self.clock.raise_floor(before_ns or 0)
            marks = await self.writer.marks(self.epoch.boot)
            if marks and marks[0].tq.is_synchronised:
                self.clock.resume(marks[0].wall_ns - marks[0].mono_ns)

    async def _live(self, sending: "asyncio.Task[None]") -> None:
        """Tick by tick: end windows, keep the stage marked, feed the watchdog."""
        while not self._stopping:
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
            self.ingest.add_events(self.overload.look(now.mono_ns, given_up))
            self.data_saver.look(now.mono_ns)
            self._begin_anew()
            self.ingest.add_events(await self.box_monitor.observe(now))
            await self.committer.tick(now)
            self._feed_watchdog(now)
            await self._sleep(min(now.mono_ns + TICK_NS, self.committer.next_ns))

    async def _sleep(self, until_ns: int) -> None:
        """Until then, or until somebody asks to stop, or something urgent came in."""
        sleeping = asyncio.create_task(self.clock.sleep_until(until_ns))
        waking = asyncio.create_task(self.ingest.wake.wait())
        await asyncio.wait((sleeping, waking), return_when=asyncio.FIRST_COMPLETED)
        sleeping.cancel()
        waking.cancel()
        self.ingest.wake.clear()

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
            self.ingest.alarm_once("stage", text)
        if isinstance(self.clock, SystemClock) and self.clock.floor.overruled is not None:
            self.ingest.alarm_once("wrong_time", self.clock.floor.overruled)
        if self.writer.journal_failure is not None:
            self.ingest.alarm_once("journal", self.writer.journal_failure)

    def _begin_anew(self) -> None:
        """The outbox did not answer at the start and does now: go on from what lies there."""
        why = self.writer.restart
        if why is not None:
            LOG.warning("%s The daemon stops for this reason.", why)
            now_ns = self.clock.now().mono_ns
            body = {"event": "storage", "state": "off", "text": why}
            self.ingest.urgent.append(Draft(Stream.EVENT, "gateway", now_ns, now_ns, body))
            self.stop()

    def _summary(self) -> str:
        """One line for `systemctl status`."""
        link = "connected" if self.sender.connected else "not connected"
        broken = f"; broken: {', '.join(self.ingest.problems)}" if self.ingest.problems else ""
        devices, lanes = len(self.wiring.points()), len(self.site.lanes)
        bays = f"{len(self.site.bays)} bays, " if self.site.bays else ""
        return f"{devices} devices, {lanes} lanes, {bays}{link}{broken}"

    # -- for the parts ---------------------------------------------------------------------------

    def status(self) -> dict[str, Any]:
        return gateway_status(self)

    def _committed(self, rows: Any) -> None:
        self.progress.done("committer", self.clock.now().mono_ns)
        self.sender.offer(rows)

    def passed(self, wall_ns: int) -> None:
        """This moment has certainly passed: a certificate that was verified says so."""
        if isinstance(self.clock, SystemClock):
            self.clock.raise_floor(wall_ns, signed=True)

    def beat(self, owner: str) -> None:
        """This part has done a piece of work."""
        self.progress.done(owner, self.clock.now().mono_ns)

    def _expect(self, owner: str, silence_s: float) -> None:
        self.progress.expect(owner, silence_s, self.clock.now().mono_ns)

    def _feed_watchdog(self, now: Stamp) -> None:
        due_s = min(self.notify.watchdog_s or ALIVE_S, ALIVE_S)
        if now.mono_ns - self._alive_ns < due_s * 1e9:
            return
        self._alive_ns = now.mono_ns
        healthy, why = self.progress.healthy(now.mono_ns)
        if healthy:
            self.notify.alive()
            self.notify.status(self._summary())
        else:
            LOG.error("the watchdog is not fed: %s", why)
