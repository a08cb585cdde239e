"""The sender against a real mosquitto: what is confirmed is forgotten, and nothing else."""

import asyncio
import json
import signal
from collections import Counter
from pathlib import Path
from typing import Any

from edge.core import Draft, Stamp, Stream
from edge.uplink.broker import make_broker
from edge.uplink.refusals import PROOF_RECORDS
from tests.kit.broker import Make, Subscriber
from tests.kit.uplink import GW, S, box, drafts, numbers
from tests.kit.waiting import until

UP = f"kerbstone/v1/stadtmitte/{GW}/up"


async def test_records_arrive_as_json_and_are_forgotten(mosquitto: Make, tmp_path: Path) -> None:
    broker = mosquitto()
    listener = Subscriber(broker, "kerbstone/#")
    async with box(tmp_path, broker.url) as gateway:
        gateway.connect()
        await gateway.commit(drafts(0, 20))
        await until(lambda: gateway.sender.counts.confirmed == 20)
        await gateway.commit([])
        assert (await gateway.writer.counts()).rows == 0
        assert gateway.sender.counts.no_subscribers == 0
    lines = listener.stop(24)  # online, meta, last, offline
    assert sorted(numbers(lines)) == list(range(1, 21))
    record = next(json.loads(line.partition(" ")[2]) for line in lines if "/up/air/" in line)
    assert record["gw"] == GW
    assert record["source"] == "hut_air"
    assert record["tq"] == "ntp"
    assert record["to"].endswith("Z")
    assert "backfilled" not in record
    states = [json.loads(line.partition(" ")[2]) for line in lines if line.startswith(f"{UP}/stat")]
    assert [state["state"] for state in states] == ["online", "offline"]
    assert states[-1]["why"] == "stopped"


async def test_a_mark_of_the_clock_dates_from_now_on(tmp_path: Path) -> None:
    async with box(tmp_path, "mqtt://127.0.0.1:1") as gateway:
        now = gateway.clock.now()
        set_on = Stamp(now.mono_ns, now.wall_ns + 60 * S, now.tq)
        assert not gateway.sender.knows_clock(set_on)
        gateway.sender.add_mark(set_on)
        assert gateway.sender.knows_clock(set_on)


async def test_status_meta_and_last_are_retained(mosquitto: Make, tmp_path: Path) -> None:
    broker = mosquitto()
    async with box(tmp_path, broker.url, "msgpack", last_s=1) as gateway:
        gateway.connect()
        await until(lambda: gateway.sender.connected)
        await gateway.commit(drafts(0, 3))
        # nobody listens: that is a success, and it is counted
        await until(lambda: gateway.sender.counts.no_subscribers == 3)
        lines = Subscriber(broker, "kerbstone/#").stop(3)
    topics = {line.partition(" ")[0]: json.loads(line.partition(" ")[2]) for line in lines}
    assert set(topics) == {f"{UP}/status", f"{UP}/meta", f"{UP}/last/hut_air"}
    assert topics[f"{UP}/last/hut_air"]["seq"] == 3
    assert topics[f"{UP}/status"]["state"] == "online"


async def test_a_killed_gateway_is_reported_by_its_will(mosquitto: Make, tmp_path: Path) -> None:
    broker = mosquitto()
    listener = Subscriber(broker, f"{UP}/status")
    async with box(tmp_path, broker.url) as gateway:
        gateway.connect()
        await until(lambda: gateway.sender.connected)
        link = gateway.sender._link
        assert link is not None
        await until(lambda: listener.seen >= 1)
        sock: Any = link._client.socket()
        sock.shutdown(2)
        await until(lambda: gateway.sender.counts.connections == 2)
        await until(lambda: listener.seen >= 3)  # its birth has gone out, too
    states = [json.loads(line.partition(" ")[2]) for line in listener.stop(4)]
    assert [(s["state"], s.get("why")) for s in states] == [
        ("online", None), ("offline", "lost"), ("online", None), ("offline", "stopped"),
    ]  # fmt: skip


