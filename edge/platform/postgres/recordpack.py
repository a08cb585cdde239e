"""Packs of archived records: rows of `record` as COPY writes them in binary, compressed with zstd.

A pack keeps each bit of each column, and can be given back to COPY. No column is left out or
changed, so nothing here knows what a column means but for its type.
"""

import json
import struct
from collections.abc import Container, Iterable, Iterator
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any, Final, LiteralString, Protocol

from edge.platform.postgres.rows import TYPES, PostgresRow
from edge.platform.recordstore import DamagedRecordsError, RecordStoreError

LEVEL: Final = 6  # 3 takes 10 % more room, 9 takes 3 % less and twice the time (decision 70)
PACK_SPAN: Final[LiteralString] = "100000"  # numbers from the first of a pack to its last, at most
COPY_BEGIN: Final = b"PGCOPY\n\xff\r\n\0" + bytes(8)  # no flags, nothing added
COPY_END: Final = b"\xff\xff"

_EPOCH: Final = datetime(2000, 1, 1, tzinfo=UTC)
_COUNT, _LENGTH = struct.Struct(">h"), struct.Struct(">i")
_NUMBERS: Final = {
    "int2": struct.Struct(">h"),
    "int4": struct.Struct(">i"),
    "int8": struct.Struct(">q"),
}
_SEQ: Final = struct.Struct(">hiq")  # how each row begins: count of columns, length, number


class PackError(DamagedRecordsError):
    """A pack that cannot be read."""


class _Codec(Protocol):
    def compress(self, buf: bytes, asbytes: bool) -> bytes: ...
    def decompress(self, buf: bytes, decompressed_size: int, asbytes: bool) -> bytes: ...


def rows_of_copy(blocks: Iterable[bytes | bytearray | memoryview]) -> Iterator[bytes]:
    """Of `COPY ... TO STDOUT (FORMAT BINARY)`, which sends a block for each row."""
    for block in blocks:
        row = bytes(block).removeprefix(COPY_BEGIN)
        if row and row != COPY_END:
            yield row


def number_of(row: bytes) -> int:
    """Of a row as COPY writes it."""
    return int(_SEQ.unpack_from(row)[2])


def pack(rows: Iterable[bytes]) -> tuple[bytes, int]:
    """The pack, and its size before it was compressed."""
    whole = b"".join(rows)
    return _codec().compress(whole, asbytes=True), len(whole)


def unpack(packed: bytes, size: int, wanted: Container[int] | None = None) -> Iterator[PostgresRow]:
    """Those of these numbers, or all. Raises PackError; RecordStoreError without pyarrow."""
    codec = _codec()
    try:
        if size < 0:
            raise ValueError(f"its size is said to be {size}")
        whole = codec.decompress(packed, size, asbytes=True)
        end = 0
        while (begin := end) < len(whole):
            count, _, number = _SEQ.unpack_from(whole, begin)
            if count != len(TYPES):
                raise ValueError(f"a row has {count} columns")
            places, end = [], begin + _COUNT.size
            for _ in TYPES:
                (length,) = _LENGTH.unpack_from(whole, end)
                at, end = end + _LENGTH.size, end + _LENGTH.size + max(0, length)
                places.append(slice(at, end) if length >= 0 else None)
            if end > len(whole):
                raise ValueError("its last row is cut off")
            if wanted is None or number in wanted:
                yield tuple(
                    None if place is None else _value(kind, whole[place])
                    for kind, place in zip(TYPES, places, strict=True)
                )
    except (OSError, struct.error, ValueError, OverflowError) as error:  # zstd, rows, text, times
        raise PackError(f"a pack of the archive cannot be read: {error}") from error


def _value(kind: str, found: bytes) -> Any:
    match kind:
        case "bytea":
            return found
        case "text":
            return found.decode()
        case "timestamptz":
            return _EPOCH + timedelta(microseconds=_NUMBERS["int8"].unpack(found)[0])
        case "jsonb":
            return json.loads(found[1:])  # after the number of its version
    return _NUMBERS[kind].unpack(found)[0]


@cache
def _codec() -> _Codec:
    """Loaded when the first pack is made or read: a sink that has none of them needs no pyarrow.

    Raises RecordStoreError where it is missing: then the pack is there, and only not for us.
    """
    try:
        import pyarrow
    except ImportError as error:
        raise RecordStoreError(
            f"old days need pyarrow: pip install 'kerbstone[city]' ({error})"
        ) from error
    made: _Codec = pyarrow.Codec("zstd", compression_level=LEVEL)
    return made
