"""The numbers that a group enters into rows of the ledger, and the bound of such a row.

Each commit writes its rows of the ledger anew, so one with many gaps would cost all writers. A
gateway offline for months, whose minutes merge into quarter hours, has a gap each quarter of an
hour: ROW_BYTES are enough for 130 days of it in one epoch. A row beyond that takes only what
touches a number that is there.
"""

from bisect import bisect_left
from collections.abc import Iterable, Mapping
from typing import Final, LiteralString

import psycopg

from edge.core.numbers import Range
from edge.platform.ledger import MARK, merge_numbers, merge_ranges
from edge.platform.ledger import ranges_in as numbers_of
from edge.platform.postgres.ranges import multirange_of, numbers_in, ranges_in
from edge.platform.postgres.rows import Place
from edge.platform.receivedrecord import ReceivedRecord
from edge.platform.recordstore import RecordStoreError

ROW_BYTES: Final = 256 << 10  # of `got`, and of `covered`; a range takes 21
PARTS_OF_ROW: Final = 100_000  # of one group; a quarter hour has 15
PARTS_WAITING: Final = 20_000  # ranges of merged records that wait to be entered
LOCK: Final = """
SELECT id, pg_column_size(got) >= %(most)s, pg_column_size(covered) >= %(most)s
FROM ledger WHERE id = ANY (%(rows)s) ORDER BY id FOR UPDATE"""
NEW: Final = "unnest(%s::int[], %s::int8multirange[]) AS n (id, numbers)"
COME_BEFORE: Final[LiteralString] = f"""
SELECT l.id, (l.got * n.numbers)::text FROM ledger AS l JOIN {NEW} USING (id)
WHERE l.got && n.numbers"""
MERGE: Final[LiteralString] = (
    f"UPDATE ledger AS l SET got = l.got + n.numbers FROM {NEW} WHERE l.id = n.id"
)
NEWLY_COVERED: Final[LiteralString] = f"""
SELECT l.id, ((n.numbers - l.covered) * l.got)::text FROM ledger AS l JOIN {NEW} USING (id)
WHERE NOT l.covered @> n.numbers AND l.got && (n.numbers - l.covered)"""
COVER: Final[LiteralString] = f"""
UPDATE ledger AS l SET covered = l.covered + (n.numbers - l.covered) FROM {NEW}
WHERE l.id = n.id AND NOT l.covered @> n.numbers RETURNING l.id, pg_column_size(l.covered)"""


class LedgerRows:
    """Of one transaction. `newly_covered` are old numbers for which a merged record came."""

    def __init__(self, db: psycopg.Connection) -> None:
        self.newly_covered: set[Place] = set()
        self._db = db
        self._full: set[int] = set()  # rows that take no more covered numbers
        self._waiting: dict[int, list[Range]] = {}
        self._parts = 0
        self._parts_of: dict[int, int] = {}

    def claim(self, places: Iterable[Place]) -> tuple[set[Place], set[Place]]:
        """Lock these rows and enter the numbers: which were there, and for which is no room.

        Raises RecordStoreError when rows are not there.
        """
        numbers: dict[int, set[int]] = {}
        for row, seq in places:
            numbers.setdefault(row, set()).add(seq)
        rows = sorted(numbers)
        found = self._db.execute(LOCK, {"most": ROW_BYTES, "rows": rows}).fetchall()
        if len(found) < len(rows):  # it is not the database any more in which they were found
            raise RecordStoreError(f"{len(rows) - len(found)} rows of the ledger have gone")
        self._full = {row for row, _, covered in found if covered}
        before: dict[int, set[int]] = {
            row: set(numbers_in(text))
            for row, text in self._db.execute(COME_BEFORE, _columns(numbers)).fetchall()
        }
        new = {row: numbers[row] - before.get(row, set()) for row in rows}
        beyond = self._apart({row: new[row] for row, got, _ in found if got and new[row]})
        entered = {row: new[row] - beyond.get(row, set()) for row in rows}
        self._db.execute(MERGE, _columns(entered))
        return _places(before), _places(beyond)

    def cover(self, row: int, entry: ReceivedRecord) -> bool:
        """Enter the numbers for which a merged record stands, soon. False: there is no room."""
        seq = entry.key[3]
        if MARK not in entry.payload:
            return True
        if row in self._full:
            return "covers" not in (entry.sent() if entry.data is None else entry.data)
        if (ranges := numbers_of(entry.payload, seq)) != [(seq, seq)]:
            self._waiting.setdefault(row, []).extend(ranges)
            self._parts += len(ranges)
            self._parts_of[row] = self._parts_of.get(row, 0) + len(ranges)
            if self._parts_of[row] >= PARTS_OF_ROW:
                self._full.add(row)
            if self._parts >= PARTS_WAITING:
                self.flush()
        return True

    def flush(self) -> None:
        """Enter what waits: a thousand short records may stand for millions of parts."""
        if not self._waiting:
            return
        rows = sorted(self._waiting)
        new = rows, [multirange_of(self._waiting[row]) for row in rows]
        for row, text in self._db.execute(NEWLY_COVERED, new).fetchall():
            self.newly_covered |= {(row, seq) for seq in numbers_in(text)}
        for row, size in self._db.execute(COVER, new).fetchall():
            if size >= ROW_BYTES:
                self._full.add(row)
        self._waiting.clear()
        self._parts = 0

    def _apart(self, numbers: Mapping[int, set[int]]) -> dict[int, set[int]]:
        """Of rows that are full: what touches no number that is there."""
        if not numbers:
            return {}
        runs = {row: merge_numbers(found) for row, found in numbers.items()}
        around = {
            row: merge_ranges((first - 1, last + 1) for first, last in found)
            for row, found in runs.items()
        }
        wanted = list(around), [multirange_of(found) for found in around.values()]
        there = {row: ranges_in(text) for row, text in self._db.execute(COME_BEFORE, wanted)}
        return {
            row: {
                number
                for run in found if not _touches(run, there.get(row, []))
                for number in range(run[0], run[1] + 1)
            }
            for row, found in runs.items()
        }  # fmt: skip


def _touches(run: Range, there: list[Range]) -> bool:
    """`there` in order. Whether one of them ends or begins beside `run`, which is in none."""
    at = bisect_left(there, run)
    return any(
        last == run[0] - 1 or first == run[1] + 1 for first, last in there[max(0, at - 1) : at + 1]
    )


def _columns(numbers: Mapping[int, Iterable[int]]) -> tuple[list[int], list[str]]:
    rows = sorted(row for row, found in numbers.items() if found)
    return rows, [multirange_of((n, n) for n in numbers[row]) for row in rows]


def _places(numbers: Mapping[int, Iterable[int]]) -> set[Place]:
    return {(row, seq) for row, found in numbers.items() for seq in found}
