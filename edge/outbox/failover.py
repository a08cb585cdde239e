"""What the rows lie on: the disk, or memory while the disk gives trouble, and back.

What is asked of the disk has an answer for a time without one, and but for the plan of a start the
error that ends a disk's time is caught here. Who has to know whether there is one (a start, losses,
what may merge) looks at `disk`.
"""

import contextlib
import errno
import sqlite3
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Final, TypeVar

from edge.core import Stamp
from edge.core.numbers import Numbers
from edge.outbox.ballast import Ballast, free_bytes
from edge.outbox.clockmap import MarkThrottle, write_mark
from edge.outbox.commitlog import CommitLog, LoggedCommit
from edge.outbox.database import ForeignOutboxError, OutboxBusyError, UnusableOutboxError
from edge.outbox.diskoutbox import DiskOutbox
from edge.outbox.drops import PendingDrops
from edge.outbox.epochs import EpochStart, Numbering, update_epoch_file
from edge.outbox.eviction import DropLast, PackedDraft, fit_drafts
from edge.outbox.memoryoutbox import MemoryOutbox, OwnerStates, TrustedOwners
from edge.outbox.noticequeue import NoticeQueue
from edge.outbox.outboxfolder import OutboxFolder, describe_error, is_permanent
from edge.outbox.readonlydisk import READING_NOTICE, ReadOnlyDisk, is_read_only
from edge.outbox.rowformat import OutboxRow
from edge.outbox.rowsearch import RowSearch

T = TypeVar("T")

PROBE_NS: Final = 30_000_000_000  # between two looks at a disk that failed or was full
MEMORY_BYTES: Final = 8 << 20  # bytes of rows kept while the disk does not work
FULL_BELOW_BYTES: Final = (
    4 << 20
)  # bytes; with less the file system is full, with more the outbox is
REPLACE_AFTER_FAILURES: Final = 2  # in a row, before a database counts as damaged


