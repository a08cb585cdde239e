"""The daemon: joins the parts, lets time pass, and ends cleanly.

The order matters. At a start: the outbox opens, the former stage is read back, only then the wires.
At a window's end: the next segment of the stage begins, records and states are committed together,
only then the former segment goes. At a stop: the wires, the open window, the link, the outbox.
"""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import msgpack

from edge.acquire.clock import boot_id
from edge.acquire.stage import Stage, read_back
from edge.app.buses import Buses
from edge.app.pipeline import Pipeline
from edge.app.recover import Before, recover
from edge.app.uplinks import sender_for
from edge.app.verbs import status, verbs
from edge.app.windows import GRACE_NS, Windows
from edge.app.wiring import Wiring
from edge.config import Site
from edge.control.locks import BusLock
from edge.control.protocol import ControlServer
from edge.core import Clock, Contact, Draft, Edge, Point, Reason, Stamp, Stream, Sweep
from edge.health.notify import Notify
from edge.health.progress import Progress
from edge.store import Mark, Writer
from edge.uplink.wire import raw_body

LOG = logging.getLogger("kerbstone")

TICK_NS: Final = 500_000_000
MODEL_STATE_NS: Final = 900_000_000_000  # models' state is worth one write in 15 min
STATE_VERSION: Final = 1
DRAIN_S: Final = 3.0  # at a stop, for the last records; what is left waits on the card
WRITER_SILENCE: Final = 2  # periods without a commit
RAW_VALUES: Final = 40_000  # of one batch: within what a record may weigh and a platform unpacks


class BusyError(Exception):
    """Another process works on the buses of this site."""


