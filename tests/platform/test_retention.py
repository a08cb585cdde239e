"""Removing old days from the archive: only what is proved, and never by accident."""

import re

import psycopg
import pytest

from edge.core import Stream
from edge.platform.receivedrecord import ReceivedRecord
from edge.wire.contract.body import body_map
from tests.kit.archiving import all_records, all_views, archive_all, connect, put
from tests.kit.bodies import lane
from tests.kit.command import Command
from tests.kit.postgres import PostgresServer
from tests.kit.records import entry, record
from tests.platform.test_postgres import ROLES

CITY = "--database"


def traffic(seq: int, **said: object) -> ReceivedRecord:
    body = {**body_map(lane(volume=seq)), **said}
    return entry(record(seq, stream=Stream.TRAFFIC, source="north_1", body=body))


def proved(url: str, stream: str, numbers: str) -> None:
    with connect(url) as db:
        db.execute(
            "INSERT INTO proof (ledger, chapter, numbers, seen, waiting, facts)"
            " SELECT id, n, int8multirange(each), '{}', false, ''"
            " FROM ledger, unnest(%s::int8multirange) WITH ORDINALITY AS n (each, n)"
            " WHERE stream = %s ON CONFLICT DO NOTHING",
            (numbers, stream),
        )


@pytest.fixture
def url(postgres: PostgresServer) -> str:
    """Two streams, archived; of one a merged record stands for 2 and 3."""
    url = postgres.database()
    put(
        url,
        *(traffic(n) for n in (1, 2, 4)),
        traffic(5, covers=[[2, 3, 1], [5, 5, 1]]),
        entry(record(1)),
    )
    archive_all(url)
    return url


def test_what_is_proved_goes_and_what_is_not_stays_and_is_told(
    url: str, kerbstone: Command
) -> None:
    records = all_records(url)[0]
    proved(url, "traffic", "{[1,2),[4,6)}")
    dry = kerbstone("archive", CITY, url, "--keep", "0", "--dry-run")
    assert dry.code == 1
    assert "2026-11-25: 4 records would be removed" in dry.out
    assert all_records(url)[0] == records
    said = kerbstone("archive", CITY, url, "--keep", "0")
    assert said.code == 1
    assert "2026-11-25: 4 records removed" in said.out
    assert "kept of gw-0001: 1 record (air), since no manifest" in said.out
    assert "kerbstone audit" in said.out
    assert [each.key[2] for each in all_records(url)[0]] == ["air"]
    views = all_views(url)
    assert views["lane_minute"] == []
    assert len(views["lane_hour"]) == 1, "sums stay"
    assert put(url, traffic(4), traffic(6)) == ["repeat", "stored"], "the ledger keeps its numbers"
    proved(url, "air", "{[1,2)}")
    assert kerbstone("archive", CITY, url, "--keep", "0").code == 0
    assert [each.key[3] for each in all_records(url)[0]] == [6]


def test_one_number_without_a_proof_keeps_its_stream_and_day(url: str, kerbstone: Command) -> None:
    proved(url, "traffic", "{[1,2),[5,6)}")
    said = kerbstone("archive", CITY, url, "--keep", "0", "--json")
    assert said.code == 1
    assert '"removed_records": 0' in said.out
    assert '"kept_records": 5' in said.out
    assert len(all_records(url)[0]) == 5


def test_what_is_not_proved_goes_only_where_its_day_is_named(url: str, kerbstone: Command) -> None:
    all_ = "archive", CITY, url, "--keep", "0", "--even-unproved"
    assert kerbstone(*all_, "2026-11-24").code == 1
    assert len(all_records(url)[0]) == 5
    said = kerbstone(*all_, "2026-11-25")
    assert said.code == 0
    assert "5 records removed, 5 of them not proved" in said.out
    assert all_records(url)[0] == []


@pytest.mark.parametrize(
    ("words", "why"),
    [
        ([], "nothing to do"), (["--older-than", "0"], "last 2 days"),
        (["--before", "2026-11-01", "--older-than", "9"], "one of them"),
        (["--older-than", "30", "--keep", "29"], "nothing is left"),
        (["--older-than", "9", "--even-unproved", "2026-01-01"], "needs --keep"),
        (["--before", "yesterday"], "write it as 2026-11-26"),
        (["--keep", "999999999"], "calendar"),
        (["--keep", "-1"], "no number of days"),
        (["--older-than", "-30"], "no number of days"),
        (["--older-than", "many"], "no number of days"),
    ],
)  # fmt: skip
def test_wrong_use_is_said(kerbstone: Command, words: list[str], why: str) -> None:
    said = kerbstone("archive", CITY, "postgresql:///none", *words)
    assert said.code == 2
    assert why in said.err


