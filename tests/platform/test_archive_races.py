"""Archiving beside others: sinks that write into that very day, readers, a second archiver, and a
crash at any statement."""

import re
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any, Self

import psycopg
import pytest

from edge.core import Stream, TimeQuality
from edge.platform.openstore import open_store
from edge.platform.postgres import archive
from edge.platform.postgres.archive import Archiver
from edge.platform.receivedrecord import ReceivedRecord
from edge.platform.recordstore import RecordStore, RecordStoreError
from edge.wire.contract.body import body_map
from tests.kit.archiving import LATER, OPTIONS, all_records, all_views, archive_all, connect, put
from tests.kit.bodies import lane
from tests.kit.fixtures import mortal_postgres
from tests.kit.postgres import PostgresServer
from tests.kit.records import GW, entry, record

__all__ = ["mortal_postgres"]
DAY = date(2026, 11, 25)
WAITING = b"""
SELECT count(*) FROM pg_stat_activity
WHERE datname = current_database() AND wait_event_type = 'Lock'"""


def traffic(seq: int, tq: TimeQuality = TimeQuality.NTP, source: str = "north_1") -> ReceivedRecord:
    body = dict(body_map(lane(source, volume=seq % 7)))
    return entry(record(seq, stream=Stream.TRAFFIC, source=source, body=body), tq)


def numbers(url: str) -> list[int]:
    with closing(open_store(url, write=False)) as store:
        return [each.key[3] for each in store.records(GW)]


def waits(url: str, condition: Callable[[int], bool]) -> bool:
    """Until so many sessions wait for a lock."""
    with connect(url) as db:
        for _ in range(3_000):
            (count,) = db.execute(WAITING).fetchone() or (0,)
            if condition(count):
                return True
            db.execute("SELECT pg_sleep(0.01)")
    return False


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "PATIENCE_S", 1)


@pytest.mark.parametrize("repeats", [False, True])
def test_a_sink_that_writes_into_that_day_waits_and_loses_nothing(
    postgres: PostgresServer, repeats: bool
) -> None:
    """Its clock is late: it writes where rows are packed. If it has looked up a repeat there
    before, it holds the day, and goes first."""
    entries = [traffic(30), traffic(31), *([traffic(1)] if repeats else [])]
    wanted = ["stored", "stored", *(["repeat"] if repeats else [])]
    url = postgres.database()
    assert put(url, *(traffic(n) for n in range(1, 30))) == ["stored"] * 29
    with ThreadPoolExecutor(1) as pool, connect(url) as db:
        sinks: list[Future[list[str]]] = []

        def begin(_day: date, _records: int) -> None:
            if sinks:
                return
            sinks.append(pool.submit(put, url, *entries))
            assert waits(url, lambda count: count > 0)

        archiver = Archiver(db, progress=begin, sleep=lambda _s: None)
        found = archiver.archive(DAY)
        assert sinks[0].result(60) == wanted
        assert found.records == (31 if repeats else 29)
        assert archiver.drop(DAY) == (found.records == 31), "there are rows again"
        assert numbers(url) == list(range(1, 32))
        assert Archiver(db).archive(DAY).records == 31 - found.records
        assert Archiver(db).drop(DAY)
    assert numbers(url) == list(range(1, 32))
    assert len(all_views(url)["lane_minute"]) == 31


def test_a_sink_that_has_looked_into_that_day_is_not_waited_for_in_a_circle(
    postgres: PostgresServer, impatient: None
) -> None:
    """It ends only after a long time: then the day is as it was."""
    url = postgres.database()
    put(url, *(traffic(n) for n in range(1, 30)), traffic(40, TimeQuality.NONE))
    views = all_views(url)
    with connect(url) as db, connect(url) as sink, ThreadPoolExecutor(1) as pool:
        sink.execute("BEGIN")
        sink.execute("SELECT FROM record WHERE ledger = 1 AND seq = 40")
        writes: list[Future[Any]] = []

        def begin(_day: date, _records: int) -> None:
            if not writes:
                update = b"UPDATE record SET tq = 'ntp' WHERE seq = 40 AND received::date = %s"
                writes.append(pool.submit(sink.execute, update, (DAY,)))
                assert waits(url, lambda count: count > 0)

        db.execute("SET lock_timeout = '2s'")  # of a second try, while the sink has not ended
        with pytest.raises(psycopg.errors.LockNotAvailable):
            Archiver(db, progress=begin, sleep=lambda _s: None).archive(DAY)
        assert writes[0].result(60).rowcount == 1
        sink.execute("ROLLBACK")
        assert all_views(url) == views
        assert db.execute("SELECT count(*) FROM record_archive").fetchone() == (0,)
    assert [each.records for each in archive_all(url)] == [30]
    assert all_views(url) == views


def committed(store: RecordStore, group: list[ReceivedRecord]) -> list[str] | None:
    """None: a partition that it knew has been dropped; the broker gives the group again."""
    try:
        return [done.verdict for done in store.commit(group, [])]
    except RecordStoreError as error:
        if "no partition" not in str(error):
            raise
        return None


