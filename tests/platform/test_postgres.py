"""The store in PostgreSQL: many writers at once, a server that dies, and roles with few rights."""

import contextlib
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from random import Random

import msgpack
import psycopg
import pytest

from edge.core import ConfigError, Stream, TimeQuality
from edge.fleet.boxmeta import description
from edge.platform.gatewaynotice import GatewayNotice
from edge.platform.keepquota import EPOCH
from edge.platform.openstore import open_store
from edge.platform.postgres import places
from edge.platform.postgres.migrate import applied, migrate, migrations
from edge.platform.postgres.ranges import multirange_of, numbers_in, ranges_in
from edge.platform.postgres.store import PostgresStore
from edge.platform.receivedrecord import ReceivedRecord, make_received
from edge.platform.recordstore import RecordStore, RecordStoreError
from edge.platform.sitecheck import refused_findings
from edge.wire import decode
from edge.wire.contract.body import body_map
from tests.kit.bodies import lane
from tests.kit.fixtures import mortal_postgres
from tests.kit.postgres import PostgresServer
from tests.kit.records import E1, GW, entry, record

__all__ = ["mortal_postgres"]
ROLES = Path("deploy/city/roles.sql")


def verdicts(store: RecordStore, *entries: ReceivedRecord) -> list[str]:
    return [done.verdict for done in store.commit(entries, [])]


def numbers(store: RecordStore) -> list[int]:
    return [each.key[3] for each in store.records(GW)]


def test_writers_that_have_the_same_records_store_each_once(postgres: PostgresServer) -> None:
    """As after the death of one of them: the broker gives what it had to the others."""
    url, begin = postgres.database(), threading.Barrier(4)
    all_ = [entry(record(n)) for n in range(1, 201)]

    def write(seed: int) -> Counter[str]:
        store, counts, random = open_store(url, write=True), Counter[str](), Random(seed)
        mine = random.sample(all_, len(all_))
        begin.wait()
        for at in range(0, len(mine), 20):
            counts.update(verdicts(store, *mine[at : at + 20]))
        store.close()
        return counts

    with ThreadPoolExecutor(4) as pool:
        counts = sum(pool.map(write, range(4)), Counter[str]())
    assert counts == {"stored": 200, "repeat": 600}
    reader = open_store(url, write=False)
    assert numbers(reader) == list(range(1, 201))
    reader.close()
    with psycopg.connect(url) as db:
        assert db.execute("SELECT got::text FROM kerbstone.ledger").fetchall() == [("{[1,201)}",)]


def test_two_contents_at_once_are_one_record_and_one_conflict(postgres: PostgresServer) -> None:
    url = postgres.database()
    for number in range(1, 11):
        both = [entry(record(number, body={"x": text})) for text in ("a", "b")]
        with ThreadPoolExecutor(2) as pool:
            stores = [open_store(url, write=True) for _ in both]
            found = list(pool.map(verdicts, stores, both))
        assert sorted(found) == [["conflict"], ["stored"]]
        assert len(list(stores[0].conflicts(GW))) == number
        for store in stores:
            store.close()


def test_a_server_that_is_killed_loses_nothing_that_was_told(
    mortal_postgres: PostgresServer,
) -> None:
    store = open_store(mortal_postgres.database(), write=True)
    told = 0
    for round_ in range(3):
        timer = threading.Timer(0.1 + 0.07 * round_, mortal_postgres.kill)
        timer.start()
        while mortal_answers(store, told):
            told += 5
        timer.join()
        with pytest.raises(RecordStoreError):
            store.commit([entry(record(1))], [])
        mortal_postgres.start()
        assert numbers_told(store, told)
    assert told > 10
    store.close()


def mortal_answers(store: RecordStore, told: int) -> bool:
    try:
        return bool(verdicts(store, *(entry(record(n)) for n in range(told + 1, told + 6))))
    except RecordStoreError:
        return False


def numbers_told(store: RecordStore, told: int) -> bool:
    """All that was told is there, each once; the last group may be there, too."""
    assert verdicts(store, *(entry(record(n)) for n in range(1, told + 1))) == ["repeat"] * told
    there = numbers(store)
    return there in (list(range(1, told + 1)), list(range(1, told + 6)))


OLDER_STATE = (
    "DELETE FROM kerbstone.record; DELETE FROM kerbstone.ledger; DELETE FROM kerbstone.gateway"
)

END_SINKS = """
SELECT pg_terminate_backend(pid) FROM pg_stat_activity
WHERE application_name = 'kerbstone' AND datname = current_database()"""


