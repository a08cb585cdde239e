"""Rows that were handed over and wait for the platform's receipt; and those that waited too long.

Decision 12. Bounded: when more wait than TRACKED_LIMIT, nobody stores what is sent, and the oldest
go back into the backlog, which stands still meanwhile.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

from edge.core import RecordKey
from edge.wire import Receipt

TRACKED_LIMIT: Final = 4000  # rows
MAX_WAIT_NS: Final = 3_600_000_000_000
RETRIED_LIMIT: Final = 20_000  # rows whose patience is known


@dataclass(frozen=True, slots=True)
class _Tracked:
    key: RecordKey
    due_ns: int


class ReceiptTracker:
    """`patience_ns` is how long the first wait is; each further one is twice as long."""

    def __init__(self, patience_ns: int) -> None:
        self._patience_ns = patience_ns
        self._rows: dict[int, _Tracked] = {}  # in the order of hand-over
        self._numbers: dict[tuple[int, str], dict[int, int]] = {}  # seq -> row
        self._waits: dict[int, int] = {}  # row -> of its next wait, if not the first
        self._given_back: int | None = None  # the oldest row that had to make room
        self._next_ns = 0  # nothing is overdue before
        self._heard_ns = 0  # when the last receipt came
        self.unknown = 0  # numbers of receipts that nothing waits for: doubled, late, or wrong

    def __contains__(self, row: int) -> bool:
        return row in self._rows

    def __len__(self) -> int:
        return len(self._rows)

    def is_full(self, more: int = 0) -> bool:
        """Whether there is no room, with so many more on their way."""
        return len(self._rows) + more >= TRACKED_LIMIT

    def track(self, row: int, key: RecordKey, now_ns: int) -> None:
        """This row goes out now."""
        while self.is_full():
            oldest = next(iter(self._rows))
            self.forget(oldest)
            self._given_back = min(oldest, self._given_back or oldest)
        wait_ns = self._waits.get(row, self._patience_ns)
        self._rows[row] = _Tracked(key, now_ns + wait_ns)
        self._next_ns = min(self._next_ns, now_ns + wait_ns)
        self._numbers.setdefault((key.epoch, key.stream), {})[key.seq] = row

    def forget(self, row: int) -> None:
        """It is not waited for any more: refused, or to be sent again."""
        found = self._rows.pop(row, None)
        if found is not None:
            place = found.key.epoch, str(found.key.stream)
            numbers = self._numbers[place]
            numbers.pop(found.key.seq, None)
            if not numbers:
                del self._numbers[place]

    def acknowledge(self, receipt: Receipt, now_ns: int) -> list[int]:
        """The rows that it confirms."""
        self._reset_waits(now_ns)
        numbers = self._numbers.get((receipt.epoch, receipt.stream), {})
        order = sorted(numbers)  # ranges may be as long and as many as they like
        found: list[int] = []
        for first, last in receipt.ranges:
            named = [
                n for n in order[bisect_left(order, first) : bisect_right(order, last)]
                if n in numbers
            ]  # fmt: skip
            self.unknown += last - first + 1 - len(named)
            for n in named:
                row = numbers.pop(n)
                self._waits.pop(row, None)
                del self._rows[row]
                found.append(row)
        if not numbers:
            self._numbers.pop((receipt.epoch, receipt.stream), None)
        return found

    def _reset_waits(self, now_ns: int) -> None:
        """After a long silence somebody stores again: nobody waits for an hour now."""
        silent_ns, self._heard_ns = now_ns - self._heard_ns, now_ns
        if silent_ns <= self._patience_ns:
            return
        self._waits.clear()
        latest_ns = now_ns + self._patience_ns
        for row, waiting in self._rows.items():
            if waiting.due_ns > latest_ns:
                self._rows[row] = _Tracked(waiting.key, latest_ns)
        self._next_ns = min(self._next_ns, latest_ns)

    def take_overdue(self, now_ns: int, flying: Collection[int] = ()) -> list[int]:
        """Rows that have waited too long: they are to be sent again, and then wait longer."""
        # those with a longer patience lie among the others: few enough to look at all
        if now_ns < self._next_ns:
            return []
        found = [
            row
            for row, waiting in self._rows.items()
            if waiting.due_ns <= now_ns and row not in flying
        ]
        for row in found:
            wait_ns = self._waits.get(row, self._patience_ns)
            self._waits[row] = min(2 * wait_ns, MAX_WAIT_NS)
            self.forget(row)
        self._next_ns = min((each.due_ns for each in self._rows.values()), default=0)
        while len(self._waits) > RETRIED_LIMIT:
            del self._waits[next(iter(self._waits))]
        return found

    def take_evicted(self) -> int | None:
        """The oldest row that had to make room, once there is room again; else None."""
        if self._given_back is None or len(self._rows) > TRACKED_LIMIT // 2:
            return None
        found, self._given_back = self._given_back, None
        return found
