"""What one simulated gateway sends next: what is live, then its backlog, at a gateway's rate.

As `edge/uplink/sendqueue.py`, without an outbox behind it: rows are numbers here. Pure.
"""

from collections import deque
from collections.abc import Iterable
from typing import Final, NamedTuple

from edge.uplink.sender import SenderOptions
from edge.uplink.sendqueue import BACKLOG_BURST_S, LIVE_AGE_NS

PER_S: Final = SenderOptions().backlog_per_s


class Chosen(NamedTuple):
    """A row that goes out now."""

    row: int
    backfilled: bool


class BoxQueue:
    """Times are monotonic ns."""

    def __init__(self) -> None:
        self._live: deque[tuple[int, int]] = deque()  # since when, and the row
        self._backlog: deque[int] = deque()
        self._tokens = PER_S * BACKLOG_BURST_S
        self._filled_ns = 0

    def __len__(self) -> int:
        return len(self._live) + len(self._backlog)

    def rows(self) -> set[int]:
        """All that wait here."""
        return {*(row for _, row in self._live), *self._backlog}

    def offer(self, rows: Iterable[int], now_ns: int) -> None:
        """Just committed, while there is a connection."""
        self._live.extend((now_ns, row) for row in rows)

    def put_off(self, rows: Iterable[int]) -> None:
        """Just committed, without a connection: they go through the backlog, in order."""
        self._backlog.extend(rows)

    def again(self, rows: Iterable[int]) -> None:
        """They were sent, and go again: before the rest of the backlog, the oldest first."""
        self._backlog.extendleft(sorted(rows, reverse=True))

    def disconnected(self) -> None:
        """Nothing is live any more."""
        self._backlog.extend(row for _, row in self._live)
        self._live.clear()

    def choose(self, now_ns: int, *, backlog: bool) -> Chosen | None:
        """The next row, or None."""
        while self._live:
            since_ns, row = self._live.popleft()
            if now_ns - since_ns <= LIVE_AGE_NS:
                return Chosen(row, backfilled=False)
            self._backlog.append(row)
        if not (backlog and self._backlog):
            return None
        passed_s = (now_ns - self._filled_ns) / 1e9
        self._filled_ns = now_ns
        self._tokens = min(PER_S * BACKLOG_BURST_S, self._tokens + passed_s * PER_S)
        if self._tokens < 1:
            return None
        self._tokens -= 1
        return Chosen(self._backlog.popleft(), backfilled=True)

    @property
    def wait_s(self) -> float | None:
        """How long until the backlog's rate lets a row go; None: nothing waits for that."""
        return max(0.0, (1 - self._tokens) / PER_S) if self._backlog and self._tokens < 1 else None
