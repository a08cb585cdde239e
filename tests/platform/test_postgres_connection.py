"""Each connection to the database notices that the other end has gone, without a word."""

import contextlib
from pathlib import Path

import psycopg
import pytest

from edge.platform.postgres.connection import connect
from edge.platform.postgres.store import PostgresStore
from tests.kit.postgres import PostgresServer

WANTED = {
    "keepalives_idle": "30", "keepalives_interval": "10", "keepalives_count": "3",
    "tcp_user_timeout": "30000", "connect_timeout": "10", "application_name": "kerbstone",
}  # fmt: skip


def test_a_link_that_died_is_noticed_within_a_minute(postgres: PostgresServer) -> None:
    url = postgres.database()
    with connect(url) as db:
        found = db.info.get_parameters()
    assert {name: found.get(name) for name in WANTED} == WANTED
    with contextlib.closing(PostgresStore(url, write=False)) as store:
        assert WANTED.items() <= store._db.info.get_parameters().items()


def test_an_address_may_say_otherwise(postgres: PostgresServer) -> None:
    with connect(f"{postgres.database()}&keepalives_idle=7&options=-c%20work_mem%3D7MB") as db:
        assert db.info.get_parameters()["keepalives_idle"] == "7"
        assert db.execute("SHOW work_mem").fetchone() == ("7MB",)
        assert db.execute("SHOW TimeZone").fetchone() == ("UTC",)
        assert db.execute("SHOW search_path").fetchone() == ("kerbstone",)


def test_what_is_no_address_is_the_programs_own_error() -> None:
    with pytest.raises(psycopg.ProgrammingError):
        connect("postgresql://city@/x?nonsense=1")


def test_nobody_connects_in_another_way() -> None:
    found = [
        path.name for path in Path("edge").rglob("*.py") if "psycopg.connect(" in path.read_text()
    ]
    assert found == ["connection.py"]
