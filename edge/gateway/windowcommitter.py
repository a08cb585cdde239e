"""What goes out: windows end, and their records are committed with the state as of their end.

The order matters. At a window's end the next segment of the stage begins, then records and states
are committed together, and only then the former segment goes. Whenever the process is killed, the
state in the outbox names the segment from which the rest can be read back.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Protocol

from edge.acquire.stage import Stage, find_foreign_segments, find_segments
from edge.core import Clock, Draft, Stamp, StoredState
from edge.gateway.baselines import Baselines
from edge.gateway.boxchange import BoxChange
from edge.gateway.boxmonitor import BoxMonitor
from edge.gateway.calibrationsetup import expired_points
from edge.gateway.flightrecorder import FlightRecorder
from edge.gateway.ingest import Ingest
from edge.gateway.issuewatch import IssueWatch
from edge.gateway.manifestschedule import ManifestSchedule
from edge.gateway.pipeline import Pipeline
from edge.gateway.rawdrafts import make_raw_drafts
from edge.gateway.recover import OpeningLines, PreviousRun, Recovered, RecoveryAttempts, recover
from edge.gateway.urgentevents import UrgentEvents
from edge.gateway.windowend import WindowEnd
from edge.gateway.windowschedule import GRACE_NS, WindowSchedule, cut_event
from edge.gateway.wiring import Wiring
from edge.health.progress import Progress
from edge.outbox import Epoch, OpenReport, OwnerStates, PastState, StoredRecord
from edge.uplink.manifests import MANIFEST_OWNER
from edge.uplink.timestamps import MOMENTS_OWNER, UsedMoments
from edge.wire.contract.boxevent import CutReason
from edge.wire.keptstate import pack_state, unpack_state

LOG = logging.getLogger("kerbstone")

MODEL_STATE_NS: Final = 3_600_000_000_000  # what models learn is worth one write in an hour
BASELINE_NS: Final = 900_000_000_000  # what devices learn is little
STATE_VERSION: Final = 1
STATE_OWNERS: Final = ("alarms", "app", "drivers", "engine", "flags", "issues", "judge")
# so long a window waits for edges that are under way to it
WAIT_FOR_EDGES_NS: Final = 5_000_000_000
AGAIN_NS: Final = 50_000_000  # between two looks whether they have come
STILL_NS: Final = 1_000_000_000  # with more between two ticks (half a second) all stood still
RECORDS_PER_COMMIT: Final = 1000  # records of windows that have piled up are committed at one time
WINDOWS_AT_ONCE: Final = 16  # of these: others have their turn in between


class CommittingOutbox(Protocol):
    """What is committed to, as `AsyncOutbox` is."""

    @property
    def epoch(self) -> Epoch: ...
    @property
    def opened(self) -> OpenReport: ...
    @property
    def leftovers(self) -> list[StoredRecord]: ...
    @property
    def high_water_unsaved(self) -> bool: ...
    async def state(self, owner: str) -> StoredState | None: ...
    async def commit(
        self,
        drafts: Sequence[Draft],
        states: OwnerStates = ...,
        clock: Stamp | None = ...,
    ) -> list[StoredRecord]: ...


class WatchedBuses(Protocol):
    """What a window has to know of the threads of the buses."""

    def watched_until_ns(self) -> int: ...  # until when all edges have been taken
    def snapshot_devices(self) -> Mapping[str, bytes]: ...  # what their algorithms have learnt


WindowChange = Callable[[int], list[Draft]]
"""Changes what is polled when a window ends (monotonic ns), and gives the events that say so."""


class WindowCommitter:
    """The open window, and every commit. Belongs to the main loop.

    `box_monitor` None: nobody watches the box itself; `watch` None: nobody keeps a list of issues;
    `box_change` None: nobody asks whether it is another box; `recorder` None: it is off.
    `offer` takes the rows of each commit, and when that was.
    """

    def __init__(
        self,
        wiring: Wiring,
        pipeline: Pipeline,
        ingest: Ingest,
        stage: Stage,
        writer: CommittingOutbox,
        clock: Clock,
        boot_id: str,
        manifest_schedule: ManifestSchedule,
        *,
        urgent: UrgentEvents,
        buses: WatchedBuses,
        box_monitor: BoxMonitor | None,
        watch: IssueWatch | None,
        progress: Progress,
        offer: Callable[[list[StoredRecord], int], None],
        box_change: BoxChange | None = None,
        recorder: FlightRecorder | None = None,
    ) -> None:
        self._manifest_schedule, self._box_monitor = manifest_schedule, box_monitor
        self._urgent, self._buses, self._watch = urgent, buses, watch
        self._progress, self._offer = progress, offer
        self._box_change = box_change  # until the first commit
        self._recorder = recorder
        self._wiring = wiring
        self._change: tuple[WindowChange, asyncio.Future[None]] | None = None
        self._changed: asyncio.Future[None] | None = None  # to be said when it is committed
        self._baselines = Baselines({})
        self.read_wiring()
        self._pipeline, self._ingest, self._stage = pipeline, ingest, stage
        self._writer, self._clock, self._boot_id = writer, clock, boot_id
        self._epoch: Epoch = writer.epoch
        self._windows = WindowSchedule(self._site.period_ns, clock.now())
        self._start_ns = clock.now().mono_ns  # of the open window
        self._saved_ns = self._learnt_ns = self._start_ns  # when models' and devices' was written
        self._lined = {line.source for line in wiring.lined.values()}
        self._fits = True  # the former process's counting, to the configuration as it is
        self._committing = asyncio.Lock()
        self._heard_ns = self._waiting_ns = 0  # as it was reported last, and since when
        self._ticked_ns = self._start_ns
        self._again_ns = 0  # not before: edges of the window that has ended are under way

    def read_wiring(self) -> None:
        """What is polled, and by which names."""
        wiring = self._wiring
        self._site, self._points = wiring.site, wiring.points()
        self._keys = {
            name: [point.key for point in points] for name, points in self._points.items()
        }
        self._known = {*self._points, *(f"line {line}" for line in wiring.lined)}
        polled = (device for group in wiring.polled.values() for device in group)
        learnt, devices = self._baselines.snapshot(), {d.name: d.polled for d in polled}
        self._baselines = Baselines(devices)
        self._baselines.restore(learnt)

    def change(self, change: WindowChange) -> "asyncio.Future[None]":
        """Let this change what is polled between two windows, one at a time: done when the window's
        records and the state of what is new are committed."""
        assert self._change is None, "one at a time"
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._change = change, done
        return done

    @property
    def next_ns(self) -> int:
        """When the open window can be closed."""
        return max(self._windows.end_ns + GRACE_NS, self._again_ns)

    def windows_due(self, now: Stamp) -> bool:
        """More than one window has ended and is not closed: there is more to do than can be."""
        return now.mono_ns >= self._windows.end_ns + GRACE_NS + self._site.period_ns

    async def tick(self, now: Stamp) -> None:
        """Close the window when its time has come, or time itself has jumped; else what hurries."""
        # whoever stood still with us could not show that he is alive
        self._waiting_ns += max(0, now.mono_ns - self._ticked_ns - STILL_NS)
        why = self._windows.cut(now)
        if why is not None:
            await self._cut(now, why)
        elif self._is_over(now):
            await self._close_all(now)
        elif self._urgent.waiting or self._raw_is_due(now):
            await self._commit((), {})
        self._ticked_ns = self._clock.now().mono_ns

    async def keep_clock(self, now: Stamp) -> None:
        """What the clocks show is durable on return."""
        await self._commit((), {}, now)

    def _is_over(self, now: Stamp) -> bool:
        """The window can be closed."""
        return now.mono_ns >= self.next_ns and not self._waits(now)

    def _waits(self, now: Stamp) -> bool:
        """Edges of before the window's end may still be on their way: the process stood still, or
        the thread that reads them has its turn later. What comes too late counts in the next."""
        heard_ns = self._buses.watched_until_ns()
        if heard_ns != self._heard_ns:
            self._heard_ns, self._waiting_ns = heard_ns, now.mono_ns  # it is alive
        waits = (
            heard_ns < self._windows.end_ns and now.mono_ns < self._waiting_ns + WAIT_FOR_EDGES_NS
        )
        if waits:
            self._again_ns = now.mono_ns + AGAIN_NS
        return waits

    async def _close_all(self, now: Stamp) -> None:
        """The window, and those that have ended meanwhile: a card that is slow, or a process that
        stood still, pays for one commit and not for each."""
        drafts, states = self._end(self._windows.end_ns)
        closed = 1
        while closed < WINDOWS_AT_ONCE and len(drafts) < RECORDS_PER_COMMIT and self._is_over(now):
            more, later = self._end(self._windows.end_ns)
            drafts, states = drafts + more, {**states, **later}
            closed += 1
        done, self._changed = self._changed, None
        await self._store(drafts, states)
        if done is not None and not done.done():
            done.set_result(None)

    async def close(self, end_ns: int, *, partial: bool = False, last: bool = False) -> None:
        """The window ends: its records, and the state as of its end."""
        await self._store(*self._end(end_ns, partial=partial, last=last), last=last)

    def _end(
        self, end_ns: int, *, partial: bool = False, last: bool = False
    ) -> tuple[list[Draft], dict[str, object]]:
        """The window ends and the next segment begins; what is to be committed for it."""
        now = self._clock.now()
        # it was listened to up to its end, or nearly, whatever becomes of us now
        self._stage.mark(min(end_ns, self._buses.watched_until_ns()))
        wall_ns = now.wall_ns - (now.mono_ns - end_ns)
        end = WindowEnd(
            end_ns,
            partial,
            wall_ns / 1e9 if now.tq.is_synchronised else None,
            expired=expired_points(self._site, now),
            conditions=self._ingest.conditions_now,
            stepped=self._windows.stepped,
            # after a power cut nobody would know that it was counted
            doubted=self._writer.high_water_unsaved,
        )
        end.tell(self._pipeline.engine)
        drafts = self._pipeline.engine.close(end_ns, partial=partial, wall_s=end.wall_s)
        said = tuple(drafts)
        self._ingest.lines.see_records(drafts)
        self._ingest.energy.see_records(drafts)
        self._ingest.day.see_records(drafts)
        drafts += self._manifest_schedule.due(now, last=last)
        drafts += self._box_monitor.due(now) if self._box_monitor is not None else []
        self._ingest.settle()
        self._windows.opened(Stamp(end_ns, wall_ns, now.tq))
        states: dict[str, object] = {}
        if last or now.mono_ns - self._saved_ns >= MODEL_STATE_NS:
            self._saved_ns = now.mono_ns
            states["judge"] = self._pipeline.judge.snapshot()
        if last or now.mono_ns - self._learnt_ns >= BASELINE_NS:
            self._learnt_ns = now.mono_ns
            self._baselines.update(self._buses.snapshot_devices(), self._epoch.boot, now)
            states["drivers"] = self._baselines.snapshot()
        changes = self._change is not None and not partial and not last
        if changes:
            drafts += self._change_devices(end_ns)
        ended = self._stage.number
        self._rotate(end_ns)
        if self._recorder is not None:
            self._recorder.window_ended(self._pipeline, self._stage, ended, end, said)
            if changes:
                self._recorder.begin_anew()
        return drafts, states

    def _change_devices(self, end_ns: int) -> list[Draft]:
        """The window is closed, and the next segment is not begun: here nothing is open."""
        assert self._change is not None
        (change, self._changed), self._change = self._change, None
        # raw sweeps are named by the points that they had when they were taken
        drafts = make_raw_drafts(self._keys, *self._ingest.raw.take())
        drafts += change(end_ns)
        self.read_wiring()
        return drafts

    def _alarms(self) -> dict[str, object]:
        """Those of the box that are on: the next process reports when they are over."""
        return {} if self._box_monitor is None else {"alarms": self._box_monitor.alarms.snapshot()}

    async def sealed(self) -> None:
        """At the very end: what went out since the last commit is remembered as sealed."""
        if self._manifest_schedule.manifests.changed:
            await self._writer.commit(())  # it rides in each commit

    # -- after a start ---------------------------------------------------------------------------

    async def recover(self) -> None:
        """Read back what the former process had seen; commit what it could not."""
        now, folder = self._clock.now(), Path(self._site.store.run_dir)
        before, box = await self._restore(), self._box_change
        told = [] if box is None else await box.begin(self._writer, now.mono_ns)
        past = self._past(before)
        if past != "known":
            self._pipeline.engine.doubt_past(older=past == "older")
        elif box is not None and box.counts_anew:
            self._pipeline.engine.doubt_past(older=True)
        self._pipeline.engine.expired(expired_points(self._site, now))
        self._pipeline.engine.conditions(self._ingest.conditions_now)
        owner = self._stage.owner
        if strange := find_foreign_segments(folder, self._boot_id, owner):
            LOG.error("the stage in %s is not this gateway's: it is set aside", folder)
            self._stage.set_aside(strange)
        since = before.segment if before is not None else 0
        segments = find_segments(folder, self._boot_id, since, owner)
        attempts = RecoveryAttempts(folder)
        if not attempts.begin() and segments:
            LOG.error("starts ended while they read the stage back: it is set aside")
            self._stage.set_aside(segments)
            segments = []
        self._stage.number = max((s.number for s in segments), default=since)
        found = recover(
            self._pipeline, before, self._epoch.boot, segments, now.mono_ns, self._windows.end_ns,
            self._epoch.succeeds, self._writer.opened.damage is not None, self._fits,
            unread=self._writer.opened.in_memory is not None, past=past,
            swap=None if box is None else box.how,
        )  # fmt: skip
        attempts.ended()
        sealed = await self._writer.state(MANIFEST_OWNER)
        used = UsedMoments(await self._writer.state(MOMENTS_OWNER))
        found.drafts += self._manifest_schedule.begin(
            self._epoch, sealed, self._writer.leftovers, used, now
        )
        self._writer.leftovers.clear()
        found.drafts += told
        if self._lined:
            self._ingest.starting = OpeningLines(self._epoch.boot, now.mono_ns, self._lined)
        await self._go_on(found)

    async def _go_on(self, found: Recovered) -> None:
        self._windows.end_ns = found.end_ns
        for points, rows in found.raw:
            self._ingest.raw.given_up += rows.given_up
            found.drafts += make_raw_drafts(points, *rows.take())
        if found.segment is None:
            self._rotate(found.start_ns)
            await self._store(found.drafts, {})
        else:
            self._start_ns = found.start_ns
            self._stage.resume(found.segment, found.count)
            await self._commit(found.drafts, self._as_of_the_end())
            self._stage.drop_others()
        if found.gap is not None:
            self._stage.gap(*found.gap)

    async def _restore(self) -> PreviousRun | None:
        """States of the former process, as of its last committed window."""
        states: dict[str, Any] = {}
        for owner in STATE_OWNERS:
            stored = await self._writer.state(owner)
            if (kept := unpack_state(stored, STATE_VERSION)) is not None:
                states[owner] = kept
        previous = self._take(states)
        if self._watch is not None:
            self._watch.restore(states.get("issues"), self._clock.now())
        return previous

    def _take(self, states: Mapping[str, Any]) -> PreviousRun | None:
        if "judge" in states:
            self._pipeline.judge.restore(states["judge"])
        if "flags" in states:  # whatever becomes of the rest: what was raised has to come down
            self._pipeline.judge.restore_flags(states["flags"])
        if "alarms" in states and self._box_monitor is not None:
            self._box_monitor.alarms.restore(states["alarms"])
        if "drivers" in states:
            try:
                self._baselines.restore(states["drivers"])
            except (KeyError, TypeError, ValueError) as error:
                LOG.warning("the saved state of the devices cannot be read: %r", error)
            self._baselines.restore_devices(self._epoch.boot, self._clock.now())
        if not states.keys() >= {"app", "engine"}:
            return None
        try:
            previous = PreviousRun.restore(states["app"])
        except (KeyError, TypeError, ValueError) as error:
            LOG.warning("the saved state cannot be used (%s): starting without it", error)
            return None
        try:
            self._pipeline.engine.restore(states["engine"])
        except ValueError as error:
            LOG.warning("the counts of the previous process do not fit: %s", error)
            self._fits = False
        self._ingest.problems.update(previous.problems)
        self._ingest.restore_conditions(
            {name: state for name, state in previous.conditions.items() if name in self._points},
            previous.flickering,
        )
        if previous.boot == self._epoch.boot:  # else they are forgotten with the stage
            self._ingest.others = dict.fromkeys(previous.others, False)
        for what in previous.problems.keys() - self._known:
            self._ingest.forget_unconfigured(what)
        return previous

    def _past(self, previous: PreviousRun | None) -> PastState:
        """What the states are worth. Those of another epoch than numbered last were spared by a
        start that could not read them; it has counted for itself what came meanwhile."""
        past, former = self._epoch.past, self._epoch.former
        spared = previous is not None and former is not None and previous.epoch != former.epoch
        return "doubtful" if spared and past == "known" else past

    # -- commits ---------------------------------------------------------------------------------

    async def _cut(self, now: Stamp, why: CutReason) -> None:
        """Time became known, or jumped: the open window ends here, and says so."""
        self._urgent.waiting.append(cut_event(why, now.mono_ns))
        await self.close(now.mono_ns, partial=True)

    def _rotate(self, start_ns: int) -> None:
        """The next window begins, and its segment."""
        self._stage.rotate(start_ns, self._windows.end_ns, *self._pipeline.engine.pending())
        self._start_ns = start_ns

    async def _store(
        self, drafts: Sequence[Draft], states: Mapping[str, Any], *, last: bool = False
    ) -> None:
        """Commit what has ended, and then the former segments go."""
        await self._commit(drafts, {**states, **self._as_of_the_end()}, last=last)
        self._stage.drop_others()

    def _as_of_the_end(self) -> dict[str, object]:
        """State that belongs to the drafts of a close: taken before anything else can happen."""
        pipeline = self._pipeline
        return {"engine": pipeline.engine.snapshot(), "flags": pipeline.judge.snapshot_flags()}

    def _raw_is_due(self, now: Stamp) -> bool:
        since_ns = self._ingest.raw.since_ns
        due_s = self._site.streams.raw_commit_s
        return since_ns is not None and now.mono_ns >= since_ns + int(due_s * 1e9)

    async def _commit(
        self,
        drafts: Sequence[Draft],
        states: Mapping[str, Any],
        now: Stamp | None = None,
        *,
        last: bool = False,
    ) -> None:
        async with self._committing:
            ingest = self._ingest
            urgent = self._urgent.take()
            raw, given_up = ingest.raw.take()
            segment = self._stage.number
            starting = ingest.starting
            previous = PreviousRun(
                self._epoch.boot, segment, self._start_ns, (segment, self._stage.sweeps),
                {w: why for w, why in ingest.reported_problems().items() if w in self._known},
                ingest.devices, self._pipeline.engine.plain.snapshot(), ingest.flickering(),
                tuple(ingest.others),
                starting.since_ns if starting is not None else None,
                sorted(starting.closed) if starting is not None else (),
                self._epoch.epoch,
            )  # fmt: skip
            rows = [*urgent, *drafts, *make_raw_drafts(self._keys, raw, given_up)]
            now = now or self._clock.now()
            ingest.flags.see_events(rows)
            if self._recorder is not None:
                self._recorder.see_events(rows)
            if self._watch is not None:
                self._watch.see_events(rows, now)
                states = {**states, **self._watch.to_keep(now, last=last)}
            box, self._box_change = self._box_change, None
            states = {**states, **(box.to_keep() if box is not None else {})}
            packed = {
                owner: pack_state(STATE_VERSION, state)
                for owner, state in {**states, **self._alarms(), "app": previous.snapshot()}.items()
            }
            stored = await self._writer.commit(rows, packed, clock=now)
            if box is not None:
                box.committed(on_disk=self._writer.opened.in_memory is None)
            now_ns = self._clock.now().mono_ns
            self._progress.done("committer", now_ns)
            self._offer(stored, now_ns)