def test_what_is_known_of_a_database_ends_with_its_connection(postgres: PostgresServer) -> None:
    """After the loss of a server the address may lead to a copy of it that knows less."""
    url = postgres.database()
    with contextlib.closing(PostgresStore(url, write=True)) as store:
        assert verdicts(store, entry(record(1))) == ["stored"]
        with psycopg.connect(url, autocommit=True) as db:
            db.execute(OLDER_STATE)
            db.execute(END_SINKS)
        status = {"v": 1, "gw": GW, "state": "offline", "why": "lost"}
        notice = GatewayNotice("status", GW, f"kerbstone/v1/stadt/{GW}", 1, status)
        with pytest.raises(RecordStoreError):
            store.keep_notices([notice])
        store.keep_notices([notice])
        assert verdicts(store, entry(record(1)), entry(record(2))) == ["stored"] * 2
        assert numbers(store) == [1, 2]


def test_a_ledger_that_has_lost_rows_stores_nothing_without_them(postgres: PostgresServer) -> None:
    url = postgres.database()
    with contextlib.closing(PostgresStore(url, write=True)) as store:
        assert verdicts(store, entry(record(1))) == ["stored"]
        with psycopg.connect(url, autocommit=True) as db:
            db.execute(OLDER_STATE)
        with pytest.raises(RecordStoreError, match="rows of the ledger have gone"):
            store.commit([entry(record(1))], [])
        assert verdicts(store, entry(record(1))) == ["stored"]
        assert numbers(store) == [1]


