"""The outbox for the event loop: one thread does all of its work, commits that meet go together."""

import asyncio
import contextlib
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeVar

from edge.core import Draft, Stamp, StoredState
from edge.outbox.downsample import MergeBodies
from edge.outbox.epochs import Epoch
from edge.outbox.outbox import BALLAST_BYTES, NO_OWNER_STATES, Outbox, OwnerStates
from edge.outbox.outboxstats import OutboxCounts
from edge.outbox.rowformat import StoredRecord
from edge.outbox.rowsearch import RowSearch

T = TypeVar("T")

KEEP_TRIES: Final = 3
HOLD_S: Final = 1800.0  # so long a copy of the database may take
CALLS_LIMIT: Final = 64  # calls in the thread or before it; who comes later waits in the loop
CommitRider = Callable[[Sequence[Draft]], tuple[OwnerStates, Callable[[], None]]]
"""Of the drafts of a commit: more states that go with it, and what to call once it is durable.
Asked at the very moment when it is settled which rows a commit deletes."""
RowTaker = Callable[[list[StoredRecord]], None]
"""Takes rows of commits that nobody asked for: what others wanted committed went with them."""

FLUSH_ROWS: Final = (
    2000  # confirmed rows that are not committed yet; then they are, without a period
)


@dataclass(slots=True)
class _CommitRequest:
    """What one caller wants committed."""

    drafts: Sequence[Draft]
    states: OwnerStates
    clock: Stamp | None
    done: bool = False  # written by the thread, read by it and, after it, by the loop


def no_rider(drafts: Sequence[Draft]) -> tuple[OwnerStates, Callable[[], None]]:
    """Nothing goes with a commit but what is asked for."""
    return NO_OWNER_STATES, lambda: None


