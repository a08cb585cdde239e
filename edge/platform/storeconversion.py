"""A store of version 2 becomes one of version 3, in its own file.

Some hundred records at a time are copied to their new tables and taken out of the old one, in one
transaction: after a kill the next start goes on where this one was. The pages that become free hold
what is copied next, so the file hardly grows; it does not shrink either, and what is free is used
for new records. A reader sees both tables at any time.
"""

import sqlite3
from collections.abc import Callable
from typing import Final

from edge.core.numbers import Range
from edge.platform.ledger import MARK, enter_ranges, ranges_in
from edge.platform.storetables import ENTRIES, FORMER_TABLE, OWN, USER_VERSION

BATCH: Final = 200  # records of a transaction; each has up to a megabyte
KEY: Final = "gw, epoch, stream, seq"

BEGIN: Final = f"""BEGIN IMMEDIATE;
ALTER TABLE record RENAME TO {FORMER_TABLE};
{ENTRIES}
PRAGMA user_version = {USER_VERSION};
COMMIT;"""
# all in SQL: what is rotten in a row stays as it is, for the audit to find
TAKE: Final = f"INSERT INTO batch SELECT {KEY} FROM {FORMER_TABLE} ORDER BY {KEY} LIMIT {BATCH}"
OLD: Final = f"batch CROSS JOIN {FORMER_TABLE} USING ({KEY})"
NUMBERINGS: Final = (
    "INSERT OR IGNORE INTO numbering (gw, epoch, stream) SELECT gw, epoch, stream FROM batch"
)
SAME_ORIGIN: Final = (
    "o.topic = r.topic AND o.source = r.source AND o.content_type IS r.content_type"
)
ORIGINS: Final = f"""INSERT INTO origin (topic, source, content_type)
SELECT DISTINCT topic, source, content_type FROM (SELECT * FROM {OLD}) AS r
WHERE NOT EXISTS (SELECT 1 FROM origin AS o WHERE {SAME_ORIGIN})"""
ENTER: Final = f"""INSERT INTO entry (numbering, seq, origin, {OWN})
SELECT (SELECT id FROM numbering AS n
        WHERE n.gw = r.gw AND n.epoch = r.epoch AND n.stream = r.stream),
    seq, (SELECT id FROM origin AS o WHERE {SAME_ORIGIN}), {OWN}
FROM (SELECT * FROM {OLD}) AS r ORDER BY {KEY}"""
COVERING: Final = f"CASE WHEN instr(r.payload, x'{MARK.hex()}') THEN r.payload END"
NUMBERS: Final = f"""SELECT n.id, r.seq, {COVERING}
FROM (SELECT * FROM {OLD}) AS r JOIN numbering AS n
ON n.gw = r.gw AND n.epoch = r.epoch AND n.stream = r.stream WHERE typeof(r.seq) = 'integer'"""
LEAVE: Final = f"DELETE FROM {FORMER_TABLE} WHERE ({KEY}) IN (SELECT {KEY} FROM batch)"


def begin_conversion(db: sqlite3.Connection) -> None:
    """From now on it is a store of version 3, part of which is in the old table."""
    db.executescript(BEGIN)


def is_unfinished(db: sqlite3.Connection) -> bool:
    """Whether records are left in the old table."""
    found = db.execute("SELECT 1 FROM sqlite_schema WHERE name = ?", (FORMER_TABLE,)).fetchone()
    return found is not None


def convert(db: sqlite3.Connection, progress: Callable[[int], None]) -> None:
    """To the end. `progress` hears how many records have been converted. Raises sqlite3.Error."""
    db.execute(f"CREATE TEMP TABLE batch ({KEY})")
    done = 0
    while count := _batch(db):
        done += count
        progress(done)
    db.execute("DROP TABLE temp.batch")
    db.execute(f"DROP TABLE {FORMER_TABLE}")


def _batch(db: sqlite3.Connection) -> int:
    db.execute("BEGIN IMMEDIATE")
    try:
        db.execute("DELETE FROM batch")
        count = db.execute(TAKE).rowcount
        db.execute(NUMBERINGS)
        db.execute(ORIGINS)
        entered = db.execute(ENTER).rowcount
        stored: dict[int, list[Range]] = {}
        for numbering, seq, payload in db.execute(NUMBERS):
            stored.setdefault(numbering, []).extend(ranges_in(payload, seq))
        enter_ranges(db, stored)
        left = db.execute(LEAVE).rowcount
        if not count == entered == left:
            text = f"{count} records were to be converted, but {entered} were, and {left} left"
            raise sqlite3.DatabaseError(f"{text} the old table: the file is damaged")
        db.execute("COMMIT")
    except BaseException:
        if db.in_transaction:
            db.execute("ROLLBACK")
        raise
    return count