def test_a_gateway_that_invents_epochs_is_bounded_and_another_is_not(
    postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(places, "EPOCHS_A_DAY", 20)
    store = open_store(postgres.database(), write=True)
    for start in range(0, 100, 10):
        store.commit([entry(record(1, epoch=E1 + n)) for n in range(start, start + 10)], [])
    assert len(list(store.records(GW))) == 20
    assert verdicts(store, entry(record(2, epoch=E1 + 3))) == ["stored"], "an epoch that is known"
    [beyond] = store.commit([entry(record(1, epoch=E1 + 99))], [])
    assert (beyond.verdict, beyond.excess) == ("excess", EPOCH)
    assert store.tallies().of(GW, EPOCH).not_kept == 81
    [(gw, finding)] = refused_findings(store)
    assert (gw, finding.kind) == (GW, "excess")
    assert finding.text.startswith(f"{GW}: 81 records")
    assert "epochs" in finding.text
    store.close()


def test_times_that_are_none_are_kept_as_they_came(postgres: PostgresServer) -> None:
    """The wire format has texts there; what no calendar can say is no reason to lose a record."""
    url = postgres.database()
    strange = ["", "noon", "2026-02-31T00:00:00Z", "0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z",
        "0001-01-01T00:00:00+14:00"]  # fmt: skip
    wanted = []
    for number, text in enumerate(strange, 1):
        first = entry(record(number))
        payload = msgpack.packb(msgpack.unpackb(first.payload) | {"from": text, "to": text})
        (message,) = decode(first.topic, payload, first.content_type)
        wanted.append(
            make_received(message, first.topic, payload, first.content_type, first.received)
        )
    store = open_store(url, write=True)
    assert verdicts(store, *wanted) == ["stored"] * len(strange)
    assert list(store.records(GW)) == wanted
    store.close()
    with psycopg.connect(url) as db:
        rows = db.execute("SELECT wall_from IS NULL FROM kerbstone.record ORDER BY seq").fetchall()
    assert [none for (none,) in rows] == [True, True, True, False, False, True]


def test_a_database_says_what_is_to_be_done(postgres: PostgresServer) -> None:
    url = postgres.database()
    with psycopg.connect(url, autocommit=True) as db:
        assert applied(db) == len(migrations())
        assert migrate(db) == [], "twice is once"
        db.execute("INSERT INTO kerbstone.migration (number, name) VALUES (99, 'of tomorrow')")
    with pytest.raises(ConfigError, match="newer program"):
        open_store(url, write=True)
    with psycopg.connect(url, autocommit=True) as db:
        db.execute("DROP SCHEMA kerbstone CASCADE")
    for write in (True, False):
        with pytest.raises(ConfigError, match="kerbstone sink --migrate"):
            open_store(url, write=write)
    with pytest.raises(ConfigError, match="no address"):
        open_store("postgresql://city@/x?nonsense=1", write=True)
    with pytest.raises(RecordStoreError, match="database"):
        open_store("postgresql://city@/none?host=/nowhere", write=True)


def test_a_server_that_is_too_old_is_refused_in_one_sentence(
    postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = postgres.database()
    with psycopg.connect(url, autocommit=True) as db:
        db.execute("DROP SCHEMA kerbstone CASCADE")
    monkeypatch.setattr(psycopg.ConnectionInfo, "server_version", 140_013)
    for write in (True, False):
        with pytest.raises(ConfigError, match=r"^the server is PostgreSQL 14, .* 15 or newer: "):
            open_store(url, write=write)
    with psycopg.connect(url, autocommit=True) as db:
        with pytest.raises(ConfigError, match="PostgreSQL 14"):
            migrate(db)
        assert applied(db) == 0, "nothing was made"


def test_two_that_migrate_at_once_do_it_once(postgres: PostgresServer) -> None:
    url = postgres.database()
    with psycopg.connect(url, autocommit=True) as db:
        db.execute("DROP SCHEMA kerbstone CASCADE")

    def run(_: int) -> int:
        with psycopg.connect(url, autocommit=True) as db:
            return len(migrate(db))

    with ThreadPoolExecutor(3) as pool:
        assert sum(pool.map(run, range(3))) == len(migrations())


def test_a_sink_can_store_and_neither_delete_nor_change(mortal_postgres: PostgresServer) -> None:
    url = mortal_postgres.database()
    with psycopg.connect(url, autocommit=True) as db:
        db.execute(ROLES.read_bytes())
        db.execute("CREATE USER sink1 IN ROLE kerbstone_sink")
        db.execute("CREATE USER analyst IN ROLE kerbstone_reader")
        migrate(db)
    theirs = url.replace("city@", "sink1@")
    store = PostgresStore(theirs, write=True)
    status = {"v": 1, "gw": GW, "state": "offline", "why": "lost"}
    meta = description(GW, "stadt", ("north_1",))
    for at_ms in (1, 2):
        store.keep_notices([
            GatewayNotice("status", GW, f"kerbstone/v1/stadt/{GW}", at_ms, status),
            GatewayNotice("meta", GW, f"kerbstone/v1/stadt/{GW}", at_ms, {**meta, "at": at_ms}),
        ])  # fmt: skip
    first, other = entry(record(1)), entry(record(1, body={"x": "other"}))
    assert verdicts(store, first, other, first) == ["stored", "conflict", "repeat"]
    body = body_map(lane(volume=5))
    counted = record(1, stream=Stream.TRAFFIC, source="north_1", body=dict(body))
    assert verdicts(store, entry(counted, TimeQuality.NONE)) == ["stored"]
    assert verdicts(store, entry(counted)) == ["repeat"], "with a better time"
    store.close()
    for user, words in (
        ("sink1", "DELETE FROM record"), ("sink1", "UPDATE record SET payload = ''"),
        ("sink1", "TRUNCATE conflict"), ("sink1", "DROP TABLE tally"),
        ("sink1", "UPDATE record SET source = ''"), ("sink1", "CREATE TABLE x ()"),
        ("sink1", "DELETE FROM lane"), ("sink1", "UPDATE lane SET volume = 0"),
        ("sink1", "DELETE FROM lane_sum"), ("analyst", "INSERT INTO branch (branch) VALUES ('x')"),
        ("analyst", "SELECT open_day('2000-01-01')"),
    ):  # fmt: skip
        with psycopg.connect(url.replace("city@", f"{user}@")) as db:
            db.execute("SET search_path = kerbstone")
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                db.execute(words.encode())
    reader = open_store(url.replace("city@", "analyst@"), write=False)
    assert numbers(reader) == [1, 1]
    reader.close()
    with psycopg.connect(url.replace("city@", "analyst@")) as db:
        found = db.execute("SELECT lane, volume FROM city.lane_hour").fetchall()
        (places,) = db.execute("SELECT site, state, zone FROM city.gateway").fetchall()
    assert found == [("north_1", 5)]
    assert places == ("stadt", "offline", "UTC")


def test_ranges_are_what_postgresql_takes(postgres: PostgresServer) -> None:
    random = Random(5)
    with psycopg.connect(postgres.database()) as db:
        for _ in range(40):
            wanted = sorted(random.sample(range(1, 60), random.randrange(30)))
            row = db.execute(
                "SELECT %s::int8multirange::text", (multirange_of((n, n) for n in wanted),)
            ).fetchone()
            assert row is not None
            (text,) = row
            assert list(numbers_in(text)) == wanted
            assert sum(last - first + 1 for first, last in ranges_in(text)) == len(wanted)
