"""The daemon: joins the parts, lets time pass, and ends cleanly.

The order matters. At a start: the outbox opens, the former stage is read back, only then the wires.
At a stop: the wires, the open window, the link, the outbox.
"""

import asyncio
import logging
import os
from pathlib import Path
from typing import Any, Final

from edge.acquire.clock import SystemClock, boot_id
from edge.acquire.stage import Stage
from edge.app.buses import Buses
from edge.app.intake import Intake
from edge.app.ledger import Ledger
from edge.app.pipeline import Pipeline
from edge.app.uplinks import broker_for, sender_for
from edge.app.verbs import status, verbs
from edge.app.windows import GRACE_NS, SYNCED
from edge.app.wiring import Wiring
from edge.config import Site
from edge.control.locks import BusLock
from edge.control.protocol import NAME, ControlServer
from edge.core import Clock, Stamp
from edge.health.notify import Notify
from edge.health.progress import Progress
from edge.store import Epoch, Writer
from edge.uplink.sender import Sender

LOG = logging.getLogger("kerbstone")

SOCKET_PATH: Final = 107  # bytes, of sockaddr_un
TICK_NS: Final = 500_000_000
ALIVE_S: Final = 5.0  # how often systemd hears that work is done, or oftener if it wants to
DRAIN_S: Final = 3.0  # at a stop, for the last records; what is left waits on the card
SENDER_SILENCE_S: Final = 120.0
LEDGER_SILENCE: Final = 2  # periods without a commit, and a minute


class BusyError(Exception):
    """Another process works on the buses of this site."""


class FolderError(Exception):
    """A folder of the site cannot be made or written."""