class AsyncOutbox:
    """Made by `start`. All methods belong to the event loop's thread."""

    def __init__(
        self,
        pool: ThreadPoolExecutor,
        outbox: Outbox,
        epoch: Epoch,
        rider: CommitRider,
        on_rows: RowTaker,
    ) -> None:
        self._pool, self._outbox, self._rider, self._on_rows = pool, outbox, rider, on_rows
        self._loop = asyncio.get_running_loop()
        self.opened, self.epoch = outbox.opened, epoch
        # confirmed before the last process was killed, and still there at this start
        self.leftovers: list[StoredRecord] = outbox.leftovers
        self._calls = asyncio.Semaphore(CALLS_LIMIT)
        self._writing = asyncio.Lock()
        self._waiting: list[_CommitRequest] = []
        self._confirmed: set[int] = set()  # and not yet committed
        self._flush: asyncio.Task[None] | None = None
        self._holding: asyncio.TimerHandle | None = None  # ends the hold of who does not come back

    @classmethod
    async def start(
        cls,
        folder: Path,
        *,
        limit_bytes: int,
        boot_id: str,
        run_dir: Path | None = None,
        merge: MergeBodies | None = None,
        ballast_bytes: int = BALLAST_BYTES,
        owner: str | None = None,
        copied: bool = False,
        rider: CommitRider = no_rider,
        on_rows: RowTaker = lambda rows: None,
    ) -> "AsyncOutbox":
        """Open the outbox in its own thread and begin an epoch. Raises OutboxBusyError."""
        pool = ThreadPoolExecutor(1, thread_name_prefix="outbox")
        loop = asyncio.get_running_loop()
        opening = partial(
            Outbox.open,
            folder,
            limit_bytes=limit_bytes,
            boot_id=boot_id,
            run_dir=run_dir,
            merge=merge,
            ballast_bytes=ballast_bytes,
            owner=owner,
            copied=copied,
        )
        try:
            outbox = await loop.run_in_executor(pool, opening)
            epoch = await loop.run_in_executor(pool, outbox.begin)
        except BaseException:
            pool.shutdown(wait=False)
            raise
        return cls(pool, outbox, epoch, rider, on_rows)

    @property
    def journal_failure(self) -> str | None:
        """A sentence for people while the journal of sent rows cannot be written, else None."""
        return self._outbox.journal.trouble

    @property
    def restart(self) -> str | None:
        """Why the daemon should be started anew, as a sentence for people, else None."""
        return self._outbox.restart

    @property
    def high_water_unsaved(self) -> bool:
        """The last commit would go with the power, and nothing on the card records that."""
        return self._outbox.high_water_unsaved

    # -- what the parts of the daemon ask for ------------------------------------------------------

    async def commit(
        self,
        drafts: Sequence[Draft],
        states: OwnerStates = NO_OWNER_STATES,
        clock: Stamp | None = None,
    ) -> list[StoredRecord]:
        """Number and keep drafts and states, and forget what was confirmed. Durable on return.

        Commits that meet share a transaction; the first of them gets all rows, the others none:
        pass on what comes back, and each row is offered once. Raises ValueError or TypeError for
        a body that MessagePack cannot say.
        """
        request = _CommitRequest(drafts, states, clock)
        self._waiting.append(request)
        async with self._writing:
            if request.done:
                return []
            group, self._waiting = self._waiting, []
            if request not in group:  # the commit it was to ride in has failed
                group.insert(0, request)
            confirmed = frozenset(self._confirmed)
            going = [draft for each in group if not each.done for draft in each.drafts]
            riding, kept = self._rider(going)
            unconfirmed = self._outbox.journal.unconfirmed()
            stored = await self._call(
                partial(
                    _commit,
                    requests=group,
                    riding=riding,
                    confirmed=confirmed,
                    unconfirmed=unconfirmed,
                )
            )
            kept()
            self._confirmed -= confirmed
            self._outbox.journal.retain_only(self._confirmed)
            return stored

    async def pending(self, after_row: int = 0, limit: int = 200) -> list[StoredRecord]:
        """Rows not confirmed yet, the oldest first; empty at the end. While a link is up they are
        to be handed over: that they were is durable on return, and they never merge."""
        return await self._unconfirmed(Outbox.take, after_row, limit)

    async def urgent(self, after_row: int = 0, limit: int = 200) -> list[StoredRecord]:
        """As `pending`, but only events and registers."""
        return await self._unconfirmed(partial(Outbox.pending, urgent=True), after_row, limit)

    async def _unconfirmed(
        self, fetch: Callable[[Outbox, int, int], list[StoredRecord]], after_row: int, limit: int
    ) -> list[StoredRecord]:
        while True:
            rows = await self._call(partial(_fetch, fetch=fetch, after_row=after_row, limit=limit))
            left = [stored for stored in rows if stored.row not in self._confirmed]
            if left or not rows:
                return left
            after_row = rows[-1].row

    async def find(
        self, epoch: int, stream: str, first: int, last: int, limit: int = 200
    ) -> list[StoredRecord]:
        """Rows not confirmed yet that stand for one of these numbers, the oldest first; also a
        merged one that covers one of them. Commits go on meanwhile. Raises UnavailableError while
        the disk does not work, unless they are all in memory."""
        found: list[StoredRecord] = []
        search = RowSearch(epoch, stream, first, last)
        while not search.done and len(found) < limit:
            rows = await self._call(partial(Outbox.search, search=search))
            found += (stored for stored in rows if stored.row not in self._confirmed)
        return found[:limit]

    async def state(self, owner: str) -> StoredState | None:
        """What `owner` kept last: version and bytes."""
        return await self._call(partial(Outbox.state, owner=owner))

    async def keep(self, states: OwnerStates) -> None:
        """These states alone; durable on return. Rows of others that shared the commit are passed
        on."""
        for _ in range(KEEP_TRIES):
            with contextlib.suppress(ValueError, TypeError):  # of another's draft: it hears of it
                rows = await self.commit((), states)
                break
        else:
            raise RuntimeError(
                "drafts of others that cannot be written keep a commit from succeeding"
            )
        self._on_rows(rows)

    async def marks(self, boot: int) -> list[Stamp]:
        """The clock map of a boot, at most 16 marks: the most trusted first, and among those the
        latest first."""
        return await self._call(partial(Outbox.marks, boot=boot))

    async def bounds(self, boot: int) -> tuple[int | None, int | None]:
        """Wall times (Unix ns) between which a boot lies that never learnt the time; None where
        nothing proves one."""
        return await self._call(partial(Outbox.bounds, boot=boot))

    async def link_up(self, live_from: int = 0) -> None:
        """A connection is up: call it before the first row is handed over. `live_from`: no row
        before that one is handed over but those that `pending` gives from now on, in its order, and
        those that `urgent` gives. None of the others merges while it is up."""
        await self._call(partial(Outbox.linked, live_from=live_from))

    def link_lost(self, row: int) -> None:
        """The connection is down; `row` is the last one that this process ever handed over. What
        follows may merge."""
        with contextlib.suppress(RuntimeError):  # the outbox is closed: nothing merges any more
            self._pool.submit(self._outbox.unlinked, row)  # behind a `link_up` that is under way

    async def downsample(self) -> bool:
        """Merge some of what was never handed over; whether there may be more of it. Only while the
        sender holds no row, not even one that was just committed."""
        return await self._call(Outbox.downsample)

    async def hold(self) -> int | None:
        """The file of the database stays as it is, to be copied, until `let_go`, for HOLD_S at
        most: its bytes. None: the disk does not work. Commits go on meanwhile."""
        self._end_hold()
        found = await self._call(Outbox.hold)
        if found is not None:
            self._holding = self._loop.call_later(
                HOLD_S, lambda: self._pool.submit(self._outbox.let_go)
            )
        return found

    async def let_go(self) -> bool:
        """The copy is made. Whether the file has stayed as it was."""
        self._end_hold()
        return await self._call(Outbox.let_go)

    def _end_hold(self) -> None:
        if self._holding is not None:
            self._holding.cancel()
            self._holding = None

    async def dead_letter(self, row: int, why: str) -> None:
        """Give up a row that the broker refuses."""
        await self._call(partial(Outbox.dead_letter, row=row, why=why))

    async def counts(self) -> OutboxCounts:
        """How full the outbox is."""
        counts = await self._call(Outbox.counts)
        return replace(counts, confirmed=len(self._confirmed) + self._outbox.arrived)

    async def details(self) -> dict[str, Any]:
        """What `kerbstone outbox` shows besides: `undeclared` losses and dead `letters`, with the
        fields of `Loss` and `DeadLetter` of edge.outbox.outboxinspector."""
        losses, letters = await self._call(Outbox.details)
        return {
            "undeclared": [asdict(loss) for loss in losses],
            "letters": [asdict(letter) for letter in letters],
        }

    def sent(self, rows: Collection[int]) -> None:
        """These rows are about to be handed to the network."""
        self._outbox.journal.sent(rows)

    def confirm(self, rows: Collection[int]) -> None:
        """These rows are confirmed: remembered at once, deleted with the next commit."""
        self._outbox.journal.confirmed(rows)
        self._confirmed.update(rows)
        if len(self._confirmed) >= FLUSH_ROWS and (self._flush is None or self._flush.done()):
            self._flush = self._loop.create_task(self._flushed())

    async def _flushed(self) -> None:
        """A commit nobody asked for may take others' drafts with it: their rows are passed on."""
        try:
            rows = await self.commit(())
        except (ValueError, TypeError):  # of another's draft: it hears of it
            return
        self._on_rows(rows)

    async def close(self) -> None:
        """Commit what is confirmed, say goodbye, end the thread."""
        self._end_hold()
        if self._confirmed:
            await self.commit(())
        self._outbox.journal.close()  # by the thread that writes it
        await self._call(Outbox.close)
        self._pool.shutdown()

    async def _call(self, function: Callable[[Outbox], T]) -> T:
        async with self._calls:
            # shielded: the thread goes on when the caller is cancelled, and its answer is dropped
            return await asyncio.shield(
                self._loop.run_in_executor(self._pool, function, self._outbox)
            )


def _fetch(
    outbox: Outbox,
    *,
    fetch: Callable[[Outbox, int, int], list[StoredRecord]],
    after_row: int,
    limit: int,
) -> list[StoredRecord]:
    return fetch(outbox, after_row, limit)


def _commit(
    outbox: Outbox,
    *,
    requests: list[_CommitRequest],
    riding: OwnerStates,
    confirmed: frozenset[int],
    unconfirmed: frozenset[int],
) -> list[StoredRecord]:
    """In the thread: several callers' wishes in one transaction."""
    parts = [part for part in requests if not part.done]
    states: dict[str, StoredState] = {}
    for part in parts:
        states.update(part.states)
    states.update(riding)
    drafts = [draft for part in parts for draft in part.drafts]
    clock = max((part.clock for part in parts if part.clock), default=None)
    stored = outbox.commit(drafts, states, confirmed, clock, unconfirmed)
    for part in parts:
        part.done = True
    return stored
