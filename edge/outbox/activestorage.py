"""What the rows lie on: the disk, or memory while the disk gives trouble. A disk that comes and
goes must not fill the outbox with events: sentences wait in a queue, and so many become one.
"""

import errno
import sqlite3
from collections import deque
from collections.abc import Callable, Sequence
from typing import Final, TypeVar

from edge.outbox.ballast import Ballast, free_bytes
from edge.outbox.database import ForeignOutboxError, OutboxBusyError, UnusableOutboxError
from edge.outbox.diskoutbox import DiskOutbox
from edge.outbox.memoryoutbox import MemoryOutbox
from edge.outbox.outboxfolder import OutboxFolder, describe_error, is_permanent
from edge.outbox.readonlydisk import READING_NOTICE, ReadOnlyDisk, is_read_only
from edge.outbox.rowformat import OutboxRow
from edge.outbox.rowsearch import RowSearch

Notice = tuple[bool, str]  # trouble, or the end of it; and what there is to say

NOTICE_LIMIT: Final = 16  # the latest ones count
NOTICES_PER_HOUR: Final = 12  # events in an hour; then sentences are held back
HOUR_NS: Final = 3_600_000_000_000
T = TypeVar("T")

PROBE_NS: Final = 30_000_000_000  # between two looks at a disk that failed or was full
MEMORY_BYTES: Final = 8 << 20  # bytes of rows kept while the disk does not work
FULL_BELOW_BYTES: Final = (
    4 << 20
)  # bytes; with less the file system is full, with more the outbox is
REPLACE_AFTER_FAILURES: Final = 2  # in a row, before a database counts as damaged


class NoticeQueue:
    """What was said, in order. Held back is all but the latest, and the next event counts it."""

    def __init__(self) -> None:
        self._notices: list[Notice] = []
        self._held = 0
        self._times: deque[int] = deque(
            maxlen=NOTICES_PER_HOUR
        )  # of the latest events, monotonic ns

    def add(self, on: bool, text: str) -> None:
        self._notices.append((on, text))
        self._held += max(0, len(self._notices) - NOTICE_LIMIT)
        del self._notices[:-NOTICE_LIMIT]

    def due(self, now_ns: int) -> Sequence[Notice]:
        """Those that may become events now."""
        while self._times and not 0 <= now_ns - self._times[0] < HOUR_NS:
            self._times.popleft()
        free = NOTICES_PER_HOUR - len(self._times)
        if len(self._notices) > free:  # whatever is left out, the last of them has how it stands
            keep = max(1, free)
            self._held += len(self._notices) - keep
            del self._notices[:-keep]
        if free <= 0:
            return ()
        notices = list(self._notices)
        if self._held:  # then there is at least one
            on, text = notices[0]
            notices[0] = on, f"{text} {self._held} more such messages before it were held back."
        return notices

    def mark_reported(self, count: int, now_ns: int) -> None:
        """So many have become events; those that are new since then wait on."""
        if count:
            self._held = 0
            self._times.extend([now_ns] * count)
            del self._notices[:count]


class ActiveStorage:
    """One place on disk with its ballast. Opening it never fails, except with OutboxBusyError."""

    def __init__(self, place: OutboxFolder, ballast_bytes: int) -> None:
        self._place = place
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

    def add_notice(self, on: bool, text: str) -> None:
        """For an event."""
        self.notices.add(on, text)

    def switch_to_memory(self, error: Exception) -> None:
        """Go on in memory. Nothing on disk is touched: CORRUPT after an I/O error heals."""
        if self.disk is not None:
            self.disk.close()
            self.disk = None
        self.in_memory = f"The outbox goes on in memory: {describe_error(error)}."
        self._open_readonly(error, at_once=False)
        self.add_notice(True, self.in_memory)
        self._probed_ns = 0

    def _open_readonly(self, error: Exception | None, *, at_once: bool = True) -> None:
        """What lies on the disk may be read still. Not `at_once`: only when it is read-only."""
        can = at_once or is_read_only(self._place.folder, error)
        can = can and self.readonly_disk.begin(error)
        self.in_memory = (self.in_memory or "").removesuffix(f" {READING_NOTICE}") + (
            f" {READING_NOTICE}" if can else ""
        )

    # -- meanwhile --------------------------------------------------------------------------------

    def after(self, row: int, limit: int, urgent: bool = False) -> list[OutboxRow]:
        """Rows in order of age: what lies in memory, and what can be read on the disk."""
        there, up_to = self.readonly_disk.after(row, limit, self.memory, urgent)
        here = (each for each in self.memory.after(row, limit, urgent) if each.id <= up_to)
        return sorted((*there, *here), key=lambda each: each.id)[:limit]

    def search(self, search: RowSearch) -> list[OutboxRow]:
        """One bounded step of it. Raises UnavailableError."""
        found = self.readonly_disk.search(search, self.memory)
        if found is None:
            return search.among(self.memory.rows.values())
        return [*found, *(search.also(self.memory.rows.values()) if search.done else ())]

    def tally(self) -> dict[str, int]:
        """Rows of each stream."""
        found = self.readonly_disk.tally(self.memory)
        for stream, rows in self.memory.tally().items():
            found[stream] = found.get(stream, 0) + rows
        return found

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
        self.add_notice(
            True,
            f"The file system of {self._place.folder} is full. The outbox goes on in the "
            f"{freed >> 10} KiB that were set aside for that: make room on it.",
        )
        return work()

    def _full(self, error: Exception) -> bool:
        """Whether it is the file system that is full: to SQLite its own limit is the same."""
        if isinstance(error, sqlite3.Error):
            code = getattr(error, "sqlite_errorcode", None)
            return code == sqlite3.SQLITE_FULL and free_bytes(self._place.folder) < FULL_BELOW_BYTES
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
                self.add_notice(
                    False, f"There is room again on the file system of {self._place.folder}."
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
            return self._place.connect(whole=True)
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
            self._place.probe_device()  # after an I/O error SQLite complains of what is not damaged
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
            self._place.probe_device()
            self._replaced = True
            moved = self._place.quarantine(self._error)
            self.lost = not isinstance(self._error, ForeignOutboxError)
            disk = self._place.connect()
        except (sqlite3.Error, UnusableOutboxError, OutboxBusyError, OSError) as error:
            self._open_readonly(error)
            return None
        if isinstance(self._error, ForeignOutboxError):
            self.add_notice(True, self._error.kept_as(moved))
        else:
            self.add_notice(
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
        self.add_notice(False, "The outbox is on disk again.")
        return True

    def new_memory(self) -> MemoryOutbox:
        """For as many rows as there may be."""
        return MemoryOutbox(min(MEMORY_BYTES, self._place.limit_bytes // 4))
