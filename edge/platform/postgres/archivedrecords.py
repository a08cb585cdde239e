"""Reads archived records: of a row of the ledger in the order of their numbers, or those of places.

Packs of one row of the ledger may overlap, since records come late: those that do are held at once.
"""

from collections.abc import Collection, Container, Iterable, Iterator
from contextlib import suppress
from heapq import heappop, heappush, heapreplace, merge
from typing import Final, LiteralString

import psycopg

from edge.platform.postgres.recordpack import PACK_SPAN, PackError, unpack
from edge.platform.postgres.rows import BRANCH_ID, SEQ, Place, PostgresRow, columns_of

# no pack spans more numbers, so those that may hold one are found by where they begin
PACKS: Final[LiteralString] = f"""
SELECT first FROM record_archive
WHERE ledger = %s AND first <= %s AND first > %s::bigint - {PACK_SPAN} AND last >= %s
ORDER BY first"""
PACK: Final = "SELECT pack, size FROM record_archive WHERE ledger = %s AND first = %s"
BRANCHES: Final = "SELECT id, branch FROM branch"
HOLDING: Final[LiteralString] = f"""
SELECT DISTINCT a.ledger, a.first
FROM unnest(%s::int[], %s::bigint[]) AS n (ledger, seq)
JOIN record_archive AS a
ON a.ledger = n.ledger AND a.first <= n.seq AND a.first > n.seq - {PACK_SPAN}
WHERE a.numbers @> n.seq"""


def archived_rows(
    db: psycopg.Connection, ledger: int, first: int, last: int, damaged: set[Place] | None = None
) -> Iterator[PostgresRow]:
    """Packs that cannot be read are entered into `damaged`; without it, raises PackError."""
    heads: list[tuple[int, int, PostgresRow, Iterator[PostgresRow]]] = []

    def until(number: int) -> Iterator[PostgresRow]:
        while heads and heads[0][0] < number:
            _, place, row, rows = heads[0]
            yield row
            if (following := next(rows, None)) is None:
                heappop(heads)
            else:
                heapreplace(heads, (following[SEQ], place, following, rows))

    packs = db.execute(PACKS, (ledger, last, first, first)).fetchall()
    for place, (begin,) in enumerate(packs):
        yield from until(begin)
        rows = _within(db, (ledger, begin), range(first, last + 1), damaged)
        if (row := next(rows, None)) is not None:
            heappush(heads, (row[SEQ], place, row, rows))
    yield from until(last + 1)


def with_archived(
    db: psycopg.Connection, hot: Iterable[PostgresRow], ledger: int, first: int, last: int,
    damaged: set[Place] | None = None,
) -> Iterator[PostgresRow]:  # fmt: skip
    """`hot`: those in partitions. Each row has the name of its branch in front. `damaged`: as
    above."""
    before = -1
    # in this order: what is archived meanwhile is found twice, and not missed
    archived = archived_rows(db, ledger, first, last, damaged)
    for row in merge(hot, _with_branch(db, archived), key=lambda row: row[1 + SEQ]):
        if row[1 + SEQ] != before:
            before = row[1 + SEQ]
            yield row


def archived_places(
    db: psycopg.Connection, places: Collection[Place]
) -> Iterator[tuple[Place, PostgresRow]]:
    """Those that are there, and not in a pack that is damaged."""
    numbers: dict[int, set[int]] = {}
    for ledger, seq in places:
        numbers.setdefault(ledger, set()).add(seq)
    holding = db.execute(HOLDING, columns_of(places)).fetchall()
    for ledger, first in sorted(holding):
        with suppress(PackError):  # as if its day were removed: a sink has to go on
            for row in _unpacked(db, ledger, first, numbers[ledger]):
                yield (ledger, row[SEQ]), row


def _with_branch(db: psycopg.Connection, archived: Iterable[PostgresRow]) -> Iterator[PostgresRow]:
    names: dict[int, str] = {}
    for row in archived:
        if row[BRANCH_ID] not in names:
            names = dict(db.execute(BRANCHES).fetchall())
        yield names[row[BRANCH_ID]], *row


def _within(
    db: psycopg.Connection, pack: Place, wanted: Container[int], damaged: set[Place] | None
) -> Iterator[PostgresRow]:
    try:
        yield from _unpacked(db, *pack, wanted)
    except PackError:
        if damaged is None:
            raise
        damaged.add(pack)


def _unpacked(
    db: psycopg.Connection, ledger: int, first: int, wanted: Container[int]
) -> Iterator[PostgresRow]:
    found = db.execute(PACK, (ledger, first), binary=True).fetchone()
    if found is not None:  # else its day has just been removed
        yield from unpack(found[0], found[1], wanted)