def test_a_database_that_is_away_is_3(kerbstone: Command) -> None:
    said = kerbstone("archive", CITY, "postgresql:///x?host=/nowhere", "--keep", "9")
    assert said.code == 3
    assert kerbstone("archive", CITY, "city.db", "--keep", "9").code == 2


def test_days_are_packed_by_a_command(postgres: PostgresServer, kerbstone: Command) -> None:
    url = postgres.database()
    put(url, *(traffic(n) for n in range(1, 9)))
    dry = kerbstone("archive", CITY, url, "--before", "2026-11-26", "--dry-run")
    assert dry.code == 0
    assert re.fullmatch(r"2026-11-25: 0\.\d MB would be packed\n", dry.out)
    assert "2026-11-25" not in kerbstone("archive", CITY, url, "--before", "2026-11-25").out
    said = kerbstone("archive", CITY, url, "--before", "2026-11-26")
    assert said.code == 0, said.err
    assert re.search(r"2026-11-25: 8 records, 0\.\d MB before, 0\.0 MB after\n", said.out)
    assert "packed 8 records, " in said.out
    assert "packed 0 records, " in kerbstone("archive", CITY, url, "--older-than", "3").out


def test_the_role_of_the_archiver_is_enough_and_that_of_a_sink_is_not(
    postgres: PostgresServer, kerbstone: Command
) -> None:
    url = postgres.database()
    with psycopg.connect(url, autocommit=True) as db:
        if db.execute("SELECT FROM pg_roles WHERE rolname = 'kerbstone_archiver'").rowcount == 0:
            db.execute(ROLES.read_bytes())
        for user, role in (("archiver", "archiver"), ("sink9", "sink")):
            db.execute(f"CREATE USER {user} IN ROLE kerbstone_{role}".encode())
    assert kerbstone("sink", CITY, url, "--migrate").code == 0
    put(url, *(traffic(n) for n in range(1, 9)))
    proved(url, "traffic", "{[1,9)}")
    theirs = url.replace("city@", "archiver@")
    refused = kerbstone("archive", CITY, url.replace("city@", "sink9@"), "--before", "2026-11-26")
    assert refused.code == 3
    assert "permission denied" in refused.err
    assert "a member of `kerbstone_sink`, `kerbstone_archiver`" in refused.err
    refused = kerbstone("sink", CITY, theirs, "--migrate")
    assert refused.code == 3
    assert "--migrate is for the owner of the database" in refused.err
    said = kerbstone("archive", CITY, theirs, "--before", "2026-11-26")
    assert said.code == 0, said.err
    assert put(url.replace("city@", "sink9@"), traffic(1), traffic(9)) == ["repeat", "stored"]
    with psycopg.connect(theirs, autocommit=True) as db:
        assert db.execute("SELECT to_regclass('kerbstone.record_20261125') IS NULL").fetchone()
        for words in ("DROP TABLE kerbstone.ledger", "UPDATE kerbstone.record SET payload = ''",
            "DELETE FROM kerbstone.record", "DELETE FROM kerbstone.ledger",
            "UPDATE kerbstone.record_archive SET pack = ''"):  # fmt: skip
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                db.execute(words.encode())
    for words in ("SELECT kerbstone.empty_day('2026-11-25')",
        "SELECT kerbstone.hold_day('2026-11-25')",
        "SELECT kerbstone.drop_empty('lane', '2026-11-25')",
        "DELETE FROM kerbstone.record_archive"):  # fmt: skip
        with (
            psycopg.connect(url.replace("city@", "sink9@"), autocommit=True) as db,
            pytest.raises(psycopg.errors.InsufficientPrivilege),
        ):
            db.execute(words.encode())
    assert kerbstone("archive", CITY, theirs, "--keep", "0").code == 0
    assert [each.key[3] for each in all_records(url)[0]] == [9]
