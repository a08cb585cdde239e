"""The tables of the SQLite store, and its rows as records.

entry        the first content under each key, with the best wall times that came
numbering    what numbers run in: gateway, epoch, stream; `entry` names it by its id
origin       topic, source and content type, as often as they differ; likewise
ledger       which numbers are there, as ranges, so that nobody has to look at each record
record       entry, numbering and origin together, for people and programs that ask in SQL
conflict     other contents under the same key, once each
refused      messages that are no records, foreign ones and undecodable ones
proof        what manifests have proved of each numbering, in chapters (`streamproof`)
proof_day    what of it was counted of each day
redated      records of which better times came
tally        how many conflicts and refused messages of a gateway are kept, and how many were more
joined       the epoch in which this store heard of a gateway for the first time

A row of `entry` holds what is its own: 1.2 bytes on disk for one of payload, in pages of 8 KiB
(a converted store keeps its 4 KiB, and takes 1.5). In version 2 `record`
was a table WITHOUT ROWID with all of it, whose rows are longer than SQLite keeps in a leaf: each of
them took an overflow page of 4 KiB. While a store of version 2 is converted, what is left of it is
`record_2`.
"""

from types import NoneType
from typing import Any, Final

from edge.platform.receivedrecord import ReceivedRecord, WallTimes, is_bounds

APPLICATION_ID: Final = 0x4B65_7262  # "Kerb"
USER_VERSION: Final = 3
FORMER_VERSION: Final = 2  # read as it is, and converted when somebody writes (`storeconversion`)
PAGE_BYTES: Final = 8192  # of a new store: six records to a page waste less than three
FORMER_TABLE: Final = "record_2"

COLUMNS: Final = (
    "topic, gw, epoch, stream, seq, source, boot, mono_from, mono_to, wall_from, wall_to, tq, "
    "bounds, received, content_type, payload"
)
OWN: Final = "boot, mono_from, mono_to, wall_from, wall_to, tq, bounds, received, payload"
PROOFS: Final = """
CREATE TABLE proof (numbering INTEGER NOT NULL, chapter INTEGER NOT NULL, facts BLOB NOT NULL,
    PRIMARY KEY (numbering, chapter));
CREATE TABLE proof_day (numbering INTEGER NOT NULL, day TEXT NOT NULL, records INTEGER NOT NULL,
    numbers INTEGER NOT NULL, gaps INTEGER NOT NULL, drops INTEGER NOT NULL,
    proved INTEGER NOT NULL, covered BLOB NOT NULL, PRIMARY KEY (numbering, day)) WITHOUT ROWID;
CREATE TABLE redated (numbering INTEGER NOT NULL, seq INTEGER NOT NULL,
    PRIMARY KEY (numbering, seq)) WITHOUT ROWID;
"""
# without NOT NULL: what a rotten disk has made of a row is converted as it is, and told by an audit
ENTRIES: Final = f"""{PROOFS}
CREATE TABLE numbering (id INTEGER PRIMARY KEY, gw TEXT, epoch INTEGER, stream TEXT,
    UNIQUE (gw, epoch, stream));
CREATE TABLE origin (id INTEGER PRIMARY KEY, topic TEXT, source TEXT, content_type TEXT);
CREATE INDEX origin_topic ON origin (topic);
CREATE TABLE entry (numbering INTEGER, seq INTEGER, origin INTEGER, boot INTEGER,
    mono_from INTEGER, mono_to INTEGER, wall_from TEXT, wall_to TEXT, tq TEXT, bounds TEXT,
    received TEXT, payload BLOB);
CREATE UNIQUE INDEX entry_key ON entry (numbering, seq);
CREATE TABLE ledger (numbering INTEGER NOT NULL, first INTEGER NOT NULL, last INTEGER NOT NULL,
    PRIMARY KEY (numbering, first)) WITHOUT ROWID;
CREATE VIEW record AS SELECT o.topic, n.gw, n.epoch, n.stream, e.seq, o.source, e.boot, e.mono_from,
    e.mono_to, e.wall_from, e.wall_to, e.tq, e.bounds, e.received, o.content_type, e.payload
    FROM numbering n CROSS JOIN entry e ON e.numbering = n.id LEFT JOIN origin o ON o.id = e.origin;
"""
SCHEMA: Final = f"""{ENTRIES}
CREATE TABLE conflict (
    gw TEXT NOT NULL, epoch INTEGER NOT NULL, stream TEXT NOT NULL, seq INTEGER NOT NULL,
    topic TEXT NOT NULL, source TEXT NOT NULL, boot INTEGER NOT NULL,
    mono_from INTEGER NOT NULL, mono_to INTEGER NOT NULL,
    wall_from TEXT NOT NULL, wall_to TEXT NOT NULL, tq TEXT NOT NULL, bounds TEXT,
    received TEXT NOT NULL, content_type TEXT, payload BLOB NOT NULL, digest BLOB NOT NULL,
    PRIMARY KEY (gw, epoch, stream, seq, digest)) WITHOUT ROWID;
CREATE TABLE refused (id INTEGER PRIMARY KEY, kind TEXT NOT NULL, gw TEXT NOT NULL,
    topic TEXT NOT NULL, why TEXT NOT NULL, size INTEGER NOT NULL, payload BLOB NOT NULL,
    received TEXT NOT NULL);
CREATE TABLE tally (gw TEXT NOT NULL, kind TEXT NOT NULL, kept INTEGER NOT NULL,
    size INTEGER NOT NULL, more INTEGER NOT NULL, PRIMARY KEY (gw, kind)) WITHOUT ROWID;
CREATE TABLE joined (gw TEXT PRIMARY KEY, epoch INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE store (name TEXT NOT NULL);
"""
# SQLite keeps in a column whatever is put there: what these are when this program put it there
KINDS: Final[tuple[type | tuple[type, ...], ...]] = (
    str, str, int, str, int, str, int, int, int, str, str, str,
    (str, NoneType), str, (str, NoneType), bytes,
)  # fmt: skip


def own_row(entry: ReceivedRecord) -> tuple[Any, ...]:
    """The columns `OWN`."""
    wall = entry.wall
    return (
        entry.boot, *entry.mono, wall.start, wall.end, wall.tq, wall.bounds, entry.received,
        entry.payload,
    )  # fmt: skip


def whole_row(entry: ReceivedRecord) -> tuple[Any, ...]:
    """The columns `COLUMNS`."""
    *own, payload = own_row(entry)
    *own, received = own
    return (entry.topic, *entry.key, entry.source, *own, received, entry.content_type, payload)


def entry_of(row: tuple[Any, ...]) -> ReceivedRecord | None:
    """Of the columns `COLUMNS`; None for a row that this program has not written."""
    if not all(isinstance(each, kind) for each, kind in zip(row, KINDS, strict=True)):
        return None
    (
        topic, gw, epoch, stream, seq, source, boot, start, end,
        wall_from, wall_to, tq, bounds, received, content_type, payload,
    ) = row  # fmt: skip
    if not (gw.isascii() and stream.isascii()) or (bounds is not None and not is_bounds(bounds)):
        return None
    return ReceivedRecord(
        topic, (gw, epoch, stream, seq), source, boot, (start, end),
        WallTimes(wall_from, wall_to, tq, bounds), received, content_type, payload,
    )  # fmt: skip


def order_of(row: tuple[Any, ...]) -> list[tuple[bool, Any]]:
    """The place of a row (`COLUMNS`) in the order of the keys, also of one that is damaged."""
    return [(not isinstance(each, int), each if isinstance(each, int | str) else "")
            for each in row[1:5]]  # fmt: skip
