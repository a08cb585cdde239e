"""What the tables by kind cost: CPU a record of who stores, and bytes on disk for each of payload.

python -m tests.bench.citytables [GATEWAYS] [MINUTES] [street]: records of that many gateways, with
their tables, the same when their day is archived, and with `record` alone. Bodies are the examples
of the contract, or those of simulated streets, which differ more. The server is one for tests: it
does not wait for the disk.
"""

import sys
import time
from collections.abc import Mapping
from datetime import date
from typing import Any

import psycopg

from edge.fleet.street import Street
from edge.platform.openstore import open_store
from edge.platform.postgres import kindrows
from edge.platform.postgres.archive import Archiver
from edge.platform.postgres.opendatabase import open_database
from edge.platform.receivedrecord import ReceivedRecord, make_received
from edge.terminal import echo
from edge.wire import decode
from tests.bench.cityrecords import LANES, CityMessage, bundles
from tests.kit.postgres import PostgresServer, missing, socket_folder

GROUP = 1_000
SIZES = b"""
SELECT regexp_replace(c.relname, '_[0-9]{8}$', ''), sum(pg_total_relation_size(c.oid))::bigint
FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE c.relkind = 'r' AND n.nspname = 'kerbstone' GROUP BY 1 ORDER BY 2 DESC"""


def received(message: CityMessage, number: int) -> ReceivedRecord:
    """One that has come, a group a second."""
    topic, payload, content_type = message
    (found,) = decode(topic, payload, content_type)
    at_s = number // GROUP
    at = f"2026-11-25T{13 + at_s // 3600:02}:{at_s // 60 % 60:02}:{at_s % 60:02}.000Z"
    return make_received(found, topic, payload, content_type, at)


def store_all(server: PostgresServer, messages: list[CityMessage]) -> tuple[str, float, float]:
    """The database, and what it took: seconds, and those of our CPU."""
    url = server.database()
    store = open_store(url, write=True)
    cpu = wall = 0.0
    for first in range(0, len(messages), GROUP):
        group = [received(each, first) for each in messages[first : first + GROUP]]
        cpu_before, before = time.process_time(), time.perf_counter()
        store.commit(group, [])
        cpu += time.process_time() - cpu_before
        wall += time.perf_counter() - before
    store.close()
    return url, wall, cpu


def archive_all(url: str) -> tuple[float, float]:
    """What it took: seconds, and those of our CPU."""
    with open_database(url) as db:
        archiver = Archiver(db)
        cpu_before, before = time.process_time(), time.perf_counter()
        for day in archiver.days(date(2027, 1, 1)):
            archiver.archive(day)
            archiver.drop(day)
        return time.perf_counter() - before, time.process_time() - cpu_before


def room(url: str, messages: list[CityMessage]) -> tuple[float, str]:
    """Bytes on disk for one of payload, with indexes; and those of each table, for a record."""
    with psycopg.connect(url, autocommit=True) as db:
        db.execute("CHECKPOINT")
        sizes = db.execute(SIZES).fetchall()
    payload = sum(len(each.payload) for each in messages)
    tables = ", ".join(f"{table} {size / len(messages):.0f}" for table, size in sizes[:6])
    return float(sum(size for _, size in sizes)) / payload, tables


def measure(server: PostgresServer, messages: list[CityMessage], name: str) -> str:
    """Store them, and say what that took. Returns the database."""
    url, wall, cpu = store_all(server, messages)
    count = len(messages)
    echo(f"{name}: {count / wall:.0f} records/s, {cpu / count * 1e6:.1f} us of CPU a record")
    tell_room(url, messages)
    return url


def archive(url: str, messages: list[CityMessage]) -> None:
    """Pack all, and say what that took."""
    wall, cpu = (1e6 * each / len(messages) for each in archive_all(url))
    echo(f"archived: {wall:.1f} us a record, {cpu:.1f} us of CPU in this process")
    tell_room(url, messages)


def tell_room(url: str, messages: list[CityMessage]) -> None:
    disk, tables = room(url, messages)
    echo(f"  {disk:.3f} bytes on disk for one of payload; {tables} a record")


def main(gateways: str = "10", minutes: str = "300", bodies: str = "examples") -> int:
    """Returns the exit code."""
    if why := missing():
        echo(why, err=True)
        return 2
    street = Street(LANES, seed=1) if bodies == "street" else None
    made = bundles(int(gateways), int(minutes), street)
    messages = [each for bundle in made for each in bundle]
    size = sum(len(each.payload) for each in messages) / len(messages)
    echo(f"{len(messages)} records of {size:.0f} bytes")
    server = PostgresServer.made(socket_folder())
    try:
        archive(measure(server, messages, "with the tables by kind"), messages)
        vars(kindrows)["table_of"] = _no_table
        measure(server, messages, "with `record` alone")
    finally:
        server.stop()
    return 0


def _no_table(stream: str, sent: Mapping[str, Any]) -> None:
    return None


if __name__ == "__main__":
    raise SystemExit(main(*sys.argv[1:]))