def test_writers_and_archivers_at_once_store_each_record_once(postgres: PostgresServer) -> None:
    """Four sinks with clocks of three days, all with the same records, and two that archive."""
    url, begin, done = postgres.database(), threading.Barrier(6), threading.Event()
    all_ = [
        replace(traffic(n, source=f"lane_{n % 3}"), received=f"2026-11-{25 + n % 3}T10:00:00.000Z")
        for n in range(1, 121)
    ]

    def write(turn: int) -> int:
        stored = 0
        with closing(open_store(url, write=True)) as store:
            begin.wait()
            for at in range(0, len(all_), 10):
                place = (at + turn * 30) % len(all_)
                group = all_[place : place + 10]
                while (found := committed(store, group)) is None:
                    continue
                stored += found.count("stored")
        return stored

    def pack(_: int) -> int:
        records = 0
        begin.wait()
        with connect(url) as db:
            archiver = Archiver(db, sleep=lambda _s: None)
            while not done.is_set():
                for day in archiver.days(LATER):
                    records += archiver.archive(day).records
                    archiver.drop(day)
        return records

    with ThreadPoolExecutor(6) as pool:
        packers = [pool.submit(pack, n) for n in range(2)]
        stored = sum(pool.map(write, range(4)))
        done.set()
        packed = sum(each.result(60) for each in packers)
    assert stored == 120
    assert packed + sum(each.records for each in archive_all(url)) == 120
    assert numbers(url) == list(range(1, 121))
    views = all_views(url)
    assert len(views["lane_minute"]) == 120
    with connect(url) as db:
        assert db.execute("SELECT sum(windows) FROM city.lane_day").fetchone() == (120,)


def test_a_reader_sees_one_state_whatever_is_archived_meanwhile(
    postgres: PostgresServer, impatient: None
) -> None:
    url = postgres.database()
    put(url, *(traffic(n) for n in range(1, 30)))
    with closing(open_store(url, write=False)) as reader, connect(url) as db:
        archiver = Archiver(db, sleep=lambda _s: None)
        assert archiver.archive(DAY).busy, "it waits for the reader, and not the reader for it"
        assert len(list(reader.records(GW))) == 29
    assert [each.records for each in archive_all(url)] == [29]


def test_a_gateway_that_is_new_does_not_wait_for_an_archiver(postgres: PostgresServer) -> None:
    """Else its whole group would, and the receipts of all others in it, for as long as it packs."""
    url = postgres.database()
    put(url, *(traffic(n) for n in range(1, 30)))
    hasty, verdicts = f"{url}&options=-c%20lock_timeout%3D2s", list[str]()
    new = entry(record(1), received="2026-12-24T10:00:00.000Z")
    new = replace(new, topic=new.topic.replace("stadt", "elsewhere"))

    def begin(_day: date, _records: int) -> None:
        verdicts.extend(put(hasty, new))

    with connect(url) as db:
        assert Archiver(db, progress=begin).archive(DAY).records == 29
    assert verdicts == ["stored"]


LOCK_NUMBER = re.compile(r"\b7_?234_?017_?283_?807_?667_?\d{3}\b")


def lock_numbers(pattern: str) -> list[int]:
    texts = (path.read_text() for path in Path("edge").rglob(pattern))
    return [int(each.replace("_", "")) for text in texts for each in LOCK_NUMBER.findall(text)]


def test_each_lock_of_the_database_has_a_number_of_its_own() -> None:
    ours = lock_numbers("*.py")
    assert len(ours) > 3
    assert len({*ours}) == len(ours)
    assert {*ours} & {*lock_numbers("*.sql")} == {archive.LOCK}, "the one that both take"


class Dying(psycopg.Connection[Any]):
    """Loses its server at the statement with this number."""

    left = 0

    def execute(self, *words: Any, **options: Any) -> Any:
        self._count()
        return super().execute(*words, **options)

    def cursor(self, *words: Any, **options: Any) -> Any:
        self._count()
        return super().cursor(*words, **options)

    def _count(self) -> None:
        self.left -= 1
        if self.left == 0:
            self.pgconn.finish()

    @classmethod
    def at(cls, url: str, number: int) -> Self:
        made = cls.connect(url, options=OPTIONS, autocommit=True)
        made.left = number
        return made


def test_a_crash_at_any_statement_leaves_the_day_as_it_was_or_archived(
    postgres: PostgresServer,
) -> None:
    url = postgres.database()
    put(url, *(traffic(n) for n in range(1, 12)), entry(record(1)))
    views, records = all_views(url), all_records(url)
    states = []
    for number in range(1, 200):
        db = Dying.at(url, number)
        archiver = Archiver(db, sleep=lambda _s: None)
        try:
            for day in archiver.days(LATER):
                archiver.archive(day)
                archiver.drop(day)
        except psycopg.Error:
            pass
        ended = not db.closed
        db.close()
        assert all_views(url) == views
        assert all_records(url) == records
        with connect(url) as look:
            (hot,) = look.execute("SELECT count(*) FROM record").fetchone() or (0,)
            (packed,) = look.execute(
                "SELECT coalesce(sum(records), 0) FROM record_archive"
            ).fetchone() or (0,)
        states.append((hot, packed))
        if ended:
            break
    assert set(states) == {(12, 0), (0, 12)}, states
    assert ended
    assert number > 20


def test_a_server_that_is_killed_while_it_packs_has_the_day_as_it_was(
    mortal_postgres: PostgresServer,
) -> None:
    url = mortal_postgres.database()
    put(url, *(traffic(n) for n in range(1, 30)), entry(record(1)))
    views, records = all_views(url), all_records(url)
    killed: list[object] = []

    def kill_once(*words: object) -> None:
        if not killed:  # our backend may live a moment longer than its server
            killed.append(words)
            mortal_postgres.kill()

    with connect(url) as db:
        archiver = Archiver(db, progress=kill_once)
        with pytest.raises(psycopg.OperationalError):
            archiver.archive(DAY)
    mortal_postgres.start()
    assert (all_views(url), all_records(url)) == (views, records)
    archive_all(url)
    mortal_postgres.kill()
    mortal_postgres.start()
    assert (all_views(url), all_records(url)) == (views, records)
