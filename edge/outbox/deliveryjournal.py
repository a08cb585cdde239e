"""Which rows were sent and which confirmed, at once and in tmpfs: a kill between a PUBACK and the
next commit then sends nothing twice.

Twelve bytes an entry: a word of eight and its CRC-32, which begins with the owner, so that nothing
that another gateway wrote is believed. The upper byte of a word says what it records of the row in
the others; the first word names the database. A torn tail is ignored: its rows had not gone yet.
An entry that is damaged may have been about any row: then each row of a former start counts as one
that may have been sent, and none as confirmed but those whose entries are whole.

`recover_journal` is for whoever opens the database. `DeliveryJournal` belongs to one thread, that
of the sender: others hand it what it is to go on from, and take copies of what they need.
"""

import contextlib
import struct
import zlib
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, replace
from enum import IntEnum
from heapq import nsmallest
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Final

from edge.durable.framedlog import AppendedFile
from edge.durable.readfile import read_beginning

JOURNAL_NAME: Final = "delivery.journal"
JOURNAL_ENTRY: Final = struct.Struct("<QI")
ROW_BITS: Final = 56  # of a word: ids of rows have 53
COMPACT_BYTES: Final = 1 << 16  # bytes; then it is written anew, with what is still open
OPEN_LIMIT: Final = 20_000  # rows sent and not confirmed that are remembered one by one
EVICT_ROWS: Final = 1000  # of these at one time
ROW_MASK: Final = (1 << ROW_BITS) - 1
READ_LIMIT: Final = 16 << 20
# a full tmpfs: the entries behind would be out of step
NO_ROOM: Final = "no space left for the journal"


class EntryKind(IntEnum):
    """What an entry records of a row."""

    SENT = 0
    CONFIRMED = 1
    UP_TO = 2  # so many were sent that those up to this one are not remembered one by one
    DOUBTED = 3  # of those up to this one nobody knows: the journal was missing, or damaged
    DATABASE = 4  # no row: the token of the database


ENTRY_KINDS: Final = frozenset(int(kind) for kind in EntryKind)


@dataclass(frozen=True, slots=True)
class RecoveredJournal:
    """What the process before this one had sent and heard, as far as its journal goes."""

    token: int | None = None  # of its database; None: there is no journal, or of nobody knows what
    damaged: bool = False
    sent: frozenset[int] = frozenset()  # and not confirmed
    confirmed: frozenset[int] = frozenset()
    sent_up_to: int = 0  # all rows up to this one may have been sent
    doubted: int = 0  # and these, for all that is known: they say so, but may still merge
    database_unseen: bool = (
        False  # the database has not been seen yet: it knows nothing of all this
    )

    def for_start(self, former: int, token: int | None) -> "RecoveredJournal":
        """For a start whose rows lie behind `former`, with the database `token`; None: nobody can
        see it yet, it may be the one that the journal names."""
        away = token is None
        token = self.token if token is None else token & ROW_MASK
        if self.token is None or token != self.token:
            up_to = former if self.damaged else 0
            return RecoveredJournal(token, sent_up_to=up_to, doubted=former, database_unseen=away)
        # nobody can have sent a row of a start that only begins
        sent, confirmed = (
            frozenset(row for row in rows if row >> 32 != former >> 32)
            for rows in (self.sent, self.confirmed)
        )
        known = replace(self, sent=sent, confirmed=confirmed, database_unseen=away)
        return replace(known, sent_up_to=former, doubted=former) if self.damaged else known

    def maybe_sent(self, row: int) -> bool:
        return row in self.sent or row <= max(self.sent_up_to, self.doubted)

    @property
    def last_sent(self) -> int:
        """No process before this one is known to have sent a row behind it."""
        return max(self.sent_up_to, max(self.sent, default=0))


def recover_journal(folder: Path | None, owner: str) -> RecoveredJournal:
    """What lies in the folder; nothing when there is no journal, or another owner's."""
    if folder is None:
        return RecoveredJournal()
    try:
        data = read_beginning(folder / JOURNAL_NAME, READ_LIMIT + 1)
    except OSError:
        return RecoveredJournal()
    rows: dict[EntryKind, dict[int, None]] = {kind: {} for kind in EntryKind}
    damaged = len(data) > READ_LIMIT
    for entry in _entries(data, _seed(owner)):
        if entry is None:
            damaged = True
        else:
            rows[entry[0]][entry[1]] = None
    tokens = list(rows[EntryKind.DATABASE])
    confirmed = frozenset(rows[EntryKind.CONFIRMED])
    up_to = max(rows[EntryKind.UP_TO], default=0)
    return RecoveredJournal(
        tokens[0] or None if len(tokens) == 1 else None,
        damaged,
        frozenset(row for row in rows[EntryKind.SENT] if row > up_to and row not in confirmed),
        confirmed,
        up_to,
        max(rows[EntryKind.DOUBTED], default=0),
    )


