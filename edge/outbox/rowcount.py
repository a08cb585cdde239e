"""How many rows lie in some spans, without reading them: a week of them is half a gigabyte."""

from typing import Final

from edge.outbox.diskoutbox import DiskOutbox
from edge.outbox.mergeable import RowRanges

STARTS_LIMIT: Final = 64  # that are looked at; with more of them it says too little


def count_rows(disk: DiskOutbox, spans: RowRanges) -> int:
    """Rows of a start are numbered one after the other, so what has not merged and was not
    confirmed lies without holes. Raises sqlite3.Error."""
    count = 0
    for first, last in reversed(spans):
        for _ in range(STARTS_LIMIT):
            newest = _outermost_row(disk, first, last, "DESC")
            if newest is None:
                break
            begin = max(first, newest >> 32 << 32)
            oldest = _outermost_row(disk, begin, newest, "ASC")
            count += newest - (newest if oldest is None else oldest) + 1
            last = begin - 1
    return count


def _outermost_row(disk: DiskOutbox, first: int, last: int, order: str) -> int | None:
    found = disk.rows(
        f"SELECT id FROM record WHERE id BETWEEN ? AND ? ORDER BY id {order} LIMIT 1",
        (first, last),
    )
    return found[0][0] if found else None
