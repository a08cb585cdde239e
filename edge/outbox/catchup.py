"""Bringing what memory holds to a disk that works again, a bounded number of rows at a time.

Nothing is lost half way: the rows stay in memory until the disk has all of them, and a row that
the disk has already stays as it is. A counter moves with the rows that it counts: a power cut half
way leaves none that names a number which is neither there nor declared.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Final

from edge.core import Stamp
from edge.core.numbers import Range
from edge.outbox.clockmap import write_mark
from edge.outbox.commitlog import ABSORBED_KEY, RecoveredLog
from edge.outbox.deliveryjournal import DeliveryJournal, RecoveredJournal
from edge.outbox.diskoutbox import DiskOutbox
from edge.outbox.drops import PendingDrops
from edge.outbox.epochs import EpochStart, Numbering, mark_running
from edge.outbox.eviction import (
    EVICT_BATCH_ROWS,
    EVICT_MARGIN_BYTES,
    DownsampleStep,
    evict_rows,
    row_bytes,
)
from edge.outbox.failover import FailoverStorage
from edge.outbox.handover import META_KEY, Handover
from edge.outbox.losses import Losses
from edge.outbox.memoryoutbox import MemoryOutbox
from edge.outbox.outboxstats import OutboxStats
from edge.outbox.rowformat import OutboxRow

DELETE_BATCH_ROWS: Final = 2000  # rows that are deleted in one transaction
INSERT_BATCH_BYTES: Final = 512 << 10  # bytes of bodies in one transaction

Attempt = Callable[[DiskOutbox, Callable[[DiskOutbox], None]], None]
"""Do something that writes; perhaps twice. Raises sqlite3.Error."""


@dataclass(slots=True)
class PendingChanges:
    """What the disk does not know. `drops` grows by what does not fit.

    `unread`: nobody has read what the disk has to declare, so the two are merged. `spared` says
    of an owner whether its state on the disk, if there is one, is the better one.
    """

    start: EpochStart
    memory: MemoryOutbox
    counters: Mapping[str, int]
    drops: PendingDrops
    confirmed: Collection[int]
    mark: Stamp | None
    token: int  # of the log in tmpfs
    unread: bool = False
    spared: Callable[[str], bool] = lambda owner: False
    words: Mapping[str, int | str] = field(default_factory=dict)  # more of the table `meta`


class DiskReturn:
    """Looks for a disk that works again, and brings it what memory holds. Raises nothing: when it
    fails again, all of it stays in memory."""

    def __init__(
        self,
        storage: FailoverStorage,
        losses: Losses,
        handover: Handover,
        stats: OutboxStats,
        numbers: Numbering,
        journal: DeliveryJournal,
    ) -> None:
        self._storage, self._losses, self._handover = storage, losses, handover
        self._stats, self._numbers, self._journal = stats, numbers, journal

    def absorb(self, left: RecoveredLog) -> None:
        """What the process before had in memory goes to the disk, if it works."""
        start = EpochStart(
            left.number, left.epoch, left.boot, left.boot_id, False, None, False, 0,
            owner=left.owner,
        )  # fmt: skip
        known = left.trusted_owners
        pending = PendingChanges(
            start, left.memory, left.counters, self._losses.pending, (), left.mark, left.token,
            spared=lambda owner: known is not None and owner not in known,
            words={"clean": int(left.clean), META_KEY: ""},
        )  # fmt: skip
        self._storage.ask(lambda disk: bool(self._catch_up(disk, pending)), False)

    def retry(self, clock: Stamp, sent: RecoveredJournal) -> RecoveredJournal:
        """Look for it, if it is time. What counts as sent before from now on: that is of the disk
        that is there."""
        storage = self._storage
        storage.clock = clock
        storage.rebuild_ballast(clock.mono_ns)
        disk = storage.probe(clock.mono_ns)
        if disk is not None:
            sent = self._return_to(disk, sent)
        if storage.disk is None and (disk := storage.replace()) is not None:
            if storage.lost:
                self._losses.pending.lose_epoch(self._numbers.start.epoch)
            sent = self._return_to(disk, sent)
        return sent

    def retry_at_end(self, sent: RecoveredJournal) -> RecoveredJournal:
        """The process ends: what the disk does not take stays in tmpfs, for the next one."""
        clock = self._storage.clock
        disk = self._storage.probe(clock.mono_ns if clock else 0, now=True)
        if disk is not None:
            sent = self._return_to(disk, sent)
        self._storage.commit_log.mark_clean()
        return sent

    def _return_to(self, disk: DiskOutbox, sent: RecoveredJournal) -> RecoveredJournal:
        storage, losses, owners = self._storage, self._losses, self._storage.owners
        start, clock = self._numbers.start, storage.clock
        before = sent.for_start(start.number << 32, disk.token)
        pending = PendingChanges(
            start, storage.memory, self._numbers.counters, losses.pending, before.confirmed, clock,
            storage.commit_log.token, storage.drops_unread, owners.disk_state_is_better,
            self._handover.words(),
        )  # fmt: skip
        spared: set[str] = set()
        if not storage.switch_to_disk(
            disk, lambda disk: spared.update(self._catch_up(disk, pending))
        ):
            return sent
        if before != sent:
            self._journal.continue_from(before)
        storage.keep_epoch_file(start)
        storage.commit_log.remove()
        self._handover.written()
        owners.on_disk_again(spared, clock.mono_ns if clock else 0)
        if storage.ask(lambda disk: disk.word("starts", 0), 0) != start.number:
            self._handover.stop_merging()
        return before

    def _catch_up(self, disk: DiskOutbox, pending: PendingChanges) -> set[str]:
        """Whose states were spared. Raises sqlite3.Error."""
        limit, merge = self._storage.place.limit_bytes, partial(self._handover.make_room, disk)
        lost, spared = catch_up(disk, pending, limit, self._storage.attempt, merge)
        self._stats.dropped += lost
        return spared


def catch_up(
    disk: DiskOutbox,
    pending: PendingChanges,
    limit_bytes: int,
    attempt: Attempt,
    downsample: DownsampleStep,
) -> tuple[int, set[str]]:
    """How many records were lost for want of room, and whose states were spared.

    Raises sqlite3.Error.
    """
    memory, drops, start = pending.memory, pending.drops, pending.start
    memory.mark_write_begun()
    if pending.unread:
        drops.merge(disk.drops())
    spared = {o for o in memory.states if pending.spared(o) and disk.state(o) is not None}

    gone = memory.removed.ranges()

    def forget(disk: DiskOutbox) -> None:
        nonlocal gone
        with disk.transaction():
            left = _delete_gone(disk, gone)
        gone = left

    def begin(disk: DiskOutbox) -> None:
        nonlocal gone
        with disk.transaction():
            in_order = start.boot >= disk.word("boots", 0)
            mark_running(disk, start)
            # what memory has given up leaves with its declaration, never before it
            left = _delete_gone(disk, gone)
            disk.delete(pending.confirmed)
            disk.set_states({o: s for o, s in memory.states.items() if o not in spared})
            if pending.mark is not None and in_order:  # else it would bound the wrong boots
                write_mark(disk, start.boot, pending.mark)
            disk.set_drops(drops)
            disk.set_meta(pending.words)
        gone = left

    attempt(disk, begin)
    while gone:
        attempt(disk, forget)
    lost = 0
    for batch in _batches(memory):
        lost += _insert_batch(disk, batch, pending, limit_bytes, attempt, downsample)

    def end(disk: DiskOutbox) -> None:
        with disk.transaction():
            disk.set_counters(
                start.epoch, start.boot, pending.counters
            )  # of what has left again, too
            disk.set_meta({ABSORBED_KEY: pending.token})

    attempt(disk, end)
    return lost, spared


def _delete_gone(disk: DiskOutbox, gone: Sequence[Range]) -> list[Range]:
    """Delete DELETE_BATCH_ROWS rows of what has left meanwhile, which may be all that lay there;
    inside a transaction. What of the ranges remains to be done."""
    left, room = list(gone), DELETE_BATCH_ROWS
    while left and room > 0:
        done = disk.delete_between(*left[-1], room)
        if done < room:
            left.pop()
        room -= done
    return left


def _batches(memory: MemoryOutbox) -> Iterator[list[OutboxRow]]:
    """Each of one class, the highest first: what does not fit is of a lower one."""
    batch: list[OutboxRow] = []
    size = 0
    for row in sorted(memory.rows.values(), key=lambda row: (-row.level, row.id)):
        full = len(batch) >= EVICT_BATCH_ROWS or size + len(row.body) > INSERT_BATCH_BYTES
        if batch and (full or batch[0].level != row.level):
            yield batch
            batch, size = [], 0
        batch.append(row)
        size += len(row.body)
    if batch:
        yield batch


def _insert_batch(
    disk: DiskOutbox,
    batch: list[OutboxRow],
    pending: PendingChanges,
    limit_bytes: int,
    attempt: Attempt,
    downsample: DownsampleStep,
) -> int:
    """One transaction, and those that make room for it; how many records were lost."""
    memory, drops = pending.memory, pending.drops
    lost = 0

    def lose(rows: Sequence[OutboxRow]) -> None:
        nonlocal lost
        for row in rows:
            memory.remove(row.id)  # if an attempt before this one has brought it there
            lost += drops.lose(row, "full")
        attempt(disk, partial(_delete, rows=rows, drops=drops))

    need = EVICT_MARGIN_BYTES + sum(row_bytes(row.body) for row in batch)
    fitting = batch
    if not evict_rows(disk, need, batch[0].level, limit_bytes, lose, downsample):
        room = disk.room() - EVICT_MARGIN_BYTES
        cut = 0
        while cut < len(batch) and (room := room - row_bytes(batch[cut].body)) >= 0:
            cut += 1
        fitting = batch[:cut]
        for row in batch[cut:]:
            lost += memory.lose(row, "full", drops)
    fitting = [row for row in fitting if row.id in memory.rows]
    without = [row for row in batch if row.id not in memory.rows]  # an attempt may have brought it

    def insert(disk: DiskOutbox) -> None:
        with disk.transaction():
            disk.insert(fitting)
            if without:
                disk.delete(row.id for row in without)
                disk.set_drops(drops)
            for (epoch, boot), counters in _counters(batch).items():
                disk.set_counters(epoch, boot, counters)

    attempt(disk, insert)
    return lost


def _counters(rows: Sequence[OutboxRow]) -> dict[tuple[int, int], dict[str, int]]:
    """By epoch and boot: the numbers that follow these rows, whose streams are in order."""
    found: dict[tuple[int, int], dict[str, int]] = {}
    for row in rows:
        found.setdefault((row.epoch, row.boot), {})[row.stream] = row.seq + 1
    return found


def _delete(disk: DiskOutbox, rows: Sequence[OutboxRow], drops: PendingDrops) -> None:
    with disk.transaction():
        disk.delete(row.id for row in rows)
        disk.set_drops(drops)
