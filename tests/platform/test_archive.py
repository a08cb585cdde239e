"""Old days in the archive: nothing that a person or a program reads becomes another thing."""

from dataclasses import replace
from datetime import date
from random import Random

import msgpack
import pytest

from edge.core import Stream, TimeQuality
from edge.platform.openstore import open_store
from edge.platform.postgres import archive, recordpack
from edge.platform.postgres.archive import Archiver
from edge.platform.postgres.recordpack import PackError, unpack
from edge.platform.postgres.rows import COLUMNS
from edge.platform.receivedrecord import ReceivedRecord, make_received
from edge.platform.recordstore import RecordStoreError
from edge.wire import decode
from edge.wire.contract.body import body_map
from tests.kit.archiving import (
    all_records,
    all_views,
    archive_all,
    connect,
    other_sources,
    put,
    spread,
)
from tests.kit.bodies import lane
from tests.kit.postgres import PostgresServer
from tests.kit.records import entry, record
from tests.platform.test_views_sums import sendings, street


def filled(url: str, seed: int) -> None:
    """Doubts, merged records, times that are not known or come later, conflicts, three days."""
    random = Random(seed)
    entries = sendings(random, *street(random))
    entries += [entry(record(n, body={"x": "other"})) for n in (3, 4)] + other_sources()
    entries = spread(entries, random)
    store = open_store(url, write=True)
    for at in range(0, len(entries), 100):
        store.commit(entries[at : at + 100], [])
    store.close()


def traffic(seq: int, tq: TimeQuality = TimeQuality.NTP, **said: object) -> ReceivedRecord:
    body = {**body_map(lane()), **said}
    made = record(seq, stream=Stream.TRAFFIC, source="north_1", body=body)
    return entry(made, tq)


@pytest.mark.parametrize("seed", range(3))
def test_views_and_readers_say_the_same_before_and_after(
    postgres: PostgresServer, seed: int
) -> None:
    url = postgres.database()
    filled(url, seed)
    views, records = all_views(url), all_records(url)
    assert all(views[name] for name in ("lane_minute", "lane_hour", "lane_day", "bay_minute",
        "air_minute", "energy_reading", "event", "gateway_health", "completeness"))  # fmt: skip
    assert any(row.count("chatter") for row in views["lane_minute"])
    assert len(records[2]) == 2, "conflicts"
    found = archive_all(url)
    assert sum(each.records for each in found) == len(records[0])
    assert all_views(url) == views
    assert all_records(url) == records


def test_half_of_the_days_archived_is_the_same_too(postgres: PostgresServer) -> None:
    url = postgres.database()
    filled(url, 9)
    views, records = all_views(url), all_records(url)
    with connect(url) as db:
        archiver = Archiver(db)
        for day in archiver.days(date(2026, 11, 27)):
            assert archiver.archive(day).records
        assert archiver.days(date(2027, 1, 1))
    assert all_views(url) == views
    assert all_records(url) == records


def test_a_pack_has_each_bit_of_each_row_and_copy_takes_it_back(postgres: PostgresServer) -> None:
    url = postgres.database()
    filled(url, 1)
    with connect(url) as db:
        query = f"SELECT {COLUMNS} FROM record ORDER BY ledger, seq".encode()
        rows = db.execute(query).fetchall()
        archive_all(url)
        packs = db.execute("SELECT pack, size, first, last, records, numbers::text"
            " FROM record_archive ORDER BY ledger, first").fetchall()  # fmt: skip
        again = [row for packed, size, *_ in packs for row in unpack(packed, size)]
        assert sorted(again, key=lambda row: (row[7], row[0])) == rows
        for day in (25, 26, 27):
            db.execute("SELECT open_day(%s)", (date(2026, 11, day),))
        with db.cursor().copy(f"COPY record ({COLUMNS}) FROM STDIN (FORMAT BINARY)".encode()) as to:
            to.write(recordpack.COPY_BEGIN)
            for packed, size, *_ in packs:
                to.write(recordpack._codec().decompress(packed, size, asbytes=True))
            to.write(recordpack.COPY_END)
        assert db.execute(query).fetchall() == rows
    with pytest.raises(PackError):
        list(unpack(packs[0][0][:-9], packs[0][1]))


def test_a_repeat_or_a_conflict_with_an_archived_record_is_one(postgres: PostgresServer) -> None:
    url = postgres.database()
    first, other = traffic(1, volume=5), traffic(1, volume=9)
    put(url, first, traffic(3))
    archive_all(url)
    views = all_views(url)
    assert put(url, first, other, traffic(2)) == ["repeat", "conflict", "stored"]
    assert put(url, other, traffic(2), replace(first, received="2026-12-24T00:00:00Z")) == [
        "conflict", "repeat", "repeat"
    ]  # fmt: skip
    archive_all(url)
    assert [each.key[3] for each in all_records(url)[0]] == [1, 2, 3]
    assert len(all_records(url)[2]) == 1
    assert len(all_views(url)["lane_minute"]) == len(views["lane_minute"]) + 1


def test_a_better_time_of_an_archived_record_changes_nothing(postgres: PostgresServer) -> None:
    url = postgres.database()
    put(url, traffic(1, TimeQuality.NONE))
    archive_all(url)
    views, records = all_views(url), all_records(url)
    assert put(url, traffic(1)) == ["repeat"]
    assert (all_views(url), all_records(url)) == (views, records)


