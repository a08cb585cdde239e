"""What can be read of a database of ours: whole, damaged, cut short, or of another version.

SQLite reads it first, with its log. Where that fails, or finds less than there may be, each page is
looked at by itself: a record carries its own checksum, so it is known again wherever it lies. What
had left already may be found too, and says so: it goes again under its own key. Nothing is written.

Of a page nothing is believed: one that does not fit the format
(https://www.sqlite.org/fileformat2.html, 1.5 to 1.6 and 4) has nothing on it. Of the log SQLite
reads all up to the first frame that is damaged; what was committed behind it is found here.
"""

import sqlite3
import struct
import zlib
from collections.abc import Callable, Iterator, Sequence
from io import SEEK_END, BytesIO
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Final, Self, cast

from edge.core import Stamp
from edge.core.numbers import Numbers
from edge.durable.sqlitefile import Access, open_scratch, open_sqlite
from edge.outbox import clockmap
from edge.outbox.database import (
    APPLICATION_ID,
    PAGE_SIZE,
    UNREADABLE,
    Database,
    reading_access,
)
from edge.outbox.rowformat import (
    STREAM_LEVELS,
    OutboxRow,
    covered_numbers,
    row_to_record,
)
from edge.outbox.walframes import PAGE_SIZES, wal_frames

TABLE_LEAF: Final = 0x0D  # a page of a table, with rows
PAYLOAD_LIMIT: Final = 2 << 20  # bytes of one record; a longer one is damage
FLOAT_SERIAL_TYPE: Final = 7
INTEGER_SERIAL_TYPES: Final = {1: 1, 2: 2, 3: 3, 4: 4, 5: 6, 6: 8}  # serial type -> bytes

Value = int | float | str | bytes | None
# with the table's name: SQLite takes "a column" that is not there for a text
ROW_COLUMNS: Final = ", ".join(f'record."{name}"' for name in OutboxRow._fields)
PROGRESS_EVERY_ROWS: Final = 1000  # rows between two words of progress

Progress = Callable[[str, int], None]
"""What is done, and how many records have been found."""


