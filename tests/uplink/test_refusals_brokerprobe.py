"""A broker that refuses all gets a rest; an alarm is tried all the same, and ends it."""

import asyncio
import json
import time
from pathlib import Path

import pytest

from edge.core import Draft, Stream
from edge.uplink import delivery, refusals
from edge.uplink.refusals import PROBE_FIRST_NS, PROBE_MAX_NS, BrokerProbe
from tests.kit.rawbroker import REFUSE_ALL, raw_broker
from tests.kit.uplink import S, UplinkGateway, box, drafts
from tests.kit.waiting import until

HOUR_NS = 3600 * S


def alarm(number: int) -> Draft:
    return Draft(Stream.EVENT, "door", S, S, {"event": "tamper", "text": "open", "n": number})


async def rests(gateway: UplinkGateway) -> None:
    """Until the broker is left alone for the better part of a minute: what goes within 20 s from
    now does not go because that is over."""
    await until(lambda: gateway.sender._delivery.paused_ns - time.monotonic_ns() > 30 * S)


async def test_an_alarm_does_not_wait_behind_what_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing else goes for a minute by then."""
    monkeypatch.setattr(delivery, "PAUSE_AFTER_REFUSALS", 1)
    async with raw_broker() as broker, box(tmp_path, broker.url) as gateway:
        counts = gateway.sender.counts
        broker.answer = lambda topic, _: REFUSE_ALL if "/air/" in topic or "/event/" in topic else 0
        gateway.connect()
        await gateway.commit(drafts(0, 20))
        await rests(gateway)
        before = len(broker.records("air"))
        await gateway.commit([alarm(1)])
        await until(lambda: broker.records("event"), 20.0)
        await asyncio.sleep(0.5)
        await gateway.commit([alarm(2)])  # a new one does not wait for the turn of the refused one
        await until(lambda: any(b'"n":2' in each for each in broker.records("event")), 20.0)
        assert len(broker.records("air")) == before, "nothing but the alarms"
        broker.answer = lambda _topic, _payload: 0
        await until(lambda: counts.confirmed == 22, 20.0)
        assert counts.dead_letters == 0
        numbers = [json.loads(payload)["n"] for payload in broker.records("event")]
        assert set(numbers) == {1, 2}


@pytest.mark.long
async def test_an_alarm_of_the_backlog_is_tried_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was refused with the rest, and no new one comes."""
    monkeypatch.setattr(delivery, "PAUSE_AFTER_REFUSALS", 1)
    # its tries alone make the rest long: ten times as often, they do so in seconds
    monkeypatch.setattr(refusals, "PROBE_FIRST_NS", PROBE_FIRST_NS // 10)
    monkeypatch.setattr(refusals, "PROBE_MAX_NS", PROBE_MAX_NS // 10)
    async with raw_broker() as broker, box(tmp_path, broker.url) as gateway:
        broker.answer = lambda topic, _: REFUSE_ALL if "/air/" in topic or "/event/" in topic else 0
        await gateway.writer.commit([alarm(1), *drafts(0, 20)])
        gateway.connect()
        await rests(gateway)
        broker.answer = lambda _topic, _payload: 0
        await until(lambda: gateway.sender.counts.confirmed == 21, 20.0)


async def test_an_alarm_that_is_larger_than_the_broker_takes_does_not_end_the_trying(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It never goes, so no answer to it ever comes."""
    monkeypatch.setattr(delivery, "PAUSE_AFTER_REFUSALS", 1)
    async with raw_broker() as broker, box(tmp_path, broker.url) as gateway:
        broker.connack_properties = b"\x27\x00\x00\x02\x00"  # Maximum Packet Size 512
        broker.answer = lambda topic, _: REFUSE_ALL if "/air/" in topic else 0
        gateway.connect()
        await gateway.commit(drafts(0, 20))
        await rests(gateway)
        body = {"event": "tamper", "text": "x" * 600}
        await gateway.commit([Draft(Stream.EVENT, "door", S, S, body)])
        await until(lambda: len(gateway.sender._delivery.oversize) == 1, 20.0)
        await gateway.commit([alarm(1)])
        await until(lambda: broker.records("event"), 20.0)


async def test_an_alarm_that_cannot_be_written_does_not_end_the_trying(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delivery, "PAUSE_AFTER_REFUSALS", 1)
    async with raw_broker() as broker, box(tmp_path, broker.url) as gateway:
        broker.answer = lambda topic, _: REFUSE_ALL if "/air/" in topic else 0
        gateway.connect()
        await gateway.commit(drafts(0, 20))
        await rests(gateway)
        body = {"event": "x", "value": float("inf")}
        await gateway.commit([Draft(Stream.EVENT, "door", S, S, body)])
        await until(lambda: gateway.sender.counts.dead_letters == 1, 20.0)
        await gateway.commit([alarm(1)])
        await until(lambda: broker.records("event"), 20.0)


async def test_while_there_is_no_room_nobody_looks_all_the_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The broker refuses, and then says nothing more, with all that it takes unacknowledged."""
    monkeypatch.setattr(delivery, "PAUSE_AFTER_REFUSALS", 1)
    beats = 0

    def beat() -> None:
        nonlocal beats
        beats += 1

    async with raw_broker() as broker, box(tmp_path, broker.url, beat=beat) as gateway:
        broker.answer = lambda topic, _: REFUSE_ALL if "/air/" in topic else 0
        gateway.connect()
        await gateway.commit(drafts(0, 20))
        await rests(gateway)
        link = gateway.sender._link
        assert link is not None
        monkeypatch.setattr(type(link), "room", property(lambda _: 0))
        await gateway.commit([alarm(1)])
        before = beats
        await asyncio.sleep(1.0)
        assert beats < before + 60


def test_a_broker_that_refuses_for_hours_is_not_flooded() -> None:
    """With a new alarm each minute, and one that waits all the time."""
    probing, now_ns, tried = BrokerProbe(), 0, 0
    for second in range(0, 3600):
        now_ns = second * S
        if second % 60 == 0:
            probing.probe_now(now_ns)
        if probing.due(now_ns):
            probing.sent(7, now_ns)
            assert not probing.due(now_ns)
            assert not probing.answered(8, True, now_ns), "another row's"
            assert not probing.answered(7, False, now_ns)
            tried += 1
    assert HOUR_NS // PROBE_MAX_NS <= tried <= 60 * 9


def test_a_storm_of_alarms_tries_one_each_second() -> None:
    probing, tried = BrokerProbe(), 0
    for tenth in range(600):
        now_ns = tenth * S // 10
        probing.probe_now(now_ns)
        if probing.due(now_ns):
            probing.sent(tenth, now_ns)
            probing.answered(tenth, False, now_ns)
            tried += 1
    assert tried == 60


def test_it_waits_longer_each_time_up_to_a_bound_and_begins_anew_when_one_is_taken() -> None:
    probing, now_ns, gaps = BrokerProbe(), 0, []
    for _ in range(6):
        probing.sent(1, now_ns)
        assert probing.wait_s(now_ns) is None
        probing.answered(1, False, now_ns)
        wait_s = probing.wait_s(now_ns)
        assert wait_s is not None
        gaps.append(wait_s)
        now_ns += int(wait_s * S)
    assert gaps == [1.0, 2.0, 4.0, 8.0, 10.0, 10.0]
    probing.sent(1, now_ns)
    assert probing.answered(1, True, now_ns)
    assert probing.due(now_ns)
    probing.sent(None, now_ns)  # nothing to be tried
    assert probing.wait_s(now_ns) == PROBE_FIRST_NS / S


def test_after_a_new_alarm_the_waiting_begins_with_the_shortest_again() -> None:
    probing, now_ns = BrokerProbe(), 0
    for _ in range(5):
        now_ns += HOUR_NS
        probing.sent(1, now_ns)
        probing.answered(1, False, now_ns)
    assert probing.wait_s(now_ns) == PROBE_MAX_NS / S
    probing.probe_now(now_ns)
    assert probing.wait_s(now_ns) == PROBE_FIRST_NS / S
    now_ns += PROBE_FIRST_NS
    probing.sent(2, now_ns)
    probing.answered(2, False, now_ns)
    assert probing.wait_s(now_ns) == PROBE_FIRST_NS / S
