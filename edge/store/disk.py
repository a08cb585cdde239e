"""The database of the outbox: every statement of SQL. Raises sqlite3.Error, decides nothing."""

import contextlib
import secrets
import sqlite3
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from edge.store.drops import Drop, Drops
from edge.store.rows import CLASSES, TRUST, Mark, Row, checksum

NAME: Final = "outbox.db"
APPLICATION: Final = 0x4B524253  # "KRBS": not a database of somebody else
VERSION: Final = 1
PAGE: Final = 1024  # a commit touches nine pages or so: with 4096 it writes twice as much
CHECKED_WHOLE: Final = 64 << 20  # bytes; larger databases are checked when they give trouble
DEAD_LIMIT: Final = 100
FETCH: Final = 1 << 20  # bytes of bodies read at one time

SCHEMA: Final = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value) WITHOUT ROWID;
CREATE TABLE counter (epoch INTEGER, stream TEXT, boot INTEGER, next INTEGER,
    PRIMARY KEY (epoch, stream)) WITHOUT ROWID;
CREATE TABLE record (id INTEGER PRIMARY KEY, level INTEGER, epoch INTEGER, stream TEXT,
    seq INTEGER, source TEXT, boot INTEGER, from_ns INTEGER, to_ns INTEGER, body BLOB, crc INTEGER);
CREATE TABLE tally (stream TEXT PRIMARY KEY, rows INTEGER) WITHOUT ROWID;
CREATE TABLE state (owner TEXT PRIMARY KEY, version INTEGER, data BLOB, crc INTEGER) WITHOUT ROWID;
CREATE TABLE clock (boot INTEGER, which TEXT, mono_ns INTEGER, wall_ns INTEGER, tq TEXT,
    PRIMARY KEY (boot, which)) WITHOUT ROWID;
CREATE TABLE dropped (epoch INTEGER, stream TEXT, reason TEXT, first INTEGER, last INTEGER,
    count INTEGER, PRIMARY KEY (epoch, stream, reason)) WITHOUT ROWID;
CREATE TABLE dead (id INTEGER PRIMARY KEY, epoch INTEGER, stream TEXT, seq INTEGER, source TEXT,
    body BLOB, why TEXT);
