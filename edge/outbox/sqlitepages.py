"""The pages of an SQLite file, one by one: for a file that SQLite itself cannot read any more.

Nothing is believed: a page that does not fit the format has nothing on it. Of the log SQLite reads
all up to the first frame that is damaged; what was committed behind it is found here.
"""

import struct
from collections.abc import Iterator, Sequence
from io import SEEK_END, BytesIO
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Final, Self

from edge.outbox.database import PAGE_SIZE
from edge.outbox.walframes import PAGE_SIZES, wal_frames

TABLE_LEAF: Final = 0x0D  # a page of a table, with rows
PAYLOAD_LIMIT: Final = 2 << 20  # bytes of one record; a longer one is damage
FLOAT_SERIAL_TYPE: Final = 7
INTEGER_SERIAL_TYPES: Final = {1: 1, 2: 2, 3: 3, 4: 4, 5: 6, 6: 8}  # serial type -> bytes

Value = int | float | str | bytes | None


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