class SqlitePages:
    """Of a database and its log, or of one of them. Memory: one page, and eight bytes for each page
    of the log."""

    def __init__(self, path: Path) -> None:
        self._file: BinaryIO = path.open("rb") if path.is_file() else BytesIO()
        log = Path(f"{path}-wal")
        self._log: BinaryIO | None = log.open("rb") if log.is_file() else None
        self.size = self._page_size()
        self._latest: dict[int, int] = {}  # page -> where its image lies in the log, for SQLite
        self.torn: list[int] = []
        """Where images lie that were committed behind a frame that is damaged."""
        self._read_log()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, _: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        self._file.close()
        if self._log is not None:
            self._log.close()

    def records(self, columns: int) -> Iterator[tuple[int, Sequence[Value]]]:
        """Row id and values of all that looks like a row with so many columns."""
        for place in reversed(self.torn):
            yield from self._rows(self._at(place), columns)
        count = -(-self._file.seek(0, SEEK_END) // self.size)
        for number in range(1, max(count, max(self._latest, default=0)) + 1):
            # the first one has the file's head in front: what is on it is the schema, and no row
            yield from self._rows(self._page(number), columns)

    # -- pages -------------------------------------------------------------------------------------

    def _page_size(self) -> int:
        head = self._file.read(18)
        found = int.from_bytes(head[16:18], "big")
        if self._log is not None:
            size = int.from_bytes(self._log.read(12)[8:12], "big")
            if size in PAGE_SIZES:
                return size
        if head.startswith(b"SQLite format 3\0") and found in PAGE_SIZES:
            return found
        return PAGE_SIZE

    def _read_log(self) -> None:
        """Up to the last frame that ends a transaction: what follows was never acknowledged."""
        if self._log is None:
            return
        going: list[tuple[int, int]] = []  # of the transaction
        torn: list[int] = []
        for frame in wal_frames(self._log):
            if frame.whole:
                going.append((frame.page, frame.place))
            else:
                torn.append(frame.place)
            if frame.commits:
                self._latest.update(going)
                self.torn += torn
                going, torn = [], []

    def _at(self, place: int) -> bytes:
        if self._log is None:
            return b""
        self._log.seek(place)
        return self._log.read(self.size)

    def _in_file(self, number: int) -> bytes:
        self._file.seek((number - 1) * self.size)
        return self._file.read(self.size)

    def _page(self, number: int) -> bytes:
        place = self._latest.get(number)
        return self._in_file(number) if place is None else self._at(place)

    # -- rows --------------------------------------------------------------------------------------

    def _rows(self, page: bytes, columns: int) -> Iterator[tuple[int, Sequence[Value]]]:
        if len(page) < 8 or page[0] != TABLE_LEAF:
            return
        (cells,) = struct.unpack_from(">H", page, 3)
        for cell in range(min(cells, (len(page) - 8) // 2)):
            (place,) = struct.unpack_from(">H", page, 8 + 2 * cell)
            try:
                number, payload = self._cell(page, place)
                values = _values(payload, columns)
            except (IndexError, ValueError, struct.error):
                continue
            yield number, values

    def _cell(self, page: bytes, place: int) -> tuple[int, bytes]:
        if place < 8:
            raise ValueError("no place for a cell")
        size, place = _varint(page, place)
        number, place = _varint(page, place)
        if not 0 < size <= PAYLOAD_LIMIT:
            raise ValueError("no size of a record")
        most = self.size - 35
        if size <= most:
            payload = page[place : place + size]
            if len(payload) < size:
                raise ValueError("cut")
            return number, payload
        least = (self.size - 12) * 32 // 255 - 23
        local = least + (size - least) % (self.size - 4)
        local = local if local <= most else least
        parts = [page[place : place + local]]
        following = int.from_bytes(page[place + local : place + local + 4], "big")
        left = size - local
        while left > 0:
            more = self._page(following) if following else b""
            if len(more) < min(left, self.size - 4) + 4:
                raise ValueError("the chain of pages ends")
            parts.append(more[4 : 4 + min(left, self.size - 4)])
            left -= self.size - 4
            following = int.from_bytes(more[:4], "big")
        return number, b"".join(parts)


def _varint(data: bytes, place: int) -> tuple[int, int]:
    """The number there, and where the next one begins. Raises IndexError."""
    number = 0
    for at in range(place, place + 8):
        number = number << 7 | data[at] & 0x7F
        if data[at] < 0x80:
            return number, at + 1
    number = number << 8 | data[place + 8]
    return (number if number < 1 << 63 else number - (1 << 64)), place + 9


def _values(payload: bytes, columns: int) -> list[Value]:
    """Raises ValueError or IndexError."""
    size, place = _varint(payload, 0)
    kinds: list[int] = []
    while place < size and len(kinds) <= columns:
        kind, place = _varint(payload, place)
        kinds.append(kind)
    if len(kinds) != columns or place != size:
        raise ValueError("another number of columns")
    return [value for value in _decoded(payload, place, kinds)]


def _decoded(payload: bytes, place: int, kinds: Sequence[int]) -> Iterator[Value]:
    for kind in kinds:
        if kind in (0, 8, 9):
            yield (None, 0, 1)[max(0, kind - 7)]
            continue
        if kind == FLOAT_SERIAL_TYPE:
            length = 8
        elif kind >= 12:
            length = (kind - 12) // 2
        else:
            length = INTEGER_SERIAL_TYPES.get(kind, -1)
        part = payload[place : place + length]
        if length < 0 or len(part) != length:
            raise ValueError("a value that is cut")
        place += length
        if kind == FLOAT_SERIAL_TYPE:
            yield struct.unpack(">d", part)[0]
        elif kind < 12:
            yield int.from_bytes(part, "big", signed=True)
        else:
            yield part if kind % 2 == 0 else part.decode("utf-8", "replace")


class Salvage:
    """`rows` once; then the counts are those of the whole file. Nobody writes to it meanwhile."""

    def __init__(self, path: Path, progress: Progress = lambda what, count: None) -> None:
        self.path, self._progress = path, progress
        self.read = self.damaged = self.found = 0
        """Whole rows that SQLite gave; those with a wrong checksum; whole rows on pages alone."""
        self.expected: int | None = None  # rows, by the file's own count
        self.dead_letters = 0  # records that were given up, and declared lost, before
        self.trouble: str | None = None  # why SQLite could not read all of it
        self.version: int | None = None
        self.owner = ""  # site and gateway, `s17/gw-17`; "": the file does not say so
        self._seen = Numbers()  # ids
        self._numbers: dict[tuple[int, str], Numbers] = {}  # for which a row stands
        # of an empty database SQLite removes the log, too
        there = path.is_file()
        filled = there and path.stat().st_size > 0
        access = reading_access(Path(f"{path}-wal")) if filled else Access.IMMUTABLE
        self._db = (
            open_sqlite(path, access, text_errors="replace", any_thread=True)
            if there
            else open_scratch(text_errors="replace")
        )
        try:
            self._begin()
        except UNREADABLE as error:
            self.trouble = str(error) if there else "the database is gone, and only its log is left"

    def close(self) -> None:
        self._db.close()

    def rows(self) -> Iterator[OutboxRow]:
        """Each whole row once, those of SQLite in order of age."""
        yield from self._by_sqlite()
        if self.trouble is None:
            self._progress("checking the file", self.read)
            self.trouble = self._integrity()
        if self.trouble is not None:
            yield from self._by_pages()

    def marks(self, boot: int) -> Sequence[Stamp]:
        """The clock map of a boot, as far as it can be read."""
        try:
            return clockmap.read_marks(cast("Database", _MetaReader(self._db)), boot)
        except (sqlite3.Error, TypeError, ValueError, KeyError):
            return ()

    def bounds(self, boot: int) -> tuple[int | None, int | None]:
        try:
            return clockmap.boot_bounds(cast("Database", _MetaReader(self._db)), boot)
        except (sqlite3.Error, TypeError, ValueError, KeyError):
            return None, None

    def query(self, statement: str) -> list[Any]:
        """Raises sqlite3.Error."""
        return self._db.execute(statement).fetchall()

    # -- SQLite ------------------------------------------------------------------------------------

    def _begin(self) -> None:
        self.query("PRAGMA locking_mode = EXCLUSIVE")
        self.query("PRAGMA cache_size = -1024")
        self.query("PRAGMA trusted_schema = OFF")
        if self.query("PRAGMA application_id")[0][0] != APPLICATION_ID:
            raise sqlite3.DatabaseError("it does not say that it is an outbox")
        if self._one("SELECT type FROM sqlite_schema WHERE name = 'record'") != "table":
            raise sqlite3.DatabaseError("it has no table of records")  # a view may have no end
        self.version = self.query("PRAGMA user_version")[0][0]
        self.owner = _owner(self._one("SELECT value FROM meta WHERE key = 'owner'"))
        self.dead_letters = self._one("SELECT count(*) FROM dead") or 0
        expected = self._one("SELECT sum(next) FROM counter WHERE epoch = -1")
        self.expected = expected if isinstance(expected, int) else None

    def _one(self, statement: str) -> Any:
        """None also when there is no such table: that of another version may differ."""
        try:
            found = self.query(statement)
        except UNREADABLE:
            return None
        return found[0][0] if found else None

    def _integrity(self) -> str | None:
        try:
            found = self.query("PRAGMA quick_check(1)")[0][0]
        except UNREADABLE as error:
            return str(error)
        with SqlitePages(self.path) as pages:
            torn = len(pages.torn)
        if found == "ok":
            return f"{torn} pages lie behind a damaged place of its log" if torn else None
        return str(found)[:200]

    def _by_sqlite(self) -> Iterator[OutboxRow]:
        if self.trouble is not None:
            return
        try:
            for values in self._db.execute(f"SELECT {ROW_COLUMNS} FROM record ORDER BY id"):
                if (row := self._new(OutboxRow._make(values))) is None:
                    self.damaged += 1
                    continue
                self.read += 1
                if self.read % PROGRESS_EVERY_ROWS == 0:
                    self._progress("reading", self.read)
                yield row
        except UNREADABLE as error:
            self.trouble = self.trouble or str(error)

    # -- pages -------------------------------------------------------------------------------------

    def _by_pages(self) -> Iterator[OutboxRow]:
        """Those that SQLite did not find. One that a merged row stands for has left as it was."""
        with SqlitePages(self.path) as pages:
            for number, values in pages.records(len(OutboxRow._fields)):
                row = OutboxRow._make((number, *values[1:]))
                named = self._numbers.get((row.epoch, row.stream)) if _is_row_sound(row) else None
                if named is not None and row.seq in named:
                    continue
                if (whole := self._new(row)) is not None:
                    self.found += 1
                    if self.found % PROGRESS_EVERY_ROWS == 0:
                        self._progress("looking at single pages", self.read + self.found)
                    yield whole

    def _new(self, row: OutboxRow) -> OutboxRow | None:
        """It, if it is whole and was not there before."""
        if not _is_row_sound(row) or row.id in self._seen:
            return None
        try:
            record = row_to_record(row)
            known = covered_numbers(record)
        except (ValueError, AttributeError, TypeError):
            return None
        self._seen.add(row.id)
        numbers = self._numbers.setdefault((row.epoch, row.stream), Numbers())
        for number in known:
            numbers.add(number)
        return row._replace(level=STREAM_LEVELS[row.stream])  # which its checksum leaves out


class _MetaReader:
    """A database as the clock map asks it."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    def rows(self, statement: str, values: Sequence[object] = ()) -> list[Any]:
        return self._db.execute(statement, values).fetchall()

    def one(self, statement: str, values: Sequence[object] = ()) -> Any:
        found = self.rows(statement, values)
        return found[0][0] if found else 0


def _is_row_sound(row: OutboxRow) -> bool:
    """Its columns are what they should be; of a damaged page they may be anything."""
    whole = (row.id, row.epoch, row.seq, row.boot, row.from_ns, row.to_ns, row.crc)
    texts = row.stream, row.source
    return (
        all(isinstance(each, int) for each in whole)
        and all(isinstance(each, str) for each in texts)
        and isinstance(row.body, bytes)
        and row.stream in STREAM_LEVELS
    )


def _owner(word: object) -> str:
    """The word of the table `meta`: a checksum of eight digits, and the owner."""
    crc, _, owner = str(word or "").partition(" ")
    return owner if crc == f"{zlib.crc32(owner.encode()):08x}" else ""
