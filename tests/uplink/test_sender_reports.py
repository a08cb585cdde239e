"""What a sender tells the daemon, and says of itself, when the broker does something strange."""

import asyncio
import json
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, cast

import pytest

from edge.core import Record, RecordKey, Stream
from edge.outbox import StoredRecord
from edge.uplink.broker import make_broker
from edge.uplink.connectfailure import REMEDIES
from edge.uplink.mqtt import (
    BrokerRefusedError,
    CertificateRejectedError,
    ConnectionLostError,
    MqttConnection,
)
from edge.uplink.presence import PresencePublisher
from edge.uplink.refusals import limit_notice
from edge.uplink.sender import Sender, SenderHooks, SenderOptions
from edge.wire import Topics, encode_command
from tests.kit.clock import VirtualClock
from tests.kit.rawbroker import RawBroker, publish, raw_broker
from tests.kit.uplink import GW, box, drafts
from tests.kit.waiting import until
from tests.uplink.test_sendqueue_order import StoredRows, row

TOPICS = Topics("kerbstone/v1", "stadtmitte", GW)
TAKEN_OVER = b"\xe0\x01\x8e"  # DISCONNECT, reason code 142


class TellingSender:
    """A sender without records of its own, in virtual time, and all that it tells."""

    def __init__(self, broker: RawBroker | None, *, tls: bool = False) -> None:
        self.clock = VirtualClock()
        self.alarms: list[tuple[str, str]] = []
        self.known: list[bool] = []
        self.states, self.statuses = iter(range(99)), 0
        self.arrived: list[int] = []  # statuses that were asked for when one arrived
        url = (broker and broker.url) or f"mqtt{'s' * tls}://broker.example"
        self.sender = Sender(
            [make_broker(url, GW)], TOPICS, GW, StoredRows([]), self.clock, boot=1, epoch=1,
            options=SenderOptions(encoding="json", receipt_s=60),
            hooks=SenderHooks(
                status=self._status,
                meta=lambda: {"asked": next(self.states)},
                alarm=lambda kind, text: self.alarms.append((kind, text)),
                certificate_accepted=self.known.append,
                status_arrived=lambda: self.arrived.append(self.statuses),
            ),
        )  # fmt: skip

    def _status(self) -> dict[str, int]:
        self.statuses += 1
        return {"asked": next(self.states)}


class HeldLink:
    """A connection on which messages get these answers at once; None: later."""

    room = True

    def __init__(self, answers: list[Any]) -> None:
        self.answers = answers

    def publish(self, *_: Any, **__: Any) -> Any:
        return self.answers.pop(0)


@asynccontextmanager
async def running(broker: RawBroker) -> AsyncIterator[TellingSender]:
    run = TellingSender(broker)
    task = asyncio.create_task(run.sender.run())
    try:
        await until(lambda: run.sender.connected)
        yield run
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def said(broker: RawBroker, kind: str) -> list[dict[str, Any]]:
    return [json.loads(payload) for topic, payload in broker.published if topic.endswith(kind)]


async def test_a_name_that_somebody_else_uses_too_is_an_alarm() -> None:
    async with raw_broker() as broker, running(broker) as run:
        await broker.send(TAKEN_OVER)
        await until(lambda: bool(run.alarms))
        ((kind, text),) = run.alarms
        assert (kind, "card was copied" in text) == ("taken_over", True)
        await until(lambda: not run.sender.connected)
        assert "taken over" in run.sender.connection.failure
        assert run.sender.connection.troubles.taken_over


