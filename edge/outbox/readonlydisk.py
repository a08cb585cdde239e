"""What lies on a disk that can be read and takes nothing: it is sent from there all the same.

Nothing can be deleted there: what has left is remembered in `MemoryOutbox.removed`, and in tmpfs
with it, so that a process goes on behind it. After the next boot nobody knows, and the rows go
again under their own keys. No byte is copied: SQLite reads database and log where they are, with a
page cache of a megabyte and the log's index in memory (see `Database`).
"""

import os
import sqlite3
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Final, TypeVar

from edge.outbox.database import DATABASE_NAME, OutboxBusyError, UnusableOutboxError
from edge.outbox.diskoutbox import DiskOutbox
from edge.outbox.memoryoutbox import MemoryOutbox
from edge.outbox.outboxfolder import DAMAGE_CODES, OutboxFolder, primary_code
from edge.outbox.rowformat import INFINITE, OutboxRow
from edge.outbox.rowsearch import RowSearch

T = TypeVar("T")

READING_NOTICE: Final = "What lies on the disk is read and sent from there."


class ReadOnlyDisk:
    """Closed at first. What cannot be read either has nothing to give; nothing is raised."""

    def __init__(self, place: OutboxFolder) -> None:
        self._place = place
        self._disk: DiskOutbox | None = None
        self._tally: dict[str, int] | None = None  # rows of each stream that have not left
        self.top = 0  # no row on this disk lies behind this one

    @property
    def open(self) -> bool:
        return self._disk is not None

    def begin(self, error: Exception | None = None) -> bool:
        """Look for it; `error` is why the disk is not used as usual. Whether it can be read."""
        self.end()
        if isinstance(error, sqlite3.Error) and primary_code(error) in DAMAGE_CODES:
            return False  # each row has its checksum, but a search in such a file finds anything
        try:
            self._disk = self._place.connect(reading=True)
            self.top = self._disk.one("SELECT max(id) FROM record") or 0
        except (sqlite3.Error, UnusableOutboxError, OutboxBusyError, OSError, ValueError):
            self.end()
        return self.open

    def end(self) -> None:
        """Before anybody opens the database as usual: closing a file takes the locks of a process
        away, whoever in it has taken them."""
        if self._disk is not None:
            self._disk.close()
            self._disk = None

    def ask(self, question: Callable[[DiskOutbox], T], otherwise: T) -> T:
        """Something that changes nothing."""
        if self._disk is not None:
            try:
                return question(self._disk)
            except sqlite3.Error:
                self.end()
        return otherwise

    def after(
        self, row: int, limit: int, memory: MemoryOutbox, urgent: bool = False
    ) -> tuple[list[OutboxRow], int]:
        """Rows in order of age that have not left, and up to which row that is all there are."""
        found: list[OutboxRow] = []
        none: list[OutboxRow] = []
        while not found:
            row = memory.removed.range_end_after(row)
            fetch = partial(DiskOutbox.after, row=row, limit=limit, urgent=urgent)
            rows: list[OutboxRow] = self.ask(fetch, none)
            if not rows:
                return [], INFINITE
            found = [each for each in rows if self._here(each, memory)]
            row = rows[-1].id
        return found, row

    def search(self, search: RowSearch, memory: MemoryOutbox) -> list[OutboxRow] | None:
        """One step of it. None: nothing can be read."""
        found = self.ask(search.step, None)
        return None if found is None else [each for each in found if self._here(each, memory)]

    def tally(self, memory: MemoryOutbox) -> dict[str, int]:
        """Rows of each stream that have not left."""
        none: list[tuple[str, int]] = []
        if self._tally is None:
            self._tally = self.ask(DiskOutbox.tally, None)
        for first, last in memory.counted_off() if self._tally is not None else ():
            between = partial(DiskOutbox.rows_between, first=first, last=last)
            for stream, rows in self.ask(between, none):
                if self._tally is not None and stream in self._tally:
                    self._tally[stream] = max(0, self._tally[stream] - rows)
        return dict(self._tally or {})

    @staticmethod
    def _here(row: OutboxRow, memory: MemoryOutbox) -> bool:
        """The commit that failed may be on the disk: memory has it too."""
        return row.id not in memory.removed and row.id not in memory.rows


def is_read_only(folder: Path, error: Exception | None) -> bool:
    """Whether the disk takes nothing and will not soon: then what lies there has to go as it is.

    A disk that fails for a moment is another matter: what is handed over must be written down
    first, or rows that have arrived may merge with others (decision 16).
    """
    if isinstance(error, sqlite3.Error) and primary_code(error) == sqlite3.SQLITE_READONLY:
        return True
    try:
        mounted = os.statvfs(folder).f_flag & os.ST_RDONLY
    except OSError:
        return False
    path = folder / DATABASE_NAME
    return bool(mounted) or (path.exists() and not os.access(path, os.W_OK, effective_ids=True))
