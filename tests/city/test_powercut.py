"""The disk that drops what was not flushed: it takes what PostgreSQL does not flush, and nothing
of what it does."""

from pathlib import Path

import psycopg
import pytest

from tests.city import powercut
from tests.city.powercut import DroppingDisk
from tests.kit.postgres import PostgresServer, missing, socket_folder

ROWS = 200


@pytest.fixture
def folder() -> Path:
    """Of the server, and in it one of its disk."""
    if why := missing() or powercut.missing():
        pytest.skip(why)
    return socket_folder()


def rows_after_cut(folder: Path, flushed: str) -> int:
    """Of ROWS that were committed one by one."""
    options = ("-c", f"synchronous_commit={flushed}", "-c", "wal_writer_delay=10s")
    server = PostgresServer.made(folder, options)
    try:
        disk = DroppingDisk(folder / "disk")
        with psycopg.connect(server.url("postgres"), autocommit=True) as db:
            db.execute("CREATE TABLE one (n int)")
            db.execute("CHECKPOINT")
        server.kill()
        server.start(**disk.environment(server.data))
        with psycopg.connect(server.url("postgres"), autocommit=True) as db:
            for number in range(ROWS):
                db.execute("INSERT INTO one VALUES (%s)", (number,))
            assert disk.cut(server) > 0
        server.start()
        with psycopg.connect(server.url("postgres"), autocommit=True) as db:
            row = db.execute("SELECT count(*) FROM one").fetchone()
            assert row is not None
            return int(row[0])
    finally:
        server.stop()


def test_what_is_flushed_stays(folder: Path) -> None:
    assert rows_after_cut(folder, "on") == ROWS


def test_what_is_not_flushed_is_lost(folder: Path) -> None:
    assert rows_after_cut(folder, "off") < ROWS