class FailoverStorage:
    """One place on disk with its ballast, and memory with its log in `run_dir`. Opening it never
    fails, except with OutboxBusyError."""

    def __init__(self, place: OutboxFolder, run_dir: Path | None, ballast_bytes: int) -> None:
        self.place, self.run_dir = place, run_dir
        self.commit_log = CommitLog(run_dir)
        self.owners = TrustedOwners()
        self._marking = MarkThrottle()
        self.drops_unread = False  # nobody knows what the disk has to declare
        self.clock: Stamp | None = None  # of the latest commit that had one
        self.ballast = Ballast(place.folder, ballast_bytes)
        self.disk, self.opened = place.open()
        self.memory = self.new_memory()
        self.in_memory = self.opened.in_memory
        self.readonly_disk = ReadOnlyDisk(place)
        if self.disk is None:
            self._open_readonly(None, at_once=False)
        self.notices = NoticeQueue()  # trouble with the disk, not yet an event
        self._probed_ns = self._looked_ns = 0
        self._failures = 0  # in a row, of a database on a device that has proven to work
        self._error: Exception | None = None  # the last one
        self._replaced = False  # in this time in memory
        self.lost = False  # with what was put aside then: of records that were in it nobody knows

    def switch_to_memory(self, error: Exception) -> None:
        """Go on in memory. Nothing on disk is touched: CORRUPT after an I/O error heals."""
        if self.disk is not None:
            self.disk.close()
            self.disk = None
        self.in_memory = f"The outbox goes on in memory: {describe_error(error)}."
        self._open_readonly(error, at_once=False)
        self.notices.add(True, self.in_memory)
        self._probed_ns = 0

    def _open_readonly(self, error: Exception | None, *, at_once: bool = True) -> None:
        """What lies on the disk may be read still. Not `at_once`: only when it is read-only."""
        can = at_once or is_read_only(self.place.folder, error)
        can = can and self.readonly_disk.begin(error)
        self.in_memory = (self.in_memory or "").removesuffix(f" {READING_NOTICE}") + (
            f" {READING_NOTICE}" if can else ""
        )

    # -- asking and reading -----------------------------------------------------------------------

    def ask(self, question: Callable[[DiskOutbox], T], otherwise: T) -> T:
        """Something of the disk; `otherwise` when it does not work, from now on or already."""
        if self.disk is not None:
            try:
                return question(self.disk)
            except sqlite3.Error as error:
                self.switch_to_memory(error)
        return otherwise

    def read(self, question: Callable[[DiskOutbox], T], otherwise: T) -> T:
        """As `ask`, of what changes nothing: also of a disk that can be read and not written."""
        found = self.ask(question, None)
        if found is None and self.disk is None:
            found = self.readonly_disk.ask(question, None)
        return otherwise if found is None else found

    def write(self, work: Callable[[DiskOutbox], None]) -> None:
        """Durable on return, if the disk works."""
        self.ask(lambda disk: self.attempt(disk, work), None)

    def after(self, row: int, limit: int, urgent: bool = False) -> list[OutboxRow]:
        """Rows in order of age. Without a disk what lies in memory, and what can be read there."""
        found = self.ask(lambda disk: disk.after(row, limit, urgent), None)
        if found is not None:
            return found
        there, up_to = self.readonly_disk.after(row, limit, self.memory, urgent)
        here = (each for each in self.memory.after(row, limit, urgent) if each.id <= up_to)
        return sorted((*there, *here), key=lambda each: each.id)[:limit]

    def row(self, number: int) -> OutboxRow | None:
        """One that lies on a disk."""
        return self.read(lambda disk: disk.row(number), None)

    def search(self, search: RowSearch) -> list[OutboxRow]:
        """One bounded step of it. Raises UnavailableError when the disk does not work, and they are
        not all in memory."""
        found = self.ask(search.step, None)
        if found is not None:
            return found
        found = self.readonly_disk.search(search, self.memory)
        if found is None:
            return search.among(self.memory.rows.values())
        return [*found, *(search.also(self.memory.rows.values()) if search.done else ())]

    def tally(self) -> dict[str, int]:
        """Rows of each stream."""
        found = self.ask(DiskOutbox.tally, None)
        if found is not None:
            return found
        found = self.readonly_disk.tally(self.memory)
        for stream, rows in self.memory.tally().items():
            found[stream] = found.get(stream, 0) + rows
        return found

    # -- writing ----------------------------------------------------------------------------------

    def crowded(
        self,
        packed: Sequence[PackedDraft],
        spared: DropLast,
        lose: Callable[[DiskOutbox, Sequence[OutboxRow]], None],
        merge: Callable[[DiskOutbox], bool],
    ) -> set[int]:
        """The places of drafts for which there is no room, after older rows have made some: they
        merge, or are lost. Memory has its own way to make room."""
        limit = self.place.limit_bytes
        return self.ask(
            lambda disk: fit_drafts(
                disk, packed, limit, partial(lose, disk), partial(merge, disk), spared
            ),
            set[int](),
        )

    def commit(
        self,
        numbers: Numbering,
        commit: LoggedCommit,
        durable: OwnerStates,
        gone: Sequence[int],
        unconfirmed: Collection[int],
        words: Mapping[str, str],
        *,
        declared: bool,
    ) -> tuple[bool, int]:
        """One transaction, with the numbers from before it; `reached` is its last row. On the
        disk lie only states that are `durable`, and `words` in the table `meta`; `declared`: what
        is to be declared has changed. Whether the disk has it, and how many records were lost
        because memory has no room."""
        start, clock, written = numbers.start, commit.mark, False

        def write(disk: DiskOutbox) -> None:
            nonlocal written
            mark = clock if clock is not None and self._marking.due(disk, clock) else None
            with disk.transaction():
                disk.delete(gone)
                disk.count_up(start.epoch, start.boot, numbers.counters, commit.counters)
                disk.insert(commit.rows)
                disk.set_states(durable)
                if mark is not None:
                    write_mark(disk, start.boot, mark)
                if declared:
                    disk.set_drops(commit.drops)
                if words:
                    disk.set_meta(words)
            written = True
            if mark is not None:
                self._marking.written(disk, mark)

        if commit.rows or commit.counters or commit.states or gone or declared:
            # when it fails it is unknown whether the transaction is on disk; the same rows with
            # the same numbers go to memory, so both answers are right
            self.write(write)
        lost = (
            0
            if self.disk is not None
            else self._commit_in_memory(numbers, commit, gone, unconfirmed)
        )
        return written, lost

    def begin_in_memory(self, numbers: Numbering, drops: PendingDrops) -> None:
        """At a start that finds no disk: the log knows of it."""
        self.owners.known = self.owners.known or frozenset()
        begun = LoggedCommit(drops=drops, reached=numbers.row)
        self._commit_in_memory(numbers, begun, (), ())

    def _commit_in_memory(
        self,
        numbers: Numbering,
        commit: LoggedCommit,
        gone: Sequence[int],
        unconfirmed: Collection[int],
    ) -> int:
        memory = self.memory
        # the commit that failed may be on disk all the same
        memory.reached = memory.reached or commit.reached
        memory.reached = max(memory.reached, self.readonly_disk.top)
        forgotten = memory.forgotten_count
        lost = memory.write(
            commit.rows, commit.states, gone, commit.drops, unconfirmed.__contains__
        )
        if memory.forgotten_count and not forgotten:
            self.notices.add(True, "So much was confirmed meanwhile that some of it is sent again.")
        out, memory.unlogged_removals = memory.unlogged_removals.ranges(), Numbers()
        kept = [row for row in commit.rows if row.id in memory.rows]
        was, reached = self.commit_log.trouble, memory.reached
        self.commit_log.commit(
            numbers.start,
            self.owners.known,
            self.drops_unread,
            memory.size,
            replace(commit, rows=kept, out=out, reached=reached),
            LoggedCommit(
                memory.rows.values(), memory.states, memory.removed.ranges(), reached,
                {**numbers.counters, **commit.counters}, commit.drops, commit.mark or self.clock,
            ),
        )  # fmt: skip
        if self.commit_log.trouble is not None and was is None:
            self.notices.add(True, self.commit_log.trouble)
        return lost

    def keep_epoch_file(self, start: EpochStart) -> None:
        """Behind the database: one that is behind its epoch file has lost its last start."""
        try:
            self.attempt_without_ballast(partial(update_epoch_file, self.place.folder, start))
        except OSError as error:
            text = f"The file of epochs cannot be written: {error.strerror}."
            self.notices.add(True, text)
        if self.run_dir is not None:  # for a start that finds no disk in this boot
            with contextlib.suppress(OSError):
                update_epoch_file(self.run_dir, start)

    # -- a full disk ------------------------------------------------------------------------------

    def attempt(self, disk: DiskOutbox, work: Callable[[DiskOutbox], T]) -> T:
        """Do something that writes; on a full file system once more without the ballast.

        Raises sqlite3.Error, and OSError if `work` does.
        """
        done = self.attempt_without_ballast(lambda: work(disk))
        self.attempt_without_ballast(disk.trim)
        return done

    def attempt_without_ballast(self, work: Callable[[], T]) -> T:
        """As `attempt`, for what is not the database."""
        try:
            return work()
        except (sqlite3.Error, OSError) as error:
            if not self._full(error):
                raise
            freed = self.ballast.size
            if not self.ballast.give_up():
                raise
        self.notices.add(
            True,
            f"The file system of {self.place.folder} is full. The outbox goes on in the "
            f"{freed >> 10} KiB that were set aside for that: make room on it.",
        )
        return work()

    def _full(self, error: Exception) -> bool:
        """Whether it is the file system that is full: to SQLite its own limit is the same."""
        if isinstance(error, sqlite3.Error):
            code = getattr(error, "sqlite_errorcode", None)
            return code == sqlite3.SQLITE_FULL and free_bytes(self.place.folder) < FULL_BELOW_BYTES
        return isinstance(error, OSError) and error.errno == errno.ENOSPC

    # -- looking again ----------------------------------------------------------------------------

    def rebuild_ballast(self, mono_ns: int) -> None:
        """The ballast that was given up, or found no room, comes back when there is some."""
        if not self.ballast.missing or self.disk is None:
            return
        if self._looked_ns == 0 or mono_ns < self._looked_ns:
            self._looked_ns = mono_ns
        if mono_ns - self._looked_ns >= PROBE_NS:
            self._looked_ns = mono_ns
            was_given_up = self.ballast.given_up
            if self.ballast.build() and was_given_up:
                self.notices.add(
                    False, f"There is room again on the file system of {self.place.folder}."
                )

    def probe(self, mono_ns: int, *, now: bool = False) -> DiskOutbox | None:
        """Try a failed disk again, twice a minute, or `now`."""
        if self.disk is not None:
            return None
        if self._probed_ns == 0 or mono_ns < self._probed_ns:
            self._probed_ns = mono_ns
        if mono_ns - self._probed_ns < PROBE_NS and not now:
            return None
        self._probed_ns = mono_ns
        self.readonly_disk.end()
        try:
            return self.place.connect(whole=True)
        except (sqlite3.Error, UnusableOutboxError, OutboxBusyError, OSError, ValueError) as error:
            self.failed(error)
            self._open_readonly(error)
        return None

    def failed(self, error: Exception) -> None:
        """The database could not be opened, or does not take what memory holds."""
        self._error = error
        if not is_permanent(error):
            self._failures = 0
            return
        try:
            self.place.probe_device()  # after an I/O error SQLite complains of what is not damaged
        except OSError:
            self._failures = 0
        else:
            self._failures += 1

    def replace(self) -> DiskOutbox | None:
        """A new database, once the old one has failed twice, whole and opened anew, on a device
        that works. Only once in a time in memory: when the new one fails too, the old one was not
        to blame."""
        if self._failures < REPLACE_AFTER_FAILURES or self._replaced:
            return None
        self.readonly_disk.end()
        try:
            self.place.probe_device()
            self._replaced = True
            moved = self.place.quarantine(self._error)
            self.lost = not isinstance(self._error, ForeignOutboxError)
            disk = self.place.connect()
        except (sqlite3.Error, UnusableOutboxError, OutboxBusyError, OSError) as error:
            self._open_readonly(error)
            return None
        if isinstance(self._error, ForeignOutboxError):
            self.notices.add(True, self._error.kept_as(moved))
        else:
            self.notices.add(
                True, "The outbox was damaged: it has been put aside, and a new one begun."
            )
        return disk

    def switch_to_disk(self, disk: DiskOutbox, catch_up: Callable[[DiskOutbox], None]) -> bool:
        """Go on with a disk that works again, if it takes what memory holds. Whether it does."""
        try:
            disk.mend()
            catch_up(disk)
        except (sqlite3.Error, OSError) as error:
            disk.close()
            self.failed(error)
            self._open_readonly(error)
            return False
        self.disk, self.memory = disk, self.new_memory()
        self.in_memory, self._failures, self._replaced = None, 0, False
        self.drops_unread = False  # `catch_up` has merged them
        self.notices.add(False, "The outbox is on disk again.")
        return True

    def new_memory(self) -> MemoryOutbox:
        """For as many rows as there may be."""
        return MemoryOutbox(min(MEMORY_BYTES, self.place.limit_bytes // 4))
