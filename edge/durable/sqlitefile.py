"""The one way to open an SQLite database, and to find out whether somebody else has it open.

Who knows its tables, in `edge.outbox`, `edge.platform` or `edge.provision`, checks that it is one
of theirs before anything in it is changed.
"""

import fcntl
import os
import sqlite3
from enum import StrEnum
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

LOCK_BYTES: Final = (510, 0x40000002)  # bytes that SQLite locks: how many, and from where on


class Access(StrEnum):
    """What may happen to the file, as the query of its URI.

    With a log beside it SQLite wants to lock the file for itself, which a disk that cannot be
    written refuses. UNLOCKED reads the log, too, with its index in memory (exclusive mode), and
    leaves both files as they are; a log that holds nothing for it, it would remove. IMMUTABLE looks
    at no log. For both the caller knows that nobody writes there.
    """

    CREATE = "mode=rwc"
    READ = "mode=ro"
    UNLOCKED = "mode=ro&vfs=unix-none"
    IMMUTABLE = "mode=ro&immutable=1"


def open_sqlite(
    path: Path,
    access: Access,
    *,
    timeout_s: float = 5.0,
    text_errors: str = "strict",
    any_thread: bool = False,
    factory: type[sqlite3.Connection] = sqlite3.Connection,
) -> sqlite3.Connection:
    """Each statement is its own transaction, unless BEGIN says otherwise. Raises sqlite3.Error.

    `text_errors`: of a text that is no UTF-8; with another word than "strict" one rotten byte ends
    no query. `any_thread`: the caller takes care that one uses it at a time.
    """
    uri = f"file:{quote(os.fsencode(path.absolute()))}?{access}"
    return _connect(uri, timeout_s, text_errors, any_thread, factory)


def open_scratch(*, text_errors: str = "strict") -> sqlite3.Connection:
    """An empty database without a name, for any thread; gone when it is closed."""
    return _connect("", 5.0, text_errors, True, sqlite3.Connection)


def _connect(
    uri: str, timeout_s: float, text_errors: str, any_thread: bool, factory: Any
) -> sqlite3.Connection:
    db: sqlite3.Connection = sqlite3.connect(
        uri,
        timeout=timeout_s,
        isolation_level=None,
        check_same_thread=not any_thread,
        uri=True,
        factory=factory,
    )
    if text_errors != "strict":
        db.text_factory = lambda data: data.decode("utf-8", text_errors)
    return db


def sync_each_commit(db: sqlite3.Connection) -> None:
    """What is committed outlives a power cut: a write-ahead log that is synced. Raises
    sqlite3.Error."""
    db.execute("PRAGMA journal_mode = WAL").fetchall()
    db.execute("PRAGMA synchronous = FULL")


def in_use(path: Path) -> bool:
    """Whether another process has this database open. Never in a process that has it open itself:
    a file that is closed takes the locks of its process with it. Raises OSError."""
    with path.open("rb") as file:
        try:
            fcntl.lockf(file, fcntl.LOCK_SH | fcntl.LOCK_NB, *LOCK_BYTES)
        except (BlockingIOError, PermissionError):
            return True
    return False
