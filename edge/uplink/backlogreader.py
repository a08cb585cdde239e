"""The backlog in pages: rows of the store from the oldest on, again from any place."""

from collections import deque
from collections.abc import Collection, Mapping, Sequence
from typing import Final, Protocol

from edge.core import Record
from edge.uplink.envelope import ClockMarkLike

PAGE_ROWS: Final = 200  # rows asked of the store at one time


class StoredRow(Protocol):
    """A stored record, as the outbox gives it."""

    @property
    def row(self) -> int: ...
    @property
    def record(self) -> Record: ...
    @property
    def redelivered(self) -> bool: ...


class Backlog(Protocol):
    """What the uplink asks of the store."""

    async def pending(self, after_row: int = 0, limit: int = 200) -> Sequence[StoredRow]: ...
    async def urgent(self, after_row: int = 0, limit: int = 200) -> Sequence[StoredRow]: ...
    async def find(
        self, epoch: int, stream: str, first: int, last: int, limit: int
    ) -> Sequence[StoredRow]: ...
    async def state(self, owner: str) -> tuple[int, bytes] | None: ...
    async def keep(self, states: Mapping[str, tuple[int, bytes]]) -> None: ...
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
        self.behind = True  # there may be more rows in the store

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
        """Fetch the next rows; at the end of the store it rests until a `rewind`."""
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
