"""The store as an SQLite database: WAL, `synchronous=FULL`, one transaction for each group.

record       the first content under each key, with the best wall times that came
conflict     other contents under the same key, once each
refused      messages that are no records, foreign ones and undecodable ones
tally        how many conflicts and refused messages of a gateway are kept, and how many were more
joined       the epoch in which this store heard of a gateway for the first time
"""

import secrets
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import NoneType
from typing import Any, Final

from edge.core import ConfigError
from edge.durable.sqlitefile import Access, open_sqlite, sync_each_commit
from edge.platform.keepquota import CONFLICT, KeepQuota, QuotaCount
from edge.platform.receivedrecord import Key, ReceivedRecord, RefusedMessage, WallTimes, is_bounds
from edge.platform.recordstore import (
    CommittedRecord,
    RecordStoreError,
    StoreDamage,
    StoreLock,
    StoreVerdict,
)

APPLICATION_ID: Final = 0x4B65_7262  # "Kerb"
USER_VERSION: Final = 2
BUSY_S: Final = 10.0
COLUMNS: Final = (
    "topic, gw, epoch, stream, seq, source, boot, mono_from, mono_to, wall_from, wall_to, tq, "
    "bounds, received, content_type, payload, digest"
)
RECORD: Final = """
    gw TEXT NOT NULL, epoch INTEGER NOT NULL, stream TEXT NOT NULL, seq INTEGER NOT NULL,
    topic TEXT NOT NULL, source TEXT NOT NULL, boot INTEGER NOT NULL,
    mono_from INTEGER NOT NULL, mono_to INTEGER NOT NULL,
    wall_from TEXT NOT NULL, wall_to TEXT NOT NULL, tq TEXT NOT NULL, bounds TEXT,
    received TEXT NOT NULL, content_type TEXT, payload BLOB NOT NULL, digest BLOB NOT NULL"""
SCHEMA: Final = f"""
CREATE TABLE record ({RECORD}, PRIMARY KEY (gw, epoch, stream, seq)) WITHOUT ROWID;
CREATE TABLE conflict ({RECORD}, PRIMARY KEY (gw, epoch, stream, seq, digest)) WITHOUT ROWID;
CREATE TABLE refused (id INTEGER PRIMARY KEY, kind TEXT NOT NULL, gw TEXT NOT NULL,
    topic TEXT NOT NULL, why TEXT NOT NULL, size INTEGER NOT NULL, payload BLOB NOT NULL,
    received TEXT NOT NULL);
CREATE TABLE tally (gw TEXT NOT NULL, kind TEXT NOT NULL, kept INTEGER NOT NULL,
    size INTEGER NOT NULL, more INTEGER NOT NULL, PRIMARY KEY (gw, kind)) WITHOUT ROWID;
CREATE TABLE joined (gw TEXT PRIMARY KEY, epoch INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE store (name TEXT NOT NULL);
"""
SLOTS: Final = ", ".join("?" * 17)
INSERT: Final = f"INSERT INTO record ({COLUMNS}) VALUES ({SLOTS}) ON CONFLICT DO NOTHING"
KEEP_BOTH: Final = f"INSERT INTO conflict ({COLUMNS}) VALUES ({SLOTS})"
KEY: Final = "gw = ? AND epoch = ? AND stream = ? AND seq = ?"
BEFORE: Final = f"SELECT digest, wall_from, wall_to, tq, bounds FROM record WHERE {KEY}"
DATE: Final = f"UPDATE record SET wall_from = ?, wall_to = ?, tq = ?, bounds = ? WHERE {KEY}"
READ: Final = f"SELECT {COLUMNS} FROM record WHERE gw = ?"
BESIDE: Final = f"SELECT 1 FROM conflict WHERE {KEY} AND digest = ?"
ORDER: Final = " ORDER BY gw, epoch, stream, seq"
# SQLite keeps in a column whatever is put there: what these are when this program put it there
KINDS: Final[tuple[type | tuple[type, ...], ...]] = (
    str, str, int, str, int, str, int, int, int, str, str, str,
    (str, NoneType), str, (str, NoneType), bytes, bytes,
)  # fmt: skip
# from one gateway to the next along the key, however many records lie between
GATEWAYS: Final = """
WITH RECURSIVE here(gw) AS (
    SELECT min(gw) FROM record
    UNION ALL SELECT (SELECT min(gw) FROM record WHERE gw > here.gw) FROM here WHERE gw NOT NULL)
SELECT gw, epoch FROM joined
UNION ALL SELECT gw, NULL FROM here WHERE gw NOT NULL AND gw NOT IN (SELECT gw FROM joined)
ORDER BY gw"""


