"""A record as a row, and back. Columns are what is asked for; all else is read from the payload."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any, Final, LiteralString

from edge.platform.receivedrecord import (
    ReceivedRecord,
    WallTimes,
    is_bounds,
    load_payload,
    wall_times_of,
)
from edge.wire import WireError, iso_time
from edge.wire.records import JSON, MSGPACK, RAW

ENCODINGS: Final[tuple[str | None, ...]] = (None, JSON, MSGPACK, RAW, "application/json")
COLUMNS: Final = (
    "seq, boot, mono_from, mono_to, wall_from, wall_to, received, ledger, branch, encoding, tq, "
    "source, wall, payload"
)
TYPES: Final = (
    "int8", "int8", "int8", "int8", "timestamptz", "timestamptz", "timestamptz", "int4", "int4",
    "int2", "text", "text", "jsonb", "bytea",
)  # fmt: skip
SEQ, RECEIVED, LEDGER, BRANCH_ID = 0, 6, 7, 8
"""Where these stand in a row."""

WITH_BRANCH: Final[LiteralString] = (
    f"(SELECT b.branch FROM branch AS b WHERE b.id = r.branch), {COLUMNS}"
)
"""Of a table `r`: the name of the branch in front of the columns."""
READ: Final[LiteralString] = f"""
SELECT {WITH_BRANCH} FROM record AS r
WHERE ledger = %s AND seq BETWEEN %s AND %s ORDER BY seq"""
WANTED: Final = "(ledger, seq) IN (SELECT * FROM unnest(%s::int[], %s::bigint[]))"
"""Rows at these places; `columns_of` has the values."""

Place = tuple[int, int]
"""Row of the ledger, and number."""
PostgresRow = tuple[Any, ...]
"""In the order of COLUMNS."""


def row_of(entry: ReceivedRecord, ledger: int, branch: int) -> PostgresRow:
    """Raises ValueError when `received` is no time."""
    wall = entry.wall
    return (
        entry.key[3], entry.boot, *entry.mono, moment_of(wall.start), moment_of(wall.end),
        datetime.fromisoformat(entry.received), ledger, branch, encoding_of(entry.content_type),
        wall.tq, entry.source, None, entry.payload,
    )  # fmt: skip


def record_of(row: PostgresRow, key: tuple[str, int, str], branch: str) -> ReceivedRecord:
    """`row` in the order of COLUMNS."""
    (
        seq, boot, mono_from, mono_to, wall_from, wall_to, received, _, _, encoding, tq, source,
        wall, payload,
    ) = row  # fmt: skip
    tail = f"{key[2]}/{source}" if source else key[2]
    return ReceivedRecord(
        f"{branch}/up/{tail}", (*key, seq), source, boot, (mono_from, mono_to),
        _wall_times(wall, payload, (wall_from, wall_to, tq)), moment_text(received) or "",
        ENCODINGS[encoding] if 0 <= encoding < len(ENCODINGS) else None, payload,
    )  # fmt: skip


def columns_of(places: Iterable[Place]) -> tuple[list[int], list[int]]:
    """As arrays, in order."""
    found = sorted(places)
    return [row for row, _ in found], [seq for _, seq in found]


def wall_list(wall: WallTimes) -> list[str | None]:
    """What `wall` of a row is, once its times are not those of its payload."""
    return [clean(wall.start), clean(wall.end), wall.tq, wall.bounds]


def clean(text: str) -> str:
    """As PostgreSQL takes it: without NUL, and without halves of characters."""
    if text.isascii() and "\0" not in text:
        return text
    return text.replace("\0", "\ufffd").encode("utf-8", "replace").decode()


def encoding_of(content_type: str | None) -> int:
    return ENCODINGS.index(content_type or None)


def moment_of(text: str) -> datetime | None:
    """None for what is no time that PostgreSQL can hold: a gateway may send any text."""
    try:
        found = datetime.fromisoformat(text)
        return found.astimezone(UTC) if found.tzinfo is not None else None
    except (ValueError, OverflowError):  # in UTC it is before or after all years
        return None


def moment_text(moment: datetime | None) -> str | None:
    """As times stand in records, to the millisecond."""
    if moment is None:
        return None
    since = moment - datetime(1970, 1, 1, tzinfo=UTC)
    return iso_time((since.days * 86_400 + since.seconds) * 10**9 + since.microseconds * 1000)


def _wall_times(wall: Any, payload: bytes, columns: Sequence[Any]) -> WallTimes:
    match wall:
        case [str(start), str(end), str(tq), str() | None as bounds]:
            kept = bounds is None or is_bounds(bounds)
            return WallTimes(start, end, tq, bounds if kept else None)
    try:
        return wall_times_of(load_payload(payload))
    except (WireError, KeyError, TypeError):  # damaged: whoever reads the payload reports it
        start, end, tq = columns
        return WallTimes(moment_text(start) or "", moment_text(end) or "", tq)