"""


class BusyError(Exception):
    """Another process has this outbox open."""


class ForeignError(Exception):
    """The file is no outbox, or one of a newer version, or damaged."""


class Disk:
    """One open database. `max_bytes` bounds it, `wal_bytes` its write-ahead log."""

    def __init__(
        self, folder: Path, max_bytes: int, wal_bytes: int, *, whole: bool = False
    ) -> None:
        self._path = folder / NAME
        self._wal = folder / f"{NAME}-wal"
        self._wal_bytes = wal_bytes
        self._max_bytes = max_bytes
        self._low: dict[str, int] = {}  # no row of this stream has a smaller id
        self._db = sqlite3.connect(self._path, timeout=0.5, isolation_level=None)
        # a flipped bit in a text must end as a wrong checksum, not as an error of the whole query
        self._db.text_factory = lambda data: data.decode("utf-8", "replace")
        try:
            self._prepare(whole)
        except BaseException:
            self.close()
            raise

    def _prepare(self, whole: bool) -> None:
        one = self.one
        # exclusive: no second writer, and no shared-memory file beside the database
        one("PRAGMA locking_mode = EXCLUSIVE")
        one(f"PRAGMA page_size = {PAGE}")
        one("PRAGMA journal_mode = WAL")
        one("PRAGMA synchronous = FULL")
        # a database keeps the size of page that it was made with
        self._page = int(one("PRAGMA page_size"))
        self._max_pages = max(64, self._max_bytes // self._page)
        one(f"PRAGMA wal_autocheckpoint = {max(16, self._wal_bytes // self._page // 2)}")
        one(f"PRAGMA journal_size_limit = {self._wal_bytes}")
        one("PRAGMA cache_size = -1024")
        one("PRAGMA temp_store = MEMORY")
        kind, version, pages = (
            one(f"PRAGMA {name}") for name in ("application_id", "user_version", "page_count")
        )
        if kind == 0 and version == 0 and one("SELECT count(*) FROM sqlite_schema") == 0:
            self._create()
        elif kind != APPLICATION:
            raise ForeignError("it is no outbox of Kerbstone")
        elif version != VERSION:
            raise ForeignError(f"it has version {version}; this program knows {VERSION}")
        elif whole or pages * self._page <= CHECKED_WHOLE:
            verdict = one("PRAGMA quick_check(1)")
            if verdict != "ok":
                raise ForeignError(f"it is damaged ({verdict!s:.200})")
        # a lower limit than its size is ignored by SQLite, so a large file is never refused
        one(f"PRAGMA max_page_count = {self._max_pages}")
        self.token = int(one("SELECT value FROM meta WHERE key = 'token'"))
        self.used = bool(one("SELECT value FROM meta WHERE key = 'starts'"))  # by a daemon, ever

    def _create(self) -> None:
        with self.transaction():
            for statement in SCHEMA.split(";"):
                self._db.execute(statement)
            self._db.execute("INSERT INTO meta VALUES ('token', ?)", (secrets.randbits(62),))
            # pragmas of the header take part in the transaction
            self._db.execute(f"PRAGMA application_id = {APPLICATION}")
            self._db.execute(f"PRAGMA user_version = {VERSION}")

    def one(self, statement: str, values: Sequence[object] = ()) -> Any:
        """The first column of the first row; no cursor stays open."""
        rows = self._db.execute(statement, values).fetchall()
        return rows[0][0] if rows else 0

    @contextlib.contextmanager
    def transaction(self) -> Iterator[None]:
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._db.execute("COMMIT")
        except BaseException:
            with contextlib.suppress(sqlite3.Error):
                self._db.execute("ROLLBACK")
            raise
        if self.wal_size() > self._wal_bytes:
            self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()

    def close(self) -> None:
        with contextlib.suppress(sqlite3.Error):
            self._db.close()

    # -- room -----------------------------------------------------------------------------------

    def wal_size(self) -> int:
        try:
            return self._wal.stat().st_size
        except OSError:
            return 0

    def size(self) -> int:
        """Bytes of database and log."""
        try:
            return self._path.stat().st_size + self.wal_size()
        except OSError:
            return self.wal_size()

    def room(self) -> int:
        """Bytes that can still be written; a reserve for declaring losses is left out."""
        used = self.one("PRAGMA page_count") - self.one("PRAGMA freelist_count")
        return int(self._max_pages - used - max(16, self._max_pages // 50)) * self._page

    def oldest(self, streams: Collection[str], limit: int, need: int) -> list[Row]:
        """At most `limit` of the oldest rows of these streams, as many as `need` bytes ask for."""
        marks = ",".join("?" * len(streams))
        low = min((self._low.get(stream, 0) for stream in streams), default=0)
        rows = self._db.execute(
            f"SELECT * FROM record WHERE id >= ? AND stream IN ({marks}) ORDER BY id LIMIT ?",
            (low, *streams, limit),
        )
        found: list[Row] = []
        for row in map(Row._make, rows.fetchall()):
            found.append(row)
            need -= 100 + (len(row.body) if isinstance(row.body, bytes) else 0)
            if need <= 0:
                break
        if found:
            self._low.update(dict.fromkeys(streams, found[0].id))
        return found

    # -- starts ---------------------------------------------------------------------------------

    def meta(self, key: str, default: int | str = 0) -> int | str:
        rows = self._db.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchall()
        value: int | str = rows[0][0] if rows else default
        return value

    def set_meta(self, values: Mapping[str, int | str]) -> None:
        self._db.executemany("INSERT OR REPLACE INTO meta VALUES (?, ?)", values.items())

    def former(self) -> tuple[int, int, dict[str, int]] | None:
        """Epoch, boot and last numbers of the latest start that numbered anything."""
        rows = self._db.execute(
            "SELECT epoch, boot, stream, next FROM counter"
            " WHERE epoch = (SELECT max(epoch) FROM counter)"
        ).fetchall()
        if not rows:
            return None
        return rows[0][0], rows[0][1], {stream: following - 1 for _, _, stream, following in rows}

    def forget_before(self, epoch: int) -> None:
        """Counters and clocks of starts that nothing refers to any more."""
        self._db.execute("DELETE FROM counter WHERE epoch < ?", (epoch,))
        self._db.execute(
            "DELETE FROM clock WHERE boot < (SELECT min(boot) FROM record)"
            " AND boot < (SELECT max(boot) FROM clock)"
        )

    # -- writing: all of these inside a transaction ------------------------------------------------

    def count_up(
        self, epoch: int, boot: int, before: Mapping[str, int], after: Mapping[str, int]
    ) -> None:
        """Move the counter rows; raises DatabaseError when one is not where it was left."""
        for stream, following in after.items():
            if stream not in before:
                self._db.execute(
                    "INSERT INTO counter VALUES (?, ?, ?, ?)", (epoch, stream, boot, following)
                )
                continue
            moved = self._db.execute(
                "UPDATE counter SET next = ? WHERE epoch = ? AND stream = ? AND next = ?",
                (following, epoch, stream, before[stream]),
            )
            if moved.rowcount != 1:
                raise sqlite3.DatabaseError(f"the counter of {stream} is not where it was left")

    def set_counters(self, epoch: int, boot: int, following: Mapping[str, int]) -> None:
        """After a time in memory: the counters are where memory says, never lower."""
        self._db.executemany(
            "INSERT INTO counter VALUES (?1, ?2, ?3, ?4)"
            " ON CONFLICT DO UPDATE SET next = max(next, ?4)",
            [(epoch, stream, boot, number) for stream, number in following.items()],
        )

    def insert(self, rows: Iterable[Row]) -> None:
        """Rows that are there already stay as they are."""
        tally: dict[str, int] = {}
        for row in rows:
            added = self._db.execute(
                "INSERT OR IGNORE INTO record VALUES (?,?,?,?,?,?,?,?,?,?,?)", row
            ).rowcount
            tally[row.stream] = tally.get(row.stream, 0) + added
        self._tally(tally)

    def delete(self, ids: Iterable[int]) -> None:
        """Rows that are gone already are no error."""
        tally: dict[str, int] = {}
        for number in ids:
            for (stream,) in self._db.execute(
                "DELETE FROM record WHERE id = ? RETURNING stream", (number,)
            ).fetchall():
                tally[stream] = tally.get(stream, 0) - 1
        self._tally(tally)

    def _tally(self, change: Mapping[str, int]) -> None:
        self._db.executemany(
            "INSERT INTO tally VALUES (?1, ?2) ON CONFLICT DO UPDATE SET rows = rows + ?2",
            [(stream, number) for stream, number in change.items() if number],
        )

    def set_states(self, states: Mapping[str, tuple[int, bytes]]) -> None:
        self._db.executemany(
            "INSERT OR REPLACE INTO state VALUES (?, ?, ?, ?)",
            [
                (owner, version, data, checksum(owner, version, data))
                for owner, (version, data) in states.items()
            ],
        )

    def set_mark(self, boot: int, mark: Mark) -> None:
        """The latest mark of a boot, and the latest of those that are trusted most."""
        values = (boot, mark.mono_ns, mark.wall_ns, mark.tq)
        self._db.execute("INSERT OR REPLACE INTO clock VALUES (?, 'last', ?, ?, ?)", values)
        best = self._db.execute(
            "SELECT tq FROM clock WHERE boot = ? AND which = 'best'", (boot,)
        ).fetchall()
        if not best or TRUST[mark.tq] >= TRUST.get(best[0][0], 0):
            self._db.execute("INSERT OR REPLACE INTO clock VALUES (?, 'best', ?, ?, ?)", values)

    def set_drops(self, drops: Drops) -> None:
        """The table of losses that no event has declared yet."""
        self._db.execute("DELETE FROM dropped")
        self._db.executemany(
            "INSERT INTO dropped VALUES (?, ?, ?, ?, ?, ?)",
            [(*key, drop.first, drop.last, drop.count) for key, drop in drops.items()],
        )

    def bury(self, row: Row, why: str) -> None:
        """Keep what no broker takes, for people; the oldest make room, and events before others:
        a refusal may itself lead to an event that is refused."""
        self._db.execute(
            "INSERT OR REPLACE INTO dead VALUES (?, ?, ?, ?, ?, ?, ?)",
            (row.id, row.epoch, row.stream, row.seq, row.source, row.body, why),
        )
        self._db.execute(
            "DELETE FROM dead WHERE id NOT IN (SELECT id FROM dead"
            " ORDER BY stream = 'event', id DESC LIMIT ?)",
            (DEAD_LIMIT,),
        )

    # -- reading: everything is fetched at once, no cursor stays open ------------------------------

    def after(self, row: int, limit: int) -> list[Row]:
        """Rows in order of age, at least one, and then as many as FETCH bytes allow."""
        cursor = self._db.execute(
            "SELECT * FROM record WHERE id > ? ORDER BY id LIMIT ?", (row, limit)
        )
        found: list[Row] = []
        size = 0
        try:
            for values in cursor:
                found.append(Row._make(values))
                size += len(values[9]) if isinstance(values[9], bytes) else 0
                if size > FETCH:
                    break
        finally:
            cursor.close()
        return found

    def row(self, number: int) -> Row | None:
        found = self._db.execute("SELECT * FROM record WHERE id = ?", (number,)).fetchall()
        return Row._make(found[0]) if found else None

    def state(self, owner: str) -> tuple[int, bytes, int] | None:
        """Version, bytes and checksum."""
        found = self._db.execute(
            "SELECT version, data, crc FROM state WHERE owner = ?", (owner,)
        ).fetchall()
        return found[0] if found else None

    def marks(self, boot: int) -> list[Mark]:
        """Best first, then the latest."""
        found = self._db.execute(
            "SELECT mono_ns, wall_ns, tq FROM clock WHERE boot = ? ORDER BY which", (boot,)
        ).fetchall()
        return [Mark(*values) for values in found if values[2] in TRUST]

    def drops(self) -> Drops:
        found = self._db.execute("SELECT * FROM dropped").fetchall()
        return Drops({(row[0], row[1], row[2]): Drop(row[3], row[4], row[5]) for row in found})

    def tally(self) -> dict[str, int]:
        """Rows of each stream."""
        found = self._db.execute("SELECT stream, rows FROM tally WHERE rows > 0").fetchall()
        return {stream: rows for stream, rows in found if stream in CLASSES}

    def dead(self) -> int:
        return int(self.one("SELECT count(*) FROM dead"))
