"""In memory while the disk gives trouble, and back: what is kept meanwhile, and what is made of
what a process before this one had to leave there."""

import contextlib
import sqlite3
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Final

from edge.core import StoredState
from edge.core.numbers import Numbers
from edge.outbox.activestorage import ActiveStorage
from edge.outbox.catchup import PendingChanges, catch_up, merge_drops
from edge.outbox.commitlog import (
    ABSORBED_KEY,
    COMMIT_LOG_NAME,
    CommitLog,
    LoggedCommit,
    RecoveredLog,
    recover_commit_log,
)
from edge.outbox.deliveryjournal import DeliveryJournal, recover_journal
from edge.outbox.diskoutbox import DiskOutbox
from edge.outbox.downsample import MergeBodies
from edge.outbox.drops import DropRange, PendingDrops
from edge.outbox.epochs import EpochStart, plan_epoch, update_epoch_file
from edge.outbox.memoryoutbox import OwnerStates
from edge.outbox.mergeable import META_KEY, ranges_after
from edge.outbox.outboxfolder import OutboxFolder, owner_label, set_aside_commit_log
from edge.outbox.outboxrows import OutboxRows
from edge.outbox.rowformat import (
    INFINITE,
    ClockMark,
    DamagedRowError,
    OutboxRow,
    StoredRecord,
    try_record,
)
from edge.outbox.storefiles import EpochFile, read_epoch_file

STATES_INTERVAL_NS: Final = (
    3_600_000_000_000  # so long states of a start that was blind stay off the disk
)
RESTART_NOTICE: Final = (
    "The outbox could not be read at this start and works now. Restart the daemon, so that it "
    "goes on from the totals that lie there."
)


TORN_NOTICE: Final = (
    "What the outbox had kept in memory is damaged in the run directory: some of it is lost."
)


