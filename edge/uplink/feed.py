"""What to send next: live rows first, then the backlog from the oldest, at a bounded rate."""

from collections import deque
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from edge.core import Record
from edge.uplink.envelope import Mark

LIVE: Final = 1000  # rows kept as live; more than that go through the backlog
FRESH_NS: Final = 10_000_000_000  # a row that waited longer is not live any more
PAGE: Final = 200  # rows asked of the store at one time
BURST: Final = 0.2  # seconds of the backlog's rate that may go at once


class Row(Protocol):
    """A stored record, as the outbox gives it."""

    @property
    def row(self) -> int: ...
    @property
    def record(self) -> Record: ...
    @property
    def again(self) -> bool: ...


class Backlog(Protocol):
    """What the sender asks of the store."""

    async def pending(self, after_row: int = 0, limit: int = 200) -> Sequence[Row]: ...
    async def marks(self, boot: int) -> Sequence[Mark]: ...
    async def dead(self, row: int, why: str) -> None: ...
    def sent(self, rows: Collection[int]) -> None: ...
    def confirm(self, rows: Collection[int]) -> None: ...


@dataclass(frozen=True, slots=True)
class Item:
    """One row to be sent."""

    row: int
    record: Record
    late: bool
    again: bool


class Feed:
    """Holds at most LIVE live rows and one page of the backlog. `per_s` bounds the backlog."""

    def __init__(self, backlog: Backlog, per_s: float, skip: Callable[[int, str], bool]) -> None:
        self._backlog, self._per_s, self._skip = backlog, per_s, skip
        self._live: deque[tuple[int, Row]] = deque()
        self._live_rows: set[int] = set()
        self._page: deque[Row] = deque()
        self._done: set[int] = set()  # confirmed since the page was asked for
        self._after = 0
        self._tokens = per_s * BURST
        self._filled_ns = 0
        self._turning = False
        self.behind = True  # there may be rows in the store that are neither live nor in flight

    def offer(self, rows: Sequence[Row], now_ns: int) -> None:
        """New rows, right after their commit."""
        self._stale(now_ns)
        for row in rows:
            self._live.append((now_ns, row))
            self._live_rows.add(row.row)
        while len(self._live) > LIVE:
            self._pass_over()

    def restart(self, now_ns: int) -> None:
        """A new connection: everything unconfirmed is to be sent, the fresh ones as live."""
        self._stale(now_ns)
        self.rewind(0)

    def confirmed(self, rows: Collection[int]) -> None:
        """These rows need not be sent any more, though the page may hold them."""
        if self._page or self._turning:
            self._done.update(rows)

    def rewind(self, row: int) -> None:
        """Look at the backlog again from behind `row`."""
        self.behind = True
        self._after = min(self._after, row)
        self._page.clear()

    def live(self) -> Item | None:
        """The next live row, or None."""
        while self._live:
            _, row = self._live.popleft()
            self._live_rows.discard(row.row)
            if not self._skip(row.row, row.record.key.stream):
                return Item(row.row, row.record, late=False, again=row.again)
        return None

    @property
    def fresh(self) -> bool:
        """Live rows are waiting."""
        return bool(self._live)

    def late(self) -> Item | None:
        """The next row of the page, if the rate allows it."""
        while self._page and self._tokens >= 1.0:
            row = self._page.popleft()
            self._after = row.row
            known = row.row in self._live_rows or row.row in self._done
            if not known and not self._skip(row.row, row.record.key.stream):
                self._tokens -= 1.0
                return Item(row.row, row.record, late=True, again=row.again)
        return None

    def wait_s(self) -> float | None:
        """How long until the backlog may go on; None when it needs no waiting."""
        if not self._page or self._tokens >= 1.0:
            return None
        return (1.0 - self._tokens) / self._per_s

    def refill(self, now_ns: int) -> None:
        """Time has passed."""
        passed_s = max(0, now_ns - self._filled_ns) / 1e9
        self._filled_ns = now_ns
        self._tokens = min(max(1.0, self._per_s * BURST), self._tokens + passed_s * self._per_s)

    @property
    def wants_page(self) -> bool:
        return self.behind and not self._page

    async def turn_page(self) -> None:
        """Fetch the next rows; at the end of the store the backlog rests until a `rewind`."""
        after = self._after
        self._done.clear()
        self._turning = True
        try:
            rows = await self._backlog.pending(after, PAGE)
        finally:
            self._turning = False
        if self._after != after:
            return  # rewound meanwhile
        self._page.extend(rows)
        self.behind = bool(rows)

    def _stale(self, now_ns: int) -> None:
        while self._live and now_ns - self._live[0][0] > FRESH_NS:
            self._pass_over()

    def _pass_over(self) -> None:
        _, row = self._live.popleft()
        self._live_rows.discard(row.row)
        self.rewind(row.row - 1)
