"""What the store keeps and tells, as plain values; and how a record becomes bytes and back."""

import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple

import msgpack

from edge.core import Draft, Key, Record, Stream, TimeQuality
from edge.core.numbers import stepped
from edge.store.decimals import lengthened, shortened
from edge.store.dictionary import DEFLATED, deflated, inflated

MAX_BODY: Final = 900_000  # bytes; the wire takes 1 MiB
LONG_BODY: Final = 256  # bytes; from there on it is worth compressing, to spare the card
ZLIB: Final = b"\x78"  # what a body began with before there was a dictionary

# What is dropped first when there is no room: the lowest number.
CLASSES: Final[Mapping[str, int]] = {
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

URGENT: Final = 4  # the class of events and registers
SUMMARIES: Final = 2  # the class of what can merge
INFINITE: Final = (1 << 63) - 1  # as a row: no row lies behind it

TRUST: Final[Mapping[str, int]] = {"none": 0, "floor": 1, "rtc": 2, "ntp": 3, "nts": 4}


class DamagedError(ValueError):
    """A row is not what was written."""


class Mark(NamedTuple):
    """One moment on both clocks: the clock map of a boot is made of these."""

    mono_ns: int
    wall_ns: int
    tq: TimeQuality


@dataclass(frozen=True, slots=True)
class Stored:
    """A record on disk. `row` is its place in age, for ever; `again`: it may have been sent."""

    row: int
    record: Record
    again: bool = False


@dataclass(frozen=True, slots=True)
class Former:
    """The last start that numbered anything: its epoch, its boot, its last number per stream."""

    epoch: int
    boot: int
    last: Mapping[str, int]


Past = Literal["known", "doubtful", "older"]
"""What the states in the database are worth. `doubtful`: the last commit may be missing, and may
have been sent; `older`: numbers were given after them, so what they count on from is past."""


Tail = Literal["whole", "torn", "damaged"]
"""How the write-ahead log of a database ended: see `edge.store.wal`."""


@dataclass(frozen=True, slots=True)
class Epoch:
    """This start of the daemon. `unclean`: the former one ended without a goodbye. `before`: the
    epoch of the one before where nothing else is known of it."""

    epoch: int
    boot: int
    same_boot: bool
    former: Former | None
    unclean: bool
    before: int | None = None
    past: Past = "known"

    @property
    def succeeds(self) -> dict[str, Any] | None:
        """The epoch before, as this one tells of it, and its last numbers: none when they are lost
        with its outbox. None: no epoch is known, at a first start or on a new card."""
        if self.former is not None:
            return {"epoch": self.former.epoch, "last": dict(self.former.last)}
        return None if self.before is None else {"epoch": self.before, "last": {}}


@dataclass(frozen=True, slots=True)
class Opened:
    """What was found at opening. `damage`, `ram` and `beside` are sentences for people, or None:
    what is `beside` belongs to another gateway or version, and is kept; `newer`: it is ours, and
    has numbered after what is used now. `log`: how the write-ahead log ended; `torn` may have been
    never acknowledged, or damaged since."""

    damage: str | None = None
    quarantined: Path | None = None
    ram: str | None = None
    beside: str | None = None
    newer: bool = False
    log: Tail = "whole"


@dataclass(frozen=True, slots=True)
class Counts:
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
    dead: int = 0
    quarantined: int = 0
    kept: list[str] = field(default_factory=list)  # databases of another version of this program
    ram: str | None = None  # why nothing is written to disk
    commits: int = 0
    bytes_in: int = 0  # of the bodies of all records that were taken
    thinned: int = 0  # rows that were merged into others
    wal: int = 0  # bytes of the log, as it is on disk
    ballast: int = 0  # bytes set aside for a full disk, outside of `limit`
    # seconds until there is no more room, at the rate of the last hour and with nothing leaving;
    # with thinning; None: not known yet, or never
    forecast_s: float | None = None
    forecast_thinned_s: float | None = None


class Row(NamedTuple):
    """A record in the form in which it lies in its table."""

    id: int
    level: int  # the class of `CLASSES`
    epoch: int
    stream: str
    seq: int
    source: str
    boot: int
    from_ns: int
    to_ns: int
    body: bytes
    crc: int


class Head(NamedTuple):
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


def pack(draft: Draft) -> bytes:
    """A draft's body as bytes. Raises ValueError or TypeError for what MessagePack cannot say.

    A summary of ten points shrinks to a quarter, to spare the card; so three lie on a page.
    """
    try:
        packed: bytes = msgpack.packb(draft.body)
    except OverflowError as error:  # an integer of more than 64 bits
        raise ValueError(str(error)) from error
    if draft.stream is Stream.RAW or not LONG_BODY <= len(packed) <= MAX_BODY:
        return packed  # `raw` is compressed already
    return min(packed, deflated(msgpack.packb(shortened(draft.body))), key=len)


def _unpack(body: bytes) -> Any:
    """Raises ValueError, zlib.error or msgpack.UnpackException."""
    if body[:1] == DEFLATED:
        body = inflated(body, MAX_BODY)
        return msgpack.unpackb(body, strict_map_key=False, ext_hook=lengthened)
    if body[:1] == ZLIB:
        engine = zlib.decompressobj()
        body = engine.decompress(body, MAX_BODY)
        if not engine.eof:
            raise ValueError("a compressed body that is cut short, or too long")
    return msgpack.unpackb(body, strict_map_key=False)


def row_of(row: int, key: Key, draft: Draft, boot: int, body: bytes) -> Row:
    """Number a draft."""
    stream, source, start, end = str(key.stream), draft.source, draft.from_ns, draft.to_ns
    crc = checksum(key.epoch, stream, key.seq, source, boot, start, end, body)
    level = CLASSES[stream]
    return Row(row, level, key.epoch, stream, key.seq, source, boot, start, end, body, crc)


def record_of(row: Row) -> Record:
    """Back from a row. Raises DamagedError."""
    if row.body.__class__ is not bytes or checksum(*row[2:10]) != row.crc:
        raise DamagedError(f"checksum of row {row.id}")
    try:
        key = Key(row.epoch, Stream(row.stream), row.seq)
        body = _unpack(row.body)
    except (ValueError, zlib.error, msgpack.UnpackException) as error:
        raise DamagedError(f"row {row.id}: {error}") from error
    return Record(key, row.source, row.boot, row.from_ns, row.to_ns, body)


def covered(record: Record) -> list[int]:
    """The numbers that a record stands for, its own among them. Raises ValueError."""
    covers = record.body.get("covers")
    return [record.key.seq] if covers is None else stepped(covers)


def numbers(row: Row) -> list[int]:
    """As `covered`, as far as it can be read: a damaged row stands for its own number at least."""
    if row.level != SUMMARIES:
        return [row.seq]
    try:
        body = body_of(row)
        found = stepped(body["covers"]) if "covers" in body else []
    except (ValueError, TypeError):
        found = []
    return found if row.seq in found else [row.seq]


def body_of(row: Row) -> Any:
    """Whatever the checksum says, and whatever it is. Raises ValueError."""
    try:
        return _unpack(row.body)
    except (TypeError, zlib.error, msgpack.UnpackException) as error:
        raise ValueError(f"row {row.id}: {error}") from error


def readable(row: Row) -> Record | None:
    """The record of a row, or None when it is damaged."""
    try:
        return record_of(row)
    except DamagedError:
        return None


def checksum(*fields: Any) -> int:
    """CRC-32 over all fields, the last one being bytes."""
    *head, body = fields
    if body.__class__ is not bytes:
        return -1  # the file was changed by someone else, or is damaged
    return zlib.crc32(body, zlib.crc32(repr(head).encode("utf-8", "surrogatepass")))
