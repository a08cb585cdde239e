"""Rows by their numbers, for the rare command that asks for them.

Without an index: one would make each commit write a sixth more to the card. The rows of an epoch
lie between two ids, and their numbers only grow.
"""

from typing import Final

from edge.store.disk import Disk
from edge.store.rows import SUMMARIES, Row, covered, readable

STEP: Final = 500  # heads that one step looks at
BEHIND: Final = 2000  # rows of the stream behind `last` that may cover an earlier number


def row_range(epoch: int) -> tuple[int, int]:
    """Behind the first and up to the second lie all rows of an epoch."""
    number = epoch >> 32
    return number << 32, (number + 1) << 32


def find(
    disk: Disk, after: int, epoch: int, stream: str, first: int, last: int
) -> tuple[list[Row], int | None]:
    """One step: rows that stand for one of these numbers, also merged ones that cover it, and
    behind which row the next step goes on; None at the end. Raises sqlite3.Error."""
    _, top = row_range(epoch)
    heads = disk.heads(after, top, STEP)
    found: list[Row] = []
    for head in heads:
        if head.stream != stream or head.epoch != epoch or not isinstance(head.seq, int):
            continue
        if head.seq < first:
            continue
        if head.seq > last and (head.level != SUMMARIES or head.seq > last + BEHIND):
            return found, None
        row = disk.row(head.id)
        if row is not None and (head.seq <= last or _covers(row, first, last)):
            found.append(row)
    return found, heads[-1].id if len(heads) == STEP else None


def _covers(row: Row, first: int, last: int) -> bool:
    record = readable(row)
    try:
        return record is not None and any(first <= each <= last for each in covered(record))
    except ValueError:
        return False
