"""What becomes of a row, without a network: sent again, held, tried later, given up."""

from collections.abc import Collection
from typing import Any

import pytest

from edge.core import TimeQuality
from edge.uplink import delivery as module
from edge.uplink import rowtable
from edge.uplink.brokertroubles import BrokerTroubles
from edge.uplink.delivery import (
    NOT_AUTHORIZED,
    NOT_AUTHORIZED_RETRY_NS,
    QUOTA_EXCEEDED,
    QUOTA_PAUSE_NS,
    REFUSALS_LIMIT,
    RETRY_MAX_NS,
    Delivery,
)
from edge.uplink.mqtt import BrokerRefusedError, ConnectionLostError
from edge.uplink.refusals import BrokerLogThrottle
from edge.uplink.rowtable import (
    HANDED,
    HELD,
    REFUSED,
    RowEntry,
    RowTable,
    UplinkCounters,
)
from edge.uplink.sendqueue import SendItem
from edge.wire import Receipt
from edge.wire.clockmoments import Moment
from tests.uplink.test_sendqueue_order import StoredRows

S = 1_000_000_000
NTP = Moment(1, 0, 1_790_000_000_000_000, TimeQuality.NTP)
LOST = ConnectionLostError("hung up")


class LeavingRows(StoredRows):
    """Rows of the streams air and event, in turn; what is confirmed or dead has left."""

    def __init__(self, count: int) -> None:
        super().__init__(range(1, count + 1))
        self.gone: list[tuple[int, str]] = []

    async def dead_letter(self, row: int, why: str) -> None:
        self.gone.append((row, why))
        self.confirm([row])

    def confirm(self, rows: Collection[int]) -> None:
        self.rows = [each for each in self.rows if each.row not in rows]


class DeliveryRun:
    """A delivery at its begin; `sent` has what was handed over, in order."""

    def __init__(self, count: int = 3, receipt_s: int | None = 10) -> None:
        self.counts, self.store = UplinkCounters(), LeavingRows(count)
        self.alarms: list[str] = []
        self.troubles = BrokerTroubles()
        self.table = RowTable(None if receipt_s is None else receipt_s * S, self.counts)
        self.delivery = Delivery(
            self.store, 1e6, BrokerLogThrottle(lambda kind, text: self.alarms.append(kind)),
            self.table, "up", lambda item, moment: None, troubles=self.troubles,
        )  # fmt: skip
        self.delivery.send_queue.refill(S)

    async def next(self) -> SendItem | None:
        feed = self.delivery.send_queue
        while (item := feed.next_backlog()) is None:
            if not await feed.next_page():
                return None
        return item

    async def send(self, now_ns: int = 0) -> list[tuple[int, bool]]:
        """All that may go now: row, and whether it goes again."""
        found = []
        while (item := await self.next()) is not None:
            found.append((item.row, item.redelivered))
            self.delivery.hand(item, now_ns, [NTP])
        return found

    def handed(self, row: int) -> RowEntry:
        """The broker has not answered to it."""
        (entry,) = [each for each in self.table.rows(HANDED) if each.row == row]
        return entry

    async def answer(self, now_ns: int, **answers: Any) -> None:
        """`r1=0` is the answer to row 1."""
        for name, answer in answers.items():
            self.delivery.answered(self.handed(int(name[1:])), answer)
        await self.delivery.process_answers(now_ns)


@pytest.mark.parametrize("receipt_s", [None, 10])
async def test_a_row_whose_answer_was_lost_is_sent_again_and_says_so(receipt_s: int | None) -> None:
    """Nobody knows whether it arrived: not one may be taken for delivered."""
    run = DeliveryRun(receipt_s=receipt_s)
    assert await run.send() == [(1, False), (2, False), (3, False)]
    await run.answer(1, r1=0, r2=LOST, r3=LOST)
    assert (run.counts.unacknowledged, run.table.in_flight) == (2, 0)
    assert await run.send() == [(2, True), (3, True)]


async def test_under_way_is_what_is_not_answered_and_what_is_not_receipted() -> None:
    plain, receipted = DeliveryRun(receipt_s=None), DeliveryRun()
    for run, after in ((plain, 2), (receipted, 3)):
        await run.send()
        await run.answer(1, r1=0)
        assert (run.table.unconfirmed, run.table.in_flight) == (after, 2)
    receipted.table.receipt(Receipt(1, "air", ((1, 3),)), 2)
    assert (receipted.table.unconfirmed, receipted.counts.confirmed) == (2, 3)


async def test_a_stream_that_is_denied_is_tried_again_in_a_while() -> None:
    run = DeliveryRun(receipt_s=None)
    await run.send()
    await run.answer(5, r1=BrokerRefusedError(NOT_AUTHORIZED, "Not authorized"), r2=0, r3=0)
    assert run.alarms == ["denied"]
    for now_ns in (5, 4 + NOT_AUTHORIZED_RETRY_NS):
        run.delivery.retry_due(now_ns)
        assert await run.send() == []
    run.delivery.retry_due(5 + NOT_AUTHORIZED_RETRY_NS)
    assert await run.send() == [(1, True)]


