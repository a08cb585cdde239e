"""`kerbstone audit`: by what was proved when it came, against reading all records; and of a year of
a city, of which only ledger and proofs are there."""

import contextlib
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import psycopg
import pytest

from edge.platform.audit import GatewayAudit, audit_store
from edge.platform.numberaudit import audit_numbers
from edge.platform.openstore import StorePlace, open_store
from edge.platform.postgres.migrate import SCHEMA
from edge.platform.recordingest import RecordIngest
from edge.platform.recordstore import RecordStore
from edge.platform.sink import GROUP_RECORDS
from edge.platform.subscription import ArrivedMessage
from tests.bench.cityrecords import NOON, bundles
from tests.bench.report import Report
from tests.bench.yearofproofs import MISSING, fill, name_of
from tests.kit.fixtures import postgres
from tests.kit.postgres import PostgresServer

__all__ = ["postgres"]
pytestmark = pytest.mark.bench

YEARS = 5000  # gateways of a city
LOST = 4321  # one of them has lost a record
DAY = "2026-11-01"


def spent(audit: Callable[[], Iterable[GatewayAudit]]) -> tuple[float, float, list[GatewayAudit]]:
    """Seconds, seconds of CPU of this process, and what was found."""
    began, cpu = time.monotonic(), time.process_time()
    found = list(audit())
    return time.monotonic() - began, time.process_time() - cpu, found


@pytest.mark.parametrize("kind", ["SQLite", "PostgreSQL"])
def test_what_a_proof_costs_and_saves(
    kind: str, tmp_path: Path, postgres: PostgresServer, report: Report
) -> None:
    place: StorePlace = tmp_path / "city.db" if kind == "SQLite" else postgres.database()
    arrived = [
        ArrivedMessage(topic, payload, content_type, retained=False)
        for bundle in bundles(50, 61)
        for topic, payload, content_type in bundle
    ]
    store = open_store(place, write=True)
    with contextlib.closing(store):
        ingest = RecordIngest(store, report=lambda _: None)
        began = time.thread_time()
        for first in range(0, len(arrived), GROUP_RECORDS):
            ingest.take(arrived[first : first + GROUP_RECORDS], 0, NOON)
        stored, began = time.thread_time() - began, time.thread_time()
        while ingest.unproved:
            ingest.prove()
        proved = time.thread_time() - began
    assert ingest.counts.proved == 600
    each = 1e6 / len(arrived)
    report.add(f"proof: CPU a record, {kind}", proved * each, stored * each, "us", "storing it")
    store = open_store(place, write=False)
    with contextlib.closing(store):
        _, quick, by_proofs = spent(lambda: audit_store(store))
        _, whole, by_contents = spent(lambda: audit_store(store, contents=True))
    for audits in (by_proofs, by_contents):
        assert sum(audit.records for audit in audits) == len(arrived)
        assert not any(audit.findings for audit in audits)
    report.add(f"audit: CPU of 31,100 records, {kind}", quick, whole, "s", "--contents")


def test_a_year_of_a_city(postgres: PostgresServer, report: Report) -> None:
    url = postgres.database()
    with psycopg.connect(url, options=f"-c search_path={SCHEMA}") as db:
        numbers = fill(db, YEARS, LOST)
    with psycopg.connect(url, autocommit=True) as db:
        db.execute("VACUUM ANALYZE")
        for table in ("proof", "proof_day", "ledger"):
            sized = db.execute("SELECT pg_total_relation_size(%s)", [f"{SCHEMA}.{table}"])
            (size,) = sized.fetchone() or (0,)
            report.say(f"{table}: a city's year", f"{size / 1e6:,.0f} MB")
        began = time.monotonic()
        (missing,) = db.execute("SELECT sum(missing) FROM city.completeness").fetchone() or (None,)
        report.add("completeness: a city's year", time.monotonic() - began, 60.0, "s", "limit")
        assert missing == 1
    store: RecordStore = open_store(url, write=False)
    how = f"a year of {YEARS} gateways, {numbers / 1e9:.1f} thousand million numbers"
    with contextlib.closing(store):
        for name, audit in (
            ("audit --numbers", lambda: audit_numbers(store)),
            ("audit --day", lambda: audit_store(store, day=DAY)),
        ):
            took, _, found = spent(audit)
            wrong = {each.gw: [text.text for _, text in each.findings] for each in found}
            (text,) = wrong.pop(name_of(LOST))
            assert text.endswith(f"1 numbers are missing: {MISSING}")
            assert not any(wrong.values())
            assert sum(each.records for each in found) == numbers
            report.add(f"{name}: a city's year", took, 600.0, "s", "limit", how)
        took, _, _ = spent(lambda: audit_store(store, gateway=name_of(7)))
        report.add("audit: a gateway's year", took, 1.0, "s", "limit")
