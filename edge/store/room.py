"""Making room: the oldest rows of the lowest class go first, a bounded number at a time."""

from collections.abc import Callable, Sequence
from typing import Final

from edge.core import Draft
from edge.store.disk import Disk
from edge.store.rows import CLASSES, Row

VICTIMS: Final = 500  # rows that one transaction may drop

Packed = tuple[Draft, bytes]
Lose = Callable[[Sequence[Row]], None]


def fit(disk: Disk, packed: Sequence[Packed], limit_bytes: int, lose: Lose) -> set[int]:
    """Which drafts cannot be kept, by their places. `lose` takes older rows out and declares them.

    A draft never pushes out a row of a higher class. Raises sqlite3.Error.
    """
    order = sorted(range(len(packed)), key=lambda place: CLASSES[packed[place][0].stream])
    need = (64 << 10) + sum(_size(body) for _, body in packed)
    for cut, place in enumerate(order):
        highest = CLASSES[packed[order[-1]][0].stream]
        if make_room(disk, need, highest, limit_bytes, lose):
            return set(order[:cut])
        need -= _size(packed[place][1])
    return set(order)


def _size(body: bytes) -> int:
    return len(body) * 9 // 8 + 200


def make_room(disk: Disk, need: int, highest: int, limit_bytes: int, lose: Lose) -> bool:
    """Whether `need` bytes are free in the end. Raises sqlite3.Error."""
    if disk.room() >= need:
        return True
    goal = need + limit_bytes // 100  # so that it is not again at the very next commit
    for level in range(highest + 1):
        streams = [str(name) for name, rank in CLASSES.items() if rank == level]
        while (missing := goal - disk.room()) > 0:
            victims = disk.oldest(streams, VICTIMS, missing)
            if not victims:
                break
            lose(victims)
    return disk.room() >= need