def _entries(data: bytes, seed: int) -> Iterator[tuple[EntryKind, int] | None]:
    """Kind and row of each; None for one that is damaged."""
    for word, crc in JOURNAL_ENTRY.iter_unpack(
        data[: len(data) // JOURNAL_ENTRY.size * JOURNAL_ENTRY.size]
    ):
        kind = word >> ROW_BITS
        if zlib.crc32(struct.pack("<Q", word), seed) != crc or kind not in ENTRY_KINDS:
            yield None
        else:
            yield EntryKind(kind), word & ROW_MASK


def _seed(owner: str) -> int:
    return zlib.crc32(owner.encode())


class DeliveryJournal:
    """The log in one folder, of what `owner` sends. `folder` None: nothing is written (no tmpfs).

    Belongs to one thread, except for `continue_from`.
    """

    def __init__(self, folder: Path | None, owner: str) -> None:
        self._path = None if folder is None else folder / JOURNAL_NAME
        self._seed = _seed(owner)
        self._before = RecoveredJournal()
        self._handed: SimpleQueue[RecoveredJournal] = (
            SimpleQueue()
        )  # from the thread of the database
        self._file: AppendedFile | None = None
        self._open: dict[int, None] = {}  # sent, not confirmed
        self._confirmed: set[int] = set()  # and, for all that the database has said, still there
        self.trouble: str | None = None  # a sentence for people, while it cannot be written

    def continue_from(self, before: RecoveredJournal) -> None:
        """What to go on from, and the database; from any thread. Taken with the next call."""
        self._handed.put(before)

    def sent(self, rows: Collection[int]) -> None:
        """These rows are about to be handed to the network."""
        self._take()
        self._open.update(dict.fromkeys(rows))
        entries = [(EntryKind.SENT, row) for row in rows]
        while len(self._open) > OPEN_LIMIT:
            for row in nsmallest(EVICT_ROWS, self._open):
                del self._open[row]
                self._before = replace(self._before, sent_up_to=max(self._before.sent_up_to, row))
            entries.append((EntryKind.UP_TO, self._before.sent_up_to))
        self._append(entries)

    def unconfirmed(self) -> frozenset[int]:
        """Sent, and not confirmed yet: a copy, for the thread of the database."""
        return frozenset(self._open)

    def confirmed(self, rows: Collection[int]) -> None:
        """These rows are confirmed; the database does not know yet."""
        self._take()
        for row in rows:
            self._open.pop(row, None)
        self._confirmed.update(rows)
        self._append([(EntryKind.CONFIRMED, row) for row in rows])

    def retain_only(self, waiting: Iterable[int]) -> None:
        """The database has deleted what was confirmed, except `waiting`."""
        self._take()
        self._confirmed = set(waiting)
        if self._before.database_unseen:
            self._confirmed |= self._before.confirmed
        long = self._file is not None and self._file.size > COMPACT_BYTES
        if long or self.trouble is not None:
            self._rewrite()  # whole: what could not be appended is in it

    def close(self) -> None:
        """Nothing is written any more."""
        self._path = None
        self._close()

    def _take(self) -> None:
        with contextlib.suppress(Empty):
            while True:
                before = self._handed.get_nowait()
                # what an earlier one recorded was of another database, or is in this one as well
                self._confirmed -= self._before.confirmed
                self._confirmed |= before.confirmed
                self._open.update(dict.fromkeys(before.sent))
                self._before = replace(
                    before, sent_up_to=max(before.sent_up_to, self._before.sent_up_to)
                )
                self._rewrite()

    def _close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def _rewrite(self) -> None:
        path, before = self._path, self._before
        if path is None:
            return
        entries = [
            (EntryKind.DATABASE, before.token or 0),
            (EntryKind.UP_TO, before.sent_up_to),
            (EntryKind.DOUBTED, before.doubted),
            *((EntryKind.SENT, row) for row in self._open),
            *((EntryKind.CONFIRMED, row) for row in self._confirmed),
        ]
        data = self._packed(entries)
        self._close()
        try:
            self._file = AppendedFile.replace(path, path.with_suffix(".new"), [data], NO_ROOM)
            self.trouble = None
        except OSError as error:
            self._failed(path, error)

    def _append(self, entries: Collection[tuple[EntryKind, int]]) -> None:
        if self._file is None or self._path is None or not entries:
            return
        try:
            self._file.append(self._packed(entries))
        except OSError as error:
            self._failed(self._path, error)

    def _packed(self, entries: Iterable[tuple[EntryKind, int]]) -> bytes:
        words = (struct.pack("<Q", kind << ROW_BITS | row) for kind, row in entries)
        return b"".join(word + struct.pack("<I", zlib.crc32(word, self._seed)) for word in words)

    def _failed(self, path: Path, error: OSError) -> None:
        # without the journal a kill sends some rows twice, marked as such: no reason to stop
        self.trouble = (
            f"{path} cannot be written: {error.strerror}. "
            "If this process is killed now, some records are sent twice, marked `redelivered`."
        )
        self._close()
        with contextlib.suppress(OSError):  # one that is not there, or a folder that is none
            path.unlink()
