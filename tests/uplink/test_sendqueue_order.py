"""Which time to write on a record, and in which order rows go."""

from collections.abc import Collection, Sequence
from typing import Any

import pytest

from edge.core import Record, RecordKey, Stamp, Stream
from edge.core.walltime import best_mark, make_envelope
from edge.outbox import StoredRecord
from edge.uplink import sendqueue as module
from edge.uplink.rowtable import CONFIRMED, HANDED, RowTable, UplinkCounters
from edge.uplink.sendqueue import LIVE_AGE_NS, LIVE_LIMIT, NEVER, BacklogReader, SendQueue
from tests.kit.clock import NONE, NTP, RTC

S = 1_000_000_000


def test_a_record_is_dated_by_the_mark_that_is_trusted_most() -> None:
    unsynced, synced = Stamp(10 * S, 0, NONE), Stamp(60 * S, 1_000_060 * S, NTP)
    lost = Stamp(900 * S, 1_000_905 * S, RTC)
    marks = [lost, unsynced, synced]
    # from before the synchronisation: dated by what came later
    assert make_envelope(marks, 5 * S, 9 * S).from_wall_ns == 1_000_005 * S
    assert make_envelope(marks, 5 * S, 9 * S).tq == "ntp"
    # from after trust was lost: it says so
    assert best_mark(marks, 950 * S) == lost
    assert make_envelope(marks, 940 * S, 950 * S).tq == "rtc"
    assert make_envelope(marks, 940 * S, 950 * S).to_wall_ns == 1_000_955 * S


def test_a_boot_that_never_knew_the_time_says_so() -> None:
    sealed = make_envelope([], 100 * S, 160 * S, backfilled=True, redelivered=True)
    assert (sealed.tq, sealed.from_wall_ns, sealed.to_wall_ns) == ("none", 0, 60 * S)
    assert (sealed.backfilled, sealed.redelivered) == (True, True)


def row(number: int) -> StoredRecord:
    return StoredRecord(number, Record(RecordKey(1, Stream.AIR, number), "a", 1, 0, 1, {}))


class StoredRows:
    """A store that holds these rows."""

    def __init__(self, numbers: Sequence[int]) -> None:
        self.rows = [row(number) for number in numbers]

    async def pending(self, after_row: int = 0, limit: int = 200) -> list[StoredRecord]:
        return [stored for stored in self.rows if stored.row > after_row][:limit]

    async def urgent(self, after_row: int = 0, limit: int = 200) -> list[StoredRecord]:
        return []

    async def find(self, *place: object) -> list[StoredRecord]:
        return []

    async def state(self, owner: str) -> tuple[int, bytes] | None:
        return None

    async def keep(self, states: object) -> None: ...

    async def marks(self, boot: int) -> list[Stamp]:
        return []

    async def bounds(self, boot: int) -> tuple[None, None]:
        return None, None

    async def link_up(self, live_from: int = 0) -> None: ...
    def link_lost(self, row: int) -> None: ...

    async def downsample(self) -> bool:
        return False

    async def dead_letter(self, row: int, why: str) -> None: ...
    def sent(self, rows: Collection[int]) -> None: ...
    def confirm(self, rows: Collection[int]) -> None: ...


def feed(numbers: Sequence[int], per_s: float = 1e6, flying: Collection[int] = ()) -> SendQueue:
    table = made_table()
    for number in flying:
        table.choose(number, row(number).record.key)
    made = SendQueue(StoredRows(numbers), per_s, table)
    made.refill(S)
    return made


def made_table() -> RowTable:
    return RowTable(None, UplinkCounters())


def handed(table: RowTable, *numbers: int) -> None:
    for number in numbers:
        table.choose(number, row(number).record.key)
        table.hand(number, 0, redelivered=False, backfilled=False)


def confirm(table: RowTable, *numbers: int) -> None:
    for entry in table.rows(HANDED):
        if entry.row in numbers:
            assert table.acknowledge(entry, 0)


def put_back(made: SendQueue) -> None:
    """What was chosen was not sent."""
    made._table.connected()


async def drained(made: SendQueue) -> list[int]:
    found: list[int] = []
    while True:
        item: Any = made.next_backlog()
        if item is not None:
            found.append(item.row)
        elif not await made.next_page():
            return found


async def test_the_backlog_leaves_out_what_is_live_or_in_flight() -> None:
    made = feed([1, 2, 3, 4, 5], flying={2})
    made.offer([row(4), row(5)], S)
    assert await drained(made) == [1, 3]
    assert [item.row for item in iter(made.next_live, None)] == [4, 5]
    made.rewind(0)
    assert await drained(made) == [], "all of them are chosen"
    put_back(made)
    made.rewind(3)
    assert await drained(made) == [4, 5]


async def test_what_was_confirmed_after_its_page_was_read_is_not_sent_again() -> None:
    made = feed([1, 2, 3])
    handed(made._table, 2)
    while await made.next_page() and not made._rest.filled:
        pass
    confirm(made._table, 2)
    assert await drained(made) == [1, 3]


