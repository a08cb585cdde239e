"""Which numbers a store has, as ranges of each numbering (gateway, epoch, stream).

They are merged as records come, in the transaction that stores them: so what is missing is found
without looking at any record, however many there are (`numberaudit`). A merged record enters all
numbers that it covers.
"""

import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from edge.core.numbers import Numbers, Range
from edge.platform.receivedrecord import ReceivedRecord, load_payload
from edge.wire import WireError

LedgerEntry = tuple[int, str, Range]  # epoch, stream, numbers that are there

TOUCHING: Final = (
    "SELECT first, last FROM ledger WHERE numbering = ?1 AND first <= ?3 + 1 AND first >= "
    "coalesce((SELECT max(first) FROM ledger WHERE numbering = ?1 AND first < ?2), ?2)"
    " AND last >= ?2 - 1"
)
DELETE: Final = "DELETE FROM ledger WHERE numbering = ? AND first = ?"
INSERT: Final = "INSERT INTO ledger VALUES (?, ?, ?)"
LEDGER: Final = (
    "SELECT epoch, stream, first, last FROM numbering JOIN ledger ON numbering = numbering.id"
    " WHERE gw = ? ORDER BY epoch, stream, first"
)
COVERED_LIMIT: Final = 100_000  # numbers of one record, as an audit believes them
PARTS_LIMIT: Final = 5000  # a short record must not become thousands of rows
MARK: Final = b"covers"  # it stands in every payload that covers others


def enter_ranges(db: sqlite3.Connection, stored: Mapping[int, Iterable[Range]]) -> None:
    """Within a transaction: these numbers are there now. Raises sqlite3.Error."""
    for numbering, ranges in stored.items():
        for first, last in merge_ranges(ranges):
            low, high = first, last
            for old_first, old_last in db.execute(TOUCHING, (numbering, first, last)).fetchall():
                db.execute(DELETE, (numbering, old_first))
                low, high = min(low, old_first), max(high, old_last)
            db.execute(INSERT, (numbering, low, high))


def ledger_of(db: sqlite3.Connection, gw: str) -> Iterator[LedgerEntry]:
    """What is there of a gateway, in order. Raises sqlite3.Error."""
    for epoch, stream, first, last in db.execute(LEDGER, (gw,)):
        if isinstance(epoch, int) and isinstance(stream, str):  # else: damaged
            yield epoch, stream, (first, last)


def ledger_from(records: Iterable[ReceivedRecord]) -> Iterator[LedgerEntry]:
    """The same of a store that keeps none: it looks at each record."""
    found: dict[tuple[int, str], Numbers] = {}
    for entry in records:
        _, epoch, stream, seq = entry.key
        numbers = found.setdefault((epoch, stream), Numbers())
        for first, last in ranges_in(entry.payload, seq):
            numbers.add_range(first, last)
    for (epoch, stream), numbers in sorted(found.items()):
        yield from ((epoch, stream, each) for each in numbers.ranges())


def ranges_in(payload: object, seq: int) -> list[Range]:
    """For which numbers a record stands: its own, and of a merged one those that it covers, if it
    says so as an audit believes it (`decode_steps`), and in not too many parts."""
    own = [(seq, seq)]
    if not isinstance(payload, bytes) or MARK not in payload:
        return own
    try:
        covers = load_payload(payload).get("covers")
    except WireError:
        return own
    ranges: list[Range] = []
    numbers = 0
    for step in covers if isinstance(covers, list) else ():
        match step:
            case [int(first), int(last), int(by)] if (
                1 <= first <= last and by >= 1 and (last - first) % by == 0
            ):
                count = (last - first) // by + 1
                numbers += count
                if numbers > COVERED_LIMIT or len(ranges) + (by > 1) * count > PARTS_LIMIT:
                    return own
                if by == 1:
                    ranges.append((first, last))
                else:
                    ranges += ((number, number) for number in range(first, last + 1, by))
            case _:
                return own
    return ranges if ranges and max(ranges)[1] == seq else own


def merge_ranges(ranges: Iterable[Range]) -> tuple[Range, ...]:
    """In order, none touching another."""
    found: list[Range] = []
    for first, last in sorted(ranges):
        if found and found[-1][1] >= first - 1:
            found[-1] = found[-1][0], max(found[-1][1], last)
        else:
            found.append((first, last))
    return tuple(found)


def merge_numbers(numbers: Iterable[int]) -> tuple[Range, ...]:
    """`(1, 2), (4, 4)` of 1, 2 and 4."""
    return merge_ranges((number, number) for number in numbers)