class Daemon:
    """One site, from its wires to its broker."""

    def __init__(self, site: Site, clock: Clock) -> None:
        self.site, self.clock = site, clock
        self.wiring = Wiring.of(site)
        self.broker = broker_for(site)
        self.pipeline: Pipeline = self.wiring.pipeline()
        self.progress, self.notify = Progress(), Notify()
        self.boot_id = boot_id()
        self.stage = Stage(Path(site.store.run_dir), self.boot_id)
        self.intake = Intake(self.wiring, self.pipeline, self.stage, clock)
        self.started_ns = clock.now().mono_ns
        # from `run` on
        self.writer: Writer
        self.epoch: Epoch
        self.ledger: Ledger
        self.sender: Sender
        self.buses: Buses
        self._stopping = False
        self._alive_ns = 0
        self._loading: asyncio.Future[None] | None = None
        self._locks: list[BusLock] = []

    # -- life ------------------------------------------------------------------------------------

    def stop(self) -> None:
        self._stopping = True
        self.intake.wake.set()

    async def run(self) -> None:
        """Until `stop`. Raises BusyError, FolderError, and whatever fault of ours ended a part."""
        self._prepare()
        try:
            store = self.site.store
            self.writer = await Writer.start(
                Path(store.dir),
                limit_bytes=store.limit_mb << 20,
                boot_id=self.boot_id,
                run_dir=Path(store.run_dir),
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
        self.sender = sender_for(self)
        self.ledger = Ledger(
            self.wiring, self.pipeline, self.intake, self.stage, self.writer, self.clock,
            self.boot_id,
        )  # fmt: skip
        self.ledger.offer = self.writer.on_rows = self._committed
        self._expect("ledger", LEDGER_SILENCE * self.site.period_ns / 1e9 + 60)
        await self.ledger.recover()
        self.buses = Buses(
            self.wiring, self.clock, self.intake, self.progress, self.intake.problems,
            self.intake.devices,
        )  # fmt: skip
        self.ledger.kept = self.buses.kept
        control = ControlServer(Path(self.site.store.run_dir), verbs(self))
        await control.start()
        self._expect("sender", SENDER_SILENCE_S)
        sending = asyncio.create_task(self.sender.run(), name="sender")
        self.intake.changed = self.sender.publish_status
        self.intake.described = self.sender.publish_meta
        try:
            self.buses.start()
            self.notify.ready(self._summary())
            await self._live(sending)
        finally:
            self.notify.stopping("sending what is left")
            self.intake.changed = self.intake.described = lambda: None
            await control.close()
            await self.buses.stop()
            await self.ledger.close(self.clock.now().mono_ns, partial=True, last=True)
            await self.sender.drain(DRAIN_S)
            sending.cancel()
            await asyncio.gather(sending, return_exceptions=True)

    async def _know_the_past(self) -> None:
        """A wall clock that lies before what a former boot knew for certain is wrong."""
        former = self.epoch.former
        if former is not None and isinstance(self.clock, SystemClock):
            marks = await self.writer.marks(former.boot)
            known = (mark.wall_ns for mark in marks if mark.tq in SYNCED)
            self.clock.floor_ns = max(known, default=0)

    def _prepare(self) -> None:
        """Folders and locks. The daemon owns every bus of its site, or none."""
        socket_path = Path(self.site.store.run_dir, NAME)
        if len(os.fsencode(socket_path)) > SOCKET_PATH:
            raise FolderError(f"store.run_dir: {socket_path} is too long for a socket; shorten it")
        for key in ("dir", "run_dir"):
            folder = Path(getattr(self.site.store, key))
            try:
                folder.mkdir(parents=True, exist_ok=True)
                locks = [BusLock(folder, bus) for bus in self.wiring.buses]
                taken = [lock.take() for lock in locks] if key == "run_dir" else []
            except OSError as error:
                raise FolderError(
                    f"store.{key} = {folder}: {error.strerror}; run as the user kerbstone or as "
                    f"root, or set store.{key} to a folder of yours"
                ) from error
            self._locks += [lock for lock, mine in zip(locks, taken, strict=False) if mine]
            if not all(taken):
                busy = list(self.wiring.buses)[taken.index(False)]
                for lock in self._locks:
                    lock.release()
                raise BusyError(
                    f"bus {busy} is in use by another process: a daemon that runs already, or a "
                    "`kerbstone read`; stop it first (systemctl stop kerbstone)"
                )

    async def _live(self, sending: "asyncio.Task[None]") -> None:
        """Tick by tick: end windows, keep the stage marked, feed the watchdog."""
        while not self._stopping:
            now = self.clock.now()
            self.stage.mark(min(now.mono_ns - GRACE_NS, self.buses.heard_ns()))
            self._load_models()
            self._raise_faults(sending)
            self._say_troubles()
            await self.ledger.tick(now)
            self._feed_watchdog(now)
            await self._sleep(min(now.mono_ns + TICK_NS, self.ledger.next_ns))

    async def _sleep(self, until_ns: int) -> None:
        """Until then, or until somebody asks to stop, or something urgent came in."""
        sleeping = asyncio.create_task(self.clock.sleep_until(until_ns))
        waking = asyncio.create_task(self.intake.wake.wait())
        await asyncio.wait((sleeping, waking), return_when=asyncio.FIRST_COMPLETED)
        sleeping.cancel()
        waking.cancel()
        self.intake.wake.clear()

    def _load_models(self) -> None:
        """After the first news, so that the first value is not late; off the loop."""
        if self.intake.heard and self._loading is None:
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

    def _say_troubles(self) -> None:
        """What is counted in the status is worth an event the first time."""
        if self.buses.dropped:
            text = "the main loop is too busy: something that came in was dropped, and is marked"
            self.intake.once("overload", text)
        if self.stage.overflow:
            text = "the stage is full: a kill would lose what is not in it"
            self.intake.once("stage", text)
        if self.writer.trouble is not None:
            self.intake.once("journal", self.writer.trouble)

    def _summary(self) -> str:
        """One line for `systemctl status`."""
        link = "connected" if self.sender.connected else "not connected"
        broken = f"; broken: {', '.join(self.intake.problems)}" if self.intake.problems else ""
        devices, lanes = len(self.wiring.points()), len(self.site.lanes)
        return f"{devices} devices, {lanes} lanes, {link}{broken}"

    # -- for the parts ---------------------------------------------------------------------------

    def status(self) -> dict[str, Any]:
        return status(self)

    def _committed(self, rows: Any) -> None:
        self.progress.done("ledger", self.clock.now().mono_ns)
        self.sender.offer(rows)

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
