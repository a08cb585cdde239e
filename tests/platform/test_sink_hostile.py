"""What no gateway should send to a sink, and a database without room: one clear refusal each, and
all others are stored as if nothing had been."""

import asyncio
import json
import re
from typing import Any

import msgpack
import psycopg
import pytest

from edge.core import Envelope, Record
from edge.fleet.boxmeta import description
from edge.platform.postgres.places import EPOCHS_A_DAY
from edge.platform.receivedrecord import REFUSED_PAYLOAD_KEPT
from edge.platform.recordqueue import DEAD
from edge.rig.smalldisk import SmallDisk
from edge.wire import Payload, Topics, encode
from tests.kit.clock import NTP
from tests.kit.fixtures import rabbit
from tests.kit.platform import ReceiptedGateway, gateway
from tests.kit.postgres import PostgresServer, missing, socket_folder
from tests.kit.rabbit import RabbitNode
from tests.kit.records import E1, GW, TOPICS, S, envelope, record
from tests.kit.waiting import until
from tests.platform.sinkprocess import Sinks, sinks

__all__ = ["rabbit", "sinks"]

EVIL = "gw-evil"
JSON, MSGPACK = "application/vnd.kerbstone.record+json", "application/vnd.kerbstone.record+msgpack"


def made_by(gw: str, made: Record, **fields: Any) -> Payload:
    """This record with other fields."""
    data = json.loads(encode(made, envelope(made), gw, "json").data)
    return Payload(json.dumps(data | fields).encode(), JSON)


HOSTILE = {  # by gateway, and what its refusal says
    "gw-large": (Payload(b'{"v":1,"x":"' + b"x" * (1 << 20) + b'"}', JSON), "bytes"),
    "gw-deep": (Payload(b'{"v":1,"x":' + b"[" * 50_000 + b"]" * 50_000 + b"}", JSON), ""),
    "gw-deep-msgpack": (Payload(b"\x91" * 50_000 + b"\x00", MSGPACK), ""),
    "gw-claims-an-array": (Payload(b"\xdd\xff\xff\xff\xff", MSGPACK), ""),
    "gw-no-utf8": (Payload(b'{"v":1,"gw":"\xff"}', JSON), ""),
    "gw-number": (made_by("gw-number", record(1), seq=1 << 80), "64 bits"),
    "gw-nul": (made_by("gw-nul", record(1), source="hut\0"), "source"),
    "gw-newer": (made_by("gw-newer", record(1), v=2), "v is 2; this program reads 1"),
}


ONLINE = {"v": 1, "state": "online", "boot": 1, "epoch": E1, "tq": "ntp"}
NOTICES: dict[str, dict[str, Any]] = {  # by gateway, what it says of itself
    "gw-bytes": {**ONLINE, "x": b"\xff\0"},
    "gw-nul": {**ONLINE, "tq": "\0", "\0": "\0"},
    "gw-issues": {**ONLINE, "issues": [{"kind": b"\xff"}] * 1_001},
    "gw-offline": {"v": 1, "state": "offline", "why": b"\xff"},
    "gw-long": {**ONLINE, "boot": 1 << 62, "x": {"y": ["z" * 100_000] * 9}},
    "gw-described": {**description("gw-described", "stadt", ()), "names": {"a": b"\xff"}},
}


async def receipted(one: ReceiptedGateway, *numbers: int) -> None:
    """These records get their receipts."""
    for number in numbers:
        await one.publish(record(number))
    wanted = {record(number).key for number in numbers}
    await until(lambda: {(k.epoch, str(k.stream), k.seq) for k in wanted} <= one.receipted)


