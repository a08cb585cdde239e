"""Making room, a bounded number of rows at a time.

First `raw` goes, then `health`; then summaries are thinned, and only then the oldest of them go;
then manifests; then events and registers. A draft never pushes out a row of a higher class. Of
a class those go last that are on their way at this moment: they are the oldest, and may arrive.
"""

from collections.abc import Callable, Sequence
from typing import Final

from edge.core import Draft
from edge.store.disk import Disk
from edge.store.rate import row_bytes
from edge.store.rows import CLASSES, SUMMARIES, Row

VICTIMS: Final = 500  # rows that one transaction may drop
SLACK: Final = 64 << 10  # bytes for pages that are not quite full, and for states

Packed = tuple[Draft, bytes]
Lose = Callable[[Sequence[Row]], None]
"""Takes rows out and declares them."""
Thin = Callable[[], bool]
"""Merges some rows; whether another call may gain more."""

Spared = Callable[[int], bool]
"""Whether a row is on its way."""


def fit(
    disk: Disk,
    packed: Sequence[Packed],
    limit_bytes: int,
    lose: Lose,
    thin: Thin,
    spared: Spared,
) -> set[int]:
    """Which drafts cannot be kept, by their places. Raises sqlite3.Error."""
    order = sorted(range(len(packed)), key=lambda place: CLASSES[packed[place][0].stream])
    need = SLACK + sum(row_bytes(body) for _, body in packed)
    for cut, place in enumerate(order):
        highest = CLASSES[packed[order[-1]][0].stream]
        if make_room(disk, need, highest, limit_bytes, lose, thin, spared):
            return set(order[:cut])
        need -= row_bytes(packed[place][1])
    return set(order)


def margin(limit_bytes: int) -> int:
    """Bytes that are made free at once when room has run out."""
    return limit_bytes // 100


def make_room(
    disk: Disk,
    need: int,
    highest: int,
    limit_bytes: int,
    lose: Lose,
    thin: Thin,
    spared: Spared = lambda row: False,
) -> bool:
    """Whether `need` bytes are free in the end. Raises sqlite3.Error."""
    if disk.room() >= need:
        return True
    goal = need + margin(limit_bytes)  # so that it is not again at the very next commit
    present = disk.tally()
    for level in range(highest + 1):
        streams = [str(name) for name, rank in CLASSES.items() if rank == level]
        if not any(present.get(stream) for stream in streams):
            continue  # looking for the first of them would read the whole database
        if level == SUMMARIES:
            while disk.room() < goal and thin():
                pass
        while (missing := goal - disk.room()) > 0:
            victims = disk.oldest(streams, VICTIMS, missing, spared)
            if not victims:
                break
            lose(victims)
    return disk.room() >= need
