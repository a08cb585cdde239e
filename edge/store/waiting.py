"""How many rows lie in some spans, without reading them: a week of them is half a gigabyte."""

from typing import Final

from edge.store.disk import Disk
from edge.store.handover import Spans

STARTS: Final = 64  # that are looked at; with more of them it says too little


def ids(disk: Disk, spans: Spans) -> int:
    """Rows of a start are numbered one after the other, so what has not merged and was not
    confirmed lies without holes. Raises sqlite3.Error."""
    count = 0
    for first, last in reversed(spans):
        for _ in range(STARTS):
            newest = _edge(disk, first, last, "DESC")
            if newest is None:
                break
            begin = max(first, newest >> 32 << 32)
            oldest = _edge(disk, begin, newest, "ASC")
            count += newest - (newest if oldest is None else oldest) + 1
            last = begin - 1
    return count


def _edge(disk: Disk, first: int, last: int, order: str) -> int | None:
    found = disk.rows(
        f"SELECT id FROM record WHERE id BETWEEN ? AND ? ORDER BY id {order} LIMIT 1",
        (first, last),
    )
    return found[0][0] if found else None