async def test_a_certificate_that_is_wrong_in_another_way_is_told_anew(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each with its own remedy; the broker that is trusted then, though it lets nobody in, is no
    trouble any more."""
    errors: list[Exception] = [
        *[verification(18, "self-signed certificate")] * 2,
        verification(62, "Hostname mismatch"),
        BrokerRefusedError(135, "Not authorized"),
    ]
    seen: list[tuple[str, str]] = []

    async def fails(*_: object, **__: object) -> None:
        found = run.sender.connection.troubles.untrusted.values()
        seen.extend((each.cause, each.remedy) for each in found)
        raise errors.pop(0) if len(errors) > 1 else errors[0]

    monkeypatch.setattr(MqttConnection, "open", fails)
    run = TellingSender(None, tls=True)
    task = asyncio.create_task(run.sender.run())
    await run.clock.run(3600)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    broker = "mqtts://broker.example:8883"
    told = [
        (f"{broker} cannot be trusted: self-signed certificate", REMEDIES["authority"]),
        (f"{broker} cannot be trusted: Hostname mismatch", REMEDIES["host_name"]),
    ]
    assert seen == [told[0], told[0], told[1]]
    assert run.alarms == [("untrusted", ". ".join(each)) for each in told]
    assert run.sender.connection.troubles.untrusted == {}
    assert run.sender.connection.troubles.trusted


def verification(code: int, text: str) -> ssl.SSLCertVerificationError:
    error = ssl.SSLCertVerificationError(1, f"[SSL] certificate verify failed: {text} (_ssl.c:1)")
    error.verify_code, error.verify_message = code, text
    return error


async def test_a_topic_that_the_gateway_may_not_hear_is_an_alarm() -> None:
    async with raw_broker() as broker:
        broker.suback = lambda name: 135 if name == TOPICS.receipt else 1
        async with running(broker) as run:
            assert run.alarms == [
                ("denied", f"The broker does not allow a subscription to {TOPICS.receipt}")
            ]
            assert run.known == [True]
            assert run.sender.connection.troubles.denied == {TOPICS.receipt: run.alarms[0][1]}


async def test_status_and_description_are_said_anew_when_they_are_asked_for() -> None:
    async with raw_broker() as broker, running(broker) as run:
        await until(lambda: len(said(broker, "/up/meta")) == 1)
        run.sender.publish_meta()
        await until(lambda: len(said(broker, "/up/meta")) == 2, 5.0)
        run.sender.publish_status()
        await until(lambda: len(said(broker, "/up/status")) == 2, 5.0)
        command = encode_command(GW, 1, "one", {}).data
        await broker.send(publish(f"{TOPICS.down}/cmd/status".encode(), command, 7))
        await until(lambda: bool(said(broker, "/up/answer/status")), 5.0)
        (answer,) = said(broker, "/up/answer/status")
        assert (answer["id"], answer["ok"]) == ("one", True)
        await until(lambda: len(said(broker, "/up/status")) == 3, 5.0)
        asked = [
            each["asked"] for kind in ("/up/status", "/up/meta") for each in said(broker, kind)
        ]
        assert sorted(set(asked)) == sorted(asked), "each as it is then"


async def test_it_is_told_when_the_newest_status_is_at_the_broker() -> None:
    async with raw_broker() as broker, running(broker) as run:
        await until(lambda: run.arrived == [1], 5.0)
        broker.mute = True  # from now on it says nothing
        run.sender.publish_status()
        await until(lambda: len(said(broker, "/up/status")) == 2, 5.0)
        assert run.arrived == [1]


async def test_a_status_that_is_refused_has_not_arrived() -> None:
    async with raw_broker() as broker:
        broker.answer = lambda topic, payload: 135
        async with running(broker) as run:
            await until(lambda: bool(said(broker, "/up/status")), 5.0)
            await run.clock.run(1)
            assert run.arrived == []


async def test_an_older_status_that_arrives_does_not_stand_for_a_newer_that_is_refused() -> None:
    told: list[bool] = []
    held = HeldLink([None, BrokerRefusedError(149, "Packet too large", "")])
    link = cast("MqttConnection", held)
    refused: dict[str, str] = {}
    presence = PresencePublisher(
        TOPICS, GW, 1, dict, dict, lambda *_: None, refused, lambda: told.append(True)
    )
    for _ in range(2):
        presence.put_status()
        presence.publish_status_and_replies(link)
    assert "Packet too large" in refused[TOPICS.status]
    presence.answered(TOPICS.status, 0)  # to the first
    assert told == []
    held.answers = [None]
    presence.put_status()
    presence.publish_status_and_replies(link)
    presence.answered(TOPICS.status, ConnectionLostError("gone"))
    assert TOPICS.status in refused, "nobody knows"
    presence.answered(TOPICS.status, 0)
    assert told == [True]
    assert not refused


async def test_a_drain_waits_for_what_is_live_and_not_for_ever() -> None:
    async with raw_broker() as broker, running(broker) as run:
        sender, clock = run.sender, run.clock
        done = asyncio.create_task(sender.drain(5.0))
        await clock.run(0)
        assert done.done(), "nothing is to be waited for"
        sender.offer([row(7)], clock.now().mono_ns)  # the broker answers; no platform receipts it
        done = asyncio.create_task(sender.drain(5.0))
        await until(lambda: sender.unconfirmed == 1 and not sender._delivery.send_queue.fresh)
        await clock.run(4.9)
        assert not done.done()
        start_ns = clock.mono_ns
        await clock.run(0.2)
        assert done.done()
        assert clock.mono_ns - start_ns == 200_000_000
        done = asyncio.create_task(sender.drain(5.0))
        await clock.run(1)
        broker.hang_up()
        await until(lambda: not sender.connected)
        await clock.run(1)
        assert done.done(), "without a link nothing goes"


async def test_a_drain_ends_when_all_has_its_answer(tmp_path: Path) -> None:
    async with raw_broker() as broker, box(tmp_path, broker.url) as gateway:
        gateway.connect()
        await until(lambda: gateway.sender.connected)
        await gateway.commit(drafts(0, 30, Stream.EVENT))
        await asyncio.wait_for(gateway.sender.drain(60.0), 20)
        assert (gateway.sender.counts.confirmed, gateway.sender.unconfirmed) == (30, 0)


def test_what_a_broker_takes_too_little_of_is_told_with_figures() -> None:
    text = limit_notice("mqtt://b", 200, 900, 3)
    assert all(each in text for each in ("mqtt://b", "200 bytes", "3 records are", "900 bytes"))
    assert "1000 records or more are" in limit_notice("mqtt://b", 200, 900, 1000)


@pytest.mark.parametrize(
    ("error", "kinds", "known"),
    [
        (ssl.SSLCertVerificationError(1, "self-signed certificate"), ["untrusted"], []),
        (CertificateRejectedError("the broker refuses our certificate: EXPIRED"), [], [False]),
        (BrokerRefusedError(155, "QoS not supported"), ["broker_limit"], []),
        (ConnectionRefusedError(111, "Connection refused"), [], []),
    ],
)
async def test_why_a_connection_fails_is_told_to_whom_it_concerns(
    monkeypatch: pytest.MonkeyPatch, error: Exception, kinds: list[str], known: list[bool]
) -> None:
    tried = 0

    async def fails(*_: object, **__: object) -> None:
        nonlocal tried
        tried += 1
        raise error

    monkeypatch.setattr(MqttConnection, "open", fails)
    run = TellingSender(RawBroker())
    task = asyncio.create_task(run.sender.run())
    await run.clock.run(3600)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert tried == run.sender.counts.connection_failures > 2
    assert [kind for kind, _ in run.alarms] == kinds, "once"
    assert run.known == known * tried
    assert run.sender.connection.failure == str(error)


def test_urgent_rows_hurry_the_probing_and_others_do_not() -> None:
    run = TellingSender(None)
    probing, now_ns = run.sender._delivery.probing, run.clock.now().mono_ns
    for _ in range(2):
        probing.sent(9, now_ns)
        probing.answered(9, False, now_ns)
    for stream, wait_s in ((Stream.AIR, 2.0), (Stream.EVENT, 1.0)):
        alarm = StoredRecord(20, Record(RecordKey(1, stream, 20), "a", 1, 0, 1, {}))
        run.sender.offer([alarm], now_ns)
        assert probing.wait_s(now_ns) == wait_s


async def test_a_sender_that_pauses_wakes_for_the_next_probe(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with raw_broker() as broker, running(broker) as run:
        sender, now_ns, waits = run.sender, run.clock.now().mono_ns, list[float]()
        woken = sender._woken

        async def noted(wait_s: float) -> None:
            waits.append(wait_s)
            await woken(wait_s)

        monkeypatch.setattr(sender, "_woken", noted)
        sender._delivery.paused_ns = now_ns + 60_000_000_000
        sender._delivery.probing.sent(None, now_ns)
        sender.publish_status()
        await until(lambda: len(waits) > 1)
        assert waits[-1] == sender._delivery.probing.wait_s(now_ns)
        assert 0 < waits[-1] < sender._turn_s
