"""What the rows lie on: the disk, or memory while the disk gives trouble."""

import errno
import sqlite3
from collections.abc import Callable
from typing import Final, TypeVar

from edge.store.ballast import Ballast, free_bytes
from edge.store.database import BusyError, ForeignError
from edge.store.disk import Disk
from edge.store.memory import Memory
from edge.store.place import Place, explain, failed_for_good

T = TypeVar("T")

PROBE_NS: Final = 30_000_000_000  # between two looks at a disk that failed or was full
MEMORY: Final = 8 << 20  # bytes of rows kept while the disk does not work
FULL: Final = 4 << 20  # bytes; with less the file system is full, with more the outbox is
SAID: Final = 16  # sentences that wait to become events


class Medium:
    """One place on disk with its ballast. Opening it never fails, except with BusyError."""

    def __init__(self, place: Place, ballast_bytes: int) -> None:
        self._place = place
        self.ballast = Ballast(place.folder, ballast_bytes)
        self.disk, self.opened = place.open()
        self.memory = self._empty()
        self.ram = self.opened.ram
        self.said: list[tuple[bool, str]] = []  # trouble with the disk, not yet an event
        self._probed_ns = self._looked_ns = 0
        self._failures = 0

    def say(self, on: bool, text: str) -> None:
        """For an event; the latest ones count."""
        self.said.append((on, text))
        del self.said[:-SAID]

    def fall(self, error: Exception) -> None:
        """Go on in memory. Nothing on disk is touched: CORRUPT after an I/O error heals."""
        if self.disk is not None:
            self.disk.close()
            self.disk = None
        self.ram = f"The outbox goes on in memory: {explain(error)}."
        self.say(True, self.ram)
        self._probed_ns = 0

    # -- a full disk ------------------------------------------------------------------------------

    def attempt(self, disk: Disk, work: Callable[[Disk], T]) -> T:
        """Do something that writes; on a full file system once more without the ballast.

        Raises sqlite3.Error, and OSError if `work` does.
        """
        done = self.rescued(lambda: work(disk))
        self.rescued(disk.trim)
        return done

    def rescued(self, work: Callable[[], T]) -> T:
        """As `attempt`, for what is not the database."""
        try:
            return work()
        except (sqlite3.Error, OSError) as error:
            if not self._full(error):
                raise
            freed = self.ballast.size
            if not self.ballast.give_up():
                raise
        self.say(
            True,
            f"The file system of {self._place.folder} is full. The outbox goes on in the "
            f"{freed >> 10} KiB that were set aside for that: make room on it.",
        )
        return work()

    def _full(self, error: Exception) -> bool:
        """Whether it is the file system that is full: to SQLite its own limit is the same."""
        if isinstance(error, sqlite3.Error):
            code = getattr(error, "sqlite_errorcode", None)
            return code == sqlite3.SQLITE_FULL and free_bytes(self._place.folder) < FULL
        return isinstance(error, OSError) and error.errno == errno.ENOSPC

    # -- looking again ----------------------------------------------------------------------------

    def look_again(self, mono_ns: int) -> None:
        """The ballast that was given up, or found no room, comes back when there is some."""
        if not self.ballast.missing or self.disk is None:
            return
        if self._looked_ns == 0 or mono_ns < self._looked_ns:
            self._looked_ns = mono_ns
        if mono_ns - self._looked_ns >= PROBE_NS:
            self._looked_ns = mono_ns
            was_given_up = self.ballast.given_up
            if self.ballast.build() and was_given_up:
                self.say(False, f"There is room again on the file system of {self._place.folder}.")

    def probe(self, mono_ns: int) -> tuple[Disk, bool] | None:
        """Try a failed disk again, twice a minute: it, and whether it is a new one."""
        if self.disk is not None:
            return None
        if self._probed_ns == 0 or mono_ns < self._probed_ns:
            self._probed_ns = mono_ns
        if mono_ns - self._probed_ns < PROBE_NS:
            return None
        self._probed_ns = mono_ns
        try:
            disk = self._place.connect(whole=True)
        except (sqlite3.Error, ForeignError, BusyError, OSError, ValueError) as error:
            return self._replaced(error) if self._again(error) else None
        return disk, False

    def _again(self, error: Exception) -> bool:
        """Whether the database has been found damaged twice, and not only out of reach."""
        self._failures = self._failures + 1 if failed_for_good(error) else 0
        return self._failures >= 2

    def _replaced(self, error: Exception) -> tuple[Disk, bool] | None:
        """Quarantine, and a new one."""
        try:
            self._place.move_away()
            disk = self._place.connect()
        except (sqlite3.Error, ForeignError, BusyError, OSError):
            return None
        self.say(True, f"The outbox was damaged and has been replaced: {explain(error)}.")
        return disk, True

    def resume(self, disk: Disk, catch_up: Callable[[Disk], None]) -> None:
        """Go on with a disk that works again, if it takes what memory holds."""
        try:
            disk.mend()
            self.attempt(disk, catch_up)
        except (sqlite3.Error, OSError) as error:
            disk.close()
            if self._again(error) and (found := self._replaced(error)) is not None:
                self.resume(found[0], catch_up)
            return
        self.disk, self.memory = disk, self._empty()
        self.ram, self._failures = None, 0
        self.say(False, "The outbox is on disk again.")

    def _empty(self) -> Memory:
        return Memory(min(MEMORY, self._place.limit_bytes // 4))
