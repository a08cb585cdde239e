"""What lies in the outbox: reading it, and giving it up."""

import sqlite3
from collections.abc import Callable, Sequence
from typing import Final, TypeVar

from edge.store import clockmap
from edge.store.counting import Counting
from edge.store.disk import Disk
from edge.store.drops import Drops
from edge.store.files import quarantined
from edge.store.find import find, row_range
from edge.store.handover import WORD, Handover
from edge.store.journal import Journal
from edge.store.medium import Medium
from edge.store.place import Place
from edge.store.rows import (
    CLASSES,
    INFINITE,
    SUMMARIES,
    Counts,
    Mark,
    Row,
    Stored,
    checksum,
    numbers,
    readable,
)
from edge.store.starts import Start
from edge.store.thin import Merge, Thinner

T = TypeVar("T")

FOUND: Final = 200  # rows that one search for numbers gives


class Holdings:
    """The rows of one outbox, on disk or in memory. Whoever writes is in `outbox`."""

    def __init__(self, place: Place, medium: Medium, journal: Journal, merge: Merge | None) -> None:
        self._place, self._medium, self.journal = place, medium, journal
        self._counting = Counting()
        self._handover = Handover()
        self._thinner = Thinner(merge) if merge is not None else None
        self._drops: Drops
        self._start: Start

    @property
    def _disk(self) -> Disk | None:
        return self._medium.disk

    def _ask(self, question: Callable[[Disk], T], otherwise: T) -> T:
        """Something of the disk; `otherwise` when it does not work, from now on or already."""
        if self._disk is not None:
            try:
                return question(self._disk)
            except sqlite3.Error as error:
                self._medium.fall(error)
        return otherwise

    # -- reading ----------------------------------------------------------------------------------

    def pending(
        self, after_row: int = 0, limit: int = 200, *, urgent: bool = False
    ) -> list[Stored]:
        """Rows that are not confirmed, the oldest first; damaged ones are declared lost.

        `urgent`: only events and registers.
        """
        found: list[Stored] = []
        while not found:
            rows = self._after(after_row, limit, urgent)
            if not rows:
                break
            found, damaged = self._read(rows)
            after_row = rows[-1].id
            if damaged:
                self._counting.damaged += len(damaged)
                self._give_up(damaged, "damage", "checksum")
        return found

    def _after(self, row: int, limit: int, urgent: bool = False) -> list[Row]:
        found = self._ask(lambda disk: disk.after(row, limit, urgent), None)
        return self._medium.memory.after(row, limit, urgent) if found is None else found

    def _read(self, rows: Sequence[Row]) -> tuple[list[Stored], list[Row]]:
        """What can be read, and what cannot."""
        found: list[Stored] = []
        damaged: list[Row] = []
        for row in rows:
            record = readable(row)
            if record is None:
                damaged.append(row)
            else:
                found.append(Stored(row.id, record, self._maybe_sent(row.id)))
        return found, damaged

    def _maybe_sent(self, row: int) -> bool:
        if self.journal.found:
            return row in self.journal.was_sent
        return row <= self._start.number << 32

    def find(
        self, epoch: int, stream: str, first: int, last: int, limit: int = FOUND
    ) -> list[Stored]:
        """Rows that stand for one of these numbers, the oldest first: a merged one, too, that
        covers one of them. Reads all rows of the epoch at worst; `find_some` does it in steps."""
        found: list[Stored] = []
        after: int | None = 0
        while after is not None and len(found) < limit:
            rows, after = self.find_some(epoch, stream, first, last, after)
            found += rows
        return found[:limit]

    def find_some(
        self, epoch: int, stream: str, first: int, last: int, after: int
    ) -> tuple[list[Stored], int | None]:
        """One bounded step of `find`, and where the next one begins; None: that was the last."""
        if not 0 <= epoch < 1 << 53:
            return [], None
        if self._disk is None:
            kept = self._medium.memory.rows.values()
            rows = [
                r for r in kept if (r.epoch, r.stream) == (epoch, stream) and first <= r.seq <= last
            ]
            return self._read(rows)[0], None
        after = max(after, row_range(epoch)[0])
        nothing: tuple[list[Row], int | None] = ([], None)
        rows, next_ = self._ask(lambda disk: find(disk, after, epoch, stream, first, last), nothing)
        return self._read(rows)[0], next_

    def state(self, owner: str) -> tuple[int, bytes] | None:
        """What `owner` kept last: version and bytes. None when there is none, or it is damaged."""
        found = self._medium.memory.states.get(owner)
        if found is not None:
            return found
        kept = self._ask(lambda disk: disk.state(owner), None)
        if kept is None:
            return None
        version, data, crc = kept
        if checksum(owner, version, data) != crc:
            self._counting.damaged += 1
            return None
        return version, data

    def marks(self, boot: int) -> list[Mark]:
        """The clock map of a boot, at most 16 marks: the most trusted first, and among those the
        latest first; nothing when there is none."""
        return self._ask(lambda disk: clockmap.marks(disk, boot), [])

    def bounds(self, boot: int) -> tuple[int | None, int | None]:
        """Wall times (Unix ns) that a boot without a clock lies between, as far as others prove."""
        unknown: tuple[int | None, int | None] = (None, None)
        return self._ask(lambda disk: clockmap.bounds(disk, boot), unknown)

    def counts(self) -> Counts:
        """How full it is, and what has happened since the start."""
        counting, medium, thinner = self._counting, self._medium, self._thinner
        kept, in_quarantine = quarantined(self._place.folder)
        first = self._after(0, 1)
        streams = self._ask(Disk.tally, None)
        if streams is None:
            streams = medium.memory.tally()
        summaries = sum(streams.get(name, 0) for name, rank in CLASSES.items() if rank == SUMMARIES)
        ratio = thinner.ratio if thinner else None
        unknown: tuple[float | None, float | None] = (None, None)
        plain, thinned = self._ask(lambda disk: counting.forecasts(disk, summaries, ratio), unknown)
        return Counts(
            rows=sum(streams.values()),
            streams=streams,
            size=in_quarantine + self._ask(Disk.size, 0),
            limit=self._place.limit_bytes,
            oldest=(first[0].boot, first[0].from_ns) if first else None,
            dropped=counting.dropped,
            damaged=counting.damaged,
            dead=self._ask(Disk.dead, 0),
            quarantined=kept,
            ram=medium.ram,
            commits=counting.commits,
            bytes_in=counting.bytes_in,
            thinned=thinner.rows if thinner else 0,
            wal=self._ask(Disk.wal_size, 0),
            ballast=medium.ballast.size,
            forecast_s=plain,
            forecast_thinned_s=thinned,
        )

    # -- handing over ------------------------------------------------------------------------------

    def linked(self) -> None:
        """Before the first row of a new connection is handed over: nothing merges any more."""
        self._handover.linked()
        if self._handover.stored != INFINITE:
            self._ask(lambda disk: self._medium.attempt(disk, self._say_linked), None)

    def unlinked(self, last_row: int) -> None:
        """The connection is down; it had taken rows up to `last_row` at most."""
        self._handover.unlinked(last_row)

    def _word(self) -> int:
        """What is to stand on disk: without thinning nobody needs to know what was not sent."""
        return self._handover.unsent_after if self._thinner is not None else INFINITE

    def _say_linked(self, disk: Disk) -> None:
        with disk.transaction():
            disk.set_meta({WORD: INFINITE})
        self._handover.stored = INFINITE

    # -- giving up --------------------------------------------------------------------------------

    def dead(self, row: int, why: str) -> None:
        """Give up a row that the broker refuses; its numbers are declared lost."""
        if self._disk is None:
            found = self._medium.memory.rows.get(row)
            if found is not None:
                self._medium.memory.remove(row)
                self._drops.add(found.epoch, found.stream, found.seq, "refused")
            return
        refused = self._ask(lambda disk: disk.row(row), None)
        if refused is not None:
            self._give_up([refused], "refused", why)

    def _give_up(self, rows: Sequence[Row], reason: str, why: str) -> None:
        self._ask(lambda _: self._lose(rows, reason, why), None)

    def _lose(
        self,
        rows: Sequence[Row],
        reason: str = "full",
        why: str | None = None,
        arrived: frozenset[int] = frozenset(),
    ) -> None:
        """Take rows out and remember their numbers, except of those that have `arrived`, in one
        transaction. Raises sqlite3.Error."""
        disk = self._disk
        if disk is None:
            return
        for row in rows:
            if row.id in arrived:
                continue
            if row.stream in CLASSES and isinstance(row.epoch, int) and isinstance(row.seq, int):
                for seq in (lost := numbers(row)):
                    self._drops.add(row.epoch, row.stream, seq, reason)
                self._counting.dropped += len(lost)
        # the losses are known before they happen: a commit that fails may have reached the disk

        def take_out(disk: Disk) -> None:
            with disk.transaction():
                for row in rows:
                    if why is not None:
                        disk.bury(row, why)
                disk.delete(row.id for row in rows)
                disk.set_drops(self._drops)

        self._medium.attempt(disk, take_out)