async def test_a_denied_stream_stops_and_the_others_go_on(mosquitto: Make, tmp_path: Path) -> None:
    acl = tmp_path / "acl"
    acl.write_text(f"topic write {UP}/air/#\ntopic write {UP}/status\ntopic read kerbstone/#\n")
    broker = mosquitto(f"allow_anonymous true\nacl_file {acl}\n")
    async with box(tmp_path, broker.url) as gateway:
        gateway.connect()
        made = [pair for both in zip(drafts(0, 10), drafts(0, 10, Stream.ENERGY), strict=True)
                for pair in both]  # fmt: skip
        await gateway.commit(made)
        await until(lambda: gateway.sender.counts.confirmed == 10)
        link = gateway.sender._link
        assert link is not None
        await until(lambda: not link.unacknowledged)  # each refusal of what was on its way has come
        await gateway.commit([])
        left = await gateway.writer.pending(0, 100)
        assert {stored.record.key.stream for stored in left} == {Stream.ENERGY}
        assert len(left) == 10
        assert [kind for kind, _ in gateway.alarms] == ["denied"]
        assert gateway.sender.counts.dead_letters == 0
        refused = gateway.sender.counts.refused
        await gateway.commit(drafts(10, 5, Stream.ENERGY))
        await gateway.commit(drafts(10, 5))
        await until(lambda: gateway.sender.counts.confirmed == 15)
        assert gateway.sender.counts.refused == refused, "a stopped stream is not tried on"


async def test_kill_of_the_broker_loses_nothing(mosquitto: Make, tmp_path: Path) -> None:
    """Frozen first, so that many messages are in flight, then killed, then started again."""
    broker = mosquitto()
    async with box(tmp_path, broker.url) as gateway:
        gateway.connect()
        await gateway.commit(drafts(0, 10))
        await until(lambda: gateway.sender.counts.confirmed == 10)
        broker.send(signal.SIGSTOP)
        await gateway.commit(drafts(10, 15))
        await until(lambda: gateway.sender.counts.sent == 25)
        broker.kill()
        await until(lambda: not gateway.sender.connected)
        assert gateway.sender.counts.unacknowledged == 15  # the retained `last` is no record
        await gateway.commit(drafts(25, 5))
        broker.start()
        listener = Subscriber(broker, f"{UP}/air/#")
        await until(lambda: gateway.sender.counts.confirmed == 30, 20)
        await gateway.commit([])
        assert (await gateway.writer.counts()).rows == 0
    lines = listener.stop(20)
    # the first ten were confirmed: they are not sent again. The others come exactly once
    assert Counter(numbers(lines)) == Counter(range(11, 31))
    records = [json.loads(line.partition(" ")[2]) for line in lines]
    assert {r["seq"] for r in records if r.get("redelivered")} == set(range(11, 26))


async def test_the_backlog_comes_late_and_live_comes_first(mosquitto: Make, tmp_path: Path) -> None:
    broker = mosquitto("allow_anonymous true\nmax_inflight_messages 20\n")
    listener = Subscriber(broker, f"{UP}/air/#")
    async with box(tmp_path, broker.url, backlog_per_s=5.0) as gateway:  # it takes 20 s
        await gateway.writer.commit(drafts(0, 100))  # of a former time: not offered
        gateway.connect()
        await until(lambda: gateway.sender.counts.confirmed >= 1)
        await gateway.commit(drafts(100, 5))
        await until(lambda: not gateway.sender._delivery.send_queue.fresh)
        gateway.sender._delivery.send_queue._per_s = 10_000.0  # that is enough of waiting
        await until(lambda: gateway.sender.counts.confirmed == 105)
        assert gateway.sender.counts.sent == 105
    records = [json.loads(line.partition(" ")[2]) for line in listener.stop(105)]
    order = [record["seq"] for record in records]
    assert sorted(order) == list(range(1, 106))
    assert {r["seq"] for r in records if r.get("backfilled")} == set(range(1, 101))
    assert order.index(101) < order.index(100), "live does not wait for the backlog"


