"""Packs whole days into the archive, and drops their partitions.

A day is one transaction: it is in its partitions before, and in the archive after. Partitions are
emptied in it, and dropped afterwards, which needs a lock on the whole table: it is tried for a
moment, and again in the next run, so that no sink waits behind it.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final, LiteralString

import psycopg

from edge.platform.postgres.kindtables import ALL_TABLES, DEVICE, EVENT, FILED, KindTable
from edge.platform.postgres.ranges import multirange_of
from edge.platform.postgres.recordpack import PACK_SPAN, number_of, pack, rows_of_copy
from edge.platform.postgres.rows import COLUMNS

PACK_RECORDS: Final = 1_000
PACK_BYTES: Final = 4 << 20  # and one record more
PATIENCE_S: Final = 30  # for readers of that day: each holds it for as long as it reads
TRIES: Final = 3  # of a day into which a sink wants to write
LOCK: Final = 7_234_017_283_807_667_303  # of one archiver at a time; `hold_day` takes it
TABLES: Final = ("record", *(table.name for table in ALL_TABLES))

PARTITIONS: Final = """
SELECT DISTINCT right(c.relname, 8) FROM pg_class AS c
JOIN pg_inherits AS i ON i.inhrelid = c.oid JOIN pg_class AS p ON p.oid = i.inhparent
WHERE p.relnamespace = 'kerbstone'::regnamespace AND p.relname = ANY (%s)
AND c.relname ~ '_[0-9]{8}$'"""
SPAN: Final = "received >= %(start)s AND received < %(end)s"
# one look into the index for each row of the ledger, and not one for each record
LEDGERS: Final[LiteralString] = f"""
WITH RECURSIVE found (ledger) AS (
    (SELECT ledger FROM record WHERE {SPAN} ORDER BY ledger LIMIT 1)
    UNION ALL
    SELECT (SELECT r.ledger FROM record AS r WHERE {SPAN} AND r.ledger > f.ledger
        ORDER BY r.ledger LIMIT 1)
    FROM found AS f WHERE f.ledger IS NOT NULL
)
SELECT ledger FROM found WHERE ledger IS NOT NULL"""
READ: Final[LiteralString] = f"""
COPY (SELECT {COLUMNS} FROM record WHERE {SPAN} AND ledger = %(ledger)s AND seq > %(after)s
ORDER BY seq LIMIT {PACK_RECORDS}) TO STDOUT (FORMAT BINARY)"""
KEEP: Final = """
INSERT INTO record_archive (ledger, first, last, arrived, records, size, numbers, pack)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s)"""
WAIT: Final = "SET LOCAL lock_timeout = '200ms'"  # so long may others have to wait behind us
SORT: Final = "SET LOCAL work_mem = '256MB'"
SIZE_BEFORE: Final = """
SELECT coalesce(sum(pg_total_relation_size(t::regclass)), 0)::bigint
FROM unnest(day_tables(%s)) AS t"""
# groups of so many numbers: an array has at most 1 GB, whatever a gateway sends
GROUPED: Final[dict[str, LiteralString]] = {DEVICE.name: "10000", EVENT.name: "10000"}
GROUPED_ELSE: Final[LiteralString] = PACK_SPAN
POINT_COLUMNS: Final = ("mean", "low", "high", "n", "reading", "delta", "flaw")


@dataclass(frozen=True, slots=True)
class ArchivedDay:
    """What became of one: records, bytes of its partitions, and bytes of what was made of them.

    `busy`: it is as it was, since somebody has read it all the time.
    """

    day: date
    records: int = 0
    before: int = 0
    after: int = 0
    busy: bool = False


class Archiver:
    """On a connection of its own, in autocommit, with `search_path` and time zone set.

    `progress` hears how many records of a day are packed. Raises psycopg.Error.
    """

    def __init__(
        self,
        db: psycopg.Connection,
        *,
        progress: Callable[[date, int], None] = lambda _day, _records: None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._db, self._progress, self._sleep = db, progress, sleep

    def days(self, before: date) -> list[date]:
        """Those in partitions that ended before the begin of this one."""
        names = self._db.execute(PARTITIONS, (list(TABLES),)).fetchall()
        found = [date.fromisoformat(name) for (name,) in names]
        return sorted(day for day in found if day < before)

    def archive(self, day: date) -> ArchivedDay:
        """Pack it. Its partitions are empty afterwards."""
        for _ in range(TRIES):
            # a sink has read that day and now wants to write there: it waits for us, and we would
            # for it; so it goes first
            with suppress(psycopg.errors.DeadlockDetected):
                return self._archive(day)
        return ArchivedDay(day, busy=True)

    def drop(self, day: date) -> bool:
        """Its empty partitions. False: somebody reads them, or a sink has written there again."""
        found = [self._patiently("SELECT drop_empty(%s, %s)", (name, day)) for name in TABLES]
        return all(found)

    def size_before(self, day: date) -> int:
        """Bytes of its partitions, with indexes."""
        return self._number(SIZE_BEFORE, day)

    def size_of(self, day: date) -> int:
        """Bytes that its rows have in the archive, without indexes."""
        size = 0
        for name in TABLES:
            archive: LiteralString = f"{name}_archive"
            columns = self._db.execute(
                "SELECT string_agg(format('coalesce(pg_column_size(%%I), 0)', attname), ' + ')"
                " FROM pg_attribute WHERE attrelid = %s::regclass AND attnum > 0",
                (archive,),
            ).fetchone() or ("0",)
            query = f"SELECT coalesce(sum({columns[0]}), 0)::bigint FROM {archive}"
            size += self._number(f"{query} WHERE arrived = %s".encode(), day)
        return size

    def _archive(self, day: date) -> ArchivedDay:
        with self._db.transaction():
            self._db.execute("SELECT hold_day(%s)", (day,))
            self._db.execute(SORT)
            before, there = self.size_before(day), self.size_of(day)
            records = self._pack_records(day)
            if not records:
                return ArchivedDay(day)
            for table in ALL_TABLES:
                self._db.execute(pack_statement(table), {**span(day), "day": day})
            after = self.size_of(day) - there
            if self._patiently("SELECT empty_day(%s)", (day,)):
                return ArchivedDay(day, records, before, after)
            raise psycopg.Rollback
        return ArchivedDay(day, busy=True)

    def _number(self, query: LiteralString | bytes, day: date) -> int:
        (found,) = self._db.execute(query, (day,)).fetchone() or (0,)
        return int(found)

    def _pack_records(self, day: date) -> int:
        count = 0
        ledgers = self._db.execute(LEDGERS, span(day)).fetchall()
        for (ledger,) in ledgers:
            after = -1
            while packs := list(self._packs(day, ledger, after)):
                for numbers, packed, size in packs:
                    after, ranges = numbers[-1], multirange_of((n, n) for n in numbers)
                    row = ledger, numbers[0], after, day, len(numbers), size, ranges, packed
                    self._db.execute(KEEP, row)
                    count += len(numbers)
                self._progress(day, count)
        return count

    def _packs(self, day: date, ledger: int, after: int) -> Iterator[tuple[list[int], bytes, int]]:
        """The next of a row of the ledger, smaller ones where records are large: numbers, pack, and
        its size before it was compressed."""
        rows: list[bytes] = []
        numbers: list[int] = []
        size, span_limit = 0, int(PACK_SPAN)
        with self._db.cursor().copy(READ, {**span(day), "ledger": ledger, "after": after}) as copy:
            for row in rows_of_copy(copy):
                number = number_of(row)
                if rows and (size >= PACK_BYTES or number - numbers[0] >= span_limit):
                    yield numbers, *pack(rows)
                    rows, numbers, size = [], [], 0
                rows.append(row)
                numbers.append(number)
                size += len(row)
        if rows:
            yield numbers, *pack(rows)

    def _patiently(self, call: LiteralString, values: tuple[object, ...]) -> bool:
        """What it answers; False: its lock was not to be had."""
        for wait_s in (*[1.0] * PATIENCE_S, 0.0):
            try:
                with self._db.transaction():  # in another one a savepoint: what is packed stays
                    self._db.execute(WAIT)
                    row = self._db.execute(call, values).fetchone()
                return row is not None and bool(row[0])
            except psycopg.errors.LockNotAvailable:
                self._sleep(wait_s)
        return False


def span(day: date) -> dict[str, Any]:
    """From its begin to its end, in UTC."""
    start = datetime(day.year, day.month, day.day, tzinfo=UTC)
    return {"start": start, "end": start + timedelta(days=1)}


def pack_statement(table: KindTable) -> LiteralString:
    """Puts the rows of a day into the archive of this table."""
    numbers = GROUPED.get(table.name, GROUPED_ELSE)
    keys: LiteralString = "source, ledger, day, grouped"
    source: LiteralString = f"{table.name} AS r"
    names = [name for name, _ in (*FILED, *table.own) if name not in {"ledger", "source"}]
    plain: LiteralString = ""
    columns: LiteralString = "r.*"
    if table is DEVICE:
        plain = ", points"
        keys = "source, ledger, day, grouped, points"
        values: LiteralString = ", ".join(f"r.{name}" for name in POINT_COLUMNS)
        source = (
            "device AS r JOIN point_list AS l ON l.id = r.points"
            f" CROSS JOIN LATERAL unnest(l.names, {values}) WITH ORDINALITY"
            f" AS p (name, {', '.join(POINT_COLUMNS)}, place)"
        )
        names = ["received", "wall_from", "wall_to", "seq", "covered_ms", "merged", "place",
            *POINT_COLUMNS]  # fmt: skip
        columns = (
            "r.received, r.wall_from, r.wall_to, r.seq, r.ledger, r.source, r.points, r.covered_ms,"
            f" r.merged, p.place::smallint, {', '.join(f'p.{name}' for name in POINT_COLUMNS)}"
        )
    arrays: LiteralString = ", ".join(f"array_agg({name})" for name in names)
    return f"""
INSERT INTO {table.name}_archive
    (day, arrived, ledger, source, first, last{plain}, {", ".join(names)})
SELECT day, %(day)s, ledger, source, min(seq), max(seq){plain}, {arrays}
FROM (
    SELECT {columns}, (r.wall_from AT TIME ZONE 'UTC')::date AS day, r.seq / {numbers} AS grouped
    FROM {source} WHERE {SPAN} ORDER BY {keys}, seq
) AS r GROUP BY {keys}"""
