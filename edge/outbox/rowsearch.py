"""Rows by their numbers, for the rare command that asks for them.

Without an index: one would make each commit write a sixth more to the card. The rows of an epoch
lie between two ids, and their numbers only grow.
A merged row stands where the last of its rows stood, so one that covers a number lies behind it.
Only rows of one source merge, and only those with none of that source between them: behind the last
number that is asked for, the first row of each source is the only one that may cover it. How far
behind, no count of rows can say (thirty sources at five seconds make 5,400 in a quarter hour), but
the time can.
"""

from collections.abc import Iterable
from typing import Final

from edge.outbox.diskoutbox import DiskOutbox
from edge.outbox.rowformat import SUMMARY_LEVEL, OutboxRow, RowHead, covered_numbers, try_record

STEP_ROWS: Final = 500  # heads that one step looks at
# A merged row lasts a quarter hour by the wall; that is half an hour of the boot at most where the
# clock was set back in it. The rest is for sources whose rows come late.
MERGE_REACH_NS: Final = 7_200_000_000_000


class UnavailableError(OSError):
    """Nobody can say now whether a row is there: the disk does not work."""


def epoch_row_range(epoch: int) -> tuple[int, int]:
    """Behind the first and up to the second lie all rows of an epoch."""
    number = epoch >> 32
    return number << 32, (number + 1) << 32


class RowSearch:
    """For rows that stand for one of the numbers `first` to `last`, also merged ones that cover it,
    in steps; `done` after the last one. Finds nothing in an epoch that cannot be."""

    def __init__(self, epoch: int, stream: str, first: int, last: int) -> None:
        self.epoch, self.stream, self.first, self.last = epoch, stream, first, last
        self.done = not 0 <= epoch < 1 << 53
        self._after, self._top = (0, 0) if self.done else epoch_row_range(epoch)
        self._passed: set[str] = set()  # sources of which a row behind `last` has been seen
        self._until_ns: int | None = None  # of the boot: what ends later covers nothing of it

    def step(self, disk: DiskOutbox) -> list[OutboxRow]:
        """The next rows, the oldest first; a step that fails may be repeated.

        Raises sqlite3.Error.
        """
        heads = disk.row_heads(self._after, self._top, STEP_ROWS)
        found: list[OutboxRow] = []
        for head in heads:
            if self._beyond(head):
                self.done = True
                return found
            if self._may_match(head):
                row = disk.row(head.id)
                if row is not None and (head.seq <= self.last or self._wanted(row)):
                    found.append(row)
        if len(heads) < STEP_ROWS:
            self.done = True
        else:
            self._after = heads[-1].id
        return found

    def among(self, rows: Iterable[OutboxRow]) -> list[OutboxRow]:
        """All of them, from memory. Raises UnavailableError when some are missing: the disk, which
        does not work, may have those."""
        self.done = True
        mine = [row for row in rows if (row.epoch, row.stream) == (self.epoch, self.stream)]
        wanted = {row.id: self._wanted(row) for row in mine}
        if sum(map(len, wanted.values())) <= self.last - self.first:
            raise UnavailableError("the disk of the outbox does not work: try again later")
        return [row for row in mine if wanted[row.id]]

    def also(self, rows: Iterable[OutboxRow]) -> list[OutboxRow]:
        """Of rows in memory, beside a disk that is searched: those that match."""
        mine = (row for row in rows if (row.epoch, row.stream) == (self.epoch, self.stream))
        return [row for row in mine if self._wanted(row)]

    def _wanted(self, row: OutboxRow) -> list[int]:
        """For which of the numbers a row stands."""
        record = try_record(row)
        try:
            known = () if record is None else covered_numbers(record)
        except ValueError:
            known = ()
        return [each for each in known if self.first <= each <= self.last]

    def _mine(self, head: RowHead) -> bool:
        """Columns of a damaged row may hold anything: no sum has been checked here."""
        whole = isinstance(head.seq, int) and isinstance(head.to_ns, int)
        return whole and (head.epoch, head.stream) == (self.epoch, self.stream)

    def _beyond(self, head: RowHead) -> bool:
        """Nothing from this row on covers one of the numbers."""
        if not self._mine(head) or head.seq <= self.last:
            return False
        if head.level != SUMMARY_LEVEL:
            return True  # such rows never merge
        if self._until_ns is None:
            self._until_ns = head.to_ns + MERGE_REACH_NS
        return head.to_ns > self._until_ns

    def _may_match(self, head: RowHead) -> bool:
        if not self._mine(head) or head.seq < self.first:
            return False
        if head.seq <= self.last:
            return True
        if head.source in self._passed:
            return False
        self._passed.add(head.source)
        return True
