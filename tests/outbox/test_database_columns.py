"""Tables without checksums: whatever a damaged page says in a column, a start goes on from it."""

import contextlib
import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge.core import Stamp, Stream
from edge.outbox import database, quarantine
from edge.outbox.database import DATABASE_NAME
from tests.kit.clock import NONE, NTP
from tests.kit.memory import in_memory
from tests.kit.outbox import MARK, S, drafts, everything
from tests.long import one_in
from tests.outbox.test_outboxfolder_foreign_owner import OURS, opened

COLUMNS = {
    "meta": ["value"],
    "counter": ["epoch", "boot", "next"],
    "clock": ["boot", "mono_ns", "wall_ns"],
    "dropped": ["epoch", "stream", "reason", "first", "last", "count"],
    "dead": ["epoch", "stream", "seq", "source", "why"],
    "state": ["version", "data", "crc"],
}
VALUES: list[object] = [(1 << 63) - 1, -(1 << 63), -1, 1 << 53, "x", b"\xff\x00", None, 1e300]


@pytest.fixture(scope="module")
def kept() -> Iterator[Path]:
    with in_memory(Path("/tmp")) as folder:
        outbox = opened(folder, OURS)
        outbox.begin()
        rows = outbox.commit(
            [*drafts(20), *drafts(3, Stream.EVENT)], {"engine": (1, b"t")}, clock=MARK
        )
        outbox.dead_letter(rows[0].row, "nobody takes it")
        outbox.commit(drafts(2, at=30), clock=Stamp(40 * S, MARK.wall_ns + 35 * S, NTP))
        outbox.close()
        yield folder


@one_in(2)
@pytest.mark.parametrize("value", VALUES, ids=repr)
@pytest.mark.parametrize("table", COLUMNS)
def test_no_value_of_a_column_ends_a_start_or_loses_a_row(
    tmp_path: Path, kept: Path, table: str, value: object
) -> None:
    for column in COLUMNS[table]:
        for boot in ("b1", "b2"):
            shutil.rmtree(tmp_path / "x", ignore_errors=True)
            shutil.copytree(kept, tmp_path / "x")
            database = sqlite3.connect(tmp_path / "x" / "outbox" / DATABASE_NAME)
            with contextlib.suppress(sqlite3.IntegrityError):  # no NULL can be there
                database.execute(f"UPDATE OR REPLACE {table} SET {column} = ?", (value,))
            database.commit()
            database.close()
            outbox = opened(tmp_path / "x", OURS, boot)
            epoch = outbox.begin()
            assert outbox.opened.in_memory is None, column
            assert outbox.opened.damage is None or table == "meta", "it is known, and said"
            reported = epoch.succeeds
            assert reported is None or 0 <= reported.epoch < 1 << 53, column
            assert all(0 <= last < 1 << 53 for last in (reported.last if reported else {}).values())
            assert 0 < epoch.boot < 1 << 53, column
            rows = everything(outbox)
            assert len([s for s in rows if s.record.key.epoch != epoch.epoch]) == 24, column
            outbox.marks(epoch.boot)
            outbox.marks(1)
            outbox.bounds(epoch.boot)
            made = outbox.commit(drafts(2), {"x": (1, b"y")}, [rows[0].row], MARK)
            assert made[0].record.key.seq == 1, column
            assert outbox.counts().in_memory is None, f"{column}: {outbox.counts().in_memory}"
            outbox.details()
            outbox.close()


def test_a_column_whose_name_is_no_text_is_damage_and_ends_no_start(
    tmp_path: Path, kept: Path
) -> None:
    shutil.copytree(kept, tmp_path / "x")
    path = tmp_path / "x" / "outbox" / DATABASE_NAME
    data = path.read_bytes()
    assert data.count(b"seq INTEGER, source TEXT, boot") == 1, "it is the table of records"
    path.write_bytes(data.replace(b"source TEXT, boot", b"sour\xffe TEXT, boot"))
    outbox = opened(tmp_path / "x", OURS)
    outbox.begin()
    everything(outbox)
    assert outbox.opened.damage or outbox.counts().in_memory
    assert outbox.commit(drafts(2), {}, (), MARK)
    outbox.close()


