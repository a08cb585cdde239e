"""What is left of a database: every row on a page that nobody has touched, and no invented one."""

import random
import shutil
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edge.core import Stamp, Stream
from edge.outbox import Outbox
from edge.outbox.rowformat import STREAM_LEVELS, OutboxRow
from edge.outbox.salvage import TABLE_LEAF, Salvage, SqlitePages
from tests.kit.clock import NTP
from tests.kit.outbox import LIMIT, S, drafts
from tests.long import examples, more, size
from tests.outbox.test_outboxinspector import picture

COLUMNS = len(OutboxRow._fields)
MARK = Stamp(400 * S, 1_790_000_400 * S, NTP)


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[int, OutboxRow]]:
    """A database with a log as a kill leaves it: short rows, and some on pages of their own."""
    folder = tmp_path_factory.mktemp("source")
    outbox = Outbox.open(folder / "o", limit_bytes=LIMIT, boot_id="b", ballast_bytes=0)
    outbox.begin()
    for n in range(20):
        outbox.commit(drafts(40, at=40 * n, size=200), clock=MARK)
    outbox.commit(drafts(3, Stream.RAW, size=9000), clock=MARK)
    assert outbox._storage.disk is not None
    outbox._storage.disk.rows("PRAGMA wal_checkpoint(TRUNCATE)")
    for n in range(5):
        outbox.commit(drafts(40, at=9000 + 40 * n, size=200), clock=MARK)
    (folder / "cut").mkdir()
    for name in ("outbox.db", "outbox.db-wal"):
        shutil.copy(folder / "o" / name, folder / "cut")
    outbox.close()
    with closing(Salvage(folder / "cut/outbox.db")) as salvage:
        rows = {row.id: row for row in salvage.rows()}
        assert (salvage.trouble, len(rows)) == (None, 1003)
        assert all(row.level == STREAM_LEVELS[row.stream] for row in rows.values())
    return folder / "cut/outbox.db", rows


@more
@pytest.mark.parametrize("seed", range(size(10, 40)))
def test_random_words_cost_the_rows_that_they_hit_and_invent_none(
    tmp_path: Path, source: tuple[Path, dict[int, OutboxRow]], seed: int
) -> None:
    path, rows = source
    rng = random.Random(seed)
    words = 0
    for name in ("outbox.db", "outbox.db-wal"):
        data = bytearray(path.with_name(name).read_bytes())
        for _ in range(rng.randrange(8)):
            place = rng.randrange(len(data) - 4)
            data[place : place + 4] = rng.randbytes(4)
            words += 1
        (tmp_path / name).write_bytes(data)
    before = picture(tmp_path)
    with closing(Salvage(tmp_path / "outbox.db")) as salvage:
        found = list(salvage.rows())
        salvage.marks(1), salvage.bounds(1)
    assert len({row.id for row in found}) == len(found)
    went_in = {row[2:] for row in rows.values()}
    for row in found:  # by its own key: the number of the row itself has no checksum
        assert row[2:] in went_in, "what comes out is what went in"
        assert row.level == STREAM_LEVELS[row.stream], (
            "read again from its stream: it has no checksum"
        )
    assert len(found) >= len(rows) - 12 * words
    assert picture(tmp_path) == before


@settings(
    max_examples=examples(300),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(data=st.binary(max_size=6000), log=st.none() | st.binary(max_size=3000))
def test_any_bytes_are_pages_with_nothing_on_them_or_something(
    tmp_path: Path, data: bytes, log: bytes | None
) -> None:
    (tmp_path / "x.db").write_bytes(data)
    (tmp_path / "x.db-wal").unlink(missing_ok=True)
    if log is not None:
        (tmp_path / "x.db-wal").write_bytes(log)
    with SqlitePages(tmp_path / "x.db") as pages:
        for number, values in pages.records(COLUMNS):
            assert isinstance(number, int)
            assert len(values) == COLUMNS


@settings(
    max_examples=examples(150),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    harm=st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.binary(min_size=1, max_size=8))),
    cut=st.none() | st.floats(0, 1),
)
def test_a_page_turned_into_anything_raises_nothing(
    tmp_path: Path,
    source: tuple[Path, dict[int, OutboxRow]],
    harm: list[tuple[float, bytes]],
    cut: float | None,
) -> None:
    data = bytearray(source[0].read_bytes()[: 24 << 10])
    for where, what in harm:
        place = int(where * len(data))
        data[place : place + len(what)] = what
    (tmp_path / "y.db").write_bytes(data[: int(cut * len(data))] if cut is not None else data)
    with SqlitePages(tmp_path / "y.db") as pages:
        for _, values in pages.records(COLUMNS):
            assert len(values) == COLUMNS


def test_a_file_that_was_cut_at_its_beginning_has_rows_on_its_first_page(
    tmp_path: Path, source: tuple[Path, dict[int, OutboxRow]]
) -> None:
    data = source[0].read_bytes()
    with SqlitePages(source[0]) as pages:
        size = pages.size
    leaves = [at for at in range(0, len(data), size) if data[at] == TABLE_LEAF]
    begin = leaves[len(leaves) // 2]
    found: list[set[int]] = []
    for head in (bytes(begin), b""):
        (tmp_path / "x.db").write_bytes(head + data[begin:])
        with SqlitePages(tmp_path / "x.db") as pages:
            found.append({number for number, _ in pages.records(COLUMNS)})
    long = {row.id for row in source[1].values() if len(row.body) > size}  # whose pages moved
    assert found[0] - long <= found[1] <= found[0]
    assert len(found[1]) > 100


def test_a_long_rescue_says_how_far_it_has_come(
    tmp_path: Path, source: tuple[Path, dict[int, OutboxRow]]
) -> None:
    reported: list[tuple[str, int]] = []
    with closing(Salvage(source[0], lambda *word: reported.append(word))) as salvage:
        assert len(list(salvage.rows())) == 1003
    assert reported == [("reading", 1000), ("checking the file", 1003)]


def test_what_it_finds_on_single_pages_is_told_too(
    tmp_path: Path, source: tuple[Path, dict[int, OutboxRow]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edge.outbox.salvage.PROGRESS_EVERY_ROWS", 300)
    (tmp_path / "x.db").write_bytes(bytes(100) + source[0].read_bytes()[100:])
    reported: list[tuple[str, int]] = []
    with closing(Salvage(tmp_path / "x.db", lambda *word: reported.append(word))) as salvage:
        found = len(list(salvage.rows()))
        assert (salvage.read, salvage.found, salvage.damaged) == (0, found, 0)
    assert 600 <= found < 900
    assert reported == [("looking at single pages", 300), ("looking at single pages", 600)]


def test_a_view_in_the_place_of_the_table_is_not_asked(tmp_path: Path) -> None:
    """A hostile file: it would give records without an end."""
    import sqlite3

    outbox = Outbox.open(tmp_path / "o", limit_bytes=LIMIT, boot_id="b", ballast_bytes=0)
    outbox.begin()
    outbox.close()
    with sqlite3.connect(tmp_path / "o/outbox.db") as db:
        db.execute("DROP TABLE record")
        columns = ", ".join(f"n AS {name}" for name in OutboxRow._fields)
        db.execute(
            "CREATE VIEW record AS WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c)"
            f" SELECT {columns} FROM c"
        )
    db.close()
    with closing(Salvage(tmp_path / "o/outbox.db")) as salvage:
        assert list(salvage.rows()) == []
        assert "no table" in str(salvage.trouble)
