"""A database is opened as its caller says, wherever it is; what is committed waits for the disk."""

import os
import sqlite3
import subprocess
import sys
import threading
from contextlib import closing
from pathlib import Path

import pytest

from edge.durable.sqlitefile import Access, in_use, open_scratch, open_sqlite, sync_each_commit

FULL = 2  # of `PRAGMA synchronous`
READING = (Access.READ, Access.IMMUTABLE)
ODD = ("plain", "a b", "50%41", "what?", "#1", "mode=ro&x", "ü", os.fsdecode(b"\xff"))


def made(path: Path, *rows: str) -> Path:
    with closing(open_sqlite(path, Access.CREATE)) as db:
        sync_each_commit(db)
        db.execute("CREATE TABLE t (x)")
        db.executemany("INSERT INTO t VALUES (?)", [(row,) for row in rows])
    return path


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.parametrize("name", ODD)
def test_a_path_is_a_path_whatever_is_in_it(tmp_path: Path, name: str) -> None:
    folder = tmp_path / name
    folder.mkdir()
    path = made(folder / f"{name}.db", "one")
    assert [each.name for each in folder.iterdir()] == [f"{name}.db"]
    for access in READING:
        with closing(open_sqlite(path, access)) as db:
            assert db.execute("SELECT x FROM t").fetchall() == [("one",)]


def test_a_path_may_begin_anywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    made(Path("here.db"))
    assert (tmp_path / "here.db").is_file()


@pytest.mark.parametrize("access", [*READING, Access.UNLOCKED])
def test_who_reads_makes_no_database_and_changes_none(tmp_path: Path, access: Access) -> None:
    with pytest.raises(sqlite3.OperationalError):
        open_sqlite(tmp_path / "none.db", access).execute("SELECT 1 FROM t")
    assert files(tmp_path) == {}
    path = made(tmp_path / "store.db", "one")
    before = path.read_bytes()
    with closing(open_sqlite(path, access)) as db, pytest.raises(sqlite3.OperationalError):
        db.execute("INSERT INTO t VALUES ('two')")
    assert path.read_bytes() == before
    if access is Access.IMMUTABLE:
        assert files(tmp_path) == {"store.db": before}, "and no log beside it"


def log_left_behind(path: Path) -> None:
    """A process was killed: its commits lie in the log."""
    code = (
        "import os, sys; from pathlib import Path; from edge.durable.sqlitefile import *\n"
        "db = open_sqlite(Path(sys.argv[1]), Access.CREATE); sync_each_commit(db)\n"
        "db.execute('PRAGMA locking_mode = EXCLUSIVE')\n"
        "db.execute('CREATE TABLE t (x)'); db.execute('INSERT INTO t VALUES (7)'); os._exit(9)"
    )
    assert subprocess.run([sys.executable, "-c", code, str(path)], check=False).returncode == 9
    assert path.with_name(f"{path.name}-wal").stat().st_size


