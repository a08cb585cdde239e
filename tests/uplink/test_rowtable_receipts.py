"""Rows wait for receipts: bounded, with a patience that grows."""

from edge.core import RecordKey, Stream
from edge.uplink.rowtable import (
    ACKNOWLEDGED,
    HANDED,
    MAX_WAIT_NS,
    RECEIPTED,
    STORED,
    TRACKED_LIMIT,
    RowTable,
    UplinkCounters,
)
from edge.wire import Receipt

S = 1_000_000_000


def sent(made: RowTable, row: int, now_ns: int, *, answered: bool = True) -> None:
    """The broker has taken it; the platform has not."""
    made.choose(row, RecordKey(7, Stream.AIR, row))
    entry = made.hand(row, now_ns, redelivered=False, backfilled=True)
    if answered:
        assert made.acknowledge(entry, now_ns) is False


def filled(count: int) -> RowTable:
    made = RowTable(10 * S, UplinkCounters())
    for row in range(1, count + 1):
        sent(made, row, 0)
    return made


def test_a_receipt_confirms_what_it_names_and_nothing_else() -> None:
    made = filled(10)
    assert made.receipt(Receipt(7, "air", ((2, 3), (9, 400))), 0) == [2, 3, 9, 10]
    assert made.receipt(Receipt(7, "energy", ((1, 10),)), 0) == []
    assert made.receipt(Receipt(8, "air", ((1, 10),)), 0) == []
    assert (made.state(1), made.state(2)) == (ACKNOWLEDGED, STORED)
    assert made.unconfirmed == made.count(ACKNOWLEDGED) == 6
    assert made.counts.confirmed == 4


def test_a_receipt_of_all_numbers_there_are_costs_what_waits() -> None:
    made = filled(10)
    assert sorted(made.receipt(Receipt(7, "air", ((1, 2**53 - 1),)), 0)) == list(range(1, 11))
    assert made.unconfirmed == 0
    assert made.counts.receipts_unknown == 2**53 - 1 - 10


def test_a_doubled_receipt_does_no_harm() -> None:
    made = filled(3)
    receipt = Receipt(7, "air", ((1, 3), (1, 3)))
    assert made.receipt(receipt, 0) == [1, 2, 3]
    assert made.receipt(receipt, 0) == []


def test_patience_doubles_up_to_an_hour() -> None:
    made, now, waits = filled(1), 0, []
    for _ in range(12):
        wait = next(s for s in range(5, 4000, 5) if made.take_overdue(now + s * S))
        waits.append(wait)
        now += wait * S
        sent(made, 1, now)
    assert waits[:4] == [10, 20, 40, 80]
    assert waits[-1] == MAX_WAIT_NS // S


def test_a_receipt_forgets_the_patience() -> None:
    made = filled(1)
    made.take_overdue(10 * S)
    sent(made, 1, 10 * S)
    made.receipt(Receipt(7, "air", ((1, 1),)), 0)
    sent(made, 1, 20 * S)
    assert made.take_overdue(30 * S) == [1]


def test_what_waits_is_bounded_and_what_had_to_go_comes_back() -> None:
    made = filled(TRACKED_LIMIT)
    assert made.is_full
    sent(made, TRACKED_LIMIT + 1, 0)
    sent(made, TRACKED_LIMIT + 2, 0)
    assert made.count(ACKNOWLEDGED) == TRACKED_LIMIT
    assert made.state(1) == made.state(2) == STORED
    assert made.take_evicted() is None, "there is no room yet"
    made.receipt(Receipt(7, "air", ((1, TRACKED_LIMIT),)), 0)
    assert made.take_evicted() == 1
    assert made.take_evicted() is None


def test_when_receipts_come_again_nobody_waits_for_an_hour() -> None:
    made, now = filled(1), 0
    made.receipt(Receipt(7, "air", ()), 0)
    for _ in range(8):
        now = next(now + s * S for s in range(5, 4000, 5) if made.take_overdue(now + s * S))
        sent(made, 1, now)
    assert made.take_overdue(now + 1000 * S) == [], "patience has grown"
    made.receipt(Receipt(7, "energy", ((1, 1),)), now + 1000 * S)
    assert made.take_overdue(now + 1011 * S) == [1]


def test_what_is_not_answered_yet_is_not_overdue() -> None:
    made = filled(0)
    sent(made, 1, 0, answered=False)
    sent(made, 2, 0)
    assert made.take_overdue(10 * S) == [2]
    (first,) = made.rows(HANDED)
    made.acknowledge(first, 35 * S)
    assert made.take_overdue(36 * S) == [], "the platform has had it for a second"
    assert made.take_overdue(45 * S) == [1]


def test_a_receipt_that_is_faster_than_the_answer_confirms_once() -> None:
    made = filled(0)
    sent(made, 1, 0, answered=False)
    (entry,) = made.rows(HANDED)
    assert made.receipt(Receipt(7, "air", ((1, 1),)), 0) == [1]
    assert (made.state(1), made.in_flight) == (RECEIPTED, 1)
    assert made.receipt(Receipt(7, "air", ((1, 1),)), 0) == []
    assert made.acknowledge(entry, 0) is False
    assert (made.state(1), made.counts.confirmed, made.counts.receipts_unknown) == (STORED, 1, 1)


def test_a_row_that_made_room_before_its_answer_goes_back_with_it() -> None:
    made = filled(0)
    for row in range(1, TRACKED_LIMIT + 2):
        sent(made, row, 0, answered=False)
    assert made.receipt(Receipt(7, "air", ((1, 1),)), 0) == [], "nobody waits for it"
    (entry,) = [each for each in made.rows(HANDED) if each.row == 1]
    assert made.acknowledge(entry, 0) is False
    assert made.state(1) is STORED
