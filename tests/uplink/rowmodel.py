"""In which state each row of the uplink must be, by rules that are as plain as can be, and what is
always true of it: the model that `test_rowtable_life` holds against the code."""

from collections.abc import Collection, Coroutine, Mapping
from types import ModuleType
from typing import Any, ClassVar, Final

from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
)

from edge.core import RecordKey, Stream
from edge.outbox import StoredRecord
from edge.uplink import delivery, rowtable, sendqueue
from edge.uplink.delivery import Delivery
from edge.uplink.refusals import BrokerLogThrottle
from edge.uplink.rowtable import (
    ACKNOWLEDGED,
    CHOSEN,
    CONFIRMED,
    FINAL,
    GIVEN_UP,
    HANDED,
    HELD,
    QUEUED,
    RECEIPTED,
    REFUSED,
    STORED,
    RowEntry,
    RowEvent,
    RowState,
    RowTable,
    UplinkCounters,
)
from edge.uplink.sendqueue import URGENT_STREAMS
from tests.uplink.test_sendqueue_order import StoredRows

S: Final = 1_000_000_000
RECEIPT_S: Final = 10
Bound = tuple[ModuleType, str]
WINDOW: Final = "the in-flight window"
BOUNDS: Final[Mapping[RowState, Bound | str]] = {
    STORED: "-",  # the outbox has a limit of its own
    QUEUED: (sendqueue, "LIVE_LIMIT"),
    CHOSEN: WINDOW,
    HANDED: WINDOW,
    ACKNOWLEDGED: (rowtable, "TRACKED_LIMIT"),
    RECEIPTED: WINDOW,
    REFUSED: (rowtable, "TRACKED_REFUSALS"),
    HELD: (rowtable, "HELD_LIMIT"),
    CONFIRMED: (sendqueue, "ENDED_LIMIT"),
    GIVEN_UP: (sendqueue, "ENDED_LIMIT"),
}
"""What bounds the rows of each state: a constant, or what docs/architecture/state.md calls it."""


def limit(bound: Bound) -> int:
    """As it is now: a test may have made it small."""
    module, name = bound
    return int(getattr(module, name))


def key(row: int, stream: Stream = Stream.AIR) -> RecordKey:
    return RecordKey(7, stream, row)


class Outbox(StoredRows):
    """Keeps what is not confirmed. Raises when a row is confirmed or given up a second time."""

    def __init__(self) -> None:
        super().__init__([])
        self.kept: dict[int, StoredRecord] = {}
        self.confirmed: set[int] = set()
        self.dead: set[int] = set()

    async def pending(self, after_row: int = 0, limit: int = 200) -> list[StoredRecord]:
        return [stored for row, stored in self.kept.items() if row > after_row][:limit]

    async def urgent(self, after_row: int = 0, limit: int = 200) -> list[StoredRecord]:
        rows = await self.pending(after_row, 10**9)
        return [row for row in rows if row.record.key.stream in URGENT_STREAMS][:limit]

    def confirm(self, rows: Collection[int]) -> None:
        for row in rows:
            del self.kept[row]
            self.confirmed.add(row)

    async def dead_letter(self, row: int, why: str) -> None:
        del self.kept[row]
        self.dead.add(row)


def now(work: Coroutine[Any, Any, Any]) -> Any:
    """The fake outbox answers at once: no loop is needed."""
    try:
        work.send(None)
    except StopIteration as done:
        return done.value
    raise AssertionError("it waits for something")


class WatchedTable(RowTable):
    """Notes what has happened to some row, and where it was then."""

    made: ClassVar[set[tuple[RowState, RowEvent]]] = set()

    def _enter(self, row: int, key: RecordKey, event: RowEvent) -> RowEntry:
        self.made.add((STORED, event))
        return super()._enter(row, key, event)

    def _move(self, entry: RowEntry, event: RowEvent) -> None:
        self.made.add((entry.state, event))
        super()._move(entry, event)


