"""`kerbstone sink` on a backlog at RabbitMQ: records a second and CPU of one and of two, with what
PostgreSQL and RabbitMQ use beside them; against `mosquitto_sub` into `COPY`, which validates
nothing, knows no repeat and sends no receipt."""

import asyncio
import contextlib
import os
import shlex
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Final, NamedTuple

import psycopg
import pytest

from edge.platform.openstore import open_store
from edge.platform.recordingest import RecordIngest
from edge.platform.sink import GROUP_RECORDS
from edge.platform.subscription import ArrivedMessage
from edge.wire import decode
from tests.bench.cityrecords import NOON, bundles
from tests.bench.cityservers import CityServers, tree_s
from tests.bench.report import Report
from tests.bench.test_receipts import backlog, spent, subscriber
from tests.kit.platform import gateway
from tests.kit.postgres import PROGRAMS, missing
from tests.kit.process import ROOT, environment, quiet_broker
from tests.kit.rabbit import missing as no_rabbit
from tests.kit.records import record
from tests.kit.waiting import until

pytestmark = pytest.mark.bench

RUNS: Final = 3
COPY: Final = "COPY peer FROM STDIN"
HEX: Final = r"\\\\x%x"  # as COPY wants bytes in a text


class Spent(NamedTuple):
    """From the first record to the last; `whole_us` until all is proved, too."""

    per_s: float
    cpu_us: float  # of the program, a record
    whole_us: float
    database_us: float
    broker_us: float


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CityServers]:
    if why := no_rabbit() or missing():
        pytest.skip(why)
    made = CityServers(tmp_path_factory.mktemp("servers"))
    yield made
    made.close()


def measured(servers: CityServers, count: int) -> Spent:
    database = servers.postgres.database()
    start = servers.sinks(database, count)  # with nothing to store
    told = backlog(servers.rabbit)
    pids = servers.postgres.pid, servers.rabbit.pid
    before = [tree_s(pid) for pid in pids]
    records = told["messages"]
    run = servers.sinks(database, count, records)
    after = [tree_s(pid) for pid in pids]
    counts = run.counts
    assert (counts["stored"], counts["conflicts"], counts["undecodable"]) == (records, 0, 0)
    assert counts["proved"] == told["manifests"] or count > 1  # what two find at once may wait
    us = [1e6 * (end - begin) / records for begin, end in zip(before, after, strict=True)]
    cpu_us = [1e6 * (cpu - start.cpu_s) / records for cpu in (run.stored_cpu_s, run.cpu_s)]
    return Spent(records / (run.stored_s - start.took_s), *cpu_us, *us)


def peer(servers: CityServers, folder: Path) -> Spent:
    """`mosquitto_sub` writes what it receives into a table of one column."""
    folder.mkdir()
    database = servers.postgres.database()
    with psycopg.connect(database, autocommit=True) as db:
        db.execute("CREATE TABLE peer (payload bytea)")
    with quiet_broker(folder) as broker:
        subprocess.run(subscriber(broker, "-E"), check=True)
        records = backlog(broker)["messages"]
        before = tree_s(servers.postgres.pid), tree_s(broker.pid)
        words = subscriber(broker, "-F", HEX, "-C", str(records))
        copy = shlex.join([str(PROGRAMS[-1] / "psql"), "-q", database, "-c", COPY])
        line = f"{shlex.join(words)} | {copy}"
        took_s, cpu_s = spent(["sh", "-c", line], folder / "out", 0)
        after = tree_s(servers.postgres.pid), tree_s(broker.pid)
    with psycopg.connect(database) as db:
        assert db.execute("SELECT count(*) FROM peer").fetchone() == (records,)
    us = [1e6 * (end - begin) / records for begin, end in zip(before, after, strict=True)]
    cpu_us = 1e6 * cpu_s / records
    return Spent(records / took_s, cpu_us, cpu_us, *us)


def test_a_city_s_backlog_is_stored_and_receipted(
    servers: CityServers, tmp_path: Path, report: Report
) -> None:
    found: dict[str, list[Spent]] = {"one": [], "two": [], "peer": []}
    for number in range(RUNS):  # in turn: what else runs here meets all
        found["one"].append(measured(servers, 1))
        found["two"].append(measured(servers, 2))
        found["peer"].append(peer(servers, tmp_path / str(number)))
    one, two, other = (Spent(*map(median, zip(*runs, strict=True))) for runs in found.values())
    name, how = "mosquitto_sub | COPY", f"30,600 records of 50 gateways, median of {RUNS}"
    report.add("sink: records stored", one.per_s, other.per_s, "records/s", name, how)
    report.add("sink: CPU a record", one.cpu_us, other.cpu_us, "us", name, how)
    report.add("sink: with all proofs", one.whole_us, other.cpu_us, "us", name)
    report.add("sink: PostgreSQL's CPU a record", one.database_us, other.database_us, "us", name)
    report.add("sink: RabbitMQ's CPU a record", one.broker_us, other.broker_us, "us", "mosquitto")
    cores = f"{len(os.sched_getaffinity(0))} cores for all of it"
    report.add("sink: two of them", two.per_s, one.per_s, "records/s", "one", cores)
    report.add("sink: CPU a record of two", two.cpu_us, one.cpu_us, "us", "one", cores)


def test_parts_of_a_sink_s_cpu(servers: CityServers, report: Report) -> None:
    """Without a broker; what is left of the row above is AMQP's."""
    arrived = [
        ArrivedMessage(topic, payload, content_type, retained=False)
        for bundle in bundles(50, 60)
        for topic, payload, content_type in bundle
    ]
    began_s = time.thread_time()
    for each in arrived:
        decode(each.topic, each.payload, each.content_type)
    decode_us = 1e6 * (time.thread_time() - began_s) / len(arrived)
    store = open_store(servers.postgres.database(), write=True)
    with contextlib.closing(store):
        ingest = RecordIngest(store, report=lambda _: None)
        began_s = time.thread_time()
        for first in range(0, len(arrived), GROUP_RECORDS):
            ingest.take(arrived[first : first + GROUP_RECORDS], 0, NOON)
        ingest_us = 1e6 * (time.thread_time() - began_s) / len(arrived)
    assert ingest.counts.stored == len(arrived)
    report.add("sink: CPU of strict validation", decode_us, ingest_us, "us", "with storing")


def test_restart_to_first_receipt(servers: CityServers, report: Report) -> None:
    """A record waits in the queue while the only sink starts."""
    database = servers.postgres.database()
    servers.sinks(database, 1)  # the queue is there

    async def first_receipt() -> float:
        async with gateway(servers.rabbit) as one:
            await one.publish(record(1))
            began_s = time.monotonic()
            words = servers.sink(database)
            process = subprocess.Popen(
                words, cwd=ROOT, env=environment(), stderr=subprocess.DEVNULL
            )
            try:
                await until(lambda: bool(one.receipted))
                return time.monotonic() - began_s
            finally:
                process.kill()
                process.wait(60)

    took_s = asyncio.run(first_receipt())
    report.add("sink: start to first receipt", took_s, 2.0, "s", "limit")
