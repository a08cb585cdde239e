"""A row: how a record, or an owner's state, becomes bytes in the outbox, and back.

A summary is compressed, with its floats as `decimals`; a state only if it is long, to spare the
card. A checksum is over all of a row.
"""

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import msgpack
import msgspec

from edge.core import Draft, Record, RecordKey, Stream, StreamLevel
from edge.core.numbers import decode_steps
from edge.outbox.decimals import pack_decimals, unpack_decimal
from edge.outbox.deflate import DEFLATE_MARKER, compress, decompress
from edge.wire.contract.body import body_map

MAX_BODY: Final = 900_000  # bytes; the wire takes 1 MiB
COMPRESS_FROM_BYTES: Final = 256  # bytes; from there on it is worth compressing, to spare the card

STREAM_LEVELS: Final[Mapping[str, int]] = {stream: int(stream.level) for stream in Stream}
URGENT_LEVEL: Final = int(StreamLevel.URGENT)
SUMMARY_LEVEL: Final = int(StreamLevel.SUMMARY)
INFINITE: Final = (1 << 63) - 1  # as a row: no row lies behind it

COMPRESS_STATE_FROM: Final = 300  # bytes; a shorter one takes no page of its own, or hardly any
MAX_STATE: Final = 16 << 20  # bytes; a longer one is not compressed


class DamagedRowError(ValueError):
    """A row is not what was written."""


@dataclass(frozen=True, slots=True)
class StoredRecord:
    """A record on disk. `row` is its place in age, for ever.

    `redelivered`: it may have been sent before.
    """

    row: int
    record: Record
    redelivered: bool = False


class OutboxRow(NamedTuple):
    """A record in the form in which it lies in its table."""

    id: int
    level: int  # the class of `STREAM_LEVELS`
    epoch: int
    stream: str
    seq: int
    source: str
    boot: int
    from_ns: int
    to_ns: int
    body: bytes
    crc: int


class RowHead(NamedTuple):
    """What a row is, without its body."""

    id: int
    level: int
    epoch: int
    stream: str
    seq: int
    source: str
    boot: int
    from_ns: int
    to_ns: int


def pack_body(draft: Draft) -> bytes:
    """A draft's body as bytes. Raises ValueError or TypeError for what MessagePack cannot say.

    A summary of ten points shrinks to a quarter, to spare the card; so three lie on a page.
    """
    try:
        packed = msgspec.msgpack.encode(draft.body)
    except OverflowError as error:  # an integer of more than 64 bits
        raise ValueError(str(error)) from error
    if draft.stream is Stream.RAW or not COMPRESS_FROM_BYTES <= len(packed) <= MAX_BODY:
        return packed  # `raw` is compressed already
    return min(packed, compress(msgpack.packb(pack_decimals(body_map(draft.body)))), key=len)


def _unpack(body: bytes) -> Any:
    """Raises ValueError or msgpack.UnpackException."""
    if body[:1] == DEFLATE_MARKER:
        body = decompress(body, MAX_BODY)
        return msgpack.unpackb(body, strict_map_key=False, ext_hook=unpack_decimal)
    return msgpack.unpackb(body, strict_map_key=False)


def make_row(row: int, key: RecordKey, draft: Draft, boot: int, body: bytes) -> OutboxRow:
    """Number a draft."""
    stream, source, start, end = str(key.stream), draft.source, draft.from_ns, draft.to_ns
    crc = row_checksum(key.epoch, stream, key.seq, source, boot, start, end, body)
    level = STREAM_LEVELS[stream]
    return OutboxRow(row, level, key.epoch, stream, key.seq, source, boot, start, end, body, crc)


def make_rows(
    numbered: Sequence[tuple[tuple[Draft, bytes], RecordKey]], first: int, boot: int
) -> tuple[list[OutboxRow], list[StoredRecord]]:
    """Drafts with their bodies and numbers as rows from `first` on, and the same as records.

    A record has the body that its draft came with: what a row gives back when it is read says the
    same.
    """
    rows: list[OutboxRow] = []
    stored: list[StoredRecord] = []
    for row, ((draft, body), key) in enumerate(numbered, first):
        rows.append(make_row(row, key, draft, boot, body))
        said = body_map(draft.body)
        record = Record(key, draft.source, boot, draft.from_ns, draft.to_ns, said)
        stored.append(StoredRecord(row, record))
    return rows, stored


def row_to_record(row: OutboxRow) -> Record:
    """Back from a row. Raises DamagedRowError."""
    if row.body.__class__ is not bytes or row_checksum(*row[2:10]) != row.crc:
        raise DamagedRowError(f"checksum of row {row.id}")
    try:
        key = RecordKey(row.epoch, Stream(row.stream), row.seq)
        body = _unpack(row.body)
    except (ValueError, msgpack.UnpackException) as error:
        raise DamagedRowError(f"row {row.id}: {error}") from error
    return Record(key, row.source, row.boot, row.from_ns, row.to_ns, body)


def covered_numbers(record: Record) -> list[int]:
    """The numbers that a record stands for, its own among them. Raises ValueError."""
    covers = record.body.get("covers")
    return [record.key.seq] if covers is None else decode_steps(covers)


def row_numbers(row: OutboxRow) -> list[int]:
    """As `covered_numbers`, as far as it can be read: a damaged row stands for its own number at
    least."""
    if row.level != SUMMARY_LEVEL:
        return [row.seq]
    try:
        body = row_body(row)
        found = decode_steps(body["covers"]) if "covers" in body else []
    except (ValueError, TypeError):
        found = []
    return found if row.seq in found else [row.seq]


def row_body(row: OutboxRow) -> Any:
    """Whatever the checksum says, and whatever it is. Raises ValueError."""
    try:
        return _unpack(row.body)
    except (TypeError, msgpack.UnpackException) as error:
        raise ValueError(f"row {row.id}: {error}") from error


def try_record(row: OutboxRow) -> Record | None:
    """The record of a row, or None when it is damaged."""
    try:
        return row_to_record(row)
    except DamagedRowError:
        return None


def row_checksum(*fields: Any) -> int:
    """CRC-32 over all fields, the last one being bytes."""
    *head, body = fields
    if body.__class__ is not bytes:
        return -1  # the file was changed by someone else, or is damaged
    return zlib.crc32(body, zlib.crc32(repr(head).encode("utf-8", "surrogatepass")))


def pack_state(data: bytes) -> bytes:
    """As it is, or compressed when it is long, or looks as if it were compressed."""
    if data[:1] != DEFLATE_MARKER and not COMPRESS_STATE_FROM < len(data) <= MAX_STATE:
        return data
    return compress(data)


def unpack_state(owner: str, version: int, stored: object, crc: int) -> bytes:
    """Back; the checksum is over what is stored. Raises DamagedRowError."""
    if not isinstance(stored, bytes) or row_checksum(owner, version, stored) != crc:
        raise DamagedRowError(f"checksum of the state of {owner}")
    if stored[:1] != DEFLATE_MARKER:
        return stored
    try:
        return decompress(stored, MAX_STATE)
    except ValueError as error:
        raise DamagedRowError(f"state of {owner}: {error}") from error
