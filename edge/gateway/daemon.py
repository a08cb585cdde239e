"""The daemon: joins the parts of one site, and starts and ends them in order.

The order matters. At a start: the outbox opens, the former stage is read back, only then the wires.
At a stop: the wires, the open window, the link, the outbox.
"""

import asyncio
import contextlib
import logging
from functools import partial
from pathlib import Path
from typing import Any, Final

from edge.acquire.clock import SystemClock, boot_id
from edge.acquire.stage import Stage
from edge.config import Site, outdated_keys
from edge.control.protocol import ControlServer
from edge.core import TimeQuality
from edge.gateway.backupverb import backup_verb
from edge.gateway.boxchange import BoxChange
from edge.gateway.boxmonitor import BoxFacts, BoxMonitor
from edge.gateway.boxswap import forget_carried_log, take_over
from edge.gateway.boxversions import BoxVersions, read_versions
from edge.gateway.busworkers import BusWorkers
from edge.gateway.calibrationsetup import expired_findings
from edge.gateway.changescope import ChangeScope
from edge.gateway.commissionexams import ExaminedGateway
from edge.gateway.commissionfiles import CommissionFiles
from edge.gateway.commissionhooks import CommissionHooks
from edge.gateway.commissioning import Commissioning
from edge.gateway.configverb import ConfigVerb
from edge.gateway.datasaver import DataSaver
from edge.gateway.flightrecorder import FlightRecorder, forget_recordings
from edge.gateway.framewatch import FrameWatch
from edge.gateway.gatewaymeta import gateway_meta
from edge.gateway.gatewaystatus import StatusSources, gateway_status
from edge.gateway.healthsources import health_sources, reboot_reason
from edge.gateway.ingest import Ingest
from edge.gateway.issuefindings import known_faults
from edge.gateway.issuewatch import IssueSources, IssueWatch
from edge.gateway.linkfindings import budget_findings
from edge.gateway.livechange import ChangingParts, LiveChange
from edge.gateway.mainloop import MainLoop
from edge.gateway.manifestschedule import ManifestSchedule
from edge.gateway.manifestsigner import sign_manifests
from edge.gateway.overload import OverloadMonitor
from edge.gateway.pipeline import Pipeline
from edge.gateway.recorderverb import RecorderVerb
from edge.gateway.sitelocks import Locks, lock_site
from edge.gateway.trialwatch import ConfigControl
from edge.gateway.uplinksetup import (
    find_certificate_marker,
    find_signer,
    find_tls_files,
    make_brokers,
    make_sender,
    receipt_patience_s,
)
from edge.gateway.urgentevents import UrgentEvents
from edge.gateway.verbs import control_verbs
from edge.gateway.windowcommitter import WindowCommitter
from edge.gateway.wiring import Wiring
from edge.health.board import read_board
from edge.health.loglimit import LogLimit
from edge.health.notify import Notify
from edge.health.openissues import OpenIssues
from edge.health.progress import Progress
from edge.health.scrape import ScrapeServer
from edge.identity.runfiles import read_box_names
from edge.outbox import AsyncOutbox, StoredRecord
from edge.process.merge import merge_bodies
from edge.uplink.certificatedates import CertificateFile
from edge.uplink.sender import SenderHooks

LOG: Final = logging.getLogger("kerbstone")
DRAIN_S: Final = 3.0  # at a stop, for the last records; what is left waits on the card
DRAIN_AGAIN_S: Final = 0.3  # the same where wires wait to be watched again
SENDER_SILENCE_S: Final = 120.0
COMMITTER_SILENCE_PERIODS: Final = 2  # periods without a commit, and a minute


