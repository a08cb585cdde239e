"""What a broker does that needs a person ends when the very same thing succeeds."""

from collections.abc import Callable

import pytest

from edge.uplink.brokertroubles import (
    ALONE_NS,
    HEARD_OVER_NS,
    QUOTA_OVER_NS,
    Distrust,
    ReceiptWait,
)
from edge.uplink.delivery import NOT_AUTHORIZED_RETRY_NS, QUOTA_PAUSE_NS, ConnectionState
from edge.uplink.mqtt import BrokerRefusedError
from edge.uplink.rowtable import HANDED
from edge.wire import Receipt
from tests.uplink.test_delivery import DeliveryRun

S = 1_000_000_000


async def answer(run: DeliveryRun, code: int, now_ns: int) -> None:
    """All that waits goes out, and has this answer."""
    await run.send(now_ns)
    for entry in run.table.rows(HANDED):
        run.delivery.answered(
            entry, code if code < 128 else BrokerRefusedError(code, "no", "it is so")
        )
    await run.delivery.process_answers(now_ns)


async def test_a_right_that_is_granted_ends_the_denial_of_its_stream() -> None:
    run = DeliveryRun(4, receipt_s=None)
    troubles = run.troubles
    troubles.subscribed(["k/down/receipt"])
    await answer(run, 135, S)
    assert {*troubles.denied} == {"k/down/receipt", "air"}
    assert "does not allow up/air" in troubles.denied["air"]
    troubles.subscribed([])
    assert {*troubles.denied} == {"air"}
    later_ns = S + NOT_AUTHORIZED_RETRY_NS
    run.delivery.retry_due(later_ns)
    await answer(run, 0, later_ns)
    assert troubles.denied == {}


async def test_a_quota_is_over_when_records_have_been_taken_for_a_minute() -> None:
    run = DeliveryRun(1, receipt_s=None)
    await answer(run, 151, S)
    assert "accepts no more" in run.troubles.quota
    run.troubles.taken("air", S + QUOTA_PAUSE_NS, heard=True)
    assert run.troubles.quota, "one now and then is taken by a broker that has no more room"
    run.troubles.taken("air", S + QUOTA_OVER_NS, heard=True)
    assert run.troubles.quota == ""


async def test_a_subscriber_ends_it_for_what_it_hears() -> None:
    run = DeliveryRun(4, receipt_s=None)
    await answer(run, 16, S)
    run.troubles.taken("event", S, heard=False)
    assert {*run.troubles.unheard_ns} == {"air", "event"}
    run.troubles.taken("air", 2 * S, heard=True)
    assert {*run.troubles.unheard_ns} == {"event"}, "somebody hears a part of it"
    run.troubles.taken("air", S + HEARD_OVER_NS, heard=True)
    assert run.troubles.unheard_ns == {}, "no event came since; others are heard"


async def test_without_a_receipt_the_wait_grows_and_one_receipt_ends_it() -> None:
    run = DeliveryRun(2, receipt_s=10)
    wait = run.troubles.receipts
    wait.connected(0)
    await answer(run, 0, S)
    assert wait.silent_ns(61 * S) == 60 * S
    run.delivery.retry_due(61 * S)
    await answer(run, 0, 61 * S)
    assert wait.silent_ns(101 * S) == 100 * S, "a repeat begins nothing anew"
    wait.came()
    assert wait.silent_ns(102 * S) is None


async def test_a_receipt_that_is_faster_than_the_answer_leaves_no_wait() -> None:
    run = DeliveryRun(1, receipt_s=10)
    await run.send(S)
    (entry,) = run.table.rows(HANDED)
    key = entry.key
    run.table.receipt(Receipt(key.epoch, str(key.stream), ((key.seq, key.seq),)), S)
    run.delivery.answered(entry, 0)
    await run.delivery.process_answers(S)
    assert run.troubles.receipts.silent_ns(1000 * S) is None


def test_time_without_a_link_is_no_silence_of_the_platform() -> None:
    wait = ReceiptWait()
    wait.connected(0)
    wait.acknowledged(10 * S)
    wait.ended(20 * S)
    assert wait.silent_ns(3600 * S) == 10 * S
    wait.connected(3600 * S)
    assert wait.silent_ns(3605 * S) == 15 * S
    wait.ended(3610 * S)
    wait.ended(3620 * S)  # an attempt that failed in between
    assert wait.silent_ns(4000 * S) == 20 * S


def test_an_answer_that_came_with_the_end_of_the_link_waits_for_the_next_one() -> None:
    """It is looked at when the link is down already."""
    wait = ReceiptWait()
    wait.connected(0)
    wait.ended(20 * S)
    wait.acknowledged(20 * S)
    assert wait.silent_ns(380 * S) == 0
    wait.connected(380 * S)
    assert wait.silent_ns(385 * S) == 5 * S


@pytest.mark.parametrize(("stood_ns", "taken_over"), [(ALONE_NS - 1, True), (ALONE_NS, False)])
def test_a_name_is_ours_when_the_link_has_stood(stood_ns: int, taken_over: bool) -> None:
    troubles = ConnectionState(0).troubles
    troubles.taken_over = True
    troubles.stands(S, S + stood_ns)
    assert troubles.taken_over is taken_over


@pytest.mark.parametrize(
    "succeeds",
    [
        lambda link: link.connected(S),
        lambda link: link.failed(BrokerRefusedError(134, "Bad user"), S, tls=True),
    ],
)
def test_a_certificate_that_was_good_ends_the_distrust(
    succeeds: Callable[[ConnectionState], None],
) -> None:
    link = ConnectionState(0, "mqtts://a:8883")
    for name in ("a", "b"):
        link.troubles.distrust(f"mqtts://{name}:8883", Distrust(name, "do", 0))
    link.failed(ConnectionRefusedError(111, "Connection refused"), S, tls=True)
    assert len(link.troubles.untrusted) == 2, "a port that is closed says nothing of it"
    succeeds(link)
    assert {*link.troubles.untrusted} == {"mqtts://b:8883"}
