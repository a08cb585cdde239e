"""The store as an SQLite database: WAL, `synchronous=FULL`, one transaction for each group.

`edge.platform.storetables` has its tables.
"""

import heapq
import secrets
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from edge.core import ConfigError
from edge.core.numbers import Range
from edge.durable.sqlitefile import Access, open_sqlite, sync_each_commit
from edge.platform.days import DayCounts
from edge.platform.keepquota import CONFLICT, COVERS, KeepQuota, QuotaCount
from edge.platform.ledger import (
    LedgerEntry,
    enter_ranges,
    ledger_from,
    ledger_of,
    ranges_in,
)
from edge.platform.prover import ProofDesk
from edge.platform.receivedrecord import (
    Key,
    ReceivedRecord,
    RefusedMessage,
    WallTimes,
    same_content,
)
from edge.platform.recordstore import (
    CommittedRecord,
    RecordStoreError,
    StoreDamage,
    StoreLock,
    StoreVerdict,
)
from edge.platform.sqliteproofs import SqliteProofDesk, days_of, proofs_of, redated_of
from edge.platform.storeconversion import begin_conversion, convert, is_unfinished
from edge.platform.storetables import (
    APPLICATION_ID,
    COLUMNS,
    FORMER_TABLE,
    FORMER_VERSION,
    OWN,
    PAGE_BYTES,
    SCHEMA,
    USER_VERSION,
    entry_of,
    order_of,
    own_row,
    whole_row,
)
from edge.platform.streamproof import StreamProof

BUSY_S: Final = 10.0
GAPS_LIMIT: Final = 12_000  # of a numbering; a merged record beyond stands for its own number alone
KNOWN_LIMIT: Final = 50_000  # ids that are remembered; more are looked up again
INSERT: Final = (
    f"INSERT INTO entry (numbering, seq, origin, {OWN}) VALUES (?, ?, ?{', ?' * 9})"
    " ON CONFLICT DO NOTHING"
)
BEFORE: Final = (
    "SELECT payload, wall_from, wall_to, tq, bounds FROM entry WHERE numbering = ? AND seq = ?"
)
DATE: Final = (
    "UPDATE entry SET wall_from = ?, wall_to = ?, tq = ?, bounds = ?"
    " WHERE numbering = ? AND seq = ?"
)
NUMBERING: Final = "SELECT id FROM numbering WHERE gw = ? AND epoch = ? AND stream = ?"
NEW_NUMBERING: Final = "INSERT INTO numbering (gw, epoch, stream) VALUES (?, ?, ?)"
COUNT: Final = (
    "SELECT count(*) FROM entry"
    " WHERE numbering = (SELECT id FROM numbering WHERE gw = ? AND epoch = ? AND stream = ?)"
)
ORIGIN: Final = "SELECT id FROM origin WHERE topic = ? AND source = ? AND content_type IS ?"
NEW_ORIGIN: Final = "INSERT INTO origin (topic, source, content_type) VALUES (?, ?, ?)"
JOINED: Final = "INSERT INTO joined VALUES (?, ?) ON CONFLICT DO NOTHING"
BESIDE: Final = (
    "SELECT 1 FROM conflict WHERE gw = ? AND epoch = ? AND stream = ? AND seq = ? AND digest = ?"
)
KEEP_BOTH: Final = f"INSERT INTO conflict ({COLUMNS}, digest) VALUES (?{', ?' * 16})"
ENTRIES_OF: Final = (
    "SELECT topic, seq, source, boot, mono_from, mono_to, wall_from, wall_to, tq, bounds, received,"
    " content_type, payload FROM entry LEFT JOIN origin ON origin.id = entry.origin"
    " WHERE numbering = ?"
)
ORDER: Final = " ORDER BY gw, epoch, stream, seq"
# from one gateway to the next along the key, however many records lie between
FORMER_GATEWAYS: Final = """
WITH RECURSIVE here(gw) AS (
    SELECT min(gw) FROM {table}
    UNION ALL SELECT (SELECT min(gw) FROM {table} WHERE gw > here.gw) FROM here WHERE gw NOT NULL)
SELECT gw FROM here WHERE gw NOT NULL"""


