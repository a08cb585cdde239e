"""What a broker refuses: told once, never in a circle, and nobody else waits for it."""

import asyncio
import json
import logging
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from edge.core import Draft, Stream
from edge.uplink import delivery, rowtable
from edge.uplink import sender as module
from edge.uplink.broker import make_broker
from edge.uplink.refusals import PROOF_RECORDS
from tests.kit.broker import Make
from tests.kit.rawbroker import REFUSE_ALL, RawBroker, raw_broker
from tests.kit.uplink import GW, S, UplinkGateway, box, drafts, large
from tests.kit.waiting import until

UP = f"kerbstone/v1/stadtmitte/{GW}/up"


def as_events(made: UplinkGateway) -> None:
    """As the daemon does it: each alarm is committed at once, as an event."""
    tasks: set[asyncio.Task[object]] = set()

    def alarm(kind: str, text: str) -> None:
        made.alarms.append((kind, text))
        body = {"event": kind, "text": text}
        task = asyncio.create_task(made.commit([Draft(Stream.EVENT, "gateway", S, S, body)]))
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    made.sender._broker_log._alarm = alarm


@pytest.mark.long
async def test_a_refused_alarm_raises_no_alarm(
    mosquitto: Make, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Nothing passes, not even the event that says so: it ends there."""
    broker = mosquitto("allow_anonymous true\nmax_packet_size 300\n")
    caplog.set_level(logging.WARNING)
    async with box(tmp_path, broker.url) as gateway:
        as_events(gateway)
        gateway.connect()
        await until(lambda: gateway.sender.connected)
        stored = await gateway.commit([*large(30), *large(30, Stream.ENERGY)])
        await until(lambda: len(gateway.sender._delivery.oversize) == 61)
        for _ in range(30):  # time for a circle to turn
            await gateway.commit([])
            await asyncio.sleep(0.01)
        assert [kind for kind, _ in gateway.alarms] == ["broker_limit"]
        counts = await gateway.writer.counts()
        assert (counts.rows, counts.dead_letters) == (61, 0), "sixty records and the alarm"
    assert len(stored) == 60
    assert Counter(r.name for r in caplog.records)["kerbstone.uplink"] <= 8


async def test_a_row_is_given_up_once(mosquitto: Make, tmp_path: Path) -> None:
    """Committed before there is a connection: live, and at the same time part of the backlog."""
    broker = mosquitto("allow_anonymous true\nmax_packet_size 600\n")
    async with box(tmp_path, broker.url) as gateway:
        gateway.connect()
        await gateway.commit([*large(2), *drafts(0, 2 * PROOF_RECORDS)])
        await until(lambda: gateway.sender.counts.dead_letters >= 2)
        await asyncio.sleep(0.1)
        assert gateway.sender.counts.dead_letters == 2
        assert (await gateway.writer.counts()).dead_letters == 2


async def test_a_denied_event_stream_is_in_the_log_only(
    mosquitto: Make, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    acl = tmp_path / "acl"
    acl.write_text(f"topic write {UP}/air/#\ntopic write {UP}/status\n")
    broker = mosquitto(f"allow_anonymous true\nacl_file {acl}\n")
    async with box(tmp_path, broker.url) as gateway:
        as_events(gateway)
        gateway.connect()
        await gateway.commit([*drafts(0, 3), *drafts(0, 3, Stream.EVENT)])
        await until(lambda: gateway.sender.counts.confirmed == 3)
        await until(lambda: gateway.sender.counts.refused >= 3)
        await gateway.commit(drafts(3, 1))
        await until(lambda: gateway.sender.counts.confirmed == 4)
        assert gateway.alarms == []
        assert {str(s.record.key.stream) for s in await gateway.writer.pending()} == {"event"}
    assert caplog.text.count(f"does not allow {UP}/event") == 1
    assert caplog.text.count(f"{UP}/last/hut_air") == 1, "refused with each record, said once"


async def test_a_new_connection_may_say_it_again_but_not_soon(
    mosquitto: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("SPREAD_DEFAULT_S", "MAX_BACKOFF_S"):
        monkeypatch.setattr(f"edge.uplink.reconnect.{name}", 0.05)
    broker = mosquitto("allow_anonymous true\nmax_packet_size 600\n")
    async with box(tmp_path, broker.url) as gateway:
        gateway.connect()
        for turn, alarms in ((1, 1), (2, 1), (3, 2)):
            await until(lambda turn=turn: gateway.sender.counts.connections == turn)  # type: ignore[misc]
            await gateway.commit([*large(2), *drafts(0, 2 * PROOF_RECORDS)])
            await until(lambda turn=turn: gateway.sender.counts.dead_letters == 2 * turn)  # type: ignore[misc]
            assert len(gateway.alarms) == alarms
            if turn == 2:
                monkeypatch.setattr("edge.uplink.refusals.QUIET_NS", 0)
            broker.kill()
            broker.start()


async def test_a_quota_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """151: nothing is tried before the pause is over, and nothing is given up."""
    monkeypatch.setattr(delivery, "QUOTA_PAUSE_NS", 600 * S)
    async with raw_broker() as broker, box(tmp_path, broker.url) as gateway:
        broker.answer = lambda topic, _: 151 if "/air/" in topic else 0
        gateway.connect()
        await gateway.commit(drafts(0, 4))
        await until(lambda: gateway.sender.counts.refused == 4)
        await gateway.commit(drafts(4, 1))
        await asyncio.sleep(0.25)
        assert len(broker.records()) == 4, "the pause holds for what is new, too"
        monkeypatch.setattr(delivery, "QUOTA_PAUSE_NS", S // 100)
        gateway.sender._delivery.paused_ns = gateway.clock.now().mono_ns  # it is over
        gateway.sender._wake.set()
        for _ in range(7 * 5):  # more often than a row may be refused otherwise
            before = gateway.sender.counts.refused
            await until(lambda before=before: gateway.sender.counts.refused > before)  # type: ignore[misc]
        broker.answer = lambda _topic, _payload: 0
        await until(lambda: gateway.sender.counts.confirmed == 5)
        assert gateway.sender.counts.dead_letters == 0
        assert [kind for kind, _ in gateway.alarms] == ["quota"]
        assert max(Counter(broker.records()).values()) > delivery.REFUSALS_LIMIT


async def test_a_poison_record_is_given_up_and_the_others_arrive(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delivery, "RETRY_FIRST_NS", S // 1000)
    async with raw_broker() as broker, box(tmp_path, broker.url) as gateway:
        broker.answer = lambda _, payload: REFUSE_ALL if b'"n":2}' in payload else 0
        gateway.connect()
        await gateway.commit(drafts(0, 5))
        count = 5
        while not gateway.sender.counts.dead_letters:
            await gateway.commit(drafts(10 * count, 1))
            count += 1
            await until(lambda count=count: gateway.sender.counts.confirmed >= count - 1)  # type: ignore[misc]
            await asyncio.sleep(0.02)
            assert count < 100
        seen = Counter(json.loads(payload)["n"] for payload in broker.records())
        assert seen.pop(2) >= delivery.REFUSALS_LIMIT
        assert set(seen.values()) == {1}
        assert gateway.sender._table._refusals == {}


async def test_while_the_broker_takes_nothing_no_record_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its trouble is not the records': when it works again, all of them arrive."""
    monkeypatch.setattr(delivery, "RETRY_FIRST_NS", S // 1000)
    async with raw_broker() as broker, box(tmp_path, broker.url) as gateway:
        broker.answer = lambda topic, _: REFUSE_ALL if "/air/" in topic else 0
        gateway.connect()
        await gateway.commit(drafts(0, 100))
        await until(lambda: gateway.sender.counts.refused > 100 * delivery.REFUSALS_LIMIT)
        assert gateway.sender.counts.dead_letters == 0
        broker.answer = lambda _topic, _payload: 0
        await until(lambda: gateway.sender.counts.confirmed == 100)


async def test_a_broker_that_takes_nothing_is_tried_more_and_more_seldom(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delivery, "RETRY_FIRST_NS", S // 200)
    monkeypatch.setattr(delivery, "PAUSE_AFTER_REFUSALS", 20)
    async with raw_broker() as broker, box(tmp_path, broker.url) as gateway:
        broker.answer = lambda topic, _: REFUSE_ALL if "/air/" in topic else 0
        gateway.connect()
        await gateway.commit(drafts(0, 10))
        await until(lambda: gateway.sender.counts.refused >= 100)  # 5 rounds: 160 ms
        before = gateway.sender.counts.refused
        await asyncio.sleep(0.5)
        assert gateway.sender.counts.refused <= before + 60, "without a pause it is some 500"
        broker.answer = lambda _topic, _payload: 0
        await until(lambda: gateway.sender.counts.confirmed == 10)
        assert gateway.sender.counts.dead_letters == 0


@pytest.mark.long
@pytest.mark.long
async def test_the_widest_window_of_refusals_comes_to_an_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """More rows are refused at one time than are counted: each still gets to its end."""
    monkeypatch.setattr(delivery, "RETRY_FIRST_NS", S // 1000)
    async with raw_broker() as broker:
        wide = replace(make_broker(broker.url, GW), window=2000)
        async with box(tmp_path, wide, backlog_per_s=1e6) as gateway:
            broker.answer = lambda topic, _: REFUSE_ALL if "/air/" in topic else 0
            await gateway.writer.commit(drafts(0, 1600))
            gateway.connect()
            turn = 2000
            while gateway.sender.counts.dead_letters < 1600:
                await gateway.commit(drafts(turn, 1, Stream.ENERGY))
                turn += 1
                await asyncio.sleep(0.02)
                assert turn < 4000
            assert len(gateway.sender._table._refusals) <= rowtable.TRACKED_REFUSALS
            assert [kind for kind, _ in gateway.alarms] == ["refused"]


async def test_retained_messages_do_not_hold_up_records(tmp_path: Path) -> None:
    """With room for one message, hundreds of sources with a `last` each: records go first."""
    async with raw_broker() as broker:
        narrow = replace(make_broker(broker.url, GW), window=1)
        async with box(tmp_path, narrow, last_s=1) as gateway:
            gateway.connect()
            await until(lambda: gateway.sender.connected)
            made = [Draft(Stream.AIR, f"s{n}", 0, S, {"n": n}) for n in range(300)]
            await gateway.commit(made)
            await until(lambda: gateway.sender.counts.confirmed == 300)
            await until(lambda: sum("/up/last/" in topic for topic, _ in broker.published) == 300)
            topics = [topic for topic, _ in broker.published]
            assert topics[0] == f"{UP}/status", "the birth is before all"
            first = next(n for n, topic in enumerate(topics) if "/up/last/" in topic)
            assert sum("/up/air/" in topic for topic in topics[:first]) == 300


async def test_a_status_that_cannot_be_written_is_left_out(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with raw_broker() as broker, box(tmp_path, broker.url) as gateway:
        gateway.sender._presence._status = lambda: {"load": float("nan")}
        gateway.connect()
        await gateway.commit(drafts(0, 3))
        await until(lambda: gateway.sender.counts.confirmed == 3)
        gateway.sender.publish_status()
        await gateway.commit(drafts(3, 3))
        await until(lambda: gateway.sender.counts.confirmed == 6)
        topics = {topic for topic, _ in broker.published}
        assert f"{UP}/meta" in topics
        assert f"{UP}/status" not in topics
    assert caplog.text.count("cannot be written") == 1


async def test_a_record_that_cannot_be_written_is_given_up(tmp_path: Path) -> None:
    async with raw_broker() as broker, box(tmp_path, broker.url) as gateway:
        bad = Draft(Stream.EVENT, "gateway", S, S, {"event": "x", "value": float("inf")})
        gateway.connect()
        await gateway.commit([bad, *drafts(0, 1)])
        await until(lambda: gateway.sender.counts.dead_letters == 1)
        await until(lambda: gateway.sender.counts.confirmed == 1)
        assert gateway.alarms == []


async def test_each_cause_is_said_once_until_a_connection_succeeds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Nobody is there, then somebody who does not know us, then nobody again: two lines."""
    monkeypatch.setattr("edge.uplink.reconnect.MAX_BACKOFF_S", 0.01)
    caplog.set_level(logging.WARNING)
    broker = RawBroker()
    broker.connack = 0x86  # bad user name or password
    server = await asyncio.start_server(broker.serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    server.close()
    async with box(tmp_path, f"mqtt://127.0.0.1:{port}") as gateway:
        counts = gateway.sender.counts

        async def failed(more: int) -> None:
            before = counts.connection_failures
            await until(lambda: counts.connection_failures >= before + more)

        gateway.connect()
        await failed(3)
        server = await asyncio.start_server(broker.serve, "127.0.0.1", port)
        await until(lambda: broker.connects >= 3)
        server.close()
        await failed(3)
        assert (caplog.text.count("refused"), caplog.text.count("(134)")) == (1, 1)
        # a server that closes in the middle of a greeting is a cause of its own, said once, too
        assert max(Counter(record.getMessage() for record in caplog.records).values()) == 1

        broker.connack = 0
        server = await asyncio.start_server(broker.serve, "127.0.0.1", port)
        await until(lambda: gateway.sender.connected)
        broker.connack = 0x86
        link = gateway.sender._link
        assert link is not None
        sock: Any = link._client.socket()
        sock.shutdown(2)
        await failed(2)
        assert caplog.text.count("(134)") == 2, "a new trouble is said anew"
        server.close()


async def test_causes_without_end_do_not_fill_the_log(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    async with box(tmp_path, "mqtt://127.0.0.1:1") as gateway:
        broker = gateway.sender._reconnect.next.broker
        for n in range(100):
            gateway.sender._failed(broker, OSError(f"trouble {n}"), None)
    assert len(caplog.records) == module.CAUSES_LOGGED
