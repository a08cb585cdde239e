"""Rows wait for receipts: bounded, with a patience that grows."""

from edge.core import RecordKey, Stream
from edge.uplink.receipttracker import MAX_WAIT_NS, TRACKED_LIMIT, ReceiptTracker
from edge.wire import Receipt

S = 1_000_000_000


def filled(count: int) -> ReceiptTracker:
    made = ReceiptTracker(10 * S)
    for row in range(1, count + 1):
        made.track(row, RecordKey(7, Stream.AIR, row), 0)
    return made


def test_a_receipt_confirms_what_it_names_and_nothing_else() -> None:
    made = filled(10)
    assert made.acknowledge(Receipt(7, "air", ((2, 3), (9, 400))), 0) == [2, 3, 9, 10]
    assert made.acknowledge(Receipt(7, "energy", ((1, 10),)), 0) == []
    assert made.acknowledge(Receipt(8, "air", ((1, 10),)), 0) == []
    assert 1 in made
    assert 2 not in made
    assert len(made) == 6


def test_a_receipt_of_all_numbers_there_are_costs_what_waits() -> None:
    made = filled(10)
    assert sorted(made.acknowledge(Receipt(7, "air", ((1, 2**53 - 1),)), 0)) == list(range(1, 11))
    assert len(made) == 0
    assert made.unknown == 2**53 - 1 - 10


def test_a_doubled_receipt_does_no_harm() -> None:
    made = filled(3)
    receipt = Receipt(7, "air", ((1, 3), (1, 3)))
    assert made.acknowledge(receipt, 0) == [1, 2, 3]
    assert made.acknowledge(receipt, 0) == []


def test_patience_doubles_up_to_an_hour() -> None:
    made, now, waits = filled(1), 0, []
    for _ in range(12):
        wait = next(s for s in range(5, 4000, 5) if made.take_overdue(now + s * S))
        waits.append(wait)
        now += wait * S
        made.track(1, RecordKey(7, Stream.AIR, 1), now)
    assert waits[:4] == [10, 20, 40, 80]
    assert waits[-1] == MAX_WAIT_NS // S


def test_a_receipt_forgets_the_patience() -> None:
    made = filled(1)
    made.take_overdue(10 * S)
    made.track(1, RecordKey(7, Stream.AIR, 1), 10 * S)
    made.acknowledge(Receipt(7, "air", ((1, 1),)), 0)
    made.track(1, RecordKey(7, Stream.AIR, 1), 20 * S)
    assert made.take_overdue(30 * S) == [1]


def test_what_waits_is_bounded_and_what_had_to_go_comes_back() -> None:
    made = filled(TRACKED_LIMIT)
    assert made.is_full()
    made.track(TRACKED_LIMIT + 1, RecordKey(7, Stream.AIR, TRACKED_LIMIT + 1), 0)
    made.track(TRACKED_LIMIT + 2, RecordKey(7, Stream.AIR, TRACKED_LIMIT + 2), 0)
    assert len(made) == TRACKED_LIMIT
    assert 1 not in made
    assert made.take_evicted() is None, "there is no room yet"
    made.acknowledge(Receipt(7, "air", ((1, TRACKED_LIMIT),)), 0)
    assert made.take_evicted() == 1
    assert made.take_evicted() is None


def test_when_receipts_come_again_nobody_waits_for_an_hour() -> None:
    made, now = filled(1), 0
    made.acknowledge(Receipt(7, "air", ()), 0)
    for _ in range(8):
        now = next(now + s * S for s in range(5, 4000, 5) if made.take_overdue(now + s * S))
        made.track(1, RecordKey(7, Stream.AIR, 1), now)
    assert made.take_overdue(now + 1000 * S) == [], "patience has grown"
    made.acknowledge(Receipt(7, "energy", ((1, 1),)), now + 1000 * S)
    assert made.take_overdue(now + 1011 * S) == [1]


def test_what_is_not_answered_yet_is_not_overdue() -> None:
    made = filled(2)
    assert made.take_overdue(10 * S, {1}) == [2]
    assert 1 in made
    assert made.take_overdue(11 * S) == [1]