async def test_what_is_too_large_is_buried_and_declared(mosquitto: Make, tmp_path: Path) -> None:
    broker = mosquitto("allow_anonymous true\nmax_packet_size 2000\n")
    listener = Subscriber(broker, f"{UP}/event/#")
    async with box(tmp_path, broker.url) as gateway:
        gateway.connect()
        large = Draft(Stream.AIR, "hut_air", 0, S, {"text": "x" * 3000})
        await gateway.commit([large, *drafts(1, PROOF_RECORDS)])
        await until(lambda: gateway.sender.counts.confirmed == PROOF_RECORDS)
        await until(lambda: gateway.sender.counts.dead_letters == 1)
        await gateway.commit([])
        await until(lambda: gateway.sender.counts.confirmed == PROOF_RECORDS + 1)
        counts = await gateway.writer.counts()
        assert (counts.rows, counts.dead_letters) == (
            1,
            1,
        )  # the event is confirmed, not yet committed
    (event,) = [json.loads(line.partition(" ")[2]) for line in listener.stop()]
    assert (event["event"], event["reason"], event["stream_of"]) == ("drop", "refused", "air")
    assert (event["range"], event["count"]) == ([1, 1], 1)


async def test_a_kill_between_puback_and_commit_sends_nothing_twice(
    mosquitto: Make, tmp_path: Path
) -> None:
    broker = mosquitto()
    listener = Subscriber(broker, f"{UP}/air/#")
    async with box(tmp_path, broker.url) as gateway:
        gateway.connect()
        await gateway.commit(drafts(0, 8))
        await until(lambda: gateway.sender.counts.confirmed == 8)
        gateway.writer._confirmed.clear()  # as after a kill: the database was never told
    async with box(tmp_path, broker.url) as gateway:
        gateway.connect()
        await gateway.commit(drafts(8, 1))
        await until(lambda: gateway.sender.counts.confirmed == 1)
        await asyncio.sleep(0.1)
        assert gateway.sender.counts.sent == 1
    assert len(listener.stop(9)) == 9


async def test_an_old_protocol_is_said(mosquitto: Make, tmp_path: Path) -> None:
    broker = mosquitto()
    listener = Subscriber(broker, f"{UP}/air/#")
    old = make_broker(broker.url, GW, protocol="3.1.1")
    async with box(tmp_path, old) as gateway:
        assert [kind for kind, _ in gateway.alarms] == ["old_protocol"]
        gateway.connect()
        await gateway.commit(drafts(0, 3))
        await until(lambda: gateway.sender.counts.confirmed == 3)
    assert sorted(numbers(listener.stop(3))) == [1, 2, 3]


async def test_other_brokers_are_used_at_once_and_nothing_is_lost(
    mosquitto: Make, tmp_path: Path
) -> None:
    """Away from one that works, from one that cannot be reached, and from a pause."""
    first, second = mosquitto(), mosquitto()
    async with box(tmp_path, first.url) as one:
        one.connect()
        await one.commit(drafts(1, 5))
        await until(lambda: not one.sender.unconfirmed and one.sender.connected)
        one.sender.use_brokers([make_broker(second.url, GW)])
        await until(lambda: one.sender.connected and one.sender.connection.broker == second.url)
        await one.commit(drafts(10, 5))
        await until(lambda: not one.sender.unconfirmed)
        one.sender.use_brokers([make_broker("mqtt://127.0.0.1:1", GW)])
        await until(lambda: one.sender.connection.failure != "" and not one.sender.connected)
        await one.commit(drafts(20, 5))
        one.sender._reconnect.failed(one.clock.now().mono_ns, 0x97)  # minutes of rest
        one.sender.use_brokers([make_broker(first.url, GW)])
        await until(lambda: one.sender.connected and one.sender.counts.confirmed == 15)
        assert one.sender.connection.broker == first.url
