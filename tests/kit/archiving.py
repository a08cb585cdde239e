"""Archiving in tests: what a city's views and stores say, and an archiver that does not sleep."""

from collections.abc import Iterable
from contextlib import closing
from dataclasses import replace
from datetime import date
from random import Random
from typing import Any

import psycopg

from edge.core import Stream
from edge.fleet.street import Street
from edge.platform.openstore import open_store
from edge.platform.postgres.archive import ArchivedDay, Archiver
from edge.platform.receivedrecord import ReceivedRecord
from edge.wire.contract.bay import Bay
from edge.wire.contract.body import body_map
from edge.wire.contract.health import Health
from tests.kit.records import GW, entry, record

LATER = date(2027, 1, 1)
OPTIONS = "-c search_path=kerbstone -c timezone=UTC"
ROWS_OF_VIEWS = b"""
SELECT table_name FROM information_schema.views WHERE table_schema = 'city' ORDER BY 1"""


def connect(url: str) -> psycopg.Connection:
    return psycopg.connect(url, options=OPTIONS, autocommit=True)


def put(url: str, *entries: ReceivedRecord) -> list[str]:
    """Through a store of its own: what became of each."""
    with closing(open_store(url, write=True)) as store:
        return [done.verdict for done in store.commit(entries, [])]


def archive_all(url: str, before: date = LATER) -> list[ArchivedDay]:
    """Each day in turn, and its partitions dropped."""
    with connect(url) as db:
        archiver = Archiver(db, sleep=lambda _s: None)
        found = [archiver.archive(day) for day in archiver.days(before)]
        assert all(archiver.drop(each.day) for each in found)
        assert archiver.days(before) == []
        assert db.execute("SELECT count(*) FROM record").fetchone() == (0,)
    return found


def all_views(url: str) -> dict[str, list[str]]:
    """Each row of each view, as text."""
    with connect(url) as db:
        names = [name for (name,) in db.execute(ROWS_OF_VIEWS)]
        return {
            name: [row for (row,) in db.execute(
                f"SELECT v::text FROM city.{name} AS v ORDER BY 1".encode()
            )]
            for name in names
        }  # fmt: skip


def all_records(url: str) -> list[Any]:
    """All that a store gives to its readers."""
    with closing(open_store(url, write=False)) as store:
        return [
            list(store.records(GW)), list(store.numbers(GW)), list(store.conflicts(GW)),
            [list(store.record_range(each.key, each.key[3] + 3))
                for each in list(store.records(GW))[::7]],
        ]  # fmt: skip


def spread(entries: Iterable[ReceivedRecord], random: Random) -> list[ReceivedRecord]:
    """They come on three days."""
    return [
        replace(each, received=f"2026-11-{random.randrange(25, 28)}T{hour:02}:10:00.000Z")
        for hour, each in ((random.randrange(24), each) for each in entries)
    ]


def other_sources() -> list[ReceivedRecord]:
    """Air, a meter, a bay and the gateway's health; points come and go."""
    street = Street(1, seed=1)
    bay = Bay(
        bay="b1", kind="loading", covered_s=60.0, occupied_us=30_000_000, occupancy=0.5, arrivals=1,
        departures=0, stay=None, overstays=0, overstay_us=None, occupied=1, since_s=30.0,
        quality={"good": 1}, health="ok",
    )  # fmt: skip
    found = []
    for minute in range(1, 40):
        for place, stream in ((1, Stream.AIR), (2, Stream.ENERGY)):
            body = dict(street.body(minute, 30_000_000, place))
            if minute % 9 == 0:
                body["points"] = dict(list(body["points"].items())[1:])
            if minute % 11 == 0:
                body["points"] = {}
            source = street.sources[place]
            found.append(entry(record(minute, stream=stream, source=source, body=body)))
        health = body_map(Health(uptime_s=5.0 * minute, queue_rows=minute, cpu_temperature=51.5))
        made = record(minute, stream=Stream.HEALTH, source="gateway", body=dict(health))
        found.append(entry(made, encoding="json"))
        made = record(minute, stream=Stream.BAY, source="b1", body=dict(body_map(bay)))
        found.append(entry(made))
    return found
