"""What to send next: alarms first, then what is live, then the backlog at a bounded rate. The
backlog is read in pages, from the oldest row on, again from any place.
"""

from collections import deque
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from edge.core import Record, Stamp, StoredState, Stream, StreamLevel
from edge.uplink.rowtable import FINAL, RowState, RowTable

PAGE_ROWS: Final = 200  # rows asked of the outbox at one time
ENDED_LIMIT: Final = 5000  # rows whose end is remembered for a page that was read before
LIVE_LIMIT: Final = 1000  # rows kept as live; more than that go through the backlog
LIVE_AGE_NS: Final = 10_000_000_000  # a row that waited longer is not live any more
NEVER: Final = (1 << 63) - 1
BACKLOG_BURST_S: Final = 0.2  # seconds of the backlog's rate that may go at once
URGENT_STREAMS: Final = Stream.of_level(StreamLevel.URGENT)


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
    async def marks(self, boot: int) -> Sequence[Stamp]: ...
    async def bounds(self, boot: int) -> tuple[int | None, int | None]: ...
    async def dead_letter(self, row: int, why: str) -> None: ...
    async def link_up(self, live_from: int = 0) -> None: ...
    def link_lost(self, row: int) -> None: ...
    async def downsample(self) -> bool: ...
    def sent(self, rows: Collection[int]) -> None: ...
    def confirm(self, rows: Collection[int]) -> None: ...


class BacklogReader:
    """Holds one page. `urgent`: only of events and registers."""

    def __init__(self, backlog: Backlog, table: RowTable, urgent: bool) -> None:
        self._fetch = backlog.urgent if urgent else backlog.pending
        self._table = table
        self._page: deque[StoredRow] = deque()
        self._after = 0
        self._fetching = False
        self.behind = True  # there may be more rows in the outbox

    def rewind(self, row: int) -> None:
        """Look again from behind `row`."""
        self.behind = True
        self._after = min(self._after, row)
        self._page.clear()
        self._emptied()

    def read_again(self) -> None:
        """Let the page go; what is left of it is fetched again."""
        self.rewind(self._after)

    def next(self) -> StoredRow | None:
        """The next row of the page that nobody has, and that nothing keeps back."""
        while self._page:
            row = self._page.popleft()
            self._after = row.row
            may_go = self._table.may_go(row.row, row.record.key.stream)
            self._emptied()
            if may_go:
                return row
        return None

    @property
    def filled(self) -> bool:
        return bool(self._page)

    @property
    def records(self) -> list[Record]:
        """Those of the page that are still in it."""
        return [row.record for row in self._page]

    @property
    def wanted(self) -> bool:
        """Another page is to be fetched."""
        return self.behind and not self._page

    async def next_page(self) -> None:
        """Fetch the next rows; at the end of the outbox it rests until a `rewind`."""
        after = self._after
        self._fetching = True
        self._table.hold_copy(self)
        try:
            rows = await self._fetch(after, PAGE_ROWS)
            if self._after == after:  # else rewound meanwhile
                self._page.extend(rows)
                self.behind = bool(rows)
        finally:
            self._fetching = False
            self._emptied()

    def _emptied(self) -> None:
        if not self._page and not self._fetching:
            self._table.drop_copy(self)


@dataclass(slots=True)  # one for each row: a frozen one takes half a microsecond to make
class SendItem:
    """One row that was chosen to be sent."""

    row: int
    record: Record
    backfilled: bool
    redelivered: bool  # it may have been sent before


