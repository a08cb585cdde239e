"""The outbox while the disk gives trouble: the same rows in memory, bounded in bytes."""

from collections.abc import Iterable, Mapping, Sequence

from edge.store.drops import Drops
from edge.store.rows import CLASSES, URGENT, Row

WEIGHT = 300  # bytes that Python takes for a row besides its body
GONE_LIMIT = 50_000  # ids of rows on disk to be deleted later


class Memory:
    """Rows in order of age, and what the disk is to be told when it works again."""

    def __init__(self, limit_bytes: int) -> None:
        self._limit = limit_bytes
        self._size = 0
        self.rows: dict[int, Row] = {}
        self.states: dict[str, tuple[int, bytes]] = {}
        self.gone: dict[int, None] = {}  # confirmed meanwhile; on disk they are still there

    def write(
        self,
        rows: Iterable[Row],
        states: Mapping[str, tuple[int, bytes]],
        confirmed: Sequence[int],
        drops: Drops,
    ) -> None:
        """As a commit, without the disk. What does not fit is added to `drops`."""
        for number in confirmed:
            row = self.rows.pop(number, None)
            if row is not None:
                self._size -= len(row.body) + WEIGHT
            if len(self.gone) < GONE_LIMIT:
                self.gone[number] = None
        self.states.update(states)
        for row in rows:
            self.rows[row.id] = row
            self._size += len(row.body) + WEIGHT
        if self._size > self._limit:
            # a tenth at once: sorting for each row would cost more than the rows
            for victim in sorted(self.rows.values(), key=lambda row: (row.level, row.id)):
                if self._size <= self._limit * 9 // 10:
                    break
                self.remove(victim.id)
                drops.add(victim.epoch, victim.stream, victim.seq, "memory")

    def remove(self, number: int) -> None:
        row = self.rows.pop(number, None)
        if row is not None:
            self._size -= len(row.body) + WEIGHT

    def after(self, number: int, limit: int, urgent: bool = False) -> list[Row]:
        found = (
            row
            for row in self.rows.values()
            if row.id > number and (not urgent or row.level == URGENT)
        )
        return [row for row, _ in zip(found, range(limit), strict=False)]

    def tally(self) -> dict[str, int]:
        counts = dict.fromkeys(CLASSES, 0)
        for row in self.rows.values():
            counts[row.stream] += 1
        return {stream: count for stream, count in counts.items() if count}