def rows(sinks: Sinks, query: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(sinks.database, options="-c search_path=kerbstone") as db:
        return db.execute(query.encode()).fetchall()


async def test_hostile_messages_are_refused_once_each_and_harm_nobody(sinks: Sinks) -> None:
    sink = sinks.start()
    async with gateway(sinks.rabbit) as one:
        await receipted(one, 1)
        for gw, (payload, _) in HOSTILE.items():
            topic = Topics("kerbstone/v1", "stadt", gw).record(record(1).key.stream, "hut")
            await one.put(topic, payload)
        await receipted(one, 2)
        await until(sinks.empty)
    found = {
        gw: (kind, why, size, kept)
        for kind, gw, why, size, kept in rows(
            sinks, "SELECT kind, gw, why, size, length(payload) FROM refused"
        )
    }
    assert found.keys() == HOSTILE.keys()
    for gw, (kind, why, size, kept) in found.items():
        payload, words = HOSTILE[gw]
        assert kind == "undecodable"
        assert (size, kept) == (len(payload.data), min(size, REFUSED_PAYLOAD_KEPT))
        assert words in why
    code, counts, said = sink.stop()
    assert (code, counts["stored"], counts["undecodable"]) == (1, 2, len(HOSTILE))
    for gw in HOSTILE:
        [line] = [each for each in said.splitlines() if f"/{gw}/" in each]
        assert len(line) < 500
    assert sinks.rabbit.waiting(DEAD) == 0


async def test_hostile_words_of_a_gateway_about_itself_harm_nobody(sinks: Sinks) -> None:
    sink = sinks.start()
    async with gateway(sinks.rabbit) as one:
        await receipted(one, 1)
        for gw, said in NOTICES.items():
            topics = Topics("kerbstone/v1", "stadt", gw)
            payload = Payload(msgpack.packb(said | {"gw": gw}), MSGPACK)
            for topic in (topics.status, topics.meta):
                await one.put(topic, payload)
        await receipted(one, 2)
        await until(sinks.empty)
    code, counts, said_by_sink = sink.stop()
    assert (code, counts["stored"], counts["others"]) == (0, 2, 2 * len(NOTICES)), said_by_sink
    states = dict(rows(sinks, "SELECT gw, state FROM gateway_status"))
    assert states == {"gw-bytes": "online", "gw-nul": "online", "gw-offline": "offline"}
    assert rows(sinks, "SELECT gw, body -> 'names' ->> 'a' FROM gateway_meta") == [
        ("gw-described", "ff")
    ]


async def test_a_gateway_that_invents_epochs_fills_nobodys_disk(sinks: Sinks) -> None:
    """A million of them: these are the first."""
    beyond = 200
    sink = sinks.start()
    topic = Topics("kerbstone/v1", "stadt", EVIL).record(record(1).key.stream, "hut")
    async with gateway(sinks.rabbit) as one:
        await receipted(one, 1)
        invented = [record(1, epoch=(n << 32) + 1) for n in range(1, EPOCHS_A_DAY + beyond + 1)]
        await asyncio.gather(*(one.put(topic, made_by(EVIL, each)) for each in invented))
        await receipted(one, 2)
        await until(sinks.empty)
    assert len(rows(sinks, "SELECT FROM ledger")) == EPOCHS_A_DAY + 1
    assert len(sinks.stored(EVIL)) == EPOCHS_A_DAY
    _, counts, said = sink.stop()
    assert (counts["excess"], counts["stored"]) == (beyond, EPOCHS_A_DAY + 2)
    assert said.count("excess: ") <= 6
    assert "epochs" in said


@pytest.mark.parametrize("year", [1970, 2100])
async def test_a_clock_that_is_wrong_costs_no_partition_and_is_stored(
    sinks: Sinks, year: int
) -> None:
    """The day of arrival says where a record lies."""
    at = (year - 1970) * 365 * 86_400 * S
    wrong = record(1)
    payload = encode(wrong, Envelope(at, at + 60 * S, NTP, False, False), GW, "json")
    sink = sinks.start()
    async with gateway(sinks.rabbit) as one:
        await one.put(TOPICS.record(wrong.key.stream, "hut"), payload)
        await receipted(one, 2)
        await until(lambda: len(one.receipted) == 2)
    days = rows(sinks, "SELECT inhrelid FROM pg_inherits WHERE inhparent = 'record'::regclass")
    assert len(days) <= 2  # a test may go on over midnight
    assert len(sinks.stored()) == 2
    assert sink.stop()[0] == 0


async def test_a_full_database_stores_nothing_until_there_is_room(rabbit: RabbitNode) -> None:
    if why := missing():
        pytest.skip(why)
    disk = SmallDisk(socket_folder(), 200 << 20)
    if not disk.small:
        disk.close()
        pytest.skip("no file system can be mounted here: root is needed")
    server = PostgresServer.made(disk.folder, ("-c", "max_wal_size=64MB"))
    sinks = Sinks(rabbit, server.database())
    try:
        sink = sinks.start()
        async with gateway(rabbit) as one:
            await receipted(one, 1)
            disk.fill()
            big = [record(n, body={"covered_s": 60.0, "x": "x" * 50_000}) for n in range(2, 402)]
            await asyncio.gather(*map(one.publish, big))
            await until(lambda: sinks.rabbit.waiting("kerbstone.records") > 0)
            await asyncio.sleep(2)
            assert len(one.receipted) < 401
            disk.free()
            if not server.running:
                server.start()
            await until(lambda: len(one.receipted) == 401, 90)
            await until(sinks.empty)
        assert sinks.numbers == list(range(1, 402))
        code, counts, said = sink.stop()
        assert (code, counts["stored"]) == (0, 401)
        assert len(re.findall("nothing is acknowledged until it can be stored", said)) == 1
    finally:
        sinks.close()
        server.stop()
        disk.close()
