"""A day of a view of the city as a Parquet file: read and written in parts, whatever its size.

Each column that has a comment carries it, and its unit, as metadata; so does the file as a whole.
"""

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, Final

import psycopg
import pyarrow as pa
import pyarrow.parquet as pq

from edge.core import ConfigError
from edge.durable.atomicwrite import replacing
from edge.platform.postgres.archive import span

FETCHED: Final = 10_000  # rows that are held at once, but for those of the group
GROUP_ROWS: Final = 50_000
SCHEMA: Final = "city"
COMMENTS_OF: Final = {"lane_day": "lane_hour"}  # the same columns, explained once
DAY_IS: Final = {
    "day": "day = %(day)s",
    "hour": "hour >= %(start)s AND hour < %(end)s",
}
"""How a view knows its day: by the first of these columns that it has."""
UNIT: Final = re.compile(r", in ([^.;,]+)")
# with the comment of the view itself first
COLUMNS: Final = """
SELECT a.attname, format_type(a.atttypid, NULL), obj_description(c.oid, 'pg_class'), (
    SELECT col_description(o.oid, oa.attnum) FROM pg_class AS o
    JOIN pg_attribute AS oa ON oa.attrelid = o.oid AND oa.attname = a.attname
    WHERE o.relnamespace = c.relnamespace AND o.relname = %(comments)s
)
FROM pg_class AS c JOIN pg_attribute AS a ON a.attrelid = c.oid
WHERE c.relnamespace = 'city'::regnamespace AND c.relkind = 'v' AND c.relname = %(view)s
AND a.attnum > 0 ORDER BY a.attnum"""
VIEWS: Final = """
SELECT DISTINCT table_name FROM information_schema.columns
WHERE table_schema = 'city' AND column_name = ANY (%s) ORDER BY 1"""
TYPES: Final = {
    "boolean": pa.bool_(), "smallint": pa.int16(), "integer": pa.int32(), "bigint": pa.int64(),
    "real": pa.float32(), "double precision": pa.float64(), "date": pa.date32(),
    "timestamp with time zone": pa.timestamp("us", "UTC"),
    "numeric": pa.float64(),
}  # fmt: skip
"""All others are text."""


@dataclass(frozen=True, slots=True)
class ExportedDay:
    """What was written."""

    rows: int
    groups: int
    size: int


def export_day(
    db: psycopg.Connection,
    view: str,
    day: date,
    to: Path,
    *,
    progress: Callable[[int], None] = lambda _rows: None,
) -> ExportedDay:
    """`to` is there when it is complete.

    Raises ConfigError for a view that is none or has no days, psycopg.Error, OSError.
    """
    columns = db.execute(
        COLUMNS, {"view": view, "comments": COMMENTS_OF.get(view, view)}
    ).fetchall()
    names = [name for name, *_ in columns]
    condition = next((DAY_IS[name] for name in DAY_IS if name in names), None)
    if condition is None:
        known = [name for (name,) in db.execute(VIEWS, (list(DAY_IS),)).fetchall()]
        what = "it has no days" if columns else "there is no such view"
        raise ConfigError(f"--view {view}: {what}; these have days: {', '.join(known)}")
    schema = _schema(columns, view, day)
    wanted = ", ".join(
        f'"{name}"::{"float8" if kind == "numeric" else _sql_type(kind)}'
        for name, kind, *_ in columns
    )
    query = f"SELECT {wanted} FROM {SCHEMA}.{view} WHERE {condition}".encode()
    rows = groups = 0
    with replacing(to) as part, pq.ParquetWriter(part, schema, compression="zstd") as writer:
        for group in _groups(db, query, {**span(day), "day": day}):
            arrays = [
                pa.array(values, field.type)
                for values, field in zip(zip(*group, strict=True), schema, strict=True)
            ]
            writer.write_batch(pa.record_batch(arrays, schema=schema))
            rows, groups = rows + len(group), groups + 1
            progress(rows)
    return ExportedDay(rows, groups, to.stat().st_size)


def _groups(
    db: psycopg.Connection, query: bytes, values: dict[str, Any]
) -> Iterator[list[tuple[Any, ...]]]:
    with db.transaction(), db.cursor("export", binary=True) as cursor:
        cursor.execute(query, values)
        group: list[tuple[Any, ...]] = []
        while found := cursor.fetchmany(min(FETCHED, GROUP_ROWS)):
            group += found
            if len(group) >= GROUP_ROWS:
                yield group
                group = []
        if group:
            yield group


def _schema(columns: list[tuple[Any, ...]], view: str, day: date) -> Any:
    fields, units = [], {}
    for name, kind, _, comment in columns:
        said = {"comment": comment} if comment else {}
        if comment and (unit := UNIT.search(comment)):
            said["unit"] = units[name] = unit[1]
        fields.append(pa.field(name, TYPES.get(kind, pa.string()), metadata=said or None))
    about = {"view": view, "day": day.isoformat(), "comment": columns[0][2] or ""}
    return pa.schema(fields, metadata={**about, "units": json.dumps(units)})


def _sql_type(kind: str) -> str:
    return kind if kind in TYPES else "text"
