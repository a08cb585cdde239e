"""A day of a view as Parquet, hot or archived."""

import json
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from psycopg.rows import dict_row

from edge.platform.postgres import dayexport
from tests.kit.archiving import archive_all, connect
from tests.kit.command import Command
from tests.kit.postgres import PostgresServer
from tests.platform.test_archive import filled

VIEWS = ("lane_minute", "lane_hour", "lane_day", "bay_minute", "air_minute", "energy_reading",
    "event", "gateway_health")  # fmt: skip


def rows_of(url: str, view: str) -> list[str]:
    with connect(url) as db, db.cursor(row_factory=dict_row, binary=True) as cursor:
        day = {"lane_hour": "(hour AT TIME ZONE 'UTC')::date"}.get(view, "day")
        query = f"SELECT * FROM city.{view} WHERE {day} = '2026-11-25'"
        return as_texts(cursor.execute(query.encode()).fetchall())


def as_texts(rows: list[dict[str, Any]]) -> list[str]:
    return sorted(repr({name: plain(value) for name, value in row.items()}) for row in rows)


def plain(value: Any) -> Any:
    """Of what Python has two kinds."""
    match value:
        case datetime():
            return value.isoformat()
        case Decimal():
            return float(value)
    return value


def test_each_view_of_a_day_is_the_same_hot_and_archived(
    postgres: PostgresServer, kerbstone: Command, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr(dayexport, "GROUP_ROWS", 50)
    url = postgres.database()
    filled(url, 4)
    tables = {}
    for state in ("hot", "old"):
        for view in VIEWS:
            file = tmp_path / f"{view}-{state}.parquet"
            said = kerbstone("export", "--database", url, "--day", "2026-11-25", "--view", view,
                "--to", str(file))  # fmt: skip
            assert said.code == 0, said.err
            table = pq.read_table(file)
            tables[view, state] = as_texts(table.to_pylist())
            assert tables[view, state] == rows_of(url, view) != []
        if state == "hot":
            archive_all(url)
    for view in VIEWS:
        assert tables[view, "hot"] == tables[view, "old"], view
    made = pq.ParquetFile(tmp_path / "lane_minute-old.parquet")
    assert made.num_row_groups > 2
    assert made.metadata.row_group(0).column(0).compression == "ZSTD"
    speed = made.schema_arrow.field("speed_kmh")
    assert speed.metadata == {
        b"comment": b"Mean over vehicles (time-mean speed), in km/h.", b"unit": b"km/h"
    }  # fmt: skip
    assert str(made.schema_arrow.field("from").type) == "timestamp[us, tz=UTC]"
    assert str(made.schema_arrow.field("volume").type) == "int32"
    about = made.schema_arrow.metadata
    assert about[b"view"] == b"lane_minute"
    assert json.loads(about[b"units"])["length_m"] == "m"
    day = pq.ParquetFile(tmp_path / "lane_day-old.parquet").schema_arrow
    assert day.field("covered_s").metadata[b"unit"] == b"s"
    assert not list(tmp_path.glob("*.part"))


def test_what_cannot_be_exported_is_said(
    postgres: PostgresServer, kerbstone: Command, tmp_path: Path
) -> None:
    url = postgres.database()
    to = tmp_path / "x.parquet"
    words = ["export", "--database", url, "--day", "2026-11-25", "--to", str(to)]
    for view in ("completeness", "nothing", "lane_minute; DROP TABLE record"):
        said = kerbstone(*words, "--view", view)
        assert said.code == 2
        assert "these have days: air_minute, bay_minute" in said.err
        assert ("no such view" in said.err) == (view != "completeness")
    assert not to.exists()
    said = kerbstone(*words)
    assert said.code == 1, "a day without rows"
    assert "lane_minute has nothing of 2026-11-25" in said.err
    assert pq.read_table(to).num_rows == 0
    words[-1] = "/nowhere/x.parquet"
    said = kerbstone(*words)
    assert said.code == 3
    assert "the folder /nowhere does not exist; make it" in said.err
