"""The SQLite file of the enrolment server: opened, made and locked.

asked   a claim, and the one key that asked with it; its state is what the operator decided
issued  every certificate of a gateway, also when it has been revoked or has expired
named   the same of brokers and the city's programs, which need no claim

The server and the operator's commands open it side by side: SQLite orders them.
"""

import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from edge.core import ConfigError
from edge.durable.sqlitefile import Access, open_sqlite, sync_each_commit

APPLICATION_ID: Final = 0x4B65_7250  # "KerP"
BUSY_S: Final = 10.0
USER_VERSION: Final = 1
SCHEMA: Final = (
    """CREATE TABLE asked (claim TEXT PRIMARY KEY, digest BLOB NOT NULL, site TEXT NOT NULL,
        role TEXT NOT NULL, gateway TEXT NOT NULL, spki BLOB NOT NULL, csr BLOB NOT NULL,
        state TEXT NOT NULL, asked TEXT NOT NULL, address TEXT NOT NULL, decided TEXT)
        WITHOUT ROWID""",
    """CREATE TABLE issued (serial TEXT PRIMARY KEY, claim TEXT NOT NULL,
        gateway TEXT NOT NULL, site TEXT NOT NULL, role TEXT NOT NULL, spki BLOB NOT NULL,
        der BLOB NOT NULL, begins TEXT NOT NULL, ends TEXT NOT NULL, revoked TEXT, reason TEXT)
        WITHOUT ROWID""",
    "CREATE INDEX issued_claim ON issued (claim)",
    """CREATE TABLE named (serial TEXT PRIMARY KEY, kind TEXT NOT NULL, name TEXT NOT NULL,
        spki BLOB NOT NULL, der BLOB NOT NULL, begins TEXT NOT NULL, ends TEXT NOT NULL,
        revoked TEXT, reason TEXT)""",  # its ROWID says what is newer within a second
    "CREATE INDEX named_name ON named (name)",
)
Rows = list[tuple[Any, ...]]


class EnrolStoreError(Exception):
    """The file cannot be read or written."""


class EnrolDatabase:
    """Used by any number of threads. Raises EnrolStoreError, and ConfigError for another's file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        with self._store_errors():
            self._db = _connect(path)
        try:
            with self.read():
                empty = self._is_empty()
            if empty:
                with self.transaction():
                    if self._is_empty():  # nobody else has made it meanwhile
                        self._create()
        except BaseException:
            self._db.close()
            raise

    def close(self) -> None:
        with self._lock:
            self._db.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All that is done in it, or nothing; nobody else changes anything meanwhile."""
        with self.read():
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._db.execute("COMMIT")
            finally:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")

    @contextmanager
    def read(self) -> Iterator[None]:
        with self._lock, self._store_errors():
            yield

    def rows(self, sql: str, *values: object) -> Rows:
        """Inside of `read` or `transaction` only."""
        return self._db.execute(sql, values).fetchall()

    def put(self, table: str, values: Sequence[object]) -> None:
        """Inside of `transaction` only."""
        self._db.execute(f"INSERT INTO {table} VALUES ({', '.join('?' * len(values))})", values)

    def _is_empty(self) -> bool:
        """Raises ConfigError for what is no store of this version."""
        ((application,),) = self.rows("PRAGMA application_id")
        ((version,),) = self.rows("PRAGMA user_version")
        ((tables,),) = self.rows("SELECT count(*) FROM sqlite_schema")
        if not application and not tables:
            return True
        if application != APPLICATION_ID or version < 1:
            raise ConfigError(f"{self._path} is not the database of an enrolment server.")
        if version != USER_VERSION:
            raise ConfigError(
                f"A later version of Kerbstone wrote the database {self._path} in format {version}."
                f" This version reads format {USER_VERSION}."
            )
        return False

    def _create(self) -> None:
        for statement in SCHEMA:
            self._db.execute(statement)
        self._db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        self._db.execute(f"PRAGMA user_version = {USER_VERSION}")

    @contextmanager
    def _store_errors(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise EnrolStoreError(f"{self._path}: {error}") from error


def _connect(path: Path) -> sqlite3.Connection:
    db = open_sqlite(path, Access.CREATE, timeout_s=BUSY_S, any_thread=True)
    try:
        sync_each_commit(db)
    except BaseException:
        db.close()
        raise
    return db
