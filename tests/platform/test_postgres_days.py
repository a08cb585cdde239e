"""Partitions by the day: made while others read and write, and before they are needed."""

import contextlib
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg
import pytest

from edge.platform.openstore import open_store
from edge.platform.recordstore import RecordStore
from tests.kit.fixtures import postgres_store
from tests.kit.postgres import PostgresServer
from tests.kit.records import entry, record

__all__ = ["postgres_store"]
PARENTS = {"record", "lane", "bay", "device", "event", "health"}


def store_at(store: RecordStore, number: int, received: str) -> str:
    made = entry(record(number), received=received)
    [done] = store.commit([made], [])
    return done.verdict


def asked(url: str, query: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(url, options="-c search_path=kerbstone") as db:
        return db.execute(query.encode()).fetchall()


def days(url: str) -> dict[str, set[str]]:
    """Of each parent, the days that are open."""
    found: dict[str, set[str]] = {}
    for parent, name in asked(url, "SELECT inhparent::regclass, inhrelid::regclass FROM pg_inherits"
        " JOIN pg_class ON pg_class.oid = inhrelid WHERE relkind = 'r'"):  # fmt: skip
        found.setdefault(str(parent), set()).add(str(name).removeprefix(f"{parent}_"))
    return found


def all_open(*days: str) -> dict[str, set[str]]:
    return {parent: set(days) for parent in PARENTS}


@pytest.fixture
def url(postgres: PostgresServer) -> str:
    """Of a database in which nobody waits long for a lock."""
    made = postgres.database()
    with psycopg.connect(made, autocommit=True) as db:
        db.execute(f"ALTER DATABASE {db.info.dbname} SET lock_timeout = '2s'".encode())
    return made


def test_a_long_reader_does_not_hold_up_a_new_day(url: str, store: RecordStore) -> None:
    """A city's query, a dump, or our own audit, over midnight; and who comes after it."""
    assert store_at(store, 1, "2026-11-25T13:00:00.000Z") == "stored"
    with psycopg.connect(url, options="-c search_path=kerbstone") as reader:
        reader.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
        for parent in PARENTS:
            reader.execute(f"SELECT count(*) FROM {parent}".encode())
        assert store_at(store, 2, "2026-11-26T00:00:00.000Z") == "stored"
        assert len(asked(url, "SELECT FROM record")) == 2
        assert len(reader.execute("SELECT FROM record").fetchall()) == 1, "its own state"


def test_writers_open_the_same_days_at_once(url: str) -> None:
    begin, counts = threading.Barrier(4), Counter[str]()

    def write(_: int) -> Counter[str]:
        found = Counter[str]()
        with contextlib.closing(open_store(url, write=True)) as store:
            for day in range(1, 9):
                begin.wait()
                found[store_at(store, day, f"2026-12-{day:02}T00:00:00.000Z")] += 1
        return found

    with ThreadPoolExecutor(4) as pool:
        counts = sum(pool.map(write, range(4)), counts)
    assert counts == {"stored": 8, "repeat": 24}
    assert days(url) == all_open(*(f"202612{day:02}" for day in range(1, 9)))


def test_the_next_day_is_open_hours_before_it_begins(url: str, store: RecordStore) -> None:
    store_at(store, 1, "2026-11-25T17:59:59.000Z")
    assert days(url) == all_open("20261125")
    with psycopg.connect(url) as other:
        other.execute("LOCK kerbstone.record IN SHARE UPDATE EXCLUSIVE MODE")  # as ANALYZE does
        assert store_at(store, 2, "2026-11-25T18:00:00.000Z") == "stored"
        assert days(url) == all_open("20261125"), "it does not wait for it now"
    store_at(store, 3, "2026-11-25T18:00:01.000Z")
    assert days(url) == all_open("20261125", "20261126")
    with psycopg.connect(url) as other:
        other.execute("LOCK kerbstone.record IN SHARE UPDATE EXCLUSIVE MODE")
        assert store_at(store, 4, "2026-11-26T00:00:00.000Z") == "stored"


def test_a_day_is_as_its_table_is(url: str, store: RecordStore) -> None:
    store_at(store, 1, "2026-11-25T13:00:00.000Z")
    for parent in PARENTS:
        mine, day = (
            [row[0] for row in asked(url, query)]
            for query in (
                f"SELECT indexrelid FROM pg_index WHERE indrelid = '{parent}'::regclass",
                "SELECT inhparent FROM pg_index JOIN pg_inherits ON inhrelid = indexrelid"
                f" WHERE indrelid = '{parent}_20261125'::regclass",
            )
        )
        assert sorted(mine) == sorted(day), "each index of a day is a part of the parent's"
    [(compression,)] = asked(url, "SELECT attcompression FROM pg_attribute"
        " WHERE attrelid = 'record_20261125'::regclass AND attname = 'payload'")  # fmt: skip
    assert compression == "l"
