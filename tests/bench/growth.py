"""What a city needs as it grows: RabbitMQ, one sink and PostgreSQL on this machine, with a fleet.

python -m tests.bench.growth 100 300 1000 3000

Prints a row for each number of gateways: one minute of a real street, which all of them send within
a second of its end. CPU is of a record; `receipts` is the time from sending to the receipt.
"""

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Final

import psycopg

from edge.terminal import echo
from tests.bench.cityservers import CityServers, tree_s
from tests.kit.process import ROOT, environment

RUN_S: Final = 70
CONNECTS_PER_S: Final = 100
HEAD: Final = (
    "| gateways | records | CPU: sink | PostgreSQL | RabbitMQ | receipts: median | 99 % "
    "| RabbitMQ's memory | disk for a record |"
)


def main() -> None:
    echo(HEAD, "|" + "---:|" * (HEAD.count("|") - 1))
    with tempfile.TemporaryDirectory() as folder:
        servers = CityServers(Path(folder))
        try:
            servers.sinks(servers.postgres.database(), 1)  # the queue is there
            for number in map(int, sys.argv[1:]):
                echo(row(servers, number))
        finally:
            servers.close()


def row(servers: CityServers, gateways: int) -> str:
    database = servers.postgres.database()
    words = servers.sink(database, "--json")
    sink = subprocess.Popen(
        words, cwd=ROOT, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    pids = sink.pid, servers.postgres.pid, servers.rabbit.pid
    try:
        time.sleep(3)
        before = [tree_s(pid) for pid in pids]
        done = fleet(servers, gateways)
        spent = [end - begin for begin, end in zip(before, map(tree_s, pids), strict=True)]
    finally:
        sink.terminate()
        sink.communicate(timeout=60)
    records, waits = done["receipted"], done["receipt_s"]
    assert done["unconfirmed"] == 0, done
    cpu = " | ".join(f"{1e6 * each / records:.0f} us" for each in spent)
    receipts = " | ".join(f"{waits[rank]:.2g} s" for rank in ("median", "p99"))
    memory = f"{_rss(servers.rabbit.pid) >> 20} MiB"
    return (
        f"| {gateways:,} | {records:,} | {cpu} | {receipts} | {memory} "
        f"| {_size(database) / records:,.0f} bytes |"
    )


def fleet(servers: CityServers, gateways: int) -> dict[str, Any]:
    """What it says at its end."""
    words = ["fleet", "--broker", servers.rabbit.mqtt_url, "--username", "guest", "--password-file",
             servers.rabbit.password_file, "--gateways", gateways, "--no-last", "--json",
             "--jitter", max(1, gateways / CONNECTS_PER_S), "--for", RUN_S]  # fmt: skip
    command = [sys.executable, "-m", "edge.cli.main", *map(str, words)]
    done = subprocess.run(command, cwd=ROOT, env=environment(), capture_output=True, text=True)
    assert done.stdout, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def _rss(pid: int) -> int:
    """Bytes of memory of this process."""
    [line] = [
        line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if "VmRSS" in line
    ]
    return int(line.split()[1]) * 1024


def _size(database: str) -> int:
    """Bytes of the tables of records, with their indexes."""
    with psycopg.connect(database) as db:
        found = db.execute(
            "SELECT sum(pg_total_relation_size(inhrelid)) FROM pg_inherits "
            "WHERE inhparent = 'kerbstone.record'::regclass"
        ).fetchone()
    assert found is not None
    return int(found[0])


if __name__ == "__main__":
    main()
