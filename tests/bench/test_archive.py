"""A day as rows and a day packed: bytes on disk, and how long `kerbstone archive` takes."""

import pytest

from edge.fleet.street import Street
from tests.bench.cityrecords import LANES, bundles
from tests.bench.citytables import archive_all, room, store_all
from tests.bench.report import Report
from tests.kit.fixtures import postgres
from tests.kit.postgres import PostgresServer

__all__ = ["postgres"]
pytestmark = pytest.mark.bench

GATEWAYS, MINUTES = 20, 300
A_DAY = 500 * 10.2 * 1440  # records of 500 gateways
HOT, OLD = 1.6, 0.4  # bytes for each of payload


def test_a_day_is_packed(postgres: PostgresServer, report: Report) -> None:
    street = Street(LANES, seed=1)
    messages = [each for made in bundles(GATEWAYS, MINUTES, street) for each in made]
    url, _, _ = store_all(postgres, messages)
    hot, _ = room(url, messages)
    wall, cpu = archive_all(url)
    old, _ = room(url, messages)
    count, how = len(messages), f"streets of {GATEWAYS} gateways, {MINUTES} minutes, no fsync"
    report.add("sink: bytes on disk for one of payload", hot, HOT, "bytes", "goal", how)
    report.add("archive: the same, packed", old, OLD, "bytes", "goal", how)
    report.add("archive: a record", 1e6 * wall / count, 1e6 * cpu / count, "us", "its CPU", how)
    report.add("archive: a day of 500 gateways", A_DAY * wall / count, 3600, "s", "an hour", how)
    assert old <= OLD