class SqliteStore:
    """See `edge.platform.recordstore.RecordStore`. Used by one thread at a time.

    Whoever opens a store of version 2 to write converts it first; `progress` hears how many records
    that were so far.
    """

    def __init__(
        self, path: Path, *, write: bool, progress: Callable[[int], None] = lambda _records: None
    ) -> None:
        self.damage = StoreDamage()
        self._path = path
        self._numberings: dict[tuple[str, int, str], int] = {}
        self._origins: dict[tuple[str, str, str | None], int] = {}
        self._lock = StoreLock(path) if write else None
        try:
            with self._store_errors():
                self._db = open_sqlite(
                    path,
                    Access.CREATE if write else Access.READ,
                    timeout_s=BUSY_S,
                    # one rotten byte in a text ends no audit: it is another text than the payload's
                    text_errors="surrogateescape",
                    any_thread=True,  # commits happen in a thread, one at a time
                )
        except BaseException:
            if self._lock is not None:
                self._lock.close()
            raise
        try:
            with self._store_errors():
                self._former = self._prepare(write, progress)
                (name,) = self._db.execute("SELECT name FROM store").fetchone()
                self.name = str(name)
                self._tallies = self._counted()
        except BaseException:
            self.close()
            raise

    def commit(
        self, entries: Sequence[ReceivedRecord], refused: Sequence[RefusedMessage]
    ) -> list[CommittedRecord]:
        """All of it or nothing; on the disk when this returns."""
        with self._store_errors():
            self._db.execute("BEGIN IMMEDIATE")
            try:
                stored: dict[int, list[Range]] = {}
                done = [CommittedRecord(entry, self._put(entry, stored)) for entry in entries]
                enter_ranges(self._db, stored)
                for each in refused:
                    self._refuse(each)
                for place in self._tallies.changed:
                    tally = self._tallies.of(*place)
                    row = (*place, tally.kept, tally.size, tally.not_kept)
                    self._db.execute("INSERT OR REPLACE INTO tally VALUES (?, ?, ?, ?, ?)", row)
                self._db.execute("COMMIT")
                self._tallies.changed.clear()
            except BaseException:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                self._numberings.clear()
                self._origins.clear()
                self._tallies = self._counted()
                raise
        return done

    def gateways(self) -> list[tuple[str, int | None]]:
        with self._store_errors():
            found: dict[Any, Any] = dict.fromkeys(gw for (gw,) in self._named())
            found |= dict(self._db.execute("SELECT gw, epoch FROM joined"))
        named = {gw: epoch for gw, epoch in found.items() if isinstance(gw, str) and gw.isascii()}
        if len(named) < len(found):  # rows of a gateway whose name is none
            self.damage = StoreDamage(lines=self.damage.lines + len(found) - len(named))
        return [(gw, at if isinstance(at, int) else None) for gw, at in sorted(named.items())]

    def records(self, gw: str, stream: str | None = None) -> Iterator[ReceivedRecord]:
        """In the order of the keys; of one stream in the order of epochs and numbers."""
        if stream is None:  # the one that meets each record: it counts what it cannot read
            return self._read("gw = ?", (gw,), counts=True)
        return self._read("gw = ? AND stream = ?", (gw, stream))

    def record_range(self, first: Key, last: int) -> Iterator[ReceivedRecord]:
        """The records of one epoch and stream, from a number to another one."""
        *of, number = first
        return self._read("gw = ? AND epoch = ? AND stream = ?", of, (number, last))

    def conflicts(self, gw: str) -> Iterator[ReceivedRecord]:
        rows = f"SELECT {COLUMNS} FROM conflict WHERE gw = ?{ORDER}"
        with self._store_errors():
            yield from filter(None, map(entry_of, self._db.execute(rows, (gw,))))

    def numbers(self, gw: str) -> Iterator[LedgerEntry]:
        if self._former is not None:
            yield from ledger_from(self._read("gw = ?", (gw,)))
            return
        with self._store_errors():
            yield from ledger_of(self._db, gw)

    def tallies(self) -> KeepQuota:
        with self._store_errors():
            return self._counted()

    def count(self, gw: str, epoch: int, stream: str) -> int | None:
        with self._store_errors():
            (found,) = self._db.execute(COUNT, (gw, epoch, stream)).fetchone()
        return int(found)

    def proofs(self, gw: str) -> Iterator[tuple[int, str, StreamProof]]:
        with self._store_errors():
            if self._former != "record":
                yield from proofs_of(self._db, gw)

    def proved_days(self, gw: str, day: str | None = None) -> Iterator[tuple[str, DayCounts]]:
        with self._store_errors():
            yield from days_of(self._db, gw, day)

    def redated(self, gw: str) -> Iterator[Key]:
        with self._store_errors():
            yield from redated_of(self._db, gw)

    @contextmanager
    def proving(self, gw: str) -> Iterator[ProofDesk | None]:
        with self._store_errors():
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield SqliteProofDesk(self._db, self, gw)
                self._db.execute("COMMIT")
            finally:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")

    def close(self) -> None:
        self._db.close()
        if self._lock is not None:
            self._lock.close()

    # -- inside ------------------------------------------------------------------------------------

    def _prepare(self, write: bool, progress: Callable[[int], None]) -> str | None:
        """The table that has records as version 2 has left them, if there is one."""
        db = self._db
        (application,) = db.execute("PRAGMA application_id").fetchone()
        (version,) = db.execute("PRAGMA user_version").fetchone()
        (tables,) = db.execute("SELECT count(*) FROM sqlite_schema").fetchone()
        if write and not tables and not application:
            db.execute(f"PRAGMA page_size = {PAGE_BYTES}")
            db.executescript(
                f"BEGIN;{SCHEMA}PRAGMA application_id = {APPLICATION_ID};"
                f"PRAGMA user_version = {USER_VERSION};"
                f"INSERT INTO store VALUES ('{secrets.token_hex(8)}');COMMIT;"
            )
        elif application != APPLICATION_ID:
            raise ConfigError(f"{self._path}: this is a database, but not a store of `receipts`")
        elif version not in (FORMER_VERSION, USER_VERSION):
            text = (
                f"{self._path}: it has version {version}; this program reads up to {USER_VERSION}"
            )
            raise ConfigError(text)
        if not write:
            db.execute("BEGIN")  # one state of the store, whatever is written meanwhile
            if version == FORMER_VERSION:
                return "record"
            return FORMER_TABLE if is_unfinished(db) else None
        sync_each_commit(db)  # not before: a database of another program is left as it is
        if version == FORMER_VERSION:
            begin_conversion(db)
        if is_unfinished(db):
            convert(db, progress)
        return None

    def _put(self, entry: ReceivedRecord, stored: dict[int, list[Range]]) -> StoreVerdict:
        seq, numbering = entry.key[3], self._numbering(entry.key)
        origin = self._origin(entry)
        if self._db.execute(INSERT, (numbering, seq, origin, *own_row(entry))).rowcount:
            ranges = ranges_in(entry.payload, seq)
            if len(ranges) == 1:
                stored.setdefault(numbering, []).extend(ranges)
            elif self._has_room(numbering):  # at once: thousands of each record are many to keep
                enter_ranges(self._db, {numbering: ranges})
            else:
                stored.setdefault(numbering, []).append((seq, seq))
                self._tallies.count(entry.key[0], COVERS)
            return "stored"
        payload, *wall = self._db.execute(BEFORE, (numbering, seq)).fetchone()
        if not same_content(payload, entry.payload):
            digest = entry.digest()
            if self._db.execute(BESIDE, (*entry.key, digest)).fetchone() is None:
                if not self._tallies.keep(entry.key[0], CONFLICT, entry.size):
                    return "excess"
                self._db.execute(KEEP_BOTH, (*whole_row(entry), digest))
            return "conflict"
        if entry.wall.better(WallTimes(*wall)):
            new = entry.wall
            self._db.execute(DATE, (new.start, new.end, new.tq, new.bounds, numbering, seq))
            self._db.execute("INSERT OR IGNORE INTO redated VALUES (?, ?)", (numbering, seq))
        return "repeat"

    def _has_room(self, numbering: int) -> bool:
        """Whether its ledger may get more gaps than it has."""
        limited = f"SELECT 1 FROM ledger WHERE numbering = ? LIMIT {GAPS_LIMIT}"
        (count,) = self._db.execute(f"SELECT count(*) FROM ({limited})", (numbering,)).fetchone()
        return bool(count < GAPS_LIMIT)

    def _numbering(self, key: Key) -> int:
        of = key[:3]
        if (found := self._numberings.get(of)) is None:
            if (row := self._db.execute(NUMBERING, of).fetchone()) is None:
                self._db.execute(JOINED, key[:2])
                row = (self._db.execute(NEW_NUMBERING, of).lastrowid,)
            if len(self._numberings) >= KNOWN_LIMIT:
                self._numberings.clear()
            found = self._numberings[of] = int(row[0])
        return found

    def _origin(self, entry: ReceivedRecord) -> int:
        of = entry.topic, entry.source, entry.content_type
        if (found := self._origins.get(of)) is None:
            if (row := self._db.execute(ORIGIN, of).fetchone()) is None:
                row = (self._db.execute(NEW_ORIGIN, of).lastrowid,)
            if len(self._origins) >= KNOWN_LIMIT:
                self._origins.clear()
            found = self._origins[of] = int(row[0])
        return found

    def _refuse(self, each: RefusedMessage) -> None:
        if self._tallies.keep(each.gw, each.kind, each.kept_size):
            columns = "kind, gw, topic, why, size, payload, received"
            row = (
                each.kind, each.gw, each.topic, each.why, each.size, each.payload, each.received,
            )  # fmt: skip
            self._db.execute(f"INSERT INTO refused ({columns}) VALUES (?, ?, ?, ?, ?, ?, ?)", row)

    def _counted(self) -> KeepQuota:
        found = KeepQuota()
        for gw, kind, *numbers in self._db.execute("SELECT * FROM tally"):
            if all(isinstance(each, int) for each in numbers):  # else: damaged, as if not there
                found.restore(str(gw), str(kind), QuotaCount(*numbers))
        return found

    def _named(self) -> Iterator[tuple[Any]]:
        """The gateways of which there are records."""
        if self._former != "record":
            yield from self._db.execute("SELECT DISTINCT gw FROM numbering")
        if self._former is not None:
            yield from self._db.execute(FORMER_GATEWAYS.format(table=self._former))

    def _read(
        self,
        where: str,
        values: Sequence[Any],
        numbers: tuple[int, ...] = (),
        *,
        counts: bool = False,
    ) -> Iterator[ReceivedRecord]:
        between = " AND seq BETWEEN ? AND ?" if numbers else ""
        with self._store_errors():
            rows = []
            if self._former != "record":
                rows.append(self._entries(where, values, between, numbers))
            if self._former is not None:
                sql = f"SELECT {COLUMNS} FROM {self._former} WHERE {where}{between}{ORDER}"
                rows.append(self._db.execute(sql, (*values, *numbers)))
            for row in heapq.merge(*rows, key=order_of) if rows[1:] else rows[0]:
                if (entry := entry_of(row)) is not None:
                    yield entry
                elif counts:
                    self.damage = StoreDamage(lines=self.damage.lines + 1)

    def _entries(
        self, where: str, values: Sequence[Any], between: str, numbers: tuple[int, ...]
    ) -> Iterator[tuple[Any, ...]]:
        """One numbering after the other: joined, SQLite would sort all of its records."""
        numberings = f"SELECT id, gw, epoch, stream FROM numbering WHERE {where}"
        order = " ORDER BY gw, epoch, stream"
        for numbering, *of in self._db.execute(f"{numberings}{order}", values):
            entries = f"{ENTRIES_OF}{between} ORDER BY seq"
            for topic, *rest in self._db.execute(entries, (numbering, *numbers)):
                yield (topic, *of, *rest)

    @contextmanager
    def _store_errors(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise RecordStoreError(f"{self._path}: {error}") from error
