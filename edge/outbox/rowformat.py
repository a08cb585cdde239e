"""What the outbox keeps and returns, as plain values; and how a record becomes bytes and back.

Nearly every float of a summary is a whole number of decimal steps, so it goes as a MessagePack
extension: 230.1 takes four bytes, not nine. The type of the extension says how many decimals there
are, its bytes hold the whole number. All comes back bit for bit. An owner's state is compressed
only if it is long, to spare the card.
"""

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import copysign
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple

import msgpack
import msgspec

from edge.core import Draft, Record, RecordKey, Stream, TimeQuality
from edge.core.numbers import decode_steps
from edge.outbox.deflate import DEFLATE_MARKER, compress, decompress
from edge.wire.contract.body import body_map
from edge.wire.contract.boxevent import PreviousEpoch

POWERS_OF_TEN: Final[tuple[int, ...]] = tuple(10**digits for digits in range(8))
LIMIT: Final = 1 << 31  # of the whole number
SMALLEST: Final = 0.0001  # what lies nearer to zero stays as it is: so it was from the start
CONTAINERS: Final = frozenset({dict, list, tuple})
SCALARS: Final = frozenset({int, str, bool, type(None)})
_extension: Final = tuple.__new__  # what `ExtType(...)` checks of a number and bytes is known here
MAX_NESTING: Final = 8  # what lies deeper than this stays as it is
MAX_BODY: Final = 900_000  # bytes; the wire takes 1 MiB
COMPRESS_FROM_BYTES: Final = 256  # bytes; from there on it is worth compressing, to spare the card

# What is dropped first when there is no room: the lowest number.
STREAM_LEVELS: Final[Mapping[str, int]] = {
    Stream.RAW: 0,
    Stream.HEALTH: 1,
    Stream.TRAFFIC: 2,
    Stream.BAY: 2,
    Stream.AIR: 2,
    Stream.ENERGY: 2,
    Stream.MANIFEST: 3,
    Stream.EVENT: 4,
    Stream.REGISTER: 4,
}

URGENT_LEVEL: Final = 4  # the class of events and registers
SUMMARY_LEVEL: Final = 2  # the class of what can merge
INFINITE: Final = (1 << 63) - 1  # as a row: no row lies behind it

COMPRESS_STATE_FROM: Final = 300  # bytes; a shorter one takes no page of its own, or hardly any
MAX_STATE: Final = 16 << 20  # bytes; a longer one is not compressed


def pack_decimals(value: Any, deep: int = MAX_NESTING) -> Any:
    """The same with extensions in place of its floats, as far as they are short decimals. It calls
    nothing for what stays as it is: a commit has thousands of such values."""
    if value.__class__ is float:
        return _short(value)
    if not deep or value.__class__ not in CONTAINERS:
        return value
    if value.__class__ is dict:
        packed = value.copy()
        for key, each in value.items():
            if each.__class__ is float:
                packed[key] = _short(each)
            elif each.__class__ in CONTAINERS:
                packed[key] = pack_decimals(each, deep - 1)
        return packed
    if SCALARS.issuperset(map(type, value)):  # counts
        return value
    return [
        _short(each)
        if each.__class__ is float
        else pack_decimals(each, deep - 1)
        if each.__class__ in CONTAINERS
        else each
        for each in value
    ]


def _short(value: float) -> float | msgpack.ExtType:
    """As few decimals as read back as the same; three are enough for nearly all."""
    if not -LIMIT < value < LIMIT:
        return value  # NaN is not between them either
    whole, digits = round(value * 1000), 3
    if whole / 1000 != value:
        whole, digits = round(value * POWERS_OF_TEN[-1]), len(POWERS_OF_TEN) - 1
        if whole / POWERS_OF_TEN[-1] != value or -SMALLEST < value < SMALLEST:
            return value
    elif not whole and copysign(1, value) < 0:
        return value
    while digits and not whole % 10:
        whole, digits = whole // 10, digits - 1
    if not -LIMIT < whole < LIMIT:
        return value
    size = 1 if -0x80 <= whole < 0x80 else 2 if -0x8000 <= whole < 0x8000 else 4
    return _extension(msgpack.ExtType, (digits, whole.to_bytes(size, "big", signed=True)))