def test_who_takes_no_locks_reads_the_log_and_leaves_it(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    log_left_behind(path)
    before = files(tmp_path)
    with closing(open_sqlite(path, Access.UNLOCKED)) as db:
        db.execute("PRAGMA locking_mode = EXCLUSIVE")
        assert db.execute("SELECT x FROM t").fetchall() == [(7,)]
    assert files(tmp_path) == before
    with closing(open_sqlite(path, Access.IMMUTABLE)) as db, pytest.raises(sqlite3.Error):
        db.execute("SELECT x FROM t")  # it looks at no log
    assert files(tmp_path) == before


def test_each_statement_is_a_transaction_of_its_own(tmp_path: Path) -> None:
    path = made(tmp_path / "store.db")
    with closing(open_sqlite(path, Access.CREATE)) as one:
        one.execute("INSERT INTO t VALUES ('one')")
        assert not one.in_transaction
        with closing(open_sqlite(path, Access.READ)) as other:
            assert other.execute("SELECT x FROM t").fetchall() == [("one",)]


def test_what_is_committed_waits_for_the_disk(tmp_path: Path) -> None:
    with closing(open_sqlite(tmp_path / "store.db", Access.CREATE)) as db:
        db.execute("PRAGMA synchronous = OFF")  # as if SQLite had been built so
        sync_each_commit(db)
        asked = [db.execute(f"PRAGMA {name}").fetchone()[0] for name in (
            "synchronous", "journal_mode")]  # fmt: skip
    assert asked == [FULL, "wal"]


def test_a_rotten_byte_in_a_text_ends_what_its_reader_wants(tmp_path: Path) -> None:
    path = made(tmp_path / "store.db")
    with closing(open_sqlite(path, Access.CREATE)) as db:
        db.execute("INSERT INTO t VALUES (CAST(x'61ff' AS TEXT))")
    for errors, text in (("replace", "a\ufffd"), ("surrogateescape", "a\udcff")):
        with closing(open_sqlite(path, Access.READ, text_errors=errors)) as db:
            assert db.execute("SELECT x FROM t").fetchall() == [(text,)]
    with closing(open_sqlite(path, Access.READ)) as db, pytest.raises(sqlite3.OperationalError):
        db.execute("SELECT x FROM t").fetchall()


def test_another_thread_is_refused_unless_it_is_allowed(tmp_path: Path) -> None:
    path = made(tmp_path / "store.db", "one")
    for any_thread in (False, True):
        with closing(open_sqlite(path, Access.READ, any_thread=any_thread)) as db:
            caught: list[Exception] = []

            def ask(db: sqlite3.Connection = db, caught: list[Exception] = caught) -> None:
                try:
                    db.execute("SELECT x FROM t").fetchall()
                except sqlite3.ProgrammingError as error:
                    caught.append(error)

            other = threading.Thread(target=ask)
            other.start()
            other.join()
            assert len(caught) == (not any_thread)


def test_who_finds_it_locked_waits_as_long_as_asked(tmp_path: Path) -> None:
    path = made(tmp_path / "store.db")
    with (
        closing(open_sqlite(path, Access.CREATE)) as one,
        closing(open_sqlite(path, Access.CREATE, timeout_s=0.05)) as other,
    ):
        assert other.execute("PRAGMA busy_timeout").fetchone() == (50,)
        assert one.execute("PRAGMA busy_timeout").fetchone() == (5000,)
        one.execute("BEGIN IMMEDIATE")
        with pytest.raises(sqlite3.OperationalError, match="locked"):
            other.execute("BEGIN IMMEDIATE")


def test_a_scratch_lies_nowhere_and_is_for_any_thread(tmp_path: Path) -> None:
    with closing(open_scratch(text_errors="replace")) as db:
        db.execute("CREATE TABLE t (x)")
        db.execute("INSERT INTO t VALUES (CAST(x'ff' AS TEXT))")
        assert db.execute("SELECT x FROM t").fetchall() == [("\ufffd",)]
        found: list[object] = []
        other = threading.Thread(target=lambda: found.extend(db.execute("SELECT 1").fetchall()))
        other.start()
        other.join()
        assert found == [(1,)]
        assert db.execute("PRAGMA database_list").fetchall()[0][2] == ""
    with closing(open_scratch()) as db:
        assert db.execute("SELECT count(*) FROM sqlite_schema").fetchone() == (0,)


def test_a_database_that_another_process_has_open_is_in_use(tmp_path: Path) -> None:
    path = made(tmp_path / "store.db")
    assert not in_use(path)
    code = (
        "import sys; from pathlib import Path; from edge.durable.sqlitefile import *\n"
        "db = open_sqlite(Path(sys.argv[1]), Access.CREATE)\n"
        "db.execute('PRAGMA locking_mode = EXCLUSIVE'); db.execute('INSERT INTO t VALUES (1)')\n"
        "print('open', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(path)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    ) as other:  # fmt: skip
        assert other.stdout is not None
        assert other.stdout.readline() == "open\n"
        assert in_use(path)
        other.kill()
    assert not in_use(path)
    with pytest.raises(FileNotFoundError):
        in_use(tmp_path / "none.db")
