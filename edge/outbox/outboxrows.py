"""What lies in the outbox: reading it, and giving it up."""

import sqlite3
from collections.abc import Callable, Sequence
from typing import TypeVar

from edge.core import StoredState
from edge.outbox import clockmap
from edge.outbox.activestorage import ActiveStorage
from edge.outbox.deliveryjournal import DeliveryJournal, RecoveredJournal
from edge.outbox.diskoutbox import DiskOutbox
from edge.outbox.downsample import Downsampler, MergeBodies
from edge.outbox.drops import PendingDrops, nameless_notice
from edge.outbox.epochs import EpochStart
from edge.outbox.mergeable import META_KEY, MergeableRanges
from edge.outbox.outboxfolder import OutboxFolder, foreign_bytes
from edge.outbox.outboxfolder import list_foreign as others
from edge.outbox.outboxinspector import DeadLetter, Loss, list_dead_letters, list_losses
from edge.outbox.outboxstats import OutboxStats
from edge.outbox.rowformat import (
    ClockMark,
    DamagedRowError,
    OutboxCounts,
    OutboxRow,
    StoredRecord,
    try_record,
    unpack_state,
)
from edge.outbox.rowsearch import RowSearch
from edge.outbox.storefiles import quarantine_usage

T = TypeVar("T")


