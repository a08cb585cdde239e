"""The life of a row as a state machine: what may happen, what may not, and what is always true."""

from collections.abc import Collection, Coroutine, Sequence
from typing import Any, ClassVar, Final
from unittest.mock import patch

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from edge.core import Record, RecordKey, Stream
from edge.outbox import StoredRecord
from edge.uplink import delivery, refusals, rowtable, sendqueue
from edge.uplink.delivery import NOT_AUTHORIZED, QUOTA_EXCEEDED, Delivery
from edge.uplink.mqtt import BrokerRefusedError, ConnectionLostError
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
    TRANSITIONS,
    ImpossibleTransitionError,
    RowEntry,
    RowEvent,
    RowState,
    RowTable,
    UplinkCounters,
)
from edge.uplink.sendqueue import URGENT_STREAMS, SendItem
from edge.wire import Receipt
from tests.long import examples
from tests.uplink.test_sendqueue_order import StoredRows

S: Final = 1_000_000_000
RECEIPT_S: Final = 10
ANSWERS: Final = [131, 0, 16, NOT_AUTHORIZED, QUOTA_EXCEEDED, None]  # None: the connection ends


def key(row: int, stream: Stream = Stream.AIR) -> RecordKey:
    return RecordKey(7, stream, row)


def test_an_answer_to_a_row_that_nobody_has_is_a_fault_of_ours() -> None:
    table = RowTable(None, UplinkCounters())
    table.choose(1, key(1))
    entry = table.hand(1, 0, redelivered=False, backfilled=False)
    assert table.acknowledge(entry)
    for again in (table.acknowledge, table.lose, table.put_off, table.give_up):
        with pytest.raises(ImpossibleTransitionError):
            again(entry)
    assert table.counts.confirmed == 1


# -- the machine ----------------------------------------------------------------------------------


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


