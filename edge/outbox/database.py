"""The file of the outbox as a database: opened and checked, its transactions, its bounds.

Raises sqlite3.Error, decides nothing. The statements on its tables are in `diskoutbox` and
`clockmap`.
"""

import contextlib
import secrets
import sqlite3
import zlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from edge.durable.sqlitefile import Access, open_sqlite, sync_each_commit
from edge.outbox.walframes import has_commits

DATABASE_NAME: Final = "outbox.db"
# what SQLite's binding raises of a damaged page, beside its own: the name of a column is no text,
# or a value is as long as no memory is
DAMAGE: Final = (UnicodeError, MemoryError)
LOOK_BYTES: Final = 8 << 20
HELD_WAL_BYTES: Final = 16 << 20  # of the log, while somebody copies the file
UNREADABLE: Final = (sqlite3.Error, *DAMAGE)
APPLICATION_ID: Final = 0x4B524253  # "KRBS": not a database of somebody else
USER_VERSION: Final = 1
PAGE_SIZE: Final = 1024  # a commit touches nine pages or so: with 4096 it writes twice as much
INTEGRITY_CHECK_LIMIT: Final = 64 << 20  # bytes; larger ones are checked when they give trouble

# a database is known by this very text: with another one goes another USER_VERSION
SCHEMA: Final = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value) WITHOUT ROWID;
CREATE TABLE counter (epoch INTEGER, stream TEXT, boot INTEGER, next INTEGER,
    PRIMARY KEY (epoch, stream)) WITHOUT ROWID;
CREATE TABLE record (id INTEGER PRIMARY KEY, level INTEGER, epoch INTEGER, stream TEXT,
    seq INTEGER, source TEXT, boot INTEGER, from_ns INTEGER, to_ns INTEGER, body BLOB, crc INTEGER);
CREATE TABLE state (owner TEXT PRIMARY KEY, version INTEGER, data BLOB, crc INTEGER) WITHOUT ROWID;
CREATE TABLE clock (boot INTEGER, which TEXT, mono_ns INTEGER, wall_ns INTEGER, tq TEXT,
    PRIMARY KEY (boot, which)) WITHOUT ROWID;
CREATE TABLE dropped (epoch INTEGER, stream TEXT, reason TEXT, first INTEGER, last INTEGER,
    count INTEGER, PRIMARY KEY (epoch, stream, reason)) WITHOUT ROWID;
CREATE TABLE dead (id INTEGER PRIMARY KEY, epoch INTEGER, stream TEXT, seq INTEGER, source TEXT,
    body BLOB, why TEXT);