def test_a_merged_record_takes_archived_lanes_from_the_sums(postgres: PostgresServer) -> None:
    hot, old = postgres.database(), postgres.database()
    for url in (hot, old):
        put(url, *(traffic(seq, volume=seq) for seq in range(1, 6)))
    archive_all(old)
    for url in (hot, old):
        assert put(url, traffic(6, volume=100, covers=[[2, 6, 1]])) == ["stored"]
    found, views = all_views(old), all_views(hot)
    del found["completeness"], views["completeness"]  # it says when a row of the ledger was made
    assert found == views
    with connect(old) as db:
        assert db.execute("SELECT windows, volume FROM city.lane_hour").fetchall() == [(2, 101)]


def test_a_damaged_pack_stops_no_sink(postgres: PostgresServer) -> None:
    url = postgres.database()
    put(url, traffic(1))
    archive_all(url)
    with connect(url) as db:
        db.execute("UPDATE record_archive SET pack = 'nonsense'")
    assert put(url, traffic(1), traffic(2)) == ["repeat", "stored"]
    with pytest.raises(RecordStoreError, match="pack of the archive"):
        all_records(url)


def test_numbers_far_apart_are_found_and_are_in_packs_of_their_own(
    postgres: PostgresServer,
) -> None:
    url = postgres.database()
    wanted = [traffic(n) for n in (1, 2, 99_999, 100_000, 100_001, 250_000, 1_000_000)]
    put(url, *wanted)
    archive_all(url)
    assert all_records(url)[0] == wanted
    assert put(url, *wanted) == ["repeat"] * 7
    assert put(url, traffic(100_001, volume=99)) == ["conflict"]
    with connect(url) as db:
        packs = db.execute("SELECT first, last FROM record_archive ORDER BY 1").fetchall()
        assert packs == [
            (1, 100_000), (100_001, 100_001), (250_000, 250_000), (1_000_000, 1_000_000)
        ]  # fmt: skip
        merged = traffic(250_001, covers=[[99_999, 100_001, 1], [250_001, 250_001, 1]])
        assert put(url, merged) == ["stored"]
        (windows,) = db.execute("SELECT sum(windows) FROM city.lane_hour").fetchone() or (0,)
    assert windows == 5, "1, 2, 250,000, 1,000,000, and the merged one"


def test_times_that_are_none_are_packed_as_they_came(postgres: PostgresServer) -> None:
    url = postgres.database()
    wanted = []
    for number, text in enumerate(("", "noon", "0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z"), 1):
        first = traffic(number)
        payload = msgpack.packb(msgpack.unpackb(first.payload) | {"from": text, "to": text})
        (message,) = decode(first.topic, payload, first.content_type)
        wanted.append(
            make_received(message, first.topic, payload, first.content_type, first.received)
        )
    put(url, *wanted)
    views = all_views(url)
    archive_all(url)
    assert all_records(url)[0] == wanted
    assert all_views(url) == views


def test_large_records_make_small_packs(
    postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archive, "PACK_BYTES", 5_000)
    url = postgres.database()
    wanted = [entry(record(n, body={"x": "y" * 2_000})) for n in range(1, 11)]
    put(url, *wanted)
    archive_all(url)
    assert all_records(url)[0] == wanted
    with connect(url) as db:
        packs = db.execute("SELECT first, last, records FROM record_archive ORDER BY 1").fetchall()
    assert packs == [(1, 3, 3), (4, 6, 3), (7, 9, 3), (10, 10, 1)]


QUERY = """
SELECT * FROM city.lane_minute WHERE gw = 'gw-0001' AND lane = 'north_1' AND day = '2026-11-25'
AND "from" >= '2026-11-25T12:00Z' AND "from" < '2026-11-25T13:00Z'"""


def test_one_lane_and_hour_of_an_old_day_unpacks_that_day_alone(postgres: PostgresServer) -> None:
    """Of 60 days of 20 lanes one row of arrays is read, by the index of sources and days."""
    url = postgres.database()
    put(url, *(traffic(seq) for seq in range(1, 50)))
    archive_all(url)
    with connect(url) as db:
        (columns,) = db.execute(
            "SELECT string_agg(attname, ', ') FROM pg_attribute WHERE attnum > 0"
            " AND attrelid = 'lane_archive'::regclass AND attname NOT IN ('source', 'day')"
        ).fetchone() or ("",)
        db.execute("INSERT INTO source (branch, source) SELECT 1, 'x' || n"
            " FROM generate_series(1, 20) AS n")  # fmt: skip
        db.execute(
            f"INSERT INTO lane_archive (source, day, {columns}) SELECT s.id, a.day - d, {columns}"
            " FROM lane_archive AS a, source AS s, generate_series(0, 59) AS d"
            " WHERE (s.id, d) <> (a.source, 0)".encode()
        )
        db.execute("ANALYZE")
        assert len(db.execute(QUERY).fetchall()) == 49
        plan = "\n".join(
            row for (row,) in db.execute("EXPLAIN (ANALYZE, COSTS off, TIMING off) " + QUERY)
        )
    (scan,) = [row for row in plan.splitlines() if "lane_archive_source" in row]
    assert "rows=1 loops=1" in scan, plan
    assert plan.count("on lane_archive") == 1, plan