class Daemon:
    """One site, from its wires to its broker. Making one touches neither wires nor outbox."""

    def __init__(
        self,
        site: Site,
        clock: SystemClock,
        log: LogLimit | None = None,
        configuration: ConfigControl | None = None,
    ) -> None:
        """`log` None: nobody counts the lines of the log. `configuration` None: the site file is
        used as it is, until the end. Raises ConfigError."""
        self._site, self._clock, self._log = site, clock, log
        self._configuration = configuration
        self._live: LiveChange | None = None
        self._again = False
        self.wiring = Wiring.of(site)
        clock.synced_as = TimeQuality(site.place.time)
        self._brokers = make_brokers(site, clock.wrong)
        self.pipeline: Pipeline = self.wiring.pipeline()
        self.notify = Notify()
        self._boot_id = boot_id()
        self._stage = Stage(
            Path(site.store.run_dir), self._boot_id, site.place.owner, self.wiring.staged()
        )
        self._urgent = UrgentEvents(clock)
        self._started_ns = clock.now().mono_ns
        self._overload = OverloadMonitor(self._started_ns)
        self._stopping = asyncio.Event()
        self.gateway: MainLoop | None = None  # None: it has not come that far

    @property
    def site(self) -> Site:
        """That which runs now."""
        return self.wiring.site

    def can_change(self, site: Site) -> bool:
        """Whether it may become this one while it runs, if nothing else speaks against that."""
        return self._live is not None and self._live.can_change(site)

    async def change(self, site: Site, scope: ChangeScope, withdrawn: asyncio.Event | None) -> None:
        """Become this one, while lanes are watched on (`edge.gateway.livechange`). Raises
        ConfigError and ChangeWithdrawnError before it has begun."""
        assert self._live is not None, "it has started"
        await self._live.change(site, scope, withdrawn)

    def stop(self, *, again: bool = False) -> None:
        """`again`: the process starts anew in its own place, so there is no time to lose."""
        self._again = again
        self._stopping.set()
        self._urgent.wake.set()

    async def run(self) -> None:
        """Until `stop`. Raises ConfigError, SiteBusyError, SiteFolderError, OutboxBusyError,
        HandedOverError, and whatever fault of ours ended a part."""
        locks = lock_site(self._site, self.wiring.buses)
        try:
            await self._run_locked(locks)
        finally:
            self._stage.close()
            self.notify.close()
            for lock in locks:
                lock.release()

    def _make_recorder(self, frames: FrameWatch) -> FlightRecorder | None:
        """None: the site has none."""
        store, place = self._site.store, self._site.place
        if not store.recorder_mb:
            forget_recordings(Path(store.run_dir))
            return None
        return FlightRecorder(
            Path(store.run_dir),
            (place.id, place.gateway),
            self._boot_id,
            self._clock,
            store.recorder_mb << 20,
            frames.take_recorded,
        )

    async def _run_locked(self, locks: Locks) -> None:
        """Make the parts, each of those before it, and let them work."""
        site, clock, store = self._site, self._clock, self._site.store
        run_dir, progress = Path(store.run_dir), Progress()
        signer = find_signer(site)
        manifest_schedule = ManifestSchedule(
            site.streams.manifest_s, sign_manifests(signer), clock.now()
        )

        def flushed(rows: list[StoredRecord]) -> None:
            now_ns = clock.now().mono_ns
            progress.done("committer", now_ns)
            sender.offer(rows, now_ns)

        def status_for_city() -> dict[str, Any]:
            watch.status_given()
            return gateway_status(sources)

        folder, board = Path(store.dir), read_board()
        take_over(folder, run_dir)
        box_change = BoxChange(folder, board.serial)
        outbox = await AsyncOutbox.start(
            folder,
            limit_bytes=store.limit_mb << 20,
            boot_id=self._boot_id,
            run_dir=run_dir,
            merge=merge_bodies,
            ballast_bytes=store.ballast_mb << 20,
            owner=site.place.owner,
            copied=box_change.copied,
            rider=manifest_schedule.manifests.riding,
            on_rows=flushed,
        )
        try:
            if outbox.opened.in_memory is None:
                with contextlib.suppress(OSError):  # else the next start knows that it has it
                    forget_carried_log(folder)
            await know_the_past(clock, outbox)
            other_box = await box_change.look(outbox)
            sender = make_sender(
                site,
                self._brokers,
                outbox,
                clock,
                SenderHooks(
                    status=status_for_city,
                    meta=lambda: gateway_meta(
                        self.wiring, self.pipeline, ingest.devices, versions.told()
                    ),
                    alarm=self._urgent.alarm,
                    watchdog=lambda: progress.done("sender", clock.now().mono_ns),
                    status_arrived=lambda: watch.status_arrived(),
                    sealed=manifest_schedule.manifests.handed,
                    # a certificate that was verified says so
                    time_passed=partial(clock.raise_floor, signed=True),
                    certificate_accepted=find_certificate_marker(site),
                ),
            )
            ingest = Ingest(
                self.wiring, self.pipeline, self._stage, clock, self._urgent, retained=sender
            )
            data_saver = DataSaver(clock, sender, self._urgent)
            silence_s = COMMITTER_SILENCE_PERIODS * site.period_ns / 1e9 + 60
            progress.expect("committer", silence_s, clock.now().mono_ns)
            buses = BusWorkers(self.wiring, clock, ingest, progress)
            certificate = CertificateFile(find_tls_files(site).cert)
            versions = BoxVersions(
                read_versions(board), certificate, self.pipeline.judge.models, sender.publish_meta
            )
            box_monitor = BoxMonitor(
                BoxFacts(
                    site.place.id,
                    site.place.gateway,
                    reboot_reason(outbox, other_box=other_box),
                    board,
                ),
                health_sources(outbox, sender, buses, self._stage, clock, self._log),
                folder,
                clock.now(),
                site.streams.health_s,
                store.card_tb,
            )
            frame_watch = FrameWatch(buses, recorded=store.recorder_mb > 0)
            recorder = self._make_recorder(frame_watch)
            broker_names = [str(each) for each in self._brokers]
            outdated = [*outdated_keys(site)]
            configuration = self._configuration

            def examined() -> ExaminedGateway:
                setup = self.pipeline.engine.setup
                return ExaminedGateway(
                    site=self.wiring.site,
                    lanes=setup.lanes,
                    clock=clock,
                    buses=buses,
                    points=self.wiring.points(),
                    corrections={each.name: each.corrections for each in setup.devices},
                    published=self.pipeline.engine.published,
                    lines=ingest.lines,
                    growth=ingest.energy.growth,
                    serials=lambda: {
                        name: one.identity for name, one in ingest.devices.items() if one.identity
                    },
                    connection=lambda: (sender.connection, sender.connected),
                )

            commissioning = Commissioning(
                examined(),
                CommissionFiles(Path(store.dir)),
                CommissionHooks(
                    publish=lambda draft: self._urgent.add([draft]),
                    watch_drive=ingest.watch_drive,
                    changed=sender.publish_status,
                    board=board.model or "",
                    board_serial=board.serial or "",
                    sign=signer,
                ),
            )
            watch = IssueWatch(
                IssueSources(
                    outbox=outbox,
                    connection=lambda: (sender.connection, sender.connected),
                    receipt_s=receipt_patience_s(site),
                    brokers=broker_names,
                    budget=lambda: budget_findings(
                        data_saver.level,
                        counted=site.link.budget_mb > 0,
                        billing_day=site.link.billing_day,
                    ),
                    calibrations=lambda now: expired_findings(self.wiring.site, now),
                    buses=buses.devices_by_bus,
                    problems=lambda: ingest.problems,
                    alarms=box_monitor.alarms.snapshot,
                    health=box_monitor.health,
                    start=box_monitor.start,
                    models=self.pipeline.judge.models,
                    model_failures=self.pipeline.judge.model_failures,
                    known_faults=lambda: known_faults(
                        self.pipeline.judge.reported_loop_faults(),
                        self.pipeline.engine.faults_up(),
                    ),
                    unmatched_edges=lambda: ingest.unmatched_edges,
                    journal=lambda: outbox.journal_failure,
                    certificate=certificate,
                    outdated=outdated,
                    acceptance=commissioning.stale,
                    box=read_box_names,
                    trial=lambda: "" if configuration is None else configuration.trial_text(),
                ),
                OpenIssues(names=site.names),
                outbox.epoch.boot,
                changed=sender.publish_status,
            )
            sources = StatusSources(
                site=site,
                brokers=self._brokers,
                clock=clock,
                started_ns=self._started_ns,
                outbox=outbox,
                uplink=sender,
                buses=buses,
                ingest=ingest,
                pipeline=self.pipeline,
                stage=self._stage,
                box_monitor=box_monitor,
                data_saver=data_saver,
                watch=watch,
                commissioning=commissioning,
                recorder=recorder,
            )
            committer = WindowCommitter(
                self.wiring,
                self.pipeline,
                ingest,
                self._stage,
                outbox,
                clock,
                self._boot_id,
                manifest_schedule,
                urgent=self._urgent,
                buses=buses,
                box_monitor=box_monitor,
                watch=watch,
                progress=progress,
                offer=sender.offer,
                box_change=box_change,
                recorder=recorder,
            )
            loop = MainLoop(
                wiring=self.wiring,
                clock=clock,
                pipeline=self.pipeline,
                stage=self._stage,
                urgent=self._urgent,
                outbox=outbox,
                sender=sender,
                ingest=ingest,
                buses=buses,
                box_monitor=box_monitor,
                data_saver=data_saver,
                overload=self._overload,
                committer=committer,
                commissioning=commissioning,
                watch=watch,
                versions=versions,
                progress=progress,
                notify=self.notify,
                stopping=self._stopping,
                recorder=recorder,
            )
            await commissioning.tell_again()
            points = dict(self.wiring.points())
            self._live = LiveChange(
                ChangingParts(
                    wiring=self.wiring,
                    pipeline=self.pipeline,
                    stage=self._stage,
                    clock=clock,
                    buses=buses,
                    committer=committer,
                    ingest=ingest,
                    sender=sender,
                    sources=sources,
                    issues=watch.issues,
                    points=points,
                    broker_names=broker_names,
                    outdated=outdated,
                    locks=locks,
                    site_used=lambda: commissioning.use_gateway(examined()),
                )
            )
            verbs = control_verbs(
                sources,
                points,
                buses,
                data_saver,
                self._urgent,
                ConfigVerb(configuration, self),
                frame_watch,
            )
            verbs |= {
                "backup": backup_verb(outbox, site, board.serial),
                "recorder": RecorderVerb(recorder, committer, clock).answer,
            }
            control = ControlServer(run_dir, verbs)
            metrics = ScrapeServer(
                run_dir, lambda: box_monitor.metrics(clock.now().mono_ns, watch.issues)
            )
            try:
                await self._go(loop, control, metrics)
            finally:
                await commissioning.told.close()
        finally:
            await outbox.close()

    async def _go(self, loop: MainLoop, control: ControlServer, metrics: ScrapeServer) -> None:
        """Start in order, live, and stop in order."""
        clock, progress, buses = self._clock, loop.progress, loop.buses
        await loop.committer.recover()
        buses.restore(loop.ingest.problems, loop.ingest.devices)
        self.gateway = loop
        await control.start()
        await metrics.start()
        progress.expect("sender", SENDER_SILENCE_S, clock.now().mono_ns)
        sending = asyncio.create_task(loop.sender.run(), name="sender")
        try:
            buses.start()
            self.notify.ready(loop.summary())
            await loop.run(sending)
        finally:
            if self._again:
                self.notify.reloading("the configuration has changed", clock.now().mono_ns)
            else:
                self.notify.stopping("sending what is left")
            loop.ingest.stop_publishing()
            await control.close()
            await metrics.close()
            await buses.stop()
            await loop.committer.close(clock.now().mono_ns, partial=True, last=True)
            await loop.sender.drain(DRAIN_AGAIN_S if self._again else DRAIN_S)
            sending.cancel()
            await asyncio.gather(sending, return_exceptions=True)
            await loop.committer.sealed()
            if loop.recorder is not None:
                loop.recorder.close(again=self._again)


async def know_the_past(clock: SystemClock, outbox: AsyncOutbox) -> None:
    """A wall clock that lies before what a former boot knew for certain is likely wrong; and what a
    former process of this boot was certain of is not watched for again."""
    boot = outbox.epoch.boot
    before_ns, _ = await outbox.bounds(boot)
    clock.raise_floor(before_ns or 0)
    marks = await outbox.marks(boot)
    if marks and marks[0].tq.is_synchronised:
        clock.resume(marks[0].offset_ns)
