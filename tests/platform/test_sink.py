"""`kerbstone sink` as a process, between a real RabbitMQ and a real PostgreSQL.

Kills of brokers are in `tests/cluster`: a queue on one node alone may be left without a leader.
"""

import asyncio
import json
import subprocess
import time

import psycopg
import pytest

from edge.core import Record
from edge.fleet.boxmeta import description
from edge.platform.postgres.store import PostgresStore
from edge.platform.recordqueue import DEAD, binding_keys
from edge.wire import Payload, Topics
from tests.kit.fixtures import rabbit
from tests.kit.platform import COMMAND, ROOT, ReceiptedGateway, gateway
from tests.kit.postgres import PostgresServer, missing, socket_folder
from tests.kit.rabbit import RabbitNode
from tests.kit.records import E1, GW, entry, record, sealed
from tests.kit.waiting import until
from tests.platform.sinkprocess import Sinks, sinks

__all__ = ["rabbit", "sinks"]


def airs(first: int, last: int) -> list[Record]:
    return [record(number) for number in range(first, last + 1)]


def keys(first: int, last: int) -> set[tuple[int, str, int]]:
    return {(E1, "air", number) for number in range(first, last + 1)}


async def send(one: ReceiptedGateway, records: list[Record]) -> None:
    """All in flight at once; returns when the broker has them."""
    await asyncio.gather(*(one.publish(each) for each in records))


async def test_what_is_published_is_stored_and_has_a_receipt(sinks: Sinks) -> None:
    sink = sinks.start()
    async with gateway(sinks.rabbit) as one:
        wanted = sealed(*airs(1, 40))
        await send(one, wanted)
        await until(lambda: keys(1, 40) <= one.receipted)
        await one.publish(wanted[0], redelivered=True)
        await until(lambda: sinks.empty())
    assert [each.key[1:] for each in sinks.stored()] == sorted(map(key, wanted))
    code, counts, _ = sink.stop()
    assert (code, counts["stored"], counts["repeats"]) == (0, 41, 1)
    audit = subprocess.run(
        [*COMMAND, "audit", "--store", sinks.database], capture_output=True, text=True, cwd=ROOT
    )
    assert audit.returncode == 0, audit.stdout


async def test_a_new_sink_proves_what_a_killed_one_left(sinks: Sinks) -> None:
    store = PostgresStore(sinks.database, write=True)
    store.commit([entry(each) for each in sealed(*airs(1, 9))], [])
    assert store.unproved() == [GW]
    sinks.start()
    async with gateway(sinks.rabbit) as one:
        await one.publish(record(10))  # of any gateway: no manifest comes
        await until(lambda: store.unproved() == [])
        await until(lambda: keys(10, 10) <= one.receipted and sinks.empty())
    store.close()


def key(made: Record) -> tuple[int, str, int]:
    return made.key.epoch, str(made.key.stream), made.key.seq


async def test_what_is_no_record_is_refused_and_does_not_stay_in_the_queue(sinks: Sinks) -> None:
    sink = sinks.start()
    async with gateway(sinks.rabbit) as one:
        topic = Topics("kerbstone/v1", "stadt", "gw-evil").record(record(1).key.stream, "hut")
        await one.put(topic, Payload(b"\xff", "application/json"))
        await one.put(topic, Payload(b'{"v":1,"gw":"gw-1"}', "application/json"))
        await one.publish(record(1))
        await until(lambda: keys(1, 1) <= one.receipted)
        await until(lambda: sinks.empty())
    code, counts, said = sink.stop()
    assert (code, counts["stored"], counts["foreign"], counts["undecodable"]) == (1, 1, 1, 1)
    assert "undecodable: kerbstone/v1/stadt/gw-evil/up/air/hut" in said


async def test_what_a_gateway_says_of_itself_is_kept_by_the_time_of_the_broker(
    sinks: Sinks,
) -> None:
    sinks.start().stop()  # now there is the queue
    topics = Topics("kerbstone/v1", "stadt", GW)
    said = {"v": 1, "gw": GW, "state": "online", "boot": 1, "epoch": E1, "tq": "ntp"}
    meta = description(GW, "stadt", ("north_1",))
    async with gateway(sinks.rabbit) as one:
        for topic, data in ((topics.status, said), (topics.meta, meta)):
            await one.put(topic, Payload(json.dumps(data).encode(), "application/json"), True)
        published = time.time()
        await asyncio.sleep(1.5)
        sink = sinks.start()
        await one.publish(record(1))
        await until(lambda: keys(1, 1) <= one.receipted)
    assert sink.stop()[1]["others"] == 2
    with psycopg.connect(sinks.database) as db:
        row = db.execute(
            "SELECT state, zone, extract(epoch FROM since) FROM city.gateway"
        ).fetchone()
    assert row is not None
    assert row[:2] == ("online", "UTC")
    assert published - 1 < float(row[2]) < published + 1


