"""The life of a row as a state machine: what may happen, in any order, in front of the model."""

from collections.abc import Sequence
from typing import Final
from unittest.mock import patch

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    precondition,
    rule,
    run_state_machine_as_test,
)

from edge.core import Record, Stream
from edge.outbox import StoredRecord
from edge.uplink import delivery, refusals, rowtable, sendqueue
from edge.uplink.delivery import NOT_AUTHORIZED, QUOTA_EXCEEDED
from edge.uplink.mqtt import BrokerRefusedError, ConnectionLostError
from edge.uplink.rowtable import (
    ACKNOWLEDGED,
    CHOSEN,
    CONFIRMED,
    GIVEN_UP,
    HANDED,
    HELD,
    QUEUED,
    RECEIPTED,
    REFUSED,
    STORED,
    TRANSITIONS,
)
from edge.uplink.sendqueue import URGENT_STREAMS, SendItem
from edge.wire import Receipt
from tests.long import examples
from tests.uplink.rowmodel import RECEIPT_S, RowModel, S, WatchedTable, key, now

ANSWERS: Final = [131, 0, 16, NOT_AUTHORIZED, QUOTA_EXCEEDED, None]  # None: the connection ends


class RowLife(RowModel):
    """A broker and a platform that do as they like."""

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
            item = self.queue.next_urgent() or self.queue.next_live()
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

    @precondition(lambda self: self.receipts)
    @rule()
    def resend_what_the_backlog_has_passed(self) -> None:
        """The broker has taken it, the outbox was read to its end, and the platform misses it."""
        self.commit([Stream.AIR], live=True)
        self.fill(8, "sent")
        self.answer(-1, 0)
        self.resend(len(self.outbox.kept) - 1, 1)

    @rule(held=st.booleans())
    def save(self, held: bool) -> None:
        """What can wait is held back, or not any more."""
        if held:
            self.queue.save()
            self.looked_at_queue()
        else:
            self.queue.release()

    def teardown(self) -> None:
        """No row is lost: with a broker and a platform that work, all of them leave."""
        if not hasattr(self, "table"):
            return
        self.queue.release()
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
        "no code of edge/uplink makes these transitions, or no rule of RowLife in"
        f" tests/uplink/test_rowtable_life.py leads to it: {idle}"
    )
