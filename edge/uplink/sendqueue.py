"""What to send next: alarms first, then what is live, then the backlog at a bounded rate. The
backlog is read in pages, from the oldest row on, again from any place.
"""

from collections import deque
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from edge.core import Record, StoredState, Stream
from edge.uplink.envelope import ClockMarkLike

PAGE_ROWS: Final = 200  # rows asked of the outbox at one time
LIVE_LIMIT: Final = 1000  # rows kept as live; more than that go through the backlog
LIVE_AGE_NS: Final = 10_000_000_000  # a row that waited longer is not live any more
NEVER: Final = (1 << 63) - 1
BACKLOG_BURST_S: Final = 0.2  # seconds of the backlog's rate that may go at once
URGENT_STREAMS: Final = frozenset({str(Stream.EVENT), str(Stream.REGISTER)})


class StoredRow(Protocol):
    """A stored record, as the outbox gives it."""

    @property
    def row(self) -> int: ...
    @property
    def record(self) -> Record: ...
    @property
    def redelivered(self) -> bool: ...


class Backlog(Protocol):
    """What the uplink asks of the outbox."""

    async def pending(self, after_row: int = 0, limit: int = 200) -> Sequence[StoredRow]: ...
    async def urgent(self, after_row: int = 0, limit: int = 200) -> Sequence[StoredRow]: ...
    async def find(
        self, epoch: int, stream: str, first: int, last: int, limit: int
    ) -> Sequence[StoredRow]: ...
    async def state(self, owner: str) -> StoredState | None: ...
    async def keep(self, states: Mapping[str, StoredState]) -> None: ...
    async def marks(self, boot: int) -> Sequence[ClockMarkLike]: ...
    async def bounds(self, boot: int) -> tuple[int | None, int | None]: ...
    async def dead_letter(self, row: int, why: str) -> None: ...
    async def link_up(self, live_from: int = 0) -> None: ...
    def link_lost(self, row: int) -> None: ...
    async def downsample(self) -> bool: ...
    def sent(self, rows: Collection[int]) -> None: ...
    def confirm(self, rows: Collection[int]) -> None: ...


class BacklogReader:
    """Holds one page. `urgent`: only of events and registers."""

    def __init__(self, backlog: Backlog, urgent: bool) -> None:
        self._backlog, self._urgent = backlog, urgent
        self._page: deque[StoredRow] = deque()
        self._done: set[int] = set()  # confirmed since the page was asked for
        self._after = 0
        self._turning = False
        self.behind = True  # there may be more rows in the outbox

    def rewind(self, row: int) -> None:
        """Look again from behind `row`."""
        self.behind = True
        self._after = min(self._after, row)
        self._page.clear()

    def confirmed(self, rows: Collection[int]) -> None:
        """These need not be sent any more, though the page may hold them."""
        if self._page or self._turning:
            self._done.update(rows)

    def next(self) -> StoredRow | None:
        """The next row of the page that is not confirmed."""
        while self._page:
            row = self._page.popleft()
            self._after = row.row
            if row.row not in self._done:
                return row
        return None

    @property
    def filled(self) -> bool:
        return bool(self._page)

    @property
    def wanted(self) -> bool:
        """Another page is to be fetched."""
        return self.behind and not self._page

    async def next_page(self) -> None:
        """Fetch the next rows; at the end of the outbox it rests until a `rewind`."""
        after = self._after
        self._done.clear()
        self._turning = True
        try:
            fetch = self._backlog.urgent if self._urgent else self._backlog.pending
            rows = await fetch(after, PAGE_ROWS)
        finally:
            self._turning = False
        if self._after != after:
            return  # rewound meanwhile
        self._page.extend(rows)
        self.behind = bool(rows)


@dataclass(frozen=True, slots=True)
class SendItem:
    """One row to be sent."""

    row: int
    record: Record
    backfilled: bool
    redelivered: bool