def unpack_decimal(digits: int, data: bytes) -> float:
    """Back, as `ext_hook`. Raises ValueError for what was not written here."""
    if not 0 <= digits < len(POWERS_OF_TEN) or len(data) not in (1, 2, 4):
        raise ValueError(f"an extension of type {digits} with {len(data)} bytes")
    return int.from_bytes(data, "big", signed=True) / POWERS_OF_TEN[digits]


class DamagedRowError(ValueError):
    """A row is not what was written."""


class ClockMark(NamedTuple):
    """One moment on both clocks: the clock map of a boot is made of these."""

    mono_ns: int
    wall_ns: int
    tq: TimeQuality


@dataclass(frozen=True, slots=True)
class StoredRecord:
    """A record on disk. `row` is its place in age, for ever.

    `redelivered`: it may have been sent before.
    """

    row: int
    record: Record
    redelivered: bool = False


@dataclass(frozen=True, slots=True)
class PreviousStart:
    """The last start that numbered anything: its epoch, its boot, its last number per stream."""

    epoch: int
    boot: int
    last: Mapping[str, int]


PastState = Literal["known", "doubtful", "older"]
"""What the states in the database are worth. `doubtful`: the last commit may be missing, and may
have been sent; `older`: numbers were given after them, so what they count on from is past."""


LogTail = Literal["whole", "torn", "damaged"]
"""How the write-ahead log of a database ended: see `edge.outbox.wal`."""


@dataclass(frozen=True, slots=True)
class Epoch:
    """This start of the daemon. `unclean`: the former one ended without a goodbye.
    `previous_epoch`: the epoch of the one before where nothing else is known of it."""

    epoch: int
    boot: int
    same_boot: bool
    former: PreviousStart | None
    unclean: bool
    previous_epoch: int | None = None
    past: PastState = "known"

    @property
    def succeeds(self) -> PreviousEpoch | None:
        """The epoch before, as this one names it, and its last numbers: none when they are lost
        with its outbox. None: no epoch is known, at a first start or on a new card."""
        if self.former is not None:
            return PreviousEpoch(epoch=self.former.epoch, last=dict(self.former.last))
        if self.previous_epoch is None:
            return None
        return PreviousEpoch(epoch=self.previous_epoch, last={})


@dataclass(frozen=True, slots=True)
class OpenReport:
    """What was found at opening. `damage`, `in_memory` and `foreign` are sentences for people, or
    None: what is `foreign` belongs to another gateway or version, and is kept; `newer`: it is ours,
    and has numbered after what is used now. `log`: how the write-ahead log ended; `torn` may have
    been never acknowledged, or damaged since."""

    damage: str | None = None
    quarantined: Path | None = None
    in_memory: str | None = None
    foreign: str | None = None
    newer: bool = False
    log: LogTail = "whole"


@dataclass(frozen=True, slots=True)
class OutboxCounts:
    """How full the outbox is. `streams` counts rows; `size` is the bytes of database, log and
    quarantine, which `limit` bounds. Sums are since the start."""

    rows: int = 0
    streams: Mapping[str, int] = field(default_factory=dict)
    size: int = 0
    limit: int = 0
    oldest: tuple[int, int] | None = None  # boot and monotonic ns of the oldest row
    confirmed: int = 0  # of `rows`: they have arrived, and go with the next commit
    dropped: int = 0
    damaged: int = 0
    dead_letters: int = 0
    quarantined: int = 0
    foreign_files: list[str] = field(
        default_factory=list
    )  # databases of another version of this program
    in_memory: str | None = None  # why nothing is written to disk
    commits: int = 0
    bytes_in: int = 0  # of the bodies of all records that were taken
    downsampled: int = 0  # rows that were merged into others
    wal: int = 0  # bytes of the log, as it is on disk
    ballast: int = 0  # bytes set aside for a full disk, outside of `limit`
    # seconds until there is no more room, at the rate of the last hour and with nothing leaving;
    # with downsampling; None: not known yet, or never
    forecast_s: float | None = None
    forecast_downsampled_s: float | None = None


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