class RowLife(RuleBasedStateMachine):
    """A delivery with its queue, in front of a broker and a platform that do as they like; beside
    it the model: in which state each row must be, by rules that are as plain as can be."""

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

    # -- what may happen --

    @rule(
        streams=st.lists(
            st.sampled_from([Stream.AIR, Stream.ENERGY, Stream.EVENT]), min_size=1, max_size=6
        ),
        live=st.booleans(),
    )
    def commit(self, streams: Sequence[Stream], live: bool) -> None:
        """Rows are committed; not live: by a former process, or offered to nobody."""
        made = []
        for stream in streams:
            self.last_row += 1
            record = Record(key(self.last_row, stream), "a", 1, 0, 1, {})
            made.append(StoredRecord(self.last_row, record))
            self.outbox.kept[self.last_row] = made[-1]
            self.streams[self.last_row] = stream
        if live:
            self.queue.offer(made, self.clock_ns)
            self.looked_at_queue()
        else:
            self.queue.rewind(made[0].row - 1)

    @rule(room=st.integers(1, 8), fate=st.sampled_from(["sent", "large", "sent", "bad"]))
    def fill(self, room: int, fate: str) -> None:
        """As `Publisher.fill` does; the first of them meets this fate, the others are sent."""
        for place, item in enumerate(self.choose(room)):
            self.leaves(item, "sent" if place else fate)

    @rule(room=st.integers(1, 8))
    def fail_while_rows_are_dated(self, room: int) -> None:
        """The outbox or the clock's map fails: what was chosen waits for the next connection."""
        self.choose(room)
        self.reconnect()

    def choose(self, room: int) -> list[SendItem]:
        chosen: list[SendItem] = []
        while len(chosen) < room:
            item = self.queue.alarm() or self.queue.live()
            if item is None and not self.delivery.stalled:
                item = self.queue.next_backlog()
            if item is None and not now(self.queue.next_page(urgent_only=self.delivery.stalled)):
                break
            if item is not None:
                self.was_chosen(item)
                chosen.append(item)
        self.looked_at_queue()
        return chosen

    def was_chosen(self, item: SendItem) -> None:
        row, stream = item.row, self.streams[item.row]
        assert row in self.outbox.kept, "it is confirmed, or given up"
        assert self.state.get(row, STORED) in (STORED, QUEUED)
        assert item.backfilled == (self.state.get(row) is not QUEUED)
        assert stream not in self.denied
        assert item.redelivered >= (row in self.sent)
        ready = [other for other, state in self.state.items() if state is QUEUED]
        waits = [other for other in ready if self.streams[other] not in self.denied]
        urgent = [other for other in waits if self.streams[other] in URGENT_STREAMS]
        if stream not in URGENT_STREAMS:
            assert not urgent, "events and registers go first"
            assert not item.backfilled or not waits, "what is live goes before the backlog"
        elif item.backfilled:
            assert not urgent, "live ones before those of the backlog"
        self.state[row] = CHOSEN
        self.looked_at_queue()

    def leaves(self, item: SendItem, fate: str) -> None:
        row = item.row
        if fate == "large":
            self.delivery.too_large(item, self.clock_ns)
            held = sum(state is HELD for state in self.state.values())
            self.becomes(row, HELD if held < rowtable.HELD_LIMIT else STORED)
            if held >= rowtable.HELD_LIMIT:
                self.too_many_held.add(row)
        elif fate == "bad":
            now(self.delivery.unsendable(item, "it cannot be written", self.clock_ns))
            self.becomes(row, GIVEN_UP)
        else:
            self.taken.append(self.delivery.hand(item, self.clock_ns, []))
            self.becomes(row, HANDED)
            self.handed_ns[row] = self.clock_ns
            if self.receipts:
                if len(self.awaited) == rowtable.TRACKED_LIMIT:
                    oldest = self.awaited.pop(0)
                    if self.state[oldest] is ACKNOWLEDGED:
                        self.becomes(oldest, STORED)
                self.awaited.append(row)

    @precondition(lambda self: self.taken)
    @rule(
        places=st.lists(st.integers(0, 7), min_size=1, max_size=8),
        answer=st.sampled_from(ANSWERS),
    )
    def answers(self, places: list[int], answer: int | None) -> None:
        """The broker answers to some."""
        for place in places:
            self.answer(place, answer)

    @rule(answers=st.permutations(ANSWERS), receipted=st.booleans())
    def answer_one_after_the_other(self, answers: list[int | None], receipted: bool) -> None:
        """Everything that a broker may say; the platform may be faster."""
        for answer in answers:
            if not self.taken:
                self.commit([Stream.EVENT], live=True)
                self.fill(8, "sent")
            if self.taken and receipted:
                row = self.taken[-1].row
                self.receipt(row, 0, self.streams[row])
            self.answer(-1, answer)

    @precondition(lambda self: self.taken)
    @rule(times=st.integers(1, 6))
    def refuse_one_and_take_others(self, times: int) -> None:
        """So that it is the record that is wrong."""
        row = self.taken[0].row
        for _ in range(times):
            places = [place for place, entry in enumerate(self.taken) if entry.row == row]
            if places:
                self.answer(places[0], 131)
            self.commit([Stream.EVENT], live=True)
            self.fill(1, "sent")
            self.answer(-1, 0)
            self.wait(301)
            self.fill(8, "sent")

    def answer(self, place: int, answer: int | None) -> None:
        if not self.taken:
            return
        entry = self.taken.pop(place % len(self.taken))
        row, receipted = entry.row, self.state[entry.row] is RECEIPTED
        if answer is None:
            self.delivery.answered(entry, ConnectionLostError("hung up"))
        elif answer < 128:
            self.delivery.answered(entry, answer)
        else:
            self.delivery.answered(entry, BrokerRefusedError(answer, "refused"))
        held = [other for other, state in self.state.items() if state is HELD]
        now(self.delivery.process_answers(self.clock_ns))
        if answer is not None and answer < 128:
            self.accepted += 1
            self.taken_here += 1
            self.refusals.pop(row, None)
            if not self.receipts:
                self.becomes(row, CONFIRMED)
            elif not receipted:
                self.becomes(row, ACKNOWLEDGED if row in self.awaited else STORED)
        elif answer == 131 and not receipted:
            count, then = self.refusals.get(row, (0, -1))
            self.refusals[row] = count + (then != self.accepted), self.accepted
            self.becomes(row, GIVEN_UP if self.refusals[row][0] == 5 else REFUSED)
            self.bound(row)
        elif not receipted:
            self.becomes(row, STORED)
            if answer == NOT_AUTHORIZED:
                self.denied[self.streams[row]] = self.clock_ns + delivery.NOT_AUTHORIZED_RETRY_NS
        elif answer == NOT_AUTHORIZED:
            self.denied[self.streams[row]] = self.clock_ns + delivery.NOT_AUTHORIZED_RETRY_NS
        if receipted:
            self.becomes(row, CONFIRMED)
        gone = [other for other in held if other in self.outbox.dead]
        # nearly all arrive: those are at fault themselves
        assert not gone or len(held) * refusals.PROOF_RECORDS <= self.taken_here
        for other in gone:
            self.becomes(other, GIVEN_UP)

    def bound(self, row: int) -> None:
        if self.state.get(row) is REFUSED:
            wait_ns = delivery.RETRY_FIRST_NS << self.refusals[row][0]
            self.retries[row] = self.clock_ns + min(wait_ns, delivery.RETRY_MAX_NS)
        while len(self.refusals) > rowtable.TRACKED_REFUSALS:
            del self.refusals[next(iter(self.refusals))]
        while len(self.retries) > rowtable.TRACKED_REFUSALS:
            self.becomes(next(iter(self.retries)), STORED)

    @precondition(lambda self: self.awaited)
    @rule(place=st.integers(0, 3), back=st.integers(0, 2), length=st.integers(0, 3))
    def stored(self, place: int, back: int, length: int) -> None:
        """The platform has stored these, or says so."""
        row = self.awaited[place % len(self.awaited)]
        self.receipt(max(1, row - back), length, self.streams[row])

    def receipt(self, first: int, length: int, stream: Stream) -> None:
        named = range(first, first + length + 1)
        here = [row for row in self.awaited if row in named and self.streams[row] is stream]
        before = set(self.outbox.confirmed)
        receipt = Receipt(7, stream, ((named[0], named[-1]),))
        self.outbox.confirm(self.table.receipt(receipt, self.clock_ns))
        if not self.receipts:
            assert self.outbox.confirmed == before
            return
        assert self.outbox.confirmed - before == set(here)
        for row in here:
            self.refusals.pop(row, None)
            self.becomes(row, RECEIPTED if self.state[row] is HANDED else CONFIRMED)

    @rule(seconds=st.sampled_from([0, 1, 3, 9, 21, 301, 4000]))
    def wait(self, seconds: int) -> None:
        """Time passes."""
        self.clock_ns += seconds * S
        overdue, acknowledged = self.counts.receipts_overdue, self.rows(ACKNOWLEDGED)
        self.delivery.retry_due(self.clock_ns)
        self.queue.refill(self.clock_ns)
        assert self.table.count(CONFIRMED, GIVEN_UP) <= sendqueue.ENDED_LIMIT, "a page holds them"
        back = [row for row in acknowledged if self.table.state(row) is STORED]
        assert len(back) == self.counts.receipts_overdue - overdue
        patience_ns = RECEIPT_S * S
        assert all(self.clock_ns - self.handed_ns[row] >= patience_ns for row in back), "too early"
        assert seconds < 4000 or len(back) == len(acknowledged), "or more than an hour"
        for row in [*back, *(row for row, at in self.retries.items() if at <= self.clock_ns)]:
            self.becomes(row, STORED)
        self.denied = {name: at for name, at in self.denied.items() if at > self.clock_ns}

    @rule()
    def reconnect(self) -> None:
        """The connection ends, and another one begins."""
        for entry in self.taken:
            self.delivery.answered(entry, ConnectionLostError("hung up"))
            receipted = self.state[entry.row] is RECEIPTED
            self.becomes(entry.row, CONFIRMED if receipted else STORED)
        self.taken.clear()
        now(self.delivery.process_answers(self.clock_ns))
        for row in self.rows(HELD) + self.rows(CHOSEN):
            self.becomes(row, STORED)
            if row in self.outbox.dead:
                self.becomes(row, GIVEN_UP)
        self.delivery.connected(self.clock_ns)
        self.denied.clear()
        self.too_many_held.clear()
        self.taken_here = 0
        self.looked_at_queue()

    @precondition(lambda self: self.outbox.kept)
    @rule(place=st.integers(0, 20), count=st.integers(1, 4))
    def resend(self, place: int, count: int) -> None:
        """The platform misses these; the outbox finds those that it has."""
        kept = list(self.outbox.kept)
        found = kept[place % len(kept) :][:count]
        self.delivery.resend(found)
        for row in found:
            if self.state.get(row) is ACKNOWLEDGED:
                self.becomes(row, STORED)

    @rule(held=st.booleans())
    def save(self, held: bool) -> None:
        """What can wait is held back, or not any more."""
        if held:
            self.queue.hold_live()
            self.looked_at_queue()
        else:
            self.queue.held = False

    # -- the model --

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
            state = self.table.state(row)
            assert (STORED if state in FINAL else state) is self.state.get(row, STORED), row
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
            assert rest.behind, row
            assert row > rest._after, row

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
        assert table.count(QUEUED) <= sendqueue.LIVE_LIMIT
        assert table.count(HELD) <= rowtable.HELD_LIMIT
        assert table.count(REFUSED) <= rowtable.TRACKED_REFUSALS
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

    def teardown(self) -> None:
        """No row is lost: with a broker and a platform that work, all of them leave."""
        if not hasattr(self, "table"):
            return
        self.queue.held = False
        for _ in range(400):
            if not self.outbox.kept:
                break
            self.wait(4000)
            self.fill(8, "sent")
            self.no_row_is_forgotten()
            while self.taken:
                self.answer(0, 0)
            for stream in Stream:
                self.receipt(1, self.last_row, stream)
            held = {*self.rows(HELD), *self.too_many_held}
            if self.delivery.oversize.mostly_too_large or held >= self.outbox.kept.keys():
                self.reconnect()  # nothing else brings those back
        assert not self.outbox.kept
        assert self.outbox.confirmed | self.outbox.dead == set(range(1, self.last_row + 1))
        self.each_row_is_in_the_one_state_in_which_it_must_be()


def test_a_row_lives_as_it_must_whatever_broker_and_platform_do() -> None:
    """None is lost, confirmed twice, or sent after its end; limits and order hold. All transitions
    happen."""
    WatchedTable.made.clear()
    with (
        patch.multiple(rowtable, TRACKED_LIMIT=4, RETRIED_LIMIT=5),
        patch.multiple(rowtable, HELD_LIMIT=2, TRACKED_REFUSALS=3),
        patch.multiple(sendqueue, LIVE_LIMIT=4, PAGE_ROWS=3, ENDED_LIMIT=2),
        patch.multiple(refusals, HELD_LIMIT=2, PROOF_RECORDS=3),
    ):
        run_state_machine_as_test(
            RowLife,
            settings=settings(max_examples=examples(1000), stateful_step_count=40, deadline=None),
        )
    idle = sorted(
        f"{state.name}: {event}"
        for event, changes in TRANSITIONS.items()
        for state in changes
        if (state, event) not in WatchedTable.made
    )
    assert not idle, (
        f"no code of edge/uplink makes these transitions, or no rule leads to it: {idle}"
    )