class SendQueue:
    """Holds at most LIVE_LIMIT live rows and two pages of the backlog. `per_s` bounds the backlog.

    `skip(row, stream)` says that a row is under way, or must not go now.
    """

    def __init__(self, backlog: Backlog, per_s: float, skip: Callable[[int, str], bool]) -> None:
        self._per_s, self._skip = per_s, skip
        self._alarms: deque[tuple[int, StoredRow]] = deque()
        self._live: deque[tuple[int, StoredRow]] = deque()
        self._live_rows: set[int] = set()
        self._urgent, self._rest = (
            BacklogReader(backlog, urgent=True),
            BacklogReader(backlog, urgent=False),
        )
        self._tokens = per_s * BACKLOG_BURST_S
        self._filled_ns = 0
        self.held = False  # what can wait does: it joins the backlog, which stands still

    def offer(self, rows: Sequence[StoredRow], now_ns: int) -> None:
        """New rows, right after their commit."""
        self._stale(now_ns)
        for row in rows:
            urgent = row.record.key.stream in URGENT_STREAMS
            if self.held and not urgent:
                self._rest.rewind(row.row - 1)
                continue
            queue = self._alarms if urgent else self._live
            queue.append((now_ns, row))
            self._live_rows.add(row.row)
        while len(self._live_rows) > LIVE_LIMIT:
            self._pass_over(self._live or self._alarms)

    def restart(self, now_ns: int) -> None:
        """A new connection: everything unconfirmed is to be sent, the fresh ones as live."""
        self._stale(now_ns)
        self.rewind(0)

    def confirmed(self, rows: Collection[int]) -> None:
        """These rows need not be sent any more, though a page may hold them."""
        self._urgent.confirmed(rows)
        self._rest.confirmed(rows)

    def rewind(self, row: int) -> None:
        """Look at the backlog again from behind `row`."""
        self._urgent.rewind(row)
        self._rest.rewind(row)

    def alarm(self) -> SendItem | None:
        """The next event or register, a live one first; those of the backlog keep to its rate."""
        return self._of(self._alarms) or self._rated(self._urgent)

    def live(self) -> SendItem | None:
        """The next live row, or None."""
        return self._of(self._live)

    @property
    def live_from(self) -> int:
        """The first row that goes as a live one; all before it go through the backlog, in order."""
        return min(self._live_rows, default=NEVER)

    @property
    def fresh(self) -> bool:
        """Live rows are waiting."""
        return bool(self._live or self._alarms)

    def hold_live(self) -> None:
        """What can wait does, from now on: also what was live."""
        self.held = True
        while self._live:
            self._pass_over(self._live)

    @property
    def is_drained(self) -> bool:
        """Nothing that can wait is left to be sent."""
        return not (self._live or self._rest.filled or self._rest.wanted)

    def next_backlog(self) -> SendItem | None:
        """The next row of the backlog, if the rate allows it."""
        return None if self.held else self._rated(self._rest)

    def wait_s(self) -> float | None:
        """How long until the backlog may go on; None when it needs no waiting."""
        filled = (self._rest.filled and not self.held) or self._urgent.filled
        if not filled or self._tokens >= 1.0:
            return None
        some = max(
            1.0, self._per_s * BACKLOG_BURST_S / 4
        )  # a turn has its price: not one for each record
        return (some - self._tokens) / self._per_s

    def refill(self, now_ns: int) -> None:
        """Time has passed."""
        passed_s = (now_ns - self._filled_ns) / 1e9
        self._filled_ns = now_ns
        self._tokens = min(
            max(1.0, self._per_s * BACKLOG_BURST_S), self._tokens + passed_s * self._per_s
        )

    async def next_page(self, *, urgent_only: bool = False) -> bool:
        """Fetch what is missing next, alarms before the rest; False when nothing is wanted."""
        for pages in (self._urgent,) if urgent_only or self.held else (self._urgent, self._rest):
            if pages.wanted:
                await pages.next_page()
                return True
        return False

    def _of(self, queue: "deque[tuple[int, StoredRow]]") -> SendItem | None:
        while queue:
            _, row = queue.popleft()
            self._live_rows.discard(row.row)
            if not self._skip(row.row, row.record.key.stream):
                return SendItem(row.row, row.record, backfilled=False, redelivered=row.redelivered)
        return None

    def _rated(self, pages: BacklogReader) -> SendItem | None:
        if self._tokens < 1.0:
            return None
        item = self._paged(pages)
        self._tokens -= item is not None
        return item

    def _paged(self, pages: BacklogReader) -> SendItem | None:
        while (row := pages.next()) is not None:
            known = row.row in self._live_rows
            if not known and not self._skip(row.row, row.record.key.stream):
                return SendItem(row.row, row.record, backfilled=True, redelivered=row.redelivered)
        return None

    def _stale(self, now_ns: int) -> None:
        for queue in (self._alarms, self._live):
            while queue and now_ns - queue[0][0] > LIVE_AGE_NS:
                self._pass_over(queue)

    def _pass_over(self, queue: "deque[tuple[int, StoredRow]]") -> None:
        _, row = queue.popleft()
        self._live_rows.discard(row.row)
        self.rewind(row.row - 1)