class Daemon:
    """One site, from its wires to its broker."""

    def __init__(self, site: Site, clock: Clock) -> None:
        self.site, self.clock = site, clock
        self.wiring = Wiring.of(site)
        self.pipeline: Pipeline = self.wiring.pipeline()
        self.progress = Progress()
        self.notify = Notify()
        self.boot_id = boot_id()
        self.stage = Stage(Path(site.store.run_dir), self.boot_id)
        self.writer: Writer  # from the moment that `_open` says so
        self._open = False
        self.problems: dict[str, str] = {}  # what is broken now, by device or line
        self.started_ns = clock.now().mono_ns
        self.unclaimed = 0
        self._urgent: list[Draft] = []
        self._raw: list[Sweep] = []
        self._stop = asyncio.Event()
        self._wake = asyncio.Event()  # something cannot wait for the next tick
        self._committing = asyncio.Lock()
        self._models_saved_ns = self.started_ns
        self._loading: asyncio.Future[None] | None = None
        self._locks: list[BusLock] = []

    # -- life ------------------------------------------------------------------------------------

    def stop(self) -> None:
        self._stop.set()
        self._wake.set()

    async def run(self) -> None:
        """Until `stop`. Raises BusyError, and whatever fault of ours ended a part."""
        self._take_locks()
        try:
            store = self.site.store
            self.writer = await Writer.start(
                Path(store.dir),
                limit_bytes=store.limit_mb << 20,
                boot_id=self.boot_id,
                run_dir=Path(store.run_dir),
            )
            self._open = True
            self.epoch = self.writer.epoch
            self.sender = sender_for(self)
            self.writer.on_rows = self.sender.offer
            self.buses = Buses(self.wiring, self.clock, self, self.progress)
            await self._recover()
            self.buses.start()
            control = ControlServer(Path(self.site.store.run_dir), verbs(self))
            await control.start()
            sending = asyncio.create_task(self.sender.run(), name="sender")
            self.notify.ready(self._summary())
            try:
                await self._live(sending)
            finally:
                self.notify.stopping("sending what is left")
                await control.close()
                await self.buses.stop()
                await self._close_window(self._now(), partial=True, last=True)
                await self.sender.drain(DRAIN_S)
                sending.cancel()
                await asyncio.gather(sending, return_exceptions=True)
        finally:
            if self._open:
                await self.writer.close()
            self.stage.close()
            for lock in self._locks:
                lock.release()

    def _now(self) -> int:
        return self.clock.now().mono_ns

    def _summary(self) -> str:
        return f"{len(self.wiring.points())} devices, {len(self.site.lanes)} lanes"

    def _take_locks(self) -> None:
        for bus in self.wiring.buses:
            lock = BusLock(Path(self.site.store.run_dir), bus)
            if not lock.take():
                raise BusyError(
                    f"bus {bus} is in use by another process: a daemon that runs already, or a "
                    "`kerbstone read`; stop it first (systemctl stop kerbstone)"
                )
            self._locks.append(lock)

    async def _live(self, sending: "asyncio.Task[None]") -> None:
        """Tick by tick: end windows, keep the stage marked, feed the watchdog."""
        self.progress.expect("writer", WRITER_SILENCE * self.site.period_ns / 1e9 + 60, self._now())
        while not self._stop.is_set():
            now = self.clock.now()
            self.stage.mark(now.mono_ns - GRACE_NS)
            if (error := self.buses.error()) is not None:
                raise error
            for part in (sending, self._loading):
                if part is not None and part.done():
                    part.result()  # a fault of ours is not hidden
            why = self.windows.cut(now)
            if why is not None:
                await self._cut(now, why)
            elif now.mono_ns >= self.windows.end_ns + GRACE_NS:
                await self._close_window(self.windows.end_ns)
            await self._commit_between(now)
            healthy, reason = self.progress.healthy(now.mono_ns)
            if healthy:
                self.notify.alive()
            else:
                LOG.error("the watchdog is not fed: %s", reason)
            wake_ns = min(now.mono_ns + TICK_NS, self.windows.end_ns + GRACE_NS)
            await self._sleep(wake_ns)

    async def _sleep(self, until_ns: int) -> None:
        """Until then, or until somebody asks to stop, or something urgent came in."""
        sleeping = asyncio.create_task(self.clock.sleep_until(until_ns))
        waking = asyncio.create_task(self._wake.wait())
        await asyncio.wait((sleeping, waking), return_when=asyncio.FIRST_COMPLETED)
        sleeping.cancel()
        waking.cancel()
        self._wake.clear()

    # -- what comes in ---------------------------------------------------------------------------

    def edges(self, batch: Sequence[Edge]) -> None:
        contacts: list[Contact] = []
        for edge in batch:
            contact = self.wiring.contact(edge)
            if contact is None:
                self.unclaimed += 1
            else:
                contacts.append(contact)
        self.stage.add_contacts(contacts)
        self._hurry(self.pipeline.contacts(contacts))
        self._heard()

    def sweeps(self, batch: Sequence[Sweep]) -> None:
        self.stage.add_sweeps(batch)
        if self.site.streams.raw:
            self._raw += batch
            if self.site.streams.raw_commit_s == 0:
                self._wake.set()
        self._hurry(self.pipeline.sweeps(batch))
        self._heard()

    def _heard(self) -> None:
        """Models load after the first news: the first value is not late."""
        if self._loading is None:
            loop = asyncio.get_running_loop()
            self._loading = loop.run_in_executor(None, self.pipeline.load)

    def _hurry(self, drafts: Sequence[Draft]) -> None:
        """These do not wait for the window's end, nor for the next tick."""
        if drafts:
            self._urgent += drafts
            self._wake.set()

    def fault(self, device: str, reason: Reason | None, text: str) -> None:
        """A device fails, or answers again."""
        self._trouble(device, device, reason, text)

    def line(self, line: str, reason: Reason | None, text: str, at_ns: int) -> None:
        """A line is closed, or open (again): what is known of its loop ends there."""
        source, _ = self.wiring.lined[line]
        if reason is not None:
            self.stage.unwatched(source, at_ns)
            self.pipeline.engine.closed(source, at_ns)
        self._trouble(f"line {line}", source.partition(".")[0], reason, text)

    def _trouble(self, what: str, source: str, reason: Reason | None, text: str) -> None:
        """An event and a line in the log, once; what was never broken is not said to work again."""
        if reason is None and self.problems.pop(what, None) is None:
            return
        (LOG.info if reason is None else LOG.warning)("%s: %s", what, text)
        now_ns = self._now()
        body = {"event": "sensor_fault", "state": "off", "text": f"{what}: {text}"}
        if reason is not None:
            self.problems[what] = text
            body |= {"state": "on", "reason": str(reason)}
        self._hurry([Draft(Stream.EVENT, source, now_ns, now_ns, body)])

    def alarm(self, kind: str, text: str) -> None:
        """The link has something to say that a person should hear."""
        LOG.warning("%s", text)
        now_ns = self._now()
        body = {"event": kind, "text": text}
        self._hurry([Draft(Stream.EVENT, "gateway", now_ns, now_ns, body)])

    def status(self) -> dict[str, Any]:
        return status(self)

    # -- what goes out ---------------------------------------------------------------------------

    async def _recover(self) -> None:
        """Read back what the former process had seen; commit what it could not."""
        now = self.clock.now()
        folder = Path(self.site.store.run_dir)
        self.windows = Windows(self.site.period_ns, now)
        before = await self._restore()
        since = before.segment if before is not None else 0
        segments = read_back(folder, self.boot_id, since)
        found = recover(
            self.pipeline, before, self.epoch.boot, segments, now.mono_ns, self.windows.end_ns,
            self._former(),
        )  # fmt: skip
        self.windows.end_ns = found.end_ns
        self.stage.number = max((s.number for s in segments), default=since)
        self._urgent += found.drafts
        self._raw += found.sweeps if self.site.streams.raw else []
        await self._begin_segment(found.start_ns)
        for gap in found.gaps:
            self.stage.gap(*gap)

    def _former(self) -> dict[str, Any] | None:
        former = self.epoch.former
        return None if former is None else {"epoch": former.epoch, "last": dict(former.last)}

    async def _restore(self) -> Before | None:
        """States of the former process, as of its last committed window."""
        states = {owner: await self.writer.state(owner) for owner in ("app", "engine", "judge")}
        if states["app"] is None or states["engine"] is None:
            return None
        try:
            before = Before.parse(msgpack.unpackb(states["app"][1]))
            self.pipeline.engine.restore(msgpack.unpackb(states["engine"][1]))
        except (KeyError, TypeError, ValueError) as error:
            LOG.warning("the former state is of no use (%s): starting afresh", error)
            return None
        if states["judge"] is not None:
            self.pipeline.judge.restore(msgpack.unpackb(states["judge"][1]))
        return before

    async def _cut(self, now: Stamp, why: str) -> None:
        """Time became known, or jumped: the open window ends here, and says so."""
        if why == "step":
            self.pipeline.engine.mark(Reason.CLOCK)
        text = {
            "synchronised": "The clock is synchronised now: windows follow the wall.",
            "step": "The clock was set while it was trusted: the window around it is marked.",
        }[why]
        self._urgent.append(
            Draft(
                Stream.EVENT, "gateway", now.mono_ns, now.mono_ns,
                {"event": "clock", "reason": why, "text": text},
            )
        )  # fmt: skip
        await self._close_window(now.mono_ns, partial=True)

    async def _close_window(
        self, end_ns: int, *, partial: bool = False, last: bool = False
    ) -> None:
        now = self.clock.now()
        drafts = self.pipeline.close(end_ns, partial=partial)
        at = Stamp(end_ns, now.wall_ns - (now.mono_ns - end_ns), now.tq)
        self.windows.opened(at)
        save_models = last or now.mono_ns - self._models_saved_ns >= MODEL_STATE_NS
        if save_models:
            self._models_saved_ns = now.mono_ns
        await self._begin_segment(end_ns, drafts, save_models)

    async def _begin_segment(
        self, start_ns: int, drafts: Sequence[Draft] = (), save_models: bool = False
    ) -> None:
        """Commit what the window before gave, together with the state as of its end."""
        contacts, sweeps = self.pipeline.engine.pending()
        segment = self.stage.rotate(start_ns, self.windows.end_ns, contacts, sweeps)
        states = {"engine": self.pipeline.snapshot()}
        if save_models:
            states["judge"] = self.pipeline.judge.snapshot()
        early = len(sweeps)
        await self._commit(drafts, states, segment, start_ns, early)
        self.stage.drop_others()

    async def _commit_between(self, now: Stamp) -> None:
        """Events at once; raw sweeps when they are due."""
        due = self._raw and now.mono_ns >= self._raw_due_ns()
        if self._urgent or due:
            await self._commit((), {}, self.stage.number, self.window_start_ns, 0)

    def _raw_due_ns(self) -> int:
        return self._raw[0].mono_ns + int(self.site.streams.raw_commit_s * 1e9)

    async def _commit(
        self,
        drafts: Sequence[Draft],
        states: Mapping[str, Any],
        segment: int,
        start_ns: int,
        early: int,
    ) -> None:
        async with self._committing:
            urgent, self._urgent = self._urgent, []
            raw, self._raw = self._raw, []
            self.window_start_ns = start_ns
            before = Before(self.epoch.boot, segment, start_ns, (segment, self.stage.sweeps))
            packed = {
                owner: (STATE_VERSION, msgpack.packb(state))
                for owner, state in {**states, "app": before.packed()}.items()
            }
            rows = [*urgent, *drafts, *self._raw_drafts(raw)]
            now = self.clock.now()
            mark = Mark(now.mono_ns, now.wall_ns, now.tq)
            self.sender.offer(await self.writer.commit(rows, packed, clock=mark))
            self.progress.done("writer", self._now())

    def _raw_drafts(self, raw: Sequence[Sweep]) -> list[Draft]:
        points, drafts = self.wiring.points(), []
        part: list[Sweep] = []
        values = 0
        for sweep in raw:
            part.append(sweep)
            values += len(sweep.values)
            if values >= RAW_VALUES:
                drafts.append(_raw_draft(points, part))
                part, values = [], 0
        return [*drafts, _raw_draft(points, part)] if part else drafts


def _raw_draft(points: Mapping[str, Sequence[Point]], sweeps: Sequence[Sweep]) -> Draft:
    times = [sweep.mono_ns for sweep in sweeps]
    return Draft(Stream.RAW, "", min(times), max(times), raw_body(points, sweeps))
