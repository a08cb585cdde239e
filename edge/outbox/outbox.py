"""The outbox: records get their numbers here and stay until they are confirmed.

Used from exactly one thread. Opening never fails, except when another process holds the database:
what cannot be read is moved to quarantine, and when the disk does not work at all the outbox goes
on in memory, says so, and tries the disk again.
"""

import sqlite3
from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Final

from edge.core import Draft, Stamp, StoredState
from edge.outbox import clockmap
from edge.outbox.catchup import DiskReturn
from edge.outbox.commitlog import LoggedCommit
from edge.outbox.deliveryjournal import DeliveryJournal, recover_journal
from edge.outbox.diskoutbox import DiskOutbox
from edge.outbox.downsample import MergeBodies
from edge.outbox.drops import PendingDrops, storage_event_draft
from edge.outbox.epochs import (
    HIGH_WATER_UNSAVED,
    PAST,
    Epoch,
    Numbering,
    confirmed_leftovers,
    write_epoch,
)
from edge.outbox.eviction import PackedDraft
from edge.outbox.failover import FailoverStorage
from edge.outbox.handover import Handover
from edge.outbox.highwater import HighWaterFiles, HighWaterMark
from edge.outbox.losses import Losses
from edge.outbox.memoryoutbox import OwnerStates as OwnerStates
from edge.outbox.outboxfolder import OutboxFolder
from edge.outbox.outboxinspector import DeadLetter, Loss, list_dead_letters, list_losses
from edge.outbox.outboxstats import OutboxCounts, OutboxStats
from edge.outbox.rowformat import (
    MAX_BODY,
    DamagedRowError,
    OutboxRow,
    StoredRecord,
    make_rows,
    pack_body,
    try_record,
    unpack_state,
)
from edge.outbox.rowsearch import RowSearch
from edge.outbox.startplan import plan_start

BALLAST_BYTES: Final = 16 << 20  # bytes

NO_OWNER_STATES: Final[OwnerStates] = {}