class RowModel(RuleBasedStateMachine):
    """A delivery with its queue, and beside it what must be so. What happens is told to it by who
    derives from it."""

    def __init__(self) -> None:
        super().__init__()
        self.clock_ns, self.last_row = S, 0
        self.outbox, self.counts = Outbox(), UplinkCounters()
        self.state: dict[int, RowState] = {}  # of all others it is STORED
        self.awaited: list[int] = []
        self.handed_ns: dict[int, int] = {}
        self.retries: dict[int, int] = {}
        self.refusals: dict[int, tuple[int, int]] = {}
        self.streams: dict[int, Stream] = {}
        self.denied: dict[str, int] = {}
        self.sent: list[int] = []
        self.accepted = self.taken_here = 0  # by all brokers; since the last connection
        self.taken: list[RowEntry] = []  # by the network
        self.too_many_held: set[int] = set()  # until another connection

    @initialize(receipts=st.booleans())
    def begin(self, receipts: bool) -> None:
        self.receipts = receipts
        self.table = WatchedTable(RECEIPT_S * S if receipts else None, self.counts)
        self.delivery = Delivery(
            self.outbox, 1e6, BrokerLogThrottle(lambda kind, text: None), self.table, "up",
            lambda item, moments: self.sent.append(item.row),
        )  # fmt: skip
        self.queue = self.delivery.send_queue
        self.queue.refill(self.clock_ns)
        self.delivery.connected(self.clock_ns)

    def bound(self, row: int) -> None:
        if self.state.get(row) is REFUSED:
            wait_ns = delivery.RETRY_FIRST_NS << self.refusals[row][0]
            self.retries[row] = self.clock_ns + min(wait_ns, delivery.RETRY_MAX_NS)
        while len(self.refusals) > rowtable.TRACKED_REFUSALS:
            del self.refusals[next(iter(self.refusals))]
        while len(self.retries) > rowtable.TRACKED_REFUSALS:
            self.becomes(next(iter(self.retries)), STORED)

    def rows(self, state: RowState) -> list[int]:
        return [row for row, each in self.state.items() if each is state]

    def becomes(self, row: int, state: RowState) -> None:
        if state in (STORED, *FINAL):
            self.state.pop(row, None)
        else:
            self.state[row] = state
        if state not in (HANDED, ACKNOWLEDGED) and row in self.awaited:
            self.awaited.remove(row)
        if state is not REFUSED:
            self.retries.pop(row, None)
        if state in FINAL:
            self.refusals.pop(row, None)

    def looked_at_queue(self) -> None:
        """Which live rows are left to the backlog is the queue's affair (test_sendqueue_order)."""
        waiting = {stored.row for _, stored in (*self.queue._alarms, *self.queue._live)}
        for row in self.rows(QUEUED):
            if row not in waiting:
                del self.state[row]
        self.state |= dict.fromkeys(waiting, QUEUED)

    # -- what is always true --

    @invariant()
    def each_row_is_in_the_one_state_in_which_it_must_be(self) -> None:
        for row in range(1, self.last_row + 1):
            state, must = self.table.state(row), self.state.get(row, STORED)
            assert (STORED if state in FINAL else state) is must, (
                f"row {row} is {state.name} and must be {must.name}: by the rules of RowLife"
                " (tests/uplink/test_rowtable_life.py), which say so with RowModel.becomes"
            )
        places = [row for state in RowState for row in self.table._in[state]]
        assert sorted(places) == sorted(self.table._rows)
        assert all(entry.state is s for s in RowState for entry in self.table.rows(s))

    @invariant()
    def no_row_is_forgotten(self) -> None:
        """Whoever goes on reading the backlog comes by each row that nobody has."""
        rest, table = self.queue._rest, self.table
        paged = {stored.row for stored in rest._page}
        for row in self.outbox.kept.keys() - self.state.keys() - self.too_many_held - paged:
            if self.streams[row] in self.denied or row >= (table._evicted or row + 1):
                continue  # looked at again when that is over
            state = table.state(row).name
            comes = rest.behind and row > rest._after
            assert comes, (
                f"row {row} is {state}, and the backlog has passed it: whoever makes it so calls"
                " SendQueue.rewind(row - 1)"
            )

    @invariant()
    def nothing_is_awaited_that_was_not_sent_or_is_confirmed(self) -> None:
        table = self.table
        assert list(table._awaited) == self.awaited
        numbered = [e.row for numbers in table._numbers.values() for e in numbers.values()]
        assert sorted(numbered) == sorted(self.awaited)
        assert all(table._numbers.values()), "an empty place is not kept"

    @invariant()
    def limits_hold(self) -> None:
        table = self.table
        for state, bound in BOUNDS.items():
            if not isinstance(bound, str) and state not in FINAL:  # of those `wait` looks
                assert table.count(state) <= limit(bound), f"more are {state.name} than {bound[1]}"
        assert len(table._awaited) <= rowtable.TRACKED_LIMIT
        assert len(table._refusals) <= rowtable.TRACKED_REFUSALS
        assert len(table._waits) <= rowtable.RETRIED_LIMIT
        pages = (self.queue._urgent, self.queue._rest)
        assert any(page.filled for page in pages) or not table.count(*FINAL)

    @invariant()
    def the_counters_say_what_happened(self) -> None:
        counts = self.counts
        assert counts.sent == len(self.sent)
        assert counts.confirmed == len(self.outbox.confirmed)
        assert counts.dead_letters == len(self.outbox.dead)
        assert not self.outbox.confirmed & self.outbox.dead
        assert self.outbox.confirmed <= set(self.sent)
        assert self.table.in_flight == len(self.taken)
        assert self.table.highest == max(self.sent, default=0)
