"""What the tables by kind cost: CPU a record of who stores, and bytes on disk for each of payload.

python -m tests.bench.citytables [GATEWAYS] [MINUTES]: records of that many gateways, with their
tables, and with `record` alone. The server is one for tests: it does not wait for the disk.
"""

import sys
import time
from collections.abc import Mapping
from typing import Any

import psycopg

from edge.platform.openstore import open_store
from edge.platform.postgres import kindrows
from edge.platform.receivedrecord import ReceivedRecord, make_received
from edge.terminal import echo
from edge.wire import decode
from tests.bench.cityrecords import CityMessage, bundles
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
    at = f"2026-11-25T13:{at_s // 60:02}:{at_s % 60:02}.000Z"
    return make_received(found, topic, payload, content_type, at)


def measure(server: PostgresServer, messages: list[CityMessage], name: str) -> None:
    """Store them, and say what that took."""
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
    with psycopg.connect(url, autocommit=True) as db:
        db.execute("CHECKPOINT")
        sizes = db.execute(SIZES).fetchall()
    count, payload = len(messages), sum(len(each.payload) for each in messages)
    disk = sum(size for _, size in sizes) / payload
    echo(f"{name}: {count} records of {payload / count:.0f} bytes; {cpu / count * 1e6:.1f} us of")
    echo(
        f"  CPU a record, {count / wall:.0f} records/s, {disk:.3f} bytes on disk for one of payload"
    )
    echo("  " + ", ".join(f"{table} {size / count:.0f}" for table, size in sizes[:6]) + " a record")


def main(gateways: int = 10, minutes: int = 300) -> int:
    """Returns the exit code."""
    if why := missing():
        echo(why, err=True)
        return 2
    messages = [each for bundle in bundles(gateways, minutes) for each in bundle]
    server = PostgresServer.made(socket_folder())
    try:
        measure(server, messages, "with the tables by kind")
        vars(kindrows)["table_of"] = _no_table
        measure(server, messages, "with `record` alone")
    finally:
        server.stop()
    return 0


def _no_table(stream: str, sent: Mapping[str, Any]) -> None:
    return None


if __name__ == "__main__":
    raise SystemExit(main(*map(int, sys.argv[1:])))