async def test_two_sinks_share_the_work_and_one_that_is_killed_leaves_none_behind(
    sinks: Sinks,
) -> None:
    doomed, other = sinks.start(), sinks.start()
    async with gateway(sinks.rabbit) as one:
        sending = asyncio.create_task(send(one, airs(1, 1500)))
        await until(lambda: len(one.receipted) > 100)
        doomed.kill()
        await sending
        await until(lambda: keys(1, 1500) <= one.receipted, 60)
        await until(lambda: sinks.empty())
    assert sinks.numbers == list(range(1, 1501))
    code, counts, _ = other.stop()
    assert code == 0
    assert counts["stored"] > 0
    assert sinks.rabbit.waiting(DEAD) == 0


async def test_nothing_is_receipted_while_the_database_is_away(rabbit: RabbitNode) -> None:
    if why := missing():
        pytest.skip(why)
    server = PostgresServer.made(socket_folder(), options=())
    sinks = Sinks(rabbit, server.database())
    try:
        sink = sinks.start()
        async with gateway(rabbit) as one:
            await send(one, airs(1, 5))
            await until(lambda: keys(1, 5) <= one.receipted)
            server.kill()
            await send(one, airs(6, 50))
            await asyncio.sleep(2)
            assert one.receipted == keys(1, 5)
            server.start()
            await until(lambda: one.receipted == keys(1, 50))
            await until(lambda: sinks.empty())
        assert sinks.numbers == list(range(1, 51))
        code, counts, said = sink.stop()
        assert (code, counts["stored"]) == (0, 50)
        assert "nothing is acknowledged until it can be stored" in said
    finally:
        sinks.close()
        server.stop()


async def test_a_connection_that_is_cut_is_made_anew(sinks: Sinks) -> None:
    """The death of a node, seen from a sink; what it held comes again."""
    sink = sinks.start()
    async with gateway(sinks.rabbit) as one:
        await send(one, airs(1, 20))
        await until(lambda: keys(1, 20) <= one.receipted)
    sinks.rabbit.ctl("close_all_connections", "a test")
    async with gateway(sinks.rabbit) as one:
        await send(one, airs(21, 40))
        await until(lambda: keys(21, 40) <= one.receipted)
    code, counts, said = sink.stop()
    assert (code, counts["stored"], counts["reconnections"]) == (0, 40, 1)
    assert "connection lost" in said


@pytest.mark.parametrize(
    ("words", "code", "sentence"),
    [
        ([], 2, "--broker is missing"),
        (["--broker", "mqtt://127.0.0.1:1"], 2, '"amqp://" or "amqps://" (TLS) belongs here'),
        (["--broker", "amqp://127.0.0.1:1"], 3, "no broker can be used: 127.0.0.1:1: "),
        (["--broker", "amqp://u:p@127.0.0.1:1"], 2, "no user or password here"),
    ],
)
def test_wrong_use_is_a_sentence(
    postgres: PostgresServer, words: list[str], code: int, sentence: str
) -> None:
    done = subprocess.run(
        [*COMMAND, "sink", "--database", postgres.database(), *words],
        capture_output=True, text=True, cwd=ROOT,
    )  # fmt: skip
    assert (done.returncode, done.stderr.count("\n")) == (code, 1), done.stderr
    assert sentence in done.stderr


def test_tables_are_made_by_a_command_of_their_own(postgres: PostgresServer) -> None:
    def sink(*words: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run([*COMMAND, "sink", *words], capture_output=True, text=True, cwd=ROOT)

    empty = postgres.url("postgres")
    done = sink("--database", empty, "--broker", "amqp://127.0.0.1:1")
    assert done.returncode == 2
    assert "kerbstone sink --migrate" in done.stderr
    done = sink("--database", postgres.database(), "--migrate")
    assert (done.returncode, done.stdout) == (0, "the tables are those of this version\n")
    done = sink("--database", "nonsense", "--migrate")
    assert done.returncode == 2
    done = sink("--database", "postgresql://bad host/x", "--migrate")
    assert done.returncode == 2
    assert "no address of a database" in done.stderr


def test_each_stream_is_bound_with_and_without_a_source() -> None:
    found = binding_keys("kerbstone/v1")
    assert "kerbstone.v1.*.*.up.air.*" in found
    assert "kerbstone.v1.*.*.up.manifest" in found
    assert {"kerbstone.v1.*.*.up.status", "kerbstone.v1.*.*.up.meta"} <= set(found)
    assert not any("last" in each or "#" in each for each in found)