@pytest.mark.parametrize(("rows", "said"), [(1, "A record on"), (2, "2 records on")])
def test_a_row_that_does_not_know_its_own_number_is_told_in_words(
    tmp_path: Path, kept: Path, rows: int, said: str
) -> None:
    shutil.copytree(kept, tmp_path / "x")
    database = sqlite3.connect(tmp_path / "x" / "outbox" / DATABASE_NAME)
    database.execute(
        "UPDATE record SET stream = CAST(x'6169ff' AS TEXT), seq = 0 WHERE id IN "
        "(SELECT id FROM record WHERE stream = 'air' LIMIT ?)",
        (rows,),
    )
    database.commit()
    database.close()
    outbox = opened(tmp_path / "x", OURS)
    outbox.begin()
    assert len(everything(outbox)) == 24 - rows
    reasons = {reason for _, _, reason in outbox._losses.pending}
    assert reasons == {"refused"}, "no number is declared that is not lost"
    bodies = [stored.record.body for stored in outbox.commit([], clock=MARK)]
    assert [str(body["text"]).startswith(said) for body in bodies].count(True) == 1
    outbox.close()


def test_a_damaged_row_with_the_number_of_another_one_declares_none(
    tmp_path: Path, kept: Path
) -> None:
    shutil.copytree(kept, tmp_path / "x")
    database = sqlite3.connect(tmp_path / "x" / "outbox" / DATABASE_NAME)
    database.execute("UPDATE record SET seq = 7 WHERE stream = 'air' AND seq = 9")
    database.commit()
    database.close()
    outbox = opened(tmp_path / "x", OURS)
    outbox.begin()
    numbers = [s.record.key.seq for s in everything(outbox) if s.record.key.stream == Stream.AIR]
    assert (7 in numbers, 9 in numbers) == (True, False)
    assert {reason for _, _, reason in outbox._losses.pending} == {"refused"}, "7 is not lost"
    assert any("not even its number" in text for _, text in outbox._storage.notices.due(S))
    outbox.close()


def test_a_value_as_long_as_no_memory_is_may_be_a_record(
    tmp_path: Path, kept: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SQLite says that it has no memory, and so does Python: seen with random words in the file."""

    class Connection(sqlite3.Connection):
        def execute(self, *_: object) -> sqlite3.Cursor:
            raise MemoryError

    shutil.copytree(kept, tmp_path / "x")
    connect = sqlite3.connect
    with monkeypatch.context() as patched:
        patched.setattr(
            sqlite3, "connect", lambda *a, **k: connect(*a, **{**k, "factory": Connection})
        )
        assert not quarantine._is_empty(tmp_path / "x" / "outbox")


@pytest.mark.parametrize("place", range(4, 16))
def test_a_length_that_no_memory_has_is_damage_and_keeps_no_outbox_in_memory(
    tmp_path: Path, kept: Path, place: int
) -> None:
    """Of a row of the schema: for some SQLite says at every look that it has no memory."""
    shutil.copytree(kept, tmp_path / "x")
    path = tmp_path / "x" / "outbox" / DATABASE_NAME
    data = bytearray(path.read_bytes())
    at = data.index(b"tabledeaddead") - place
    data[at : at + 8] = b"\xff" * 8
    path.write_bytes(data)
    if place in (9, 12):
        with contextlib.closing(sqlite3.connect(path)) as db, pytest.raises(MemoryError):
            db.execute("SELECT count(*) FROM sqlite_schema")
    outbox = opened(tmp_path / "x", OURS)
    outbox.begin()
    for look in range(1, 6):
        outbox.commit((), clock=Stamp(look * 31 * S, look * 31 * S, NONE))
    counts = outbox.counts()
    assert (counts.in_memory, counts.quarantined) == (None, 1)
    (row,) = outbox.commit(drafts(1, at=200))
    assert outbox._storage.disk is not None
    assert row.row in {stored.row for stored in everything(outbox)}
    outbox.close()


class NoMemory(sqlite3.Connection):
    """As SQLite's binding is when its malloc fails."""

    def execute(self, *_: object) -> sqlite3.Cursor:
        raise MemoryError


class Short(database._Connection, NoMemory):
    """Ours, on that."""


def test_memory_that_is_short_puts_no_sound_database_aside(
    tmp_path: Path, kept: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(kept, tmp_path / "x")
    outbox = opened(tmp_path / "x", OURS)
    outbox.begin()
    assert outbox._storage.disk is not None
    outbox._storage.disk._db.close()
    outbox._storage.disk._db = Short(":memory:")
    with monkeypatch.context() as patched:
        patched.setattr(database, "_Connection", Short)
        patched.setattr(database, "_is_memory_short", lambda: True)
        everything(outbox)
        for look in range(1, 6):
            outbox.commit((), clock=Stamp(look * 31 * S, look * 31 * S, NONE))
        assert "no memory" in str(outbox.counts().in_memory)
    for look in range(6, 9):
        outbox.commit((), clock=Stamp(look * 31 * S, look * 31 * S, NONE))
    assert outbox.counts().in_memory is None
    assert outbox.counts().quarantined == 0
    assert len([s for s in everything(outbox) if s.record.key.stream == Stream.AIR]) == 21
    outbox.close()