async def test_a_row_that_is_refused_waits_longer_each_time_and_is_given_up_in_the_end() -> None:
    run, now_ns, waits = DeliveryRun(1 + REFUSALS_LIMIT, receipt_s=1000), 0, []
    await run.send()
    for refusal in range(1, REFUSALS_LIMIT + 1):
        # between two refusals the broker has taken another one: the record itself is at fault
        refused = BrokerRefusedError(131, "Implementation specific")
        await run.answer(now_ns, **{"r1": refused, f"r{1 + refusal}": 0})
        if refusal < REFUSALS_LIMIT:
            assert await run.next() is None
            wait_s = run.delivery.wait_s(now_ns)
            assert wait_s is not None
            waits.append(wait_s)
            now_ns += int(wait_s * S)
            run.delivery.retry_due(now_ns - 1)
            assert await run.next() is None
            run.delivery.retry_due(now_ns)
            assert await run.send(now_ns) == [(1, True)]
    assert waits == [1.0, 2.0, 4.0, 8.0]
    assert [row for row, _ in run.store.gone] == [1]
    assert (run.counts.dead_letters, run.counts.refused, run.alarms) == (1, 5, ["refused"])
    assert (await run.send(now_ns), run.delivery.wait_s(now_ns)) == ([], None)
    run.table.receipt(Receipt(1, "air", ((1, 1),)), now_ns)
    assert run.counts.receipts_unknown == 1, "nobody waits for a receipt of what was given up"


async def test_of_refused_rows_so_many_are_known_and_no_more(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(rowtable, "TRACKED_REFUSALS", 3)
    run = DeliveryRun(6)
    await run.send()
    refused = BrokerRefusedError(131, "Implementation specific")
    await run.answer(0, **{f"r{row}": refused for row in range(1, 7)})
    assert sorted(run.table._refusals) == [4, 5, 6]
    assert [entry.row for entry in run.table.rows(REFUSED)] == [4, 5, 6]
    # those that nobody remembers do not wait, and are not lost
    assert [row for row, _ in await run.send()] == [1, 2, 3]


async def test_a_row_that_is_too_large_is_held_and_no_longer_at_the_next_broker() -> None:
    run = DeliveryRun(2)
    item = await run.next()
    assert item is not None
    run.delivery.too_large(item, 0)
    assert (run.table.state(1), run.table.in_flight) == (HELD, 0)
    run.delivery.send_queue.rewind(0)
    assert [row for row, _ in await run.send()] == [2]
    run.delivery.connected(1)
    assert [row for row, _ in await run.send()] == [1]


async def test_a_new_connection_begins_anew() -> None:
    run = DeliveryRun(receipt_s=None)
    fresh = run.delivery
    assert (fresh.paused_ns, fresh.stalled) == (0, False)
    assert (run.table.highest, run.table.in_flight) == (0, 0)
    await run.send()
    quota = BrokerRefusedError(QUOTA_EXCEEDED, "Quota exceeded")
    await run.answer(0, r1=BrokerRefusedError(NOT_AUTHORIZED, "Not authorized"), r2=quota, r3=quota)
    assert run.delivery.paused_ns == QUOTA_PAUSE_NS
    assert (run.alarms, await run.send()) == (["denied", "quota"], [])
    run.delivery.probing.sent(None, 0)
    run.delivery.connected(1)
    assert (run.delivery.paused_ns, run.delivery.probing.due(1)) == (0, True)
    assert await run.send() == [(1, True), (2, True), (3, True)]
    assert run.table.highest == 3


async def test_a_broker_that_refuses_all_gets_a_pause_that_doubles(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "PAUSE_AFTER_REFUSALS", 2)
    run, refused = DeliveryRun(26), BrokerRefusedError(131, "Implementation specific")
    await run.send()
    pauses = []
    for row in range(1, 25):
        await run.answer(5, **{f"r{row}": refused})
        pauses.append(run.delivery.paused_ns - 5 if run.delivery.paused_ns else 0)
    assert pauses[:7] == [0, S, S, 2 * S, 2 * S, 4 * S, 4 * S]
    assert pauses[-1] == RETRY_MAX_NS
    assert (run.counts.dead_letters, run.counts.refused) == (0, 24), (
        "it is not the record that is wrong"
    )
    await run.answer(6, r25=0)
    run.delivery.paused_ns = 0
    await run.answer(7, r26=refused)
    assert run.delivery.paused_ns == 0, "one that was taken ends the count"


async def test_what_the_platform_asks_for_goes_again_unless_it_is_on_its_way() -> None:
    run = DeliveryRun()
    await run.send()
    await run.answer(1, r1=0, r2=0)
    run.delivery.resend([3])
    assert await run.send() == []
    run.delivery.resend([2, 3])
    assert await run.send() == [(2, True)]
