"""Removes old days from the archive, and first looks whether their records are proved.

A record is proved when a manifest that held seals its number, or a merged record stands for it. The
ledger keeps all numbers, so what comes again is still a repeat.
"""

from dataclasses import dataclass
from datetime import date
from typing import Final

import psycopg

from edge.platform.postgres.archive import LOCK, TABLES

DAYS: Final = "SELECT DISTINCT arrived FROM record_archive WHERE arrived < %s ORDER BY 1"
# by the row of the ledger: a day of it goes or stays as a whole, with its rows by kind
PROVED: Final = """
SELECT a.ledger, g.gw, l.epoch, l.stream, sum(a.records)::bigint,
    bool_and(a.numbers <@ (coalesce(p.numbers, '{}') + l.covered))
FROM record_archive AS a
JOIN ledger AS l ON l.id = a.ledger
JOIN gateway AS g ON g.id = l.gateway
LEFT JOIN (
    SELECT p.ledger, range_agg(n) AS numbers FROM proof AS p CROSS JOIN unnest(p.numbers) AS n
    WHERE p.ledger IN (SELECT ledger FROM record_archive WHERE arrived = %(day)s) GROUP BY 1
) AS p ON p.ledger = a.ledger
WHERE a.arrived = %(day)s GROUP BY 1, 2, 3, 4 ORDER BY 2, 3, 4"""


@dataclass(frozen=True, slots=True)
class UnprovedRecords:
    """Of one day, gateway, epoch and stream."""

    gw: str
    epoch: int
    stream: str
    records: int


@dataclass(frozen=True, slots=True)
class RemovedDay:
    """How many records were removed, and what is not proved: it was kept, unless it was said that
    it goes, too."""

    day: date
    records: int
    unproved: tuple[UnprovedRecords, ...]


class Retention:
    """On a connection in autocommit. Raises psycopg.Error."""

    def __init__(self, db: psycopg.Connection) -> None:
        self._db = db

    def days(self, before: date) -> list[date]:
        """Days in the archive on which records came, before this one."""
        return [day for (day,) in self._db.execute(DAYS, (before,)).fetchall()]

    def look(self, day: date, *, even_unproved: bool = False) -> RemovedDay:
        """What `remove` would do."""
        return self._judge(day, even_unproved=even_unproved)[0]

    def remove(self, day: date, *, even_unproved: bool = False) -> RemovedDay:
        """In one transaction."""
        with self._db.transaction():
            self._db.execute("SELECT pg_advisory_xact_lock(%s)", (LOCK,))
            found, ledgers = self._judge(day, even_unproved=even_unproved)
            for name in TABLES:
                self._db.execute(
                    f"DELETE FROM {name}_archive WHERE arrived = %s AND ledger = ANY (%s)",
                    (day, ledgers),
                )
        return found

    def _judge(self, day: date, *, even_unproved: bool) -> tuple[RemovedDay, list[int]]:
        """And the rows of the ledger whose records of that day go."""
        rows = self._db.execute(PROVED, {"day": day}).fetchall()
        unproved = tuple(UnprovedRecords(*row[1:5]) for row in rows if not row[5])
        gone = [row for row in rows if row[5] or even_unproved]
        return RemovedDay(day, sum(row[4] for row in gone), unproved), [row[0] for row in gone]