class FailoverStorage(OutboxRows):
    """The rows of an outbox with a second place to lie in."""

    def __init__(
        self,
        place: OutboxFolder,
        storage: ActiveStorage,
        merge: MergeBodies | None,
        boot_id: str,
        run_dir: Path | None,
    ) -> None:
        # who asks for nobody's in particular goes on in the journal of whose database it is
        owner = place.owner or (storage.disk.owner if storage.disk is not None else "")
        self._owner = owner
        super().__init__(place, storage, DeliveryJournal(run_dir, owner), merge)
        self._sent_before = recover_journal(run_dir, owner)
        self.opened = storage.opened
        self.handed: list[StoredRecord] = []  # confirmed before the last process was killed
        self._boot_id, self._run_dir = boot_id, run_dir
        self._row = 0
        self._next: dict[str, int] = {}  # the counter rows, as they are on disk
        declared = self._ask(DiskOutbox.drops, None)
        self._unread = declared is None  # nobody knows what the disk has to declare
        self._drops = PendingDrops() if declared is None else declared
        self._commit_log = CommitLog(run_dir)
        self._clock: ClockMark | None = None
        # owners that could go on from their states; None: all, because the disk was there
        self._known: frozenset[str] | None = None
        self._missed: set[str] = set()  # owners who asked for their state in vain
        self._withheld: set[str] = set()  # owners whose state on disk is better than the new one
        self._withheld_ns = 0  # since when

    @property
    def restart(self) -> str | None:
        """Why the daemon should be started anew, as a sentence for people."""
        return RESTART_NOTICE if self._withheld else None

    # -- a start ----------------------------------------------------------------------------------

    def _plan(self) -> EpochStart:
        """The next start, with what the one before it has left in memory."""
        storage, folder = self._storage, self._place.folder
        recovered, torn = self._left_in_memory()
        if (
            recovered is not None
            and self._ask(lambda disk: disk.word(ABSORBED_KEY, 0), 0) == recovered.token
        ):
            recovered = None  # it is on disk, and was not removed any more
        others = [] if self._run_dir is None else [read_epoch_file(self._run_dir)]
        former = None
        if recovered is not None:
            others.append(
                EpochFile(recovered.number, recovered.boot, recovered.boot_id, recovered.epoch)
            )
            former = recovered.latest()
            if recovered.drops_unread:
                merge_drops(recovered.drops, self._drops)
            # else it had read them, and has declared some of them since
            self._unread = self._unread and recovered.drops_unread
            self._drops = recovered.drops
            self._adopt_commit_log(recovered)
        try:
            start = plan_epoch(
                storage.disk, folder, self._boot_id, others, former, self._place.owner
            )
        except sqlite3.Error as error:
            storage.switch_to_memory(error)
            start = plan_epoch(None, folder, self._boot_id, others, former, self._place.owner)
        if torn:
            storage.add_notice(True, TORN_NOTICE)
            if start.previous_epoch:
                self._drops[start.previous_epoch, "*", "damage"] = DropRange(1, None, None)
        if recovered is not None and storage.disk is None:
            self._adopt(recovered)
            start = replace(start, unclean=not recovered.clean)
        elif recovered is not None or storage.disk is not None:
            self._commit_log.remove()
        return start

    def _left_in_memory(self) -> tuple[RecoveredLog | None, bool]:
        """What the process before had no disk for, and whether some of it cannot be read. What is
        another owner's is put aside."""
        owner = self._place.owner
        try:
            recovered = recover_commit_log(self._run_dir, self._storage.new_memory())
        except DamagedRowError:
            return None, True
        if recovered is None or owner is None or recovered.owner in ("", owner):
            return recovered, recovered is not None and recovered.damaged
        self._keep_memory_of(recovered)
        return None, False

    def _keep_memory_of(self, recovered: RecoveredLog) -> None:
        """Of another owner. On the disk, if it works: a tmpfs goes with the power."""
        if self._run_dir is None:
            return
        path, where = self._run_dir / COMMIT_LOG_NAME, self._place.folder
        text = f"{path} is {recovered.owner}'s, with {len(recovered.memory.rows)} records"
        try:
            to = where if self._disk is not None else self._run_dir
            kept = set_aside_commit_log(path, to, owner_label(recovered.owner))
        except OSError as error:
            self._storage.add_notice(True, f"{text}; it cannot be kept: {error.strerror}.")
        else:
            self._storage.add_notice(True, f"{text}: it is kept as {kept}.")

    def _adopt_commit_log(self, recovered: RecoveredLog) -> None:
        """To the disk, if it works."""
        start = EpochStart(
            recovered.number, recovered.epoch, recovered.boot, recovered.boot_id,
            False, None, False, 0, owner=recovered.owner,
        )  # fmt: skip
        known = recovered.trusted_owners
        words: dict[str, int | str] = {"clean": int(recovered.clean), META_KEY: ""}
        pending = PendingChanges(
            start, recovered.memory, recovered.counters, self._drops, (),
            recovered.mark, recovered.token,
            spared=lambda owner: known is not None and owner not in known, words=words,
        )  # fmt: skip
        self._ask(lambda disk: bool(self._catch_up(disk, pending)), False)

    def _adopt(self, recovered: RecoveredLog) -> None:
        """Its rows lie in memory still, and go on lying there."""
        self._storage.memory = recovered.memory
        self._known = (
            frozenset(recovered.memory.states)
            if recovered.trusted_owners is None
            else recovered.trusted_owners
        )
        for number in sorted(self._sent_before.confirmed & recovered.memory.rows.keys()):
            record = try_record(recovered.memory.rows[number])
            if record is not None:
                self.handed.append(StoredRecord(number, record, redelivered=True))

    def _begun(self) -> None:
        """At the end of a start."""
        if self._disk is None:
            self._known = self._known or frozenset()
            self._commit_to_memory((), {}, (), {}, self._drops, None, ())

    def _keep_epoch_file(self) -> None:
        """Behind the database: one that is behind its epoch file has lost its last start."""
        try:
            self._storage.attempt_without_ballast(
                partial(update_epoch_file, self._place.folder, self._start)
            )
        except OSError as error:
            text = f"The file of epochs cannot be written: {error.strerror}."
            self._storage.add_notice(True, text)
        if self._run_dir is not None:  # for a start that finds no disk in this boot
            with contextlib.suppress(OSError):
                update_epoch_file(self._run_dir, self._start)

    # -- meanwhile --------------------------------------------------------------------------------

    def state(self, owner: str) -> StoredState | None:
        found = super().state(owner)
        if found is None and self._disk is None:
            self._missed.add(owner)
        return found

    def _disk_state_is_better(self, owner: str) -> bool:
        """Whether a state on disk would be the better one: nobody could go on from it."""
        unread = self._known is not None and owner not in self._known
        return unread or owner in self._missed

    def _without_withheld(self, states: OwnerStates, clock: ClockMark | None) -> OwnerStates:
        """What of them may go to the disk."""
        if not self._withheld:
            return states
        if clock is not None and not 0 <= clock.mono_ns - self._withheld_ns < STATES_INTERVAL_NS:
            self._withheld.clear()  # nobody has started the daemon anew: these totals are the truth
        return {owner: state for owner, state in states.items() if owner not in self._withheld}

    def _commit_to_memory(
        self,
        rows: Sequence[OutboxRow],
        states: OwnerStates,
        gone: Iterable[int],
        following: Mapping[str, int],
        drops: PendingDrops,
        clock: ClockMark | None,
        flying: Collection[int],
    ) -> None:
        """One commit while the disk does not work."""
        memory = self._storage.memory
        # the commit that failed may be on disk all the same
        memory.reached = memory.reached or self._row + len(rows)
        memory.reached = max(memory.reached, self._storage.readonly_disk.top)
        forgotten = memory.forgotten_count
        self._stats.dropped += memory.write(rows, states, gone, drops, flying.__contains__)
        if memory.forgotten_count and not forgotten:
            self._storage.add_notice(
                True, "So much was confirmed meanwhile that some of it is sent again."
            )
        out, memory.unlogged_removals = memory.unlogged_removals.ranges(), Numbers()
        kept = [row for row in rows if row.id in memory.rows]
        counters = {**self._next, **following}
        was, reached = self._commit_log.trouble, memory.reached
        self._commit_log.commit(
            self._start,
            self._known,
            self._unread,
            memory.size,
            LoggedCommit(kept, states, out, reached, following, drops, clock),
            LoggedCommit(
                memory.rows.values(), memory.states, memory.removed.ranges(), reached, counters,
                drops, clock or self._clock,
            ),
        )  # fmt: skip
        if self._commit_log.trouble is not None and was is None:
            self._storage.add_notice(True, self._commit_log.trouble)

    # -- a disk that works again ------------------------------------------------------------------

    def _retry_disk(self, clock: ClockMark) -> None:
        storage, self._clock = self._storage, clock
        storage.rebuild_ballast(clock.mono_ns)
        disk = storage.probe(clock.mono_ns)
        if disk is not None:
            self._return_to(disk)
        if storage.disk is None and (disk := storage.replace()) is not None:
            if storage.lost:
                self._drops[self._start.epoch, "*", "damage"] = DropRange(1, None, None)
            self._return_to(disk)

    def _retry_disk_at_end(self) -> None:
        """The process ends: what the disk does not take stays in tmpfs, for the next one."""
        disk = self._storage.probe(self._clock.mono_ns if self._clock else 0, now=True)
        if disk is not None:
            self._return_to(disk)
        self._commit_log.mark_clean()

    def _return_to(self, disk: DiskOutbox) -> None:
        """Raises nothing: when it fails again, all of it stays in memory."""
        word = self._mergeable_text()
        before = self._sent_before.for_start(self._start.number << 32, disk.token)
        pending = PendingChanges(
            self._start, self._storage.memory, self._next, self._drops, before.confirmed,
            self._clock, self._commit_log.token, self._unread,
            self._disk_state_is_better, {META_KEY: word},
        )  # fmt: skip
        spared: set[str] = set()
        if not self._storage.switch_to_disk(
            disk, lambda disk: spared.update(self._catch_up(disk, pending))
        ):
            return
        if before != self._sent_before:
            self._sent_before = before
            self.journal.continue_from(before)
        self._keep_epoch_file()
        self._commit_log.remove()
        self._mergeable.text_on_disk = word
        self._withheld_ns = self._clock.mono_ns if self._clock else 0
        self._withheld, self._unread, self._known = spared, False, None
        self._missed.clear()
        if self._ask(lambda disk: disk.word("starts", 0), 0) != self._start.number:
            self._downsampler = None  # rows behind ours were handed over, nobody knows how many

    def _catch_up(self, disk: DiskOutbox, pending: PendingChanges) -> set[str]:
        """Whose states were spared. Raises sqlite3.Error."""
        lost, spared = catch_up(
            disk,
            pending,
            self._place.limit_bytes,
            self._storage.attempt,
            partial(self._downsample, disk),
        )
        self._stats.dropped += lost
        return spared

    def downsample(self) -> bool:
        """As below, though there is room: each byte on the way costs. While the sender holds no
        row at all, not even one that was just committed."""
        return bool(self._ask(lambda disk: self._downsample(disk, INFINITE), False))

    def _downsample(self, disk: DiskOutbox, settled: int | None = None) -> bool:
        """One step of downsampling; whether another one may gain more. Raises sqlite3.Error."""
        downsampler = self._downsampler
        if downsampler is None:
            return False
        spans = self._mergeable.spans
        if settled == INFINITE and self._start.unclean and not self._start.same_boot:
            # the disk may have been read-only at the end, and rows gone from it: see `ReadOnlyDisk`
            spans = ranges_after(spans, self._start.number << 32)
        settled = self._mergeable.settled if settled is None else settled
        return self._storage.attempt(disk, lambda disk: downsampler.step(disk, spans, settled))
