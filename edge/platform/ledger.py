"""Which numbers a store has, as ranges of each numbering (gateway, epoch, stream).

They are merged as records come, in the transaction that stores them: so what is missing is found
without looking at any record, however many there are.
"""

import sqlite3
from collections.abc import Iterable, Mapping
from typing import Final

from edge.core.numbers import Range

TOUCHING: Final = (
    "SELECT first, last FROM ledger WHERE numbering = ?1 AND first <= ?3 + 1 AND first >= "
    "coalesce((SELECT max(first) FROM ledger WHERE numbering = ?1 AND first < ?2), ?2)"
    " AND last >= ?2 - 1"
)
DELETE: Final = "DELETE FROM ledger WHERE numbering = ? AND first = ?"
INSERT: Final = "INSERT INTO ledger VALUES (?, ?, ?)"


def enter_numbers(db: sqlite3.Connection, stored: Mapping[int, Iterable[int]]) -> None:
    """Within a transaction: these numbers are there now. Raises sqlite3.Error."""
    for numbering, numbers in stored.items():
        for first, last in merge_numbers(numbers):
            low, high = first, last
            for old_first, old_last in db.execute(TOUCHING, (numbering, first, last)).fetchall():
                db.execute(DELETE, (numbering, old_first))
                low, high = min(low, old_first), max(high, old_last)
            db.execute(INSERT, (numbering, low, high))


def merge_numbers(numbers: Iterable[int]) -> tuple[Range, ...]:
    """`(1, 2), (4, 4)` of 1, 2 and 4."""
    found: list[Range] = []
    for number in sorted(numbers):
        if found and found[-1][1] >= number - 1:
            found[-1] = found[-1][0], number
        else:
            found.append((number, number))
    return tuple(found)