class OutboxRows:
    """The rows of one outbox, on disk or in memory. Whoever writes is in `outbox`."""

    def __init__(
        self,
        place: OutboxFolder,
        storage: ActiveStorage,
        journal: DeliveryJournal,
        merge: MergeBodies | None,
    ) -> None:
        self._place, self._storage = place, storage
        self.journal = journal  # of the thread that sends: here it only gets what to go on from
        self._sent_before = RecoveredJournal()  # by former processes
        self._stats = OutboxStats()
        self._mergeable = MergeableRanges()
        self._downsampler = Downsampler(merge) if merge is not None else None
        self._arrived: frozenset[int] = frozenset()  # confirmed before the start, to be deleted
        self.arrived = 0  # how many of these are there
        self._drops: PendingDrops
        self._start: EpochStart

    @property
    def _disk(self) -> DiskOutbox | None:
        return self._storage.disk

    def _ask(self, question: Callable[[DiskOutbox], T], otherwise: T) -> T:
        """Something of the disk; `otherwise` when it does not work, from now on or already."""
        if self._disk is not None:
            try:
                return question(self._disk)
            except sqlite3.Error as error:
                self._storage.switch_to_memory(error)
        return otherwise

    def _query(self, question: Callable[[DiskOutbox], T], otherwise: T) -> T:
        """As `_ask`, of what changes nothing: also of a disk that can be read and not written."""
        found = self._ask(question, None)
        if found is None and self._disk is None:
            found = self._storage.readonly_disk.ask(question, None)
        return otherwise if found is None else found

    # -- reading ----------------------------------------------------------------------------------

    def pending(
        self, after_row: int = 0, limit: int = 200, *, urgent: bool = False
    ) -> list[StoredRecord]:
        """Rows that are not confirmed, the oldest first; damaged ones are declared lost.

        `urgent`: only events and registers.
        """
        found: list[StoredRecord] = []
        while not found:
            rows = self._after(after_row, limit, urgent)
            if not rows:
                break
            found, damaged = self._read(rows)
            after_row = rows[-1].id
            if damaged:
                self._stats.damaged += len(damaged)
                self._give_up(damaged, "damage", "checksum")
        return found

    def _after(self, row: int, limit: int, urgent: bool = False) -> list[OutboxRow]:
        found = self._ask(lambda disk: disk.after(row, limit, urgent), None)
        return self._storage.after(row, limit, urgent) if found is None else found

    def _read(self, rows: Sequence[OutboxRow]) -> tuple[list[StoredRecord], list[OutboxRow]]:
        """What can be read, and what cannot."""
        found: list[StoredRecord] = []
        damaged: list[OutboxRow] = []
        for row in rows:
            if row.id in self._arrived:
                continue
            record = try_record(row)
            if record is None:
                damaged.append(row)
            else:
                found.append(StoredRecord(row.id, record, self._maybe_sent(row.id)))
        return found, damaged

    def _maybe_sent(self, row: int) -> bool:
        return self._sent_before.maybe_sent(row)

    def search(self, search: RowSearch) -> list[StoredRecord]:
        """One bounded step of it. Raises UnavailableError when the disk does not work, and they are
        not all in memory."""
        found = self._ask(search.step, None)
        if found is None:
            found = self._storage.search(search)
        return self._read(found)[0]

    def state(self, owner: str) -> StoredState | None:
        """What `owner` kept last: version and bytes. None when there is none, or it is damaged."""
        found = self._storage.memory.states.get(owner)
        if found is not None:
            return found
        kept = self._ask(lambda disk: disk.state(owner), None)
        if kept is None:
            return None
        try:
            return kept[0], unpack_state(owner, *kept)
        except DamagedRowError:
            self._stats.damaged += 1
            return None

    def marks(self, boot: int) -> list[ClockMark]:
        """The clock map of a boot, at most 16 marks: the most trusted first, and among those the
        latest first; nothing when there is none."""
        return self._query(lambda disk: clockmap.read_marks(disk, boot), [])

    def bounds(self, boot: int) -> tuple[int | None, int | None]:
        """Wall times (Unix ns) that a boot without a clock lies between, as far as others prove."""
        unknown: tuple[int | None, int | None] = (None, None)
        return self._query(lambda disk: clockmap.boot_bounds(disk, boot), unknown)

    def counts(self) -> OutboxCounts:
        """How full it is, and what has happened since the start."""
        stats, storage, downsampler = self._stats, self._storage, self._downsampler
        kept, in_quarantine = quarantine_usage(self._place.folder)
        first = self._after(0, 1)
        streams = self._ask(DiskOutbox.tally, None)
        if streams is None:
            streams = storage.tally()
        unknown: tuple[float | None, float | None] = (None, None)
        plain, downsampled = self._ask(
            lambda disk: stats.forecasts(
                disk, self._place.limit_bytes, downsampler, self._mergeable.spans
            ),
            unknown,
        )
        return OutboxCounts(
            rows=sum(streams.values()),
            streams=streams,
            size=in_quarantine
            + foreign_bytes(self._place.folder)
            + self._query(DiskOutbox.size, 0),
            limit=self._place.limit_bytes,
            oldest=(first[0].boot, first[0].from_ns) if first else None,
            dropped=stats.dropped,
            damaged=stats.damaged,
            dead_letters=self._query(DiskOutbox.dead_letter_count, 0),
            quarantined=kept,
            foreign_files=[str(path) for path in others(self._place.folder)],
            in_memory=storage.in_memory,
            commits=stats.commits,
            bytes_in=stats.bytes_in,
            downsampled=downsampler.rows if downsampler else 0,
            wal=self._ask(DiskOutbox.wal_size, 0),
            ballast=storage.ballast.size,
            forecast_s=plain,
            forecast_downsampled_s=downsampled,
        )

    def details(self) -> tuple[Sequence[Loss], Sequence[DeadLetter]]:
        """Losses that no event has declared yet, and dead letters."""
        return list_losses(self._drops), self._ask(list_dead_letters, ())

    # -- handing over ------------------------------------------------------------------------------

    def linked(self, live_from: int = 0) -> None:
        """Before the first row of a new connection is handed over: rows from `live_from` on go in
        any order, so none of them merges any more; those before go by `take` alone."""
        self._mergeable.linked(live_from)
        self._write_mergeable()

    def take(self, after_row: int, limit: int) -> list[StoredRecord]:
        """As `pending`, to be handed over: while a link is up none of these rows will merge."""
        found = self.pending(after_row, limit)
        was_on_disk = self._disk is not None
        if found and self._mergeable.note_handed_over(found[-1].row):
            self._write_mergeable()
            if was_on_disk and self._disk is None:
                return self.pending(after_row, limit)  # what cannot be said must not go
        return found

    def unlinked(self, last_row: int) -> None:
        """The connection is down; `last_row` is the last that was ever handed over."""
        self._mergeable.unlinked(last_row)

    def _mergeable_text(self) -> str:
        """What is to stand on disk: without downsampling nobody needs to know what was not sent."""
        return self._mergeable.text if self._downsampler is not None else ""

    def _write_mergeable(self) -> None:
        """Durable on return, if the disk works."""
        word = self._mergeable_text()

        def write(disk: DiskOutbox) -> None:
            with disk.transaction():
                disk.set_meta({META_KEY: word})
            self._mergeable.text_on_disk = word

        if word != self._mergeable.text_on_disk:
            self._ask(lambda disk: self._storage.attempt(disk, write), None)

    # -- giving up --------------------------------------------------------------------------------

    def dead_letter(self, row: int, why: str) -> None:
        """Give up a row that the broker refuses; its numbers are declared lost."""
        if self._disk is None:
            found = self._storage.memory.rows.get(row)
            if found is not None:
                lost = self._storage.memory.lose(found, "refused", self._drops)
                self._stats.dropped += lost
            elif (stranded := self._storage.readonly_disk.row(row)) is not None:
                self._give_up([stranded], "refused", why)
            return
        refused = self._ask(lambda disk: disk.row(row), None)
        if refused is not None:
            self._give_up([refused], "refused", why)

    def _give_up(self, rows: Sequence[OutboxRow], reason: str, why: str) -> None:
        if self._disk is None:  # it stays where it is, and is not looked at any more
            self._declare(rows, reason)
            self._storage.memory.declared(row.id for row in rows)
            return
        self._ask(lambda _: self._lose(rows, reason, why), None)

    def _declare(self, rows: Sequence[OutboxRow], reason: str) -> None:
        """What is lost with them, by their numbers; where not even these can be read, in words.

        A damaged row that says the number of another one has lost its own.
        """
        taken = set[int]()
        if reason == "damage":
            taken = self._ask(lambda disk: disk.with_numbers_of_others(rows), taken)
        lost = [0 if row.id in taken else self._drops.lose(row, reason) for row in rows]
        self._stats.dropped += sum(lost)
        if nameless := lost.count(0):
            self._storage.add_notice(True, nameless_notice(nameless))

    def _lose(
        self,
        rows: Sequence[OutboxRow],
        reason: str = "full",
        why: str | None = None,
        arrived: frozenset[int] = frozenset(),
    ) -> None:
        """Take rows out and remember their numbers, except of those that have `arrived`, in one
        transaction. Raises sqlite3.Error."""
        disk = self._disk
        if disk is None:
            return
        gone = arrived | self._arrived
        self._declare([row for row in rows if row.id not in gone], reason)
        # the losses are known before they happen: a commit that fails may have reached the disk

        def take_out(disk: DiskOutbox) -> None:
            with disk.transaction():
                for row in rows:
                    if why is not None:
                        disk.add_dead_letter(row, why)
                disk.delete(row.id for row in rows)
                disk.set_drops(self._drops)

        try:
            self._storage.attempt(disk, take_out)
        except sqlite3.Error:
            # declared they are: should they lie on the disk still, they leave it later
            self._storage.memory.declared(row.id for row in rows)
            raise
