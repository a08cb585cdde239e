"""Which rows were sent and which confirmed, at once and in tmpfs: a kill between a PUBACK and the
next commit then sends nothing twice.

Eight bytes an entry: the row, with the highest bit but one set when it is confirmed, and the one
below it when all rows up to this one may have been sent: so many were, that some are not remembered
one by one. The first eight bytes name the database. A torn tail is ignored.
"""

import contextlib
import os
import struct
from collections.abc import Collection, Iterable
from heapq import nsmallest
from pathlib import Path
from typing import Final

from edge.store.files import is_file

NAME: Final = "uplink.journal"
CONFIRMED: Final = 1 << 62
UP_TO: Final = 1 << 61
COMPACT: Final = 1 << 16  # bytes; then it is written anew, with what is still open
OPEN_LIMIT: Final = 20_000  # rows sent and not confirmed that are remembered one by one
FORGOTTEN: Final = 1000  # of these at one time
READ_LIMIT: Final = 16 << 20


class Journal:
    """The log of one database in one folder. `folder` None: nothing is written (no tmpfs)."""

    def __init__(self, folder: Path | None, token: int) -> None:
        self._path = None if folder is None else folder / NAME
        self._token = token
        self._fd = -1
        self._size = 0
        self._open: dict[int, None] = {}  # sent, not confirmed; in order
        self.found = False  # a log of this database was there
        self.was_sent: frozenset[int] = frozenset()
        self.was_confirmed: frozenset[int] = frozenset()
        self._was_up_to = self._up_to = 0  # all rows up to this one may have been sent
        self.trouble: str | None = None  # a sentence for people, while it cannot be written
        if self._path is not None:
            self._read(self._path)
            self._rewrite()

    def attach(self, folder: Path | None, token: int) -> None:
        """The database is there at last: what the process before knew of it counts from now on."""
        if self._path is not None or folder is None:
            return
        mine = list(self._open)
        self._path, self._token = folder / NAME, token
        self._read(self._path)
        self._open.update(dict.fromkeys(mine))
        self._rewrite()

    def sent(self, rows: Collection[int]) -> None:
        """These rows are about to be handed to the network."""
        self._open.update(dict.fromkeys(rows))
        words = list(rows)
        while len(self._open) > OPEN_LIMIT:
            for row in nsmallest(FORGOTTEN, self._open):
                del self._open[row]
                self._up_to = max(self._up_to, row)
            words.append(self._up_to | UP_TO)
        self._append(words)

    def maybe_sent(self, row: int) -> bool:
        """By a process before this one."""
        return row in self.was_sent or row <= self._was_up_to

    @property
    def last_sent(self) -> int:
        """No process before this one is known to have sent a row behind it."""
        return max(self._was_up_to, max(self.was_sent, default=0))

    def on_its_way(self, row: int) -> bool:
        """Sent, and not confirmed yet."""
        return row in self._open

    def confirmed(self, rows: Collection[int]) -> None:
        """These rows are confirmed; the database does not know yet."""
        for row in rows:
            self._open.pop(row, None)
        self._append([row | CONFIRMED for row in rows])

    def settled(self, waiting: Iterable[int]) -> None:
        """The database has deleted what was confirmed, except `waiting`."""
        if self._size > COMPACT or self.trouble is not None:
            self._rewrite(waiting)  # whole: what could not be appended is in it

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def _read(self, path: Path) -> None:
        try:
            if not is_file(path):
                return
            with path.open("rb") as file:
                data = file.read(READ_LIMIT)
        except OSError:
            return
        words = struct.unpack(f"<{len(data) // 8}Q", data[: len(data) // 8 * 8])
        if not words or words[0] != self._token:
            return
        self.found = True
        self.was_confirmed = frozenset(word ^ CONFIRMED for word in words[1:] if word & CONFIRMED)
        up_to = (word ^ UP_TO for word in words[1:] if word & UP_TO and not word & CONFIRMED)
        self._was_up_to = max(up_to, default=0)
        self._up_to = max(self._up_to, self._was_up_to)
        sent = dict.fromkeys(word for word in words[1:] if not word & (CONFIRMED | UP_TO))
        self._open = {
            row: None for row in sent if row > self._was_up_to and row not in self.was_confirmed
        }
        self.was_sent = frozenset(self._open)

    def _rewrite(self, waiting: Iterable[int] | None = None) -> None:
        path = self._path
        if path is None:
            return
        keep = self.was_confirmed if waiting is None else waiting
        words = [self._token, *list(self._open), *(row | CONFIRMED for row in keep)]
        if self._up_to:
            words.append(self._up_to | UP_TO)
        data = struct.pack(f"<{len(words)}Q", *words)
        self.close()
        try:
            new = path.with_suffix(".new")
            if os.path.lexists(new) and not is_file(new):
                new.unlink()
            flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND | os.O_CLOEXEC
            self._fd = os.open(new, flags, 0o600)
            self._write(data)
            new.replace(path)
            self._size, self.trouble = len(data), None
        except OSError as error:
            self._failed(error)

    def _append(self, words: Collection[int]) -> None:
        if self._fd < 0 or not words:
            return
        try:
            self._write(struct.pack(f"<{len(words)}Q", *words))
            self._size += 8 * len(words)
        except OSError as error:
            self._failed(error)

    def _write(self, data: bytes) -> None:
        written = os.write(self._fd, data)
        if written != len(data):  # a full tmpfs: the entries behind would be out of step
            raise OSError(28, "no space left for the journal")

    def _failed(self, error: OSError) -> None:
        # without the journal a kill sends some rows twice, marked as such: no reason to stop
        self.trouble = (
            f"{self._path} cannot be written: {error.strerror}. "
            "If this process is killed now, some records are sent twice, and say so."
        )
        self.close()
        if self._path is not None:
            with contextlib.suppress(OSError):  # one that is not there, or a folder that is none
                self._path.unlink()
