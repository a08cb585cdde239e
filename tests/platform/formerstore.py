"""A store as version 2 has written it, for tests of what becomes of it."""

import contextlib
import sqlite3
from collections.abc import Sequence
from pathlib import Path

from edge.platform.receivedrecord import ReceivedRecord
from edge.platform.storetables import APPLICATION_ID, COLUMNS, whole_row

RECORD = """
    gw TEXT NOT NULL, epoch INTEGER NOT NULL, stream TEXT NOT NULL, seq INTEGER NOT NULL,
    topic TEXT NOT NULL, source TEXT NOT NULL, boot INTEGER NOT NULL,
    mono_from INTEGER NOT NULL, mono_to INTEGER NOT NULL,
    wall_from TEXT NOT NULL, wall_to TEXT NOT NULL, tq TEXT NOT NULL, bounds TEXT,
    received TEXT NOT NULL, content_type TEXT, payload BLOB NOT NULL, digest BLOB NOT NULL"""
SCHEMA = f"""
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


def write_former(
    path: Path, records: Sequence[ReceivedRecord], conflicts: Sequence[ReceivedRecord] = ()
) -> None:
    """In place of what is there."""
    for old in path.parent.glob(f"{path.name}*"):
        old.unlink()
    with contextlib.closing(sqlite3.connect(path)) as db:
        db.executescript(f"PRAGMA journal_mode = WAL; {SCHEMA}")
        db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        db.execute("PRAGMA user_version = 2")
        db.execute("INSERT INTO store VALUES ('0123456789abcdef')")
        for table, rows in (("record", records), ("conflict", conflicts)):
            sql = f"INSERT INTO {table} ({COLUMNS}, digest) VALUES (?{', ?' * 16})"
            db.executemany(sql, [(*whole_row(each), each.digest()) for each in rows])
        for each in records:
            db.execute("INSERT OR IGNORE INTO joined VALUES (?, ?)", each.key[:2])
        db.commit()


def tamper(path: Path, sql: str) -> None:
    """Make a store of the former version of it, whose table `record` can be changed at will."""
    names = ", ".join(word.strip() for word in COLUMNS.split(","))
    with contextlib.closing(sqlite3.connect(path)) as db:
        db.executescript(
            f"""CREATE TEMP TABLE kept AS SELECT {names} FROM record;
            DROP VIEW record; DROP TABLE entry; DROP TABLE numbering; DROP TABLE origin;
            DROP TABLE ledger; DROP TABLE proof; DROP TABLE proof_day; DROP TABLE redated;
            PRAGMA user_version = 2;
            CREATE TABLE record ({RECORD}, PRIMARY KEY (gw, epoch, stream, seq)) WITHOUT ROWID;
            INSERT INTO record ({names}, digest) SELECT {names}, zeroblob(12) FROM kept;
            DROP TABLE kept; {sql}"""
        )
