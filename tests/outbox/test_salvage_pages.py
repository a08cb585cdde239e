"""Rows read page by page are those that SQLite itself has written, whatever their values."""

import sqlite3
import struct
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.outbox.salvage import PAYLOAD_LIMIT, SqlitePages, _varint
from tests.long import examples

PAGE = 1024
VALUES: list[Any] = [
    None, 0, 1, -1, 2, 127, -128, 128, 32_767, -32_768, 32_768, (1 << 23) - 1, 1 << 23,
    (1 << 31) - 1, 1 << 31, (1 << 47) - 1, 1 << 47, (1 << 63) - 1, -(1 << 63), 1.5, -0.1, 1e300,
    "", "ä", b"", b"\x00\xff", "x" * 988, b"y" * 989, b"z" * 990, "long" * 900,
]  # fmt: skip


def database(folder: Path, rows: dict[int, Any], page: int = PAGE) -> Path:
    path = folder / "x.db"
    path.unlink(missing_ok=True)
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute(f"PRAGMA page_size = {page}")
        db.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, a, b)")
        db.executemany("INSERT INTO t VALUES (?, ?, 7)", rows.items())
    return path


def read(path: Path) -> dict[int, Any]:
    with SqlitePages(path) as pages:
        return {number: values[1] for number, values in pages.records(3)}


@pytest.mark.parametrize("page", [512, 1024, 4096])
def test_all_kinds_of_values_come_back(tmp_path: Path, page: int) -> None:
    ids = [*range(1, len(VALUES) - 3), 127, 128, 1 << 40, -5, (1 << 63) - 1, -(1 << 63)]
    rows = dict(zip(ids, VALUES, strict=False))
    found = read(database(tmp_path, rows, page))
    assert found == rows
    assert [type(found[key]) for key in rows] == [type(value) for value in rows.values()]


@settings(max_examples=examples(60), deadline=None)
@given(st.lists(st.integers(900, 1100) | st.integers(2000, 2200) | st.integers(0, 5000)))
def test_bodies_of_any_length_come_back(
    tmp_path_factory: pytest.TempPathFactory, sizes: list[int]
) -> None:
    """Where one begins to need pages of its own, and where these are full."""
    rows = {number: b"%d" % number * size for number, size in enumerate(sizes, 1)}
    assert read(database(tmp_path_factory.getbasetemp(), rows)) == rows


@given(st.integers(0, (1 << 64) - 1), st.binary(max_size=3))
def test_a_number_of_any_length_is_read_and_where_it_ends(number: int, more: bytes) -> None:
    """SQLite's file format, 1.6: seven bits a byte, and eight of the ninth."""
    if number >> 56:
        parts = [number >> 8 >> 7 * n & 0x7F | 0x80 for n in range(7, -1, -1)] + [number & 0xFF]
    else:
        parts = [number >> 7 * n & 0x7F | 0x80 for n in range(7, -1, -1)]
        while len(parts) > 1 and parts[0] == 0x80:
            del parts[0]
        parts[-1] &= 0x7F
    signed = number - (1 << 64) if number >> 63 else number
    assert _varint(b"\xff" + bytes(parts) + more, 1) == (signed, 1 + len(parts))


def leaf(cells: int, *rows: bytes, size: int = PAGE) -> bytes:
    """A page of a table with these cells at its end; it says that it has `cells`."""
    page = bytearray(size)
    page[0] = 0x0D
    struct.pack_into(">H", page, 3, cells)
    place = size
    for number, row in enumerate(rows):
        place -= len(row)
        page[place : place + len(row)] = row
        struct.pack_into(">H", page, 8 + 2 * number, place)
    return bytes(page)


def cell(number: int, payload: bytes, size: int | None = None) -> bytes:
    length = len(payload) if size is None else size
    return bytes((
        0x80 | length >> 21, 0x80 | length >> 14 & 0x7F, 0x80 | length >> 7 & 0x7F, length & 0x7F,
        number,
    )) + payload  # fmt: skip


ONE = bytes((4, 0, 9, 8))  # head of four bytes: null, one, nought


@pytest.mark.parametrize(
    "damaged",
    [
        cell(9, ONE, 0),
        cell(9, ONE, PAYLOAD_LIMIT + 1),
        cell(9, bytes((4, 0, 9, 10))),  # a kind of value that there is not
        cell(9, bytes((4, 0, 9, 1))),  # the value is cut
        cell(9, bytes((3, 0, 9, 8))),  # two columns, and something else
        cell(9, bytes((5, 0, 9, 8, 8))),
        cell(9, bytes((4, 0, 9, 0x88))),
        cell(9, ONE + bytes(2000)),  # its chain of pages ends
    ],
)
@pytest.mark.parametrize("cells", [3, 65_535])
def test_a_damaged_cell_costs_itself_alone(tmp_path: Path, damaged: bytes, cells: int) -> None:
    path = database(tmp_path, {})
    sound = leaf(cells, cell(1, ONE), damaged[:900], cell(2, ONE))
    path.write_bytes(path.read_bytes() + sound)
    assert read(path) == {1: 1, 2: 1}


def test_a_page_that_says_that_it_is_full_of_cells_is_read_to_its_end(tmp_path: Path) -> None:
    path = database(tmp_path, {})
    for size in (PAGE, 8, 7, 9, 11):
        path.write_bytes(path.read_bytes()[: 2 * PAGE] + leaf(65_535)[:size])
        assert read(path) == {}


@pytest.mark.parametrize("page", [512, 1024, 4096])
def test_rows_of_each_length_around_the_first_pages_of_their_own_come_back(
    tmp_path: Path, page: int
) -> None:
    """SQLite's file format, 1.5: how much of a row stays on its page."""
    rows = {
        number: bytes(size)
        for number, size in enumerate(range(page - 60, 2 * page, 7 if page > 512 else 3), 1)
    }
    assert read(database(tmp_path, rows, page)) == rows