"""


# alarms are found among a week of minutes; events are rare, so it costs the card nothing else
INDEX: Final = "CREATE INDEX IF NOT EXISTS urgent ON record (level) WHERE level = 4"


OWNER_KEY: Final = "owner"  # in the table `meta`, which has no checksums


def encode_owner(owner: str) -> str:
    """What stands for an owner in the table `meta`."""
    return f"{zlib.crc32(owner.encode()):08x} {owner}"


def decode_owner(word: object) -> str:
    """Back; "" when it is damaged, or nobody has written it."""
    owner = str(word)[9:]
    return owner if word == encode_owner(owner) else ""


class OutboxBusyError(Exception):
    """Another process has this outbox open."""


class UnusableOutboxError(Exception):
    """The file is no outbox, or one of a newer version, or damaged."""


class ForeignOutboxError(UnusableOutboxError):
    """It is sound, and not ours to use: it is to be kept beside ours. `whose` is its name there."""

    def __init__(self, text: str, whose: str) -> None:
        self.whose = whose
        super().__init__(text)

    def kept_as(self, path: Path) -> str:
        """For people: what became of it, and what to do."""
        raise NotImplementedError


class OutboxVersionError(ForeignOutboxError):
    """Another version of this program has written it."""

    def __init__(self, version: int) -> None:
        self.version = version
        super().__init__(
            f"it has version {version}; this program knows {USER_VERSION}", f"v{version}"
        )

    def kept_as(self, path: Path) -> str:
        return (
            f"The outbox was written by version {self.version} of its format, and this program "
            f"knows version {USER_VERSION}: it is kept as {path} with all its records. Install the "
            f"program that wrote it again, or let `kerbstone outbox rescue {path}` send what it "
            "holds."
        )


def reading_access(wal: Path) -> Access:
    """How to open a database that is only read, and that nobody else has open. Without a log none
    is made; one that holds no commits would be removed."""
    return Access.UNLOCKED if has_commits(wal) else Access.IMMUTABLE


def _is_memory_short() -> bool:
    """Whether not even that can be had that a look at an outbox takes, with its cache."""
    try:
        bytearray(LOOK_BYTES)
    except MemoryError:
        return True
    return False


def _as_sqlite_error(error: Exception) -> sqlite3.DatabaseError:
    """Memory may really be short: then the file is sound, and nothing is put aside for it. If it is
    not, a damaged length asks for more than any machine has."""
    short = isinstance(error, MemoryError) and _is_memory_short()
    made = sqlite3.DatabaseError(
        "no memory for it" if short else f"it is damaged ({str(error) or 'a length'})"
    )
    made.sqlite_errorcode = sqlite3.SQLITE_NOMEM if short else sqlite3.SQLITE_CORRUPT
    return made


class _Connection(sqlite3.Connection):
    """One whose every failure is a sqlite3.Error."""

    def execute(self, *arguments: Any) -> sqlite3.Cursor:
        try:
            return super().execute(*arguments)
        except DAMAGE as error:
            raise _as_sqlite_error(error) from error


class Database:
    """One open database. `max_bytes` bounds it, `wal_bytes` its write-ahead log.

    `whole`: check it however large it is. `reading`: an empty one is refused, nothing is made or
    locked or checked; the caller knows that nobody writes there.
    """

    def __init__(
        self,
        folder: Path,
        max_bytes: int,
        wal_bytes: int,
        *,
        whole: bool = False,
        reading: bool = False,
    ) -> None:
        self._path = folder / DATABASE_NAME
        self._wal = folder / f"{DATABASE_NAME}-wal"
        self._wal_bytes = wal_bytes
        self._max_bytes = max_bytes
        self.frames: int | None = None  # of the log that lay there, as far as SQLite has read it
        self._held = False  # the file does not change: somebody copies it
        access = reading_access(self._wal) if reading else Access.CREATE
        # a flipped bit in a text must end as a wrong checksum, not as an error of the whole query
        self._db = open_sqlite(
            self._path, access, timeout_s=0.5, text_errors="replace", factory=_Connection
        )
        try:
            self._prepare(whole, reading)
        except BaseException:
            self.close()
            raise

    def _prepare(self, whole: bool, reading: bool) -> None:
        one = self.one
        # exclusive: no second writer, and no shared-memory file beside the database
        one("PRAGMA locking_mode = EXCLUSIVE")
        one(f"PRAGMA page_size = {PAGE_SIZE}")
        if not reading:
            sync_each_commit(self._db)
        # a database keeps the size of page that it was made with
        self._page = int(one("PRAGMA page_size"))
        self._max_pages = max(64, self._max_bytes // self._page)
        self._checkpoint_pages = max(16, self._wal_bytes // self._page // 2)
        one(f"PRAGMA wal_autocheckpoint = {self._checkpoint_pages}")
        one(f"PRAGMA journal_size_limit = {self._wal_bytes}")
        one("PRAGMA cache_size = -1024")
        one("PRAGMA temp_store = MEMORY")
        kind, version, pages = (
            one(f"PRAGMA {name}") for name in ("application_id", "user_version", "page_count")
        )
        if kind == 0 and version == 0 and one("SELECT count(*) FROM sqlite_schema") == 0:
            if reading:
                raise UnusableOutboxError("it is empty")
            self._create()
        elif kind != APPLICATION_ID:
            raise UnusableOutboxError("it is no outbox of Kerbstone")
        elif version != USER_VERSION:
            raise OutboxVersionError(version)
        elif not reading and (whole or pages * self._page <= INTEGRITY_CHECK_LIMIT):
            verdict = one("PRAGMA quick_check(1)")
            if verdict != "ok":
                raise UnusableOutboxError(f"it is damaged ({verdict!s:.200})")
        if not reading:
            if not self._has_our_tables():  # of what they are called no check knows anything
                raise UnusableOutboxError("it is damaged (its schema)")
            self._begin_log()
        # a lower limit than its size is ignored by SQLite, so a large file is never refused
        one(f"PRAGMA max_page_count = {self._max_pages}")
        self.token = self.word("token", 0)
        self.used = self.word("starts", 0) > 0  # by a daemon, ever
        self.owner = decode_owner(self.meta(OWNER_KEY, ""))  # "": it is not known

    def _has_our_tables(self) -> bool:
        there = {sql for (sql,) in self.rows("SELECT sql FROM sqlite_schema WHERE type = 'table'")}
        return there >= {each.strip() for each in SCHEMA.split(";") if each.strip()}

    def _begin_log(self) -> None:
        """Each start has a log of its own: what lies in it is of this start, or was damaged.

        The first commit begins it, over the old one: until then a kill takes no verdict on that
        with it, and a file that keeps its length costs the file system less than one that grows.
        """
        with contextlib.suppress(sqlite3.Error):  # no room: then it goes on in the old one
            self.frames = max(0, self.rows("PRAGMA wal_checkpoint(PASSIVE)")[0][1])
            if not self.frames:  # then SQLite keeps the salts, and what it did not read has them
                self.rows("PRAGMA wal_checkpoint(TRUNCATE)")

    def _create(self) -> None:
        with self.transaction():
            for statement in (*SCHEMA.split(";"), INDEX):
                self._db.execute(statement)
            self._db.execute("INSERT INTO meta VALUES ('token', ?)", (secrets.randbits(62),))
            # pragmas of the header take part in the transaction
            self._db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            self._db.execute(f"PRAGMA user_version = {USER_VERSION}")

    def one(self, statement: str, values: Sequence[object] = ()) -> Any:
        """The first column of the first row; no cursor stays open."""
        rows = self.rows(statement, values)
        return rows[0][0] if rows else 0

    def rows(self, statement: str, values: Sequence[object] = ()) -> list[Any]:
        """All that a query finds, or an insertion or deletion returns; no cursor stays open."""
        try:
            return self._db.execute(statement, values).fetchall()
        except DAMAGE as error:
            raise _as_sqlite_error(error) from error

    def change(self, statement: str, values: Sequence[object]) -> int:
        """How many rows a statement has changed."""
        return self._db.execute(statement, values).rowcount

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

    def trim(self) -> None:
        """After a transaction: keep the log within its bound. What is committed stays so."""
        if self._held and self.wal_size() > HELD_WAL_BYTES:
            self.let_go()  # who copies is too slow, and hears of it
        if not self._held and self.wal_size() > self._wal_bytes:
            self.rows("PRAGMA wal_checkpoint(TRUNCATE)")

    def hold(self) -> int | None:
        """All that is committed goes into the file, which then stays as it is, to be copied: what
        is committed from now on lies in the log alone. The bytes of the file; None: there is no
        room for what the log has."""
        self.rows("PRAGMA wal_autocheckpoint = 0")
        self._held = True
        busy, left, moved = self.rows("PRAGMA wal_checkpoint(TRUNCATE)")[0]
        if busy or left != moved:
            self.let_go()
            return None
        return self._path.stat().st_size

    def let_go(self) -> bool:
        """The file may change again. Whether it had not since `hold`."""
        held, self._held = self._held, False
        if held:
            self.one(f"PRAGMA wal_autocheckpoint = {self._checkpoint_pages}")
        return held

    def mend(self) -> None:
        """Make the index anew: no check finds an entry of it that points to a wrong row."""
        with contextlib.suppress(sqlite3.OperationalError):  # no room: then it stays as it is
            self.rows("REINDEX")

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

    def used_bytes(self) -> int:
        """Bytes of pages that hold something."""
        pages = self.one("PRAGMA page_count") - self.one("PRAGMA freelist_count")
        return int(pages) * self._page

    def room(self) -> int:
        """Bytes that can still be written; a reserve for declaring losses is left out."""
        reserve = max(16, self._max_pages // 50)
        return (self._max_pages - reserve) * self._page - self.used_bytes()

    # -- words that belong to the whole -----------------------------------------------------------

    def meta(self, key: str, default: int | str = 0) -> int | str:
        rows = self.rows("SELECT value FROM meta WHERE key = ?", (key,))
        value: int | str = rows[0][0] if rows else default
        return value

    def word(self, key: str, default: int) -> int:
        """A number of `meta`; `default` also when the page is damaged and holds none."""
        found = self.meta(key, default)
        return found if isinstance(found, int) else default

    def set_meta(self, values: Mapping[str, int | str]) -> None:
        """Inside a transaction."""
        self._db.executemany("INSERT OR REPLACE INTO meta VALUES (?, ?)", values.items())