class Outbox:
    """`open`, then `begin`, then the rest."""

    def __init__(self, storage: FailoverStorage, boot_id: str, merge: MergeBodies | None) -> None:
        place, run_dir, self._boot_id = storage.place, storage.run_dir, boot_id
        # who asks for nobody's in particular goes on in the journal of whose database it is
        owner = place.owner or (storage.disk.owner if storage.disk is not None else "")
        self._storage, self.opened = storage, storage.opened
        # of the thread that sends: here it only gets what to go on from
        self.journal = DeliveryJournal(run_dir, owner)
        self._sent_before = recover_journal(run_dir, owner)  # by former processes
        self.leftovers: list[StoredRecord] = []  # confirmed before the last process was killed
        self._arrived: frozenset[int] = frozenset()  # these, to be deleted
        self.arrived = 0  # how many of them are there
        self._stats = OutboxStats()
        self._losses = Losses(storage, self._stats)
        self._handover = Handover(storage, merge)
        self._numbers = Numbering()
        self._return = DiskReturn(
            storage, self._losses, self._handover, self._stats, self._numbers,
            self.journal,
        )  # fmt: skip
        self._water = HighWaterFiles(place.folder, run_dir, owner)
        self._heard = False  # somebody confirms: a declaration would be heard of
        self._doubted = False  # the word `past` on disk says that its states are in doubt
        self._copied = False  # rows of former starts may be sent from elsewhere, as they are

    @classmethod
    def open(
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
    ) -> "Outbox":
        """Open or create. Raises OutboxBusyError, and nothing else; `opened` says what was found.

        `owner` is the gateway whose records these are, with its site: what belongs to another one
        is put aside. None asks nobody. Without `merge` nothing is downsampled. The ballast lies
        outside of `limit_bytes`. `copied`: the rows lie elsewhere, too, and may be sent from there.
        """
        place = OutboxFolder(folder, limit_bytes, boot_id, owner)
        made = cls(FailoverStorage(place, run_dir, ballast_bytes), boot_id, merge)
        made._copied = copied
        return made

    # -- a start of the daemon --------------------------------------------------------------------

    def begin(self) -> Epoch:
        """A new epoch. Confirmations that the last process could not commit count from now on, and
        ride in the first commit: `leftovers` go with this process, so they must be found again."""
        storage, losses = self._storage, self._losses
        plan = plan_start(storage, losses, self._water, self._boot_id, self._return.absorb)
        start, past = plan.start, plan.past
        self._doubted = past != "known"
        self._numbers.start, self._numbers.row = start, start.number << 32
        if plan.left is not None:
            self._storage.owners.adopt(plan.left.memory.states, plan.left.trusted_owners)
            self.leftovers += plan.left.records(self._sent_before.confirmed)
        # else nobody knows what was handed over
        known = not self._doubted and not self._copied
        word = self._handover.stored() if known else ""
        # a disk that can be read and not written has its journal, too
        token = storage.read(lambda disk: disk.token, None)
        sent = self._sent_before = self._sent_before.for_start(self._numbers.row, token)
        self.journal.continue_from(sent)
        self._handover.begin(word, start, sent.last_sent)
        self._arrived = sent.confirmed
        if token is None:
            self._arrived &= storage.memory.rows.keys()  # the others are none of this place
        self.leftovers += storage.read(lambda disk: confirmed_leftovers(disk, self._arrived), [])
        self.arrived = len(self.leftovers)
        storage.write(lambda disk: write_epoch(disk, start, losses.pending, past))
        if storage.disk is None:
            storage.begin_in_memory(self._numbers, losses.pending)
        storage.keep_epoch_file(start)
        if self.opened.in_memory:
            storage.notices.add(True, self.opened.in_memory)
        storage.ballast.build()
        before = start.previous_epoch or None if start.former is None else None
        former, unclean = start.former, start.unclean or self._doubted
        return Epoch(start.epoch, start.boot, start.same_boot, former, unclean, before, past)

    # -- writing ----------------------------------------------------------------------------------

    def commit(
        self,
        drafts: Sequence[Draft],
        states: OwnerStates = NO_OWNER_STATES,
        confirmed: Iterable[int] = (),
        clock: Stamp | None = None,
        unconfirmed: Collection[int] = frozenset(),
    ) -> list[StoredRecord]:
        """Number and keep `drafts`, keep `states`, forget `confirmed`: all of it or nothing. Of two
        rows of a class one that is `unconfirmed`, sent and not answered, makes room last.

        What comes back may hold more than `drafts`: the outbox declares its own losses and
        troubles as events. A draft that cannot be kept gets a number, and is declared lost.
        """
        gone = (*confirmed, *self._arrived)
        self._heard = self._heard or bool(gone)
        if clock is not None:
            self._sent_before = self._return.retry(clock, self._sent_before)
        now_ns = clock.mono_ns if clock else max((draft.to_ns for draft in drafts), default=0)
        self._handover.ranges.tick(now_ns)
        notices = self._storage.notices.due(now_ns) if now_ns else ()
        own = [storage_event_draft(now_ns, on, text) for on, text in notices]
        packed = [(draft, pack_body(draft)) for draft in (*drafts, *own)]
        lost = {n: "size" for n, (_, body) in enumerate(packed) if len(body) > MAX_BODY}
        lost.update(dict.fromkeys(self._crowded(packed, lost, gone, unconfirmed), "full"))
        drops = self._losses.pending.copy()
        declared = bool(drops) and self._heard and now_ns > 0
        if declared:
            packed.extend((draft, pack_body(draft)) for draft in drops.event_drafts(now_ns))
            drops = PendingDrops()
        keys, following = self._numbers.next_keys([draft.stream for draft, _ in packed])
        for place in sorted(lost):
            drops.add(keys[place].epoch, str(keys[place].stream), keys[place].seq, lost[place])
        pairs = zip(packed, keys, strict=True)
        numbered = [pair for place, pair in enumerate(pairs) if place not in lost]
        start, before = self._numbers.start, self._numbers.row
        rows, stored = make_rows(numbered, before + 1, start.boot)
        last = before + len(rows)
        self._write(
            LoggedCommit(rows, states, (), last, following, drops, clock), gone, unconfirmed
        )
        self._arrived, self.arrived = frozenset(), 0
        self._numbers.row = last
        self._handover.ranges.committed(now_ns, last)
        self._numbers.counters |= following
        if following:
            self._save_high_water(now_ns)
        self._losses.pending = drops
        self._stats.dropped += len(lost)
        self._stats.committed(rows, clock.mono_ns if clock else None)
        self._storage.notices.mark_reported(len(notices), now_ns)
        self._heard = self._heard and not declared
        return stored

    def _crowded(
        self,
        packed: list[PackedDraft],
        lost: Mapping[int, str],
        gone: tuple[int, ...],
        unconfirmed: Collection[int],
    ) -> list[int]:
        """The places of drafts for which there is no room, after older rows have made some."""
        places = [place for place in range(len(packed)) if place not in lost]
        fitting = [packed[place] for place in places]
        lose = partial(self._losses.take_out, arrived=frozenset(gone))
        crowded = self._storage.crowded(
            fitting, unconfirmed.__contains__, lose, self._handover.make_room
        )
        return [places[place] for place in crowded]

    def _write(
        self, commit: LoggedCommit, gone: tuple[int, ...], unconfirmed: Collection[int]
    ) -> None:
        owners, words = self._storage.owners, self._handover.unwritten()
        durable = owners.durable(commit.states, commit.mark)
        # others lie there now
        settled = self._doubted and bool(durable) and not owners.withheld
        if settled:
            words[PAST] = "known"
        declared = commit.drops != self._losses.pending
        written, lost = self._storage.commit(
            self._numbers, commit, durable, gone, unconfirmed, words, declared=declared
        )
        self._stats.dropped += lost
        if written:
            self._handover.written()
            self._doubted = self._doubted and not settled

    def _save_high_water(self, now_ns: int) -> None:
        before = self._water.high_water_unsaved
        self._water.commit(self._reached, now_ns, on_disk=self._storage.disk is not None)
        if self._water.high_water_unsaved and not before:
            self._storage.notices.add(True, HIGH_WATER_UNSAVED)

    @property
    def high_water_unsaved(self) -> bool:
        """What was committed last would go with the power, and nothing on the card has it: a
        start behind that counts on from before it, and knows of no doubt."""
        return self._water.high_water_unsaved

    @property
    def _reached(self) -> HighWaterMark:
        return HighWaterMark(self._numbers.start.epoch, self._numbers.given)

    # -- reading ----------------------------------------------------------------------------------

    def pending(
        self, after_row: int = 0, limit: int = 200, *, urgent: bool = False
    ) -> list[StoredRecord]:
        """Rows that are not confirmed, the oldest first; damaged ones are declared lost.

        `urgent`: only events and registers.
        """
        found: list[StoredRecord] = []
        while not found:
            rows = self._storage.after(after_row, limit, urgent)
            if not rows:
                break
            found, damaged = self._read(rows)
            after_row = rows[-1].id
            if damaged:
                self._stats.damaged += len(damaged)
                self._losses.give_up(damaged, "damage", "checksum")
        return found

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
                found.append(StoredRecord(row.id, record, self._sent_before.maybe_sent(row.id)))
        return found, damaged

    def search(self, search: RowSearch) -> list[StoredRecord]:
        """One bounded step of it. Raises UnavailableError when the disk does not work, and they are
        not all in memory."""
        return self._read(self._storage.search(search))[0]

    def state(self, owner: str) -> StoredState | None:
        """What `owner` kept last: version and bytes. None when there is none, or it is damaged."""
        found = self._storage.memory.states.get(owner)
        if found is None:
            kept = self._storage.ask(lambda disk: disk.state(owner), None)
            try:
                found = None if kept is None else (kept[0], unpack_state(owner, *kept))
            except DamagedRowError:
                self._stats.damaged += 1
        if found is None and self._storage.disk is None:
            self._storage.owners.missed(owner)
        return found

    def marks(self, boot: int) -> list[Stamp]:
        """The clock map of a boot, at most 16 marks: the most trusted first, and among those the
        latest first; nothing when there is none."""
        return self._storage.read(lambda disk: clockmap.read_marks(disk, boot), [])

    def bounds(self, boot: int) -> tuple[int | None, int | None]:
        """Wall times (Unix ns) that a boot without a clock lies between, as far as others prove."""
        unknown: tuple[int | None, int | None] = (None, None)
        return self._storage.read(lambda disk: clockmap.boot_bounds(disk, boot), unknown)

    def counts(self) -> OutboxCounts:
        """How full it is, and what has happened since the start."""
        handover = self._handover
        return self._stats.counts(self._storage, handover.downsampler, handover.ranges.spans)

    def details(self) -> tuple[Sequence[Loss], Sequence[DeadLetter]]:
        """Losses that no event has declared yet, and dead letters."""
        return list_losses(self._losses.pending), self._storage.ask(list_dead_letters, ())

    @property
    def restart(self) -> str | None:
        """Why the daemon should be started anew, as a sentence for people."""
        return self._storage.owners.restart

    # -- handing over, and giving up --------------------------------------------------------------

    def linked(self, live_from: int = 0) -> None:
        """Before the first row of a new connection is handed over: rows from `live_from` on go in
        any order, so none of them merges any more; those before go by `take` alone."""
        self._handover.linked(live_from)

    def take(self, after_row: int, limit: int) -> list[StoredRecord]:
        """As `pending`, to be handed over: while a link is up none of these rows will merge."""
        found = self.pending(after_row, limit)
        if found and not self._handover.note_handed_over(found[-1].row):
            return self.pending(after_row, limit)
        return found

    def unlinked(self, last_row: int) -> None:
        """The connection is down; `last_row` is the last that was ever handed over."""
        self._handover.ranges.unlinked(last_row)

    def downsample(self) -> bool:
        """Merge some rows though there is room; whether there may be more. While the sender holds
        no row at all, not even one that was just committed."""
        return self._handover.downsample()

    def hold(self) -> int | None:
        """The file of the database stays as it is from now on, to be copied: its bytes. None: the
        disk does not work. None of its rows merges any more: who has the copy may send them."""
        if self._storage.disk is None:
            return None
        self._handover.copied(self._numbers.row)
        return self._storage.ask(DiskOutbox.hold, None)

    def let_go(self) -> bool:
        """The copy is made. Whether the file has stayed as it was."""
        return self._storage.ask(DiskOutbox.let_go, False)

    def dead_letter(self, row: int, why: str) -> None:
        """Give up a row that the broker refuses; its numbers are declared lost."""
        self._losses.refuse(row, why)

    def close(self) -> None:
        """The goodbye: the next start is not called unclean. What the disk does not take stays in
        tmpfs, for the next process."""
        self._sent_before = self._return.retry_at_end(self._sent_before)
        storage, clock = self._storage, self._storage.clock
        storage.readonly_disk.end()
        disk = storage.disk
        if disk is not None:
            try:
                with disk.transaction():
                    if clock is not None:
                        clockmap.write_mark(disk, self._numbers.start.boot, clock)
                    disk.set_meta({"clean": 1})
                if self._numbers.counters:
                    self._water.write_at_end(self._reached)
            except sqlite3.Error:
                pass  # then the next start says so
            disk.close()
            storage.disk = None
        self.journal.close()  # if nobody has: whoever sends has ended