class SqliteStore:
    """See `edge.platform.recordstore.RecordStore`. Used by one thread at a time."""

    def __init__(self, path: Path, *, write: bool) -> None:
        self.damage = StoreDamage()
        self._path = path
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
                self.name = self._prepare(write)
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
                done = [CommittedRecord(entry, self._put(entry)) for entry in entries]
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
                self._tallies = self._counted()
                raise
        return done

    def gateways(self) -> list[tuple[str, int | None]]:
        with self._store_errors():
            found = self._db.execute(GATEWAYS).fetchall()
        named = [each for each in found if isinstance(each[0], str) and each[0].isascii()]
        if len(named) < len(found):  # rows of a gateway whose name is none
            self.damage = StoreDamage(lines=self.damage.lines + len(found) - len(named))
        return [(gw, epoch if isinstance(epoch, int) else None) for gw, epoch in named]

    def records(self, gw: str, stream: str | None = None) -> Iterator[ReceivedRecord]:
        """In the order of the keys; of one stream in the order of epochs and numbers."""
        if stream is None:  # the one that meets each record: it counts what it cannot read
            return self._read(f"{READ}{ORDER}", (gw,), counts=True)
        return self._read(f"{READ} AND stream = ?{ORDER}", (gw, stream))

    def record_range(self, first: Key, last: int) -> Iterator[ReceivedRecord]:
        """The records of one epoch and stream, from a number to another one."""
        where = " AND epoch = ? AND stream = ? AND seq BETWEEN ? AND ?"
        return self._read(f"{READ}{where}{ORDER}", (*first, last))

    def conflicts(self, gw: str) -> Iterator[ReceivedRecord]:
        return self._read(f"SELECT {COLUMNS} FROM conflict WHERE gw = ?{ORDER}", (gw,))

    def tallies(self) -> KeepQuota:
        with self._store_errors():
            return self._counted()

    def close(self) -> None:
        self._db.close()
        if self._lock is not None:
            self._lock.close()

    # -- inside ------------------------------------------------------------------------------------

    def _prepare(self, write: bool) -> str:
        (application,) = self._db.execute("PRAGMA application_id").fetchone()
        (version,) = self._db.execute("PRAGMA user_version").fetchone()
        (tables,) = self._db.execute("SELECT count(*) FROM sqlite_schema").fetchone()
        if write and not tables and not application:
            self._db.executescript(
                f"BEGIN;{SCHEMA}PRAGMA application_id = {APPLICATION_ID};"
                f"PRAGMA user_version = {USER_VERSION};"
                f"INSERT INTO store VALUES ('{secrets.token_hex(8)}');COMMIT;"
            )
        elif application != APPLICATION_ID:
            raise ConfigError(f"{self._path}: this is a database, but not a store of `receipts`")
        elif version != USER_VERSION:
            text = f"{self._path}: it has version {version}; this program reads {USER_VERSION}"
            raise ConfigError(text)
        if write:  # not before: a database of another program is left as it is
            sync_each_commit(self._db)
        else:
            self._db.execute("BEGIN")  # one state of the store, whatever is written meanwhile
        (name,) = self._db.execute("SELECT name FROM store").fetchone()
        return str(name)

    def _put(self, entry: ReceivedRecord) -> StoreVerdict:
        row = _row(entry)
        if self._db.execute(INSERT, row).rowcount:
            joined = "INSERT INTO joined VALUES (?, ?) ON CONFLICT DO NOTHING"
            self._db.execute(joined, entry.key[:2])
            return "stored"
        found, *wall = self._db.execute(BEFORE, entry.key).fetchone()
        if found != entry.digest:
            if self._db.execute(BESIDE, (*entry.key, entry.digest)).fetchone() is None:
                if not self._tallies.keep(entry.key[0], CONFLICT, entry.size):
                    return "excess"
                self._db.execute(KEEP_BOTH, row)
            return "conflict"
        if entry.wall.better(WallTimes(*wall)):
            new = entry.wall
            self._db.execute(DATE, (new.start, new.end, new.tq, new.bounds, *entry.key))
        return "repeat"

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

    def _read(
        self, sql: str, values: Sequence[Any], *, counts: bool = False
    ) -> Iterator[ReceivedRecord]:
        with self._store_errors():
            for row in self._db.execute(sql, values):
                if (entry := _entry(row)) is not None:
                    yield entry
                elif counts:
                    self.damage = StoreDamage(lines=self.damage.lines + 1)

    @contextmanager
    def _store_errors(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise RecordStoreError(f"{self._path}: {error}") from error


def _row(entry: ReceivedRecord) -> tuple[Any, ...]:
    gw, epoch, stream, seq = entry.key
    wall = entry.wall
    return (
        entry.topic, gw, epoch, stream, seq, entry.source, entry.boot, *entry.mono,
        wall.start, wall.end, wall.tq, wall.bounds, entry.received, entry.content_type,
        entry.payload, entry.digest,
    )  # fmt: skip


def _entry(row: tuple[Any, ...]) -> ReceivedRecord | None:
    """None for a row that this program has not written."""
    if not all(isinstance(each, kind) for each, kind in zip(row, KINDS, strict=True)):
        return None
    (
        topic, gw, epoch, stream, seq, source, boot, start, end,
        wall_from, wall_to, tq, bounds, received, content_type, payload, digest,
    ) = row  # fmt: skip
    if not (gw.isascii() and stream.isascii()) or (bounds is not None and not is_bounds(bounds)):
        return None
    return ReceivedRecord(
        topic, (gw, epoch, stream, seq), source, boot, (start, end),
        WallTimes(wall_from, wall_to, tq, bounds), received, content_type, payload, digest,
    )  # fmt: skip