class SendQueue:
    """Holds at most LIVE_LIMIT live rows and two pages of the backlog. `per_s` bounds the backlog.

    Each row that it gives is chosen in the table: it is to be handed over, held, or given up.
    `offered` hears when rows have come, whether there is an alarm among them, and at what time.
    """

    def __init__(
        self,
        backlog: Backlog,
        per_s: float,
        table: RowTable,
        offered: Callable[[bool, int], None] = lambda alarm, now_ns: None,
    ) -> None:
        self._per_s, self._table, self._offered = per_s, table, offered
        # those that the table has as QUEUED, and since when
        self._alarms: deque[tuple[int, StoredRow]] = deque()
        self._live: deque[tuple[int, StoredRow]] = deque()
        self._urgent, self._rest = (
            BacklogReader(backlog, table, urgent=True),
            BacklogReader(backlog, table, urgent=False),
        )
        self._tokens = per_s * BACKLOG_BURST_S
        self._filled_ns = 0
        self.saving = False  # what can wait does: it joins the backlog, which stands still

    def offer(self, rows: Sequence[StoredRow], now_ns: int) -> None:
        """New rows, right after their commit."""
        if not rows:
            return
        alarm = False
        self._stale(now_ns)
        for row in rows:
            urgent = row.record.key.stream in URGENT_STREAMS
            alarm = alarm or urgent
            if self.saving and not urgent:
                self._rest.rewind(row.row - 1)
            elif self._table.queue(row.row, row.record.key):
                queue = self._alarms if urgent else self._live
                queue.append((now_ns, row))
        while self._table.count(RowState.QUEUED) > LIVE_LIMIT:
            self._pass_over(self._live or self._alarms)
        self._offered(alarm, now_ns)

    def restart(self, now_ns: int) -> None:
        """A new connection: everything unconfirmed is to be sent, the fresh ones as live."""
        self._stale(now_ns)
        self.rewind(0)

    def rewind(self, row: int) -> None:
        """Look at the backlog again from behind `row`."""
        self._urgent.rewind(row)
        self._rest.rewind(row)

    def next_urgent(self) -> SendItem | None:
        """The next event or register, a live one first; those of the backlog keep to its rate."""
        return self._of(self._alarms) or self._rated(self._urgent)

    def next_live(self) -> SendItem | None:
        """The next live row, or None."""
        return self._of(self._live)

    @property
    def live_from(self) -> int:
        """The first row that goes as a live one; all before it go through the backlog, in order."""
        queued = self._table.rows(RowState.QUEUED)
        return min((entry.row for entry in queued), default=NEVER)

    @property
    def fresh(self) -> bool:
        """Live rows are waiting."""
        return bool(self._live or self._alarms)

    @property
    def records(self) -> list[Record]:
        """All that are in memory, whatever may go of them."""
        live = [row.record for _, row in (*self._alarms, *self._live)]
        return [*live, *self._urgent.records, *self._rest.records]

    def save(self) -> None:
        """What can wait does, from now on: also what was live."""
        self.saving = True
        while self._live:
            self._pass_over(self._live)

    def release(self) -> None:
        """The backlog goes on, and what is live."""
        self.saving = False

    @property
    def is_drained(self) -> bool:
        """Nothing that can wait is left to be sent."""
        return not (self._live or self._rest.filled or self._rest.wanted)

    def next_backlog(self) -> SendItem | None:
        """The next row of the backlog, if the rate allows it."""
        return None if self.saving else self._rated(self._rest)

    def wait_s(self) -> float | None:
        """How long until the backlog may go on; None when it needs no waiting."""
        filled = (self._rest.filled and not self.saving) or self._urgent.filled
        if not filled or self._tokens >= 1.0:
            return None
        some = max(
            1.0, self._per_s * BACKLOG_BURST_S / 4
        )  # a turn has its price: not one for each record
        return (some - self._tokens) / self._per_s

    def refill(self, now_ns: int) -> None:
        """Time has passed. Pages that have been held too long are read again: as long as they are
        there, all rows that end have to be remembered."""
        if self._table.count(*FINAL) > ENDED_LIMIT:
            for pages in (self._urgent, self._rest):
                pages.read_again()
        passed_s = (now_ns - self._filled_ns) / 1e9
        self._filled_ns = now_ns
        self._tokens = min(
            max(1.0, self._per_s * BACKLOG_BURST_S), self._tokens + passed_s * self._per_s
        )

    async def next_page(self, *, urgent_only: bool = False) -> bool:
        """Fetch what is missing next, alarms before the rest; False when nothing is wanted."""
        for pages in (self._urgent,) if urgent_only or self.saving else (self._urgent, self._rest):
            if pages.wanted:
                await pages.next_page()
                return True
        return False

    def _of(self, queue: "deque[tuple[int, StoredRow]]") -> SendItem | None:
        while queue:
            _, row = queue.popleft()
            if not self._table.denied(row.record.key.stream):
                return self._chosen(row, backfilled=False)
            self._table.pass_over(row.row)
        return None

    def _rated(self, pages: BacklogReader) -> SendItem | None:
        if self._tokens < 1.0:
            return None
        row = pages.next()
        if row is None:
            return None
        self._tokens -= 1
        return self._chosen(row, backfilled=True)

    def _chosen(self, row: StoredRow, *, backfilled: bool) -> SendItem:
        self._table.choose(row.row, row.record.key)
        again = row.redelivered or self._table.was_handed(row.row)
        return SendItem(row.row, row.record, backfilled, again)

    def _stale(self, now_ns: int) -> None:
        for queue in (self._alarms, self._live):
            while queue and now_ns - queue[0][0] > LIVE_AGE_NS:
                self._pass_over(queue)

    def _pass_over(self, queue: "deque[tuple[int, StoredRow]]") -> None:
        _, row = queue.popleft()
        self._table.pass_over(row.row)
        self.rewind(row.row - 1)
