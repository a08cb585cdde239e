"""A broker and a database of a city, sinks between them, and what each of them uses."""

import json
import os
import resource
import subprocess
import sys
import time
from pathlib import Path
from typing import Final, NamedTuple

import psycopg

from tests.kit.postgres import PostgresServer, socket_folder
from tests.kit.process import ROOT, environment
from tests.kit.rabbit import RabbitNode

IDLE_S: Final = 1.0
STORED: Final = """
SELECT coalesce(sum(upper(n) - lower(n)), 0) FROM kerbstone.ledger, unnest(got) AS n"""
TICK: Final = os.sysconf("SC_CLK_TCK")


class CityServers:
    """A broker and a database, each as a city has them: what is committed is on the disk."""

    def __init__(self, folder: Path) -> None:
        self.rabbit = RabbitNode(folder / "rabbit").start()
        self.postgres = PostgresServer.made(socket_folder(), options=())
        self._programs = sys.executable, "-m", "tests.bench.launch"

    def close(self) -> None:
        self.postgres.stop()
        self.rabbit.stop()

    def sink(self, database: str, *options: str) -> list[str]:
        login = ["--username", "guest", "--password-file", str(self.rabbit.password_file)]
        where = ["--broker", self.rabbit.amqp_url, "--database", database]
        return [*self._programs, "sink", *where, *login, *options]

    def sinks(self, database: str, count: int, records: int = 0) -> "SinksRun":
        """So many of them until nothing comes and all is proved."""
        words = self.sink(database, "--idle", str(IDLE_S), "--json")
        before, began_s = children_s(), time.monotonic()
        running = [
            subprocess.Popen(
                words,
                cwd=ROOT,
                env=environment(),
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
            )
            for _ in range(count)
        ]
        stored_s, stored_cpu_s = 0.0, 0.0
        with psycopg.connect(database, autocommit=True) as db:
            while records and not stored_s:
                if db.execute(STORED).fetchone() == (records,):
                    stored_s = time.monotonic() - began_s
                    stored_cpu_s = sum(tree_s(each.pid) for each in running)
                time.sleep(0.02)
        said = [json.loads(each.communicate()[0]) for each in running]
        counts = {name: sum(each[name] for each in said) for name in said[0]}
        took_s = time.monotonic() - began_s - IDLE_S
        return SinksRun(took_s, children_s() - before, stored_s, stored_cpu_s, counts)


class SinksRun(NamedTuple):
    """Seconds, and seconds of CPU: to the end of all, and until the last record was stored."""

    took_s: float
    cpu_s: float
    stored_s: float
    stored_cpu_s: float
    counts: dict[str, int]


def children_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def tree_s(pid: int) -> float:
    """CPU of a process and of all below it, those that have ended among them."""
    found, total = {pid}, 0.0
    stats = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            stats[int(path.parent.name)] = path.read_text().rpartition(") ")[2].split()
        except OSError:
            continue  # it has just ended
    while more := {each for each, stat in stats.items() if int(stat[1]) in found} - found:
        found |= more
    for each in found & stats.keys():
        total += sum(map(int, stats[each][11:15])) / TICK
    return total
