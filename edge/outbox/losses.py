"""What the outbox gives up: rows that are damaged, refused, or have no room. Their numbers are
remembered until an event declares them.
"""

import sqlite3
from collections.abc import Sequence

from edge.outbox.commitlog import RecoveredLog
from edge.outbox.diskoutbox import DiskOutbox
from edge.outbox.drops import PendingDrops, nameless_notice
from edge.outbox.failover import FailoverStorage
from edge.outbox.outboxstats import OutboxStats
from edge.outbox.rowformat import OutboxRow


class Losses:
    """Of one start."""

    def __init__(self, storage: FailoverStorage, stats: OutboxStats) -> None:
        self._storage, self._stats = storage, stats
        declared = storage.ask(DiskOutbox.drops, None)
        storage.drops_unread = declared is None
        self.pending = PendingDrops() if declared is None else declared

    def adopt(self, left: RecoveredLog) -> None:
        """What the process before had in memory to declare."""
        if left.drops_unread:
            left.drops.merge(self.pending)
        else:  # it had read them, and has declared some of them since
            self._storage.drops_unread = False
        self.pending = left.drops

    def refuse(self, row: int, why: str) -> None:
        """Give up a row that the broker refuses."""
        storage = self._storage
        if storage.disk is None and (found := storage.memory.rows.get(row)) is not None:
            self._stats.dropped += storage.memory.lose(found, "refused", self.pending)
        elif (found := storage.row(row)) is not None:
            self.give_up([found], "refused", why)

    def give_up(self, rows: Sequence[OutboxRow], reason: str, why: str) -> None:
        """Rows of a disk. They are dead letters, with `why`."""
        if self._storage.disk is None:  # it stays where it is, and is not looked at any more
            self._declare(rows, reason)
            self._storage.memory.declared(row.id for row in rows)
            return
        self._storage.ask(lambda disk: self.take_out(disk, rows, reason, why), None)

    def take_out(
        self,
        disk: DiskOutbox,
        rows: Sequence[OutboxRow],
        reason: str = "full",
        why: str | None = None,
        arrived: frozenset[int] = frozenset(),
    ) -> None:
        """Take rows out and remember their numbers, except of those that have `arrived`, in one
        transaction. Raises sqlite3.Error."""
        self._declare([row for row in rows if row.id not in arrived], reason)
        # the losses are known before they happen: a commit that fails may have reached the disk

        def take_out(disk: DiskOutbox) -> None:
            with disk.transaction():
                for row in rows:
                    if why is not None:
                        disk.add_dead_letter(row, why)
                disk.delete(row.id for row in rows)
                disk.set_drops(self.pending)

        try:
            self._storage.attempt(disk, take_out)
        except sqlite3.Error:
            # declared they are: should they lie on the disk still, they leave it later
            self._storage.memory.declared(row.id for row in rows)
            raise

    def _declare(self, rows: Sequence[OutboxRow], reason: str) -> None:
        """What is lost with them, by their numbers; where not even these can be read, in words.

        A damaged row that says the number of another one has lost its own.
        """
        taken = set[int]()
        if reason == "damage":
            taken = self._storage.ask(lambda disk: disk.with_numbers_of_others(rows), taken)
        lost = [0 if row.id in taken else self.pending.lose(row, reason) for row in rows]
        self._stats.dropped += sum(lost)
        if nameless := lost.count(0):
            self._storage.notices.add(True, nameless_notice(nameless))
