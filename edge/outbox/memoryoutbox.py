"""The outbox while the disk gives trouble: the same rows in memory, bounded in bytes; and whose
states may go from there to the disk.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Final

from edge.core import Stamp, StoredState
from edge.core.numbers import Numbers, Range
from edge.outbox.drops import PendingDrops
from edge.outbox.rowformat import STREAM_LEVELS, URGENT_LEVEL, OutboxRow

OwnerStates = Mapping[str, StoredState]
"""By their owners: version and bytes."""

ROW_OVERHEAD_BYTES: Final = 300  # bytes that Python takes for a row besides its body
CONFIRMED_LIMIT: Final = 20_000  # ranges of ids of rows on disk to be deleted later
RESTART_NOTICE: Final = (
    "The outbox could not be read at this start and works now. Restart the daemon, so that it "
    "goes on from the totals that lie there."
)
STATES_INTERVAL_NS: Final = (
    3_600_000_000_000  # so long states of a start that was blind stay off the disk
)


class MemoryOutbox:
    """Rows in order of age, and what is to be written to the disk when it works again."""

    def __init__(self, limit_bytes: int) -> None:
        self._limit = limit_bytes
        self.size = 0  # bytes, with what Python takes
        self.rows: dict[int, OutboxRow] = {}
        self.states: dict[str, StoredState] = {}
        self.removed = Numbers()  # left meanwhile; on disk they are still there, or may be
        self._uncounted = Numbers()  # of these, since `counted_off`
        self.reached = 0  # rows up to here may be on disk
        self.unlogged_removals = Numbers()  # ids that have left since the commit log took these
        self.forgotten_count = 0  # ids that `removed` had no room for: those rows are sent again

    def write(
        self,
        rows: Iterable[OutboxRow],
        states: OwnerStates,
        confirmed: Iterable[int],
        drops: PendingDrops,
        spared: Callable[[int], bool] = lambda row: False,
    ) -> int:
        """As a commit, without the disk. What does not fit is added to `drops`: how many records
        that are. Rows that are `spared` go last of their class."""
        for number in confirmed:
            self.remove(number)
        self.states.update(states)
        for row in rows:
            self.rows[row.id] = row
            self.size += _weight(row)
        lost = 0
        if self.size > self._limit:
            # a tenth at once: sorting for each row would cost more than the rows
            order = sorted(self.rows.values(), key=lambda r: (r.level, spared(r.id), r.id))
            for victim in order:
                if self.size <= self._limit * 9 // 10:
                    break
                lost += self.lose(victim, "memory", drops)
        return lost

    def remove(self, number: int) -> None:
        """It has arrived, or is lost: it is to leave the disk too, if it is there."""
        row = self.rows.pop(number, None)
        if row is not None:
            self.size -= _weight(row)
        self.unlogged_removals.add(number)
        if number <= self.reached:  # else it was never on disk
            self._has_left(number)

    def remove_range(self, first: int, last: int) -> None:
        """As `remove`, of all of first to last: what a process before this one had removed."""
        few = last - first < len(self.rows)
        for number in range(first, last + 1) if few else list(self.rows):
            if first <= number <= last and number in self.rows:
                self.size -= _weight(self.rows.pop(number))
        last = min(last, self.reached)
        if first <= last:
            self.removed.add_range(first, last)
            self._uncounted.add_range(first, last)

    def _has_left(self, number: int) -> None:
        beside = number - 1 in self.removed or number + 1 in self.removed
        if not beside and number not in self.removed and self.removed.count() >= CONFIRMED_LIMIT:
            self.forgotten_count += 1
        elif self.removed.add(number):
            self._uncounted.add(number)

    def counted_off(self) -> list[Range]:
        """What has left since this was asked last."""
        fresh, self._uncounted = self._uncounted, Numbers()
        return fresh.ranges()

    def declared(self, ids: Iterable[int]) -> None:
        """Rows of the disk that were declared lost, and may lie there still."""
        for number in ids:
            self.unlogged_removals.add(number)
            if self.removed.add(number):
                self._uncounted.add(number)

    def lose(self, row: OutboxRow, reason: str, drops: PendingDrops) -> int:
        """Take a row out and declare its numbers; returns how many there are."""
        self.remove(row.id)
        return drops.lose(row, reason)

    def mark_write_begun(self) -> None:
        """The disk is about to take these rows: from now on any of them may be there."""
        self.reached = max(self.reached, max(self.rows, default=0))

    def after(self, number: int, limit: int, urgent: bool = False) -> list[OutboxRow]:
        found = (
            row
            for row in self.rows.values()
            if row.id > number and (not urgent or row.level == URGENT_LEVEL)
        )
        return [row for row, _ in zip(found, range(limit), strict=False)]

    def tally(self) -> dict[str, int]:
        counts = dict.fromkeys(STREAM_LEVELS, 0)
        for row in self.rows.values():
            counts[row.stream] += 1
        return {stream: count for stream, count in counts.items() if count}


class TrustedOwners:
    """Owners that could go on from their states. Of the others what lies on the disk is better than
    what they count since, until the daemon is started anew or an hour has passed."""

    def __init__(self) -> None:
        self.known: frozenset[str] | None = None  # None: all, because the disk was there
        self.withheld: set[str] = set()  # owners whose state on disk is better than the new one
        self._withheld_ns = 0  # since when
        self._missed: set[str] = set()  # owners who asked for their state in vain

    @property
    def restart(self) -> str | None:
        """Why the daemon should be started anew, as a sentence for people."""
        return RESTART_NOTICE if self.withheld else None

    def adopt(self, states: OwnerStates, trusted: frozenset[str] | None) -> None:
        """The states of a process that had no disk at its end; None: it trusted all of them."""
        self.known = frozenset(states) if trusted is None else trusted

    def missed(self, owner: str) -> None:
        """It has asked for its state while there was no disk, and memory has none."""
        self._missed.add(owner)

    def disk_state_is_better(self, owner: str) -> bool:
        """Whether a state on disk would be the better one: nobody could go on from it."""
        unread = self.known is not None and owner not in self.known
        return unread or owner in self._missed

    def on_disk_again(self, withheld: set[str], mono_ns: int) -> None:
        """The disk has the states of all but these, and has kept its own of them."""
        self.withheld, self._withheld_ns, self.known = withheld, mono_ns, None
        self._missed.clear()

    def durable(self, states: OwnerStates, clock: Stamp | None) -> OwnerStates:
        """What of them may go to the disk."""
        if not self.withheld:
            return states
        if clock is not None and not 0 <= clock.mono_ns - self._withheld_ns < STATES_INTERVAL_NS:
            self.withheld.clear()  # nobody has started the daemon anew: these totals are the truth
        return {owner: state for owner, state in states.items() if owner not in self.withheld}


def _weight(row: OutboxRow) -> int:
    return len(row.body) + ROW_OVERHEAD_BYTES