async def test_what_is_confirmed_while_its_page_is_read_is_not_sent_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The store has read it by then, and does not know that it has arrived."""
    store = StoredRows([1, 2, 3])
    table = made_table()
    handed(table, 2)

    async def pending(after_row: int = 0, limit: int = 200) -> list[StoredRecord]:
        found = [stored for stored in store.rows if stored.row > after_row]
        confirm(table, 2)
        return found

    monkeypatch.setattr(store, "pending", pending)
    pages = BacklogReader(store, table, urgent=False)
    await pages.next_page()
    assert [stored.row for stored in iter(pages.next, None)] == [1, 3]


async def test_while_what_can_wait_is_held_only_alarms_are_read() -> None:
    """A page that waits in memory for a quarter of an hour would be old when it may go."""
    made = feed([1, 2, 3])
    made.save()
    while await made.next_page():
        pass
    assert not made._rest.filled
    made.release()
    assert await drained(made) == [1, 2, 3]


async def test_who_looks_again_begins_there_though_a_page_is_half_sent() -> None:
    pages = BacklogReader(StoredRows([1, 2, 3]), made_table(), urgent=False)
    await pages.next_page()
    assert pages.next() == row(1)
    pages.rewind(0)
    await pages.next_page()
    assert [stored.row for stored in iter(pages.next, None)] == [1, 2, 3]


async def test_confirmations_are_remembered_only_for_a_page_that_may_hold_them() -> None:
    table = made_table()
    pages = BacklogReader(StoredRows([1, 2, 3]), table, urgent=False)
    handed(table, 7, 3)
    confirm(table, 7)
    assert table.count(CONFIRMED) == 0, "no page was asked for"
    await pages.next_page()
    confirm(table, 3)
    assert table.count(CONFIRMED) == 1
    assert [stored.row for stored in iter(pages.next, None)] == [1, 2]
    assert table.count(CONFIRMED) == 0, "the page is empty"
    handed(table, 1, 2)
    confirm(table, 1)
    assert table.count(CONFIRMED) == 0
    await pages.next_page()
    confirm(table, 2)
    assert table.count(CONFIRMED) == 0, "another page was read behind it"


async def test_what_is_confirmed_is_remembered_until_the_last_page_is_looked_through() -> None:
    table, store = made_table(), StoredRows([1, 2, 3])
    one, two = (BacklogReader(store, table, urgent=False) for _ in range(2))
    await one.next_page()
    await two.next_page()
    handed(table, 3)
    confirm(table, 3)
    one.rewind(0)
    assert table.count(CONFIRMED) == 1
    assert [stored.row for stored in iter(two.next, None)] == [1, 2]
    assert table.count(CONFIRMED) == 0


async def test_the_backlog_keeps_to_its_rate() -> None:
    made = feed(range(1, 1000), per_s=100.0)
    burst = len(await drained(made))
    assert burst == 20
    assert made.wait_s() is not None
    made.refill(2 * S)
    assert len(await drained(made)) == 20, "what was not used is not saved up"
    made.refill(2 * S + S // 10)
    assert len(await drained(made)) == 10


async def test_old_live_rows_go_through_the_backlog() -> None:
    made = feed([1, 2])
    made.offer([row(1)], S)
    made.offer([row(2)], S + LIVE_AGE_NS)
    made.restart(S + LIVE_AGE_NS + 1)
    assert [item.row for item in iter(made.next_live, None)] == [2]
    put_back(made)
    made.offer([row(2)], S + LIVE_AGE_NS)
    assert await drained(made) == [1]


async def test_live_rows_are_bounded() -> None:
    numbers = range(1, LIVE_LIMIT + 11)
    made = feed(numbers)
    await drained(made)
    put_back(made)
    made.offer([row(number) for number in numbers], S)
    assert await drained(made) == list(range(1, 11))
    assert len(list(iter(made.next_live, None))) == LIVE_LIMIT


def event(number: int) -> StoredRecord:
    return StoredRecord(number, Record(RecordKey(1, Stream.EVENT, number), "a", 1, 0, 1, {}))


async def test_what_is_live_is_fresh_until_it_has_gone() -> None:
    made = feed([])
    for each, take in ((row(1), made.next_live), (event(2), made.next_urgent)):
        assert made.fresh is False
        made.offer([each], S)
        assert made.fresh is True
        assert take() is not None
    assert (made.fresh, made.live_from) == (False, NEVER)


async def test_a_backlog_whose_rate_is_used_up_says_when_it_may_go_on() -> None:
    made = feed(range(1, 100), per_s=100.0)
    assert made.wait_s() is None, "nobody waits"
    assert len(await drained_now(made)) == 20
    wait_s = made.wait_s() or 0.0
    assert wait_s == pytest.approx(0.05)
    made.refill(S + S // 1000 * 3)
    assert made.wait_s() == pytest.approx(0.047), "so much of it has passed"
    made.refill(S + int(wait_s * S) + 1)
    assert (made.wait_s(), len(await drained_now(made))) == (None, 5)
    made.save()
    assert (made.wait_s(), made.next_backlog()) == (None, None), "it stands still, not for its rate"


async def drained_now(made: SendQueue) -> list[int]:
    """As much as the rate allows; another page is not asked for without need."""
    if made._rest.wanted:
        while await made.next_page() and not made._rest.filled:
            pass
    return [item.row for item in iter(made.next_backlog, None)]


async def test_of_too_many_live_rows_the_oldest_wait_and_alarms_last_of_all(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "LIVE_LIMIT", 2)
    made = feed([])
    made.offer([event(1), row(2), row(3)], S)
    assert [item.row for item in iter(made.next_live, None)] == [3]
    made.offer([event(4), event(5)], S)
    assert [item.row for item in iter(made.next_urgent, None)] == [4, 5]
