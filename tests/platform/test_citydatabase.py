"""What commands on a city's database say when something is missing or goes away."""

import sys
from datetime import date
from pathlib import Path

import psycopg
import pytest

from edge import terminal
from edge.platform.openstore import open_store
from edge.platform.postgres.archive import Archiver
from edge.terminal import CLEAR
from tests.kit.command import Command
from tests.kit.postgres import PostgresServer
from tests.kit.records import entry, record


def test_an_error_does_not_stand_behind_how_far_it_was(
    postgres: PostgresServer, kerbstone: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = postgres.database()
    store = open_store(url, write=True)
    store.commit([entry(record(1))], [])
    store.close()

    def die(self: Archiver, day: date) -> None:
        self._progress(day, 7)
        raise psycopg.OperationalError("the server has gone")

    monkeypatch.setattr(Archiver, "archive", die)
    monkeypatch.setattr(terminal, "has_cursor", lambda *, err=False: err)
    said = kerbstone("archive", "--database", url, "--before", "2026-11-26")
    assert said.code == 3
    row, error = "2026-11-25: 7 records packed", "kerbstone archive: database: the server has gone"
    assert f"{CLEAR}{row}{CLEAR}{error}\n" in said.err


@pytest.mark.parametrize("missing", ["pyarrow", "edge.platform.postgres.opendatabase"])
def test_a_machine_without_the_extra_is_told_what_to_install(
    kerbstone: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, missing: str
) -> None:
    monkeypatch.setitem(sys.modules, missing, None)
    to = str(tmp_path / "x.parquet")
    for words in (["archive", "--keep", "9"], ["export", "--day", "2026-11-25", "--to", to]):
        said = kerbstone(*words, "--database", "postgresql:///none")
        assert said.code == 2
        assert "pip install 'kerbstone[city]'" in said.err
