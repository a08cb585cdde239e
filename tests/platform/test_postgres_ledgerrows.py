"""Rows of the ledger stay small, whatever numbers a gateway sends or says that it covers."""

import time
import tracemalloc
from random import Random

import psycopg
import pytest

from edge.core import Record
from edge.platform.keepquota import COVERS, GAPS
from edge.platform.ledger import PARTS_LIMIT
from edge.platform.postgres import ledgerrows
from edge.platform.recordstore import RecordStore
from edge.platform.sitecheck import refused_findings
from tests.kit.fixtures import postgres_store, url
from tests.kit.records import E1, GW, entry, record

__all__ = ["postgres_store", "url"]


def verdicts(store: RecordStore, *records: Record) -> list[str]:
    return [each.verdict for each in store.commit([entry(one) for one in records], [])]


def merged(seq: int, first: int, parts: int, by: int = 2) -> Record:
    """It says that it stands for so many numbers that do not touch, and for its own."""
    covers = [[first, first + by * (parts - 1), by], [seq, seq, 1]]
    return record(seq, body={"covered_s": 1.0, "covers": covers})


def sizes(url: str) -> tuple[int, int]:
    """The largest `got` and `covered`."""
    with psycopg.connect(url) as db:
        row = db.execute(
            "SELECT max(pg_column_size(got)), max(pg_column_size(covered)) FROM kerbstone.ledger"
        ).fetchone()
    assert row is not None
    return row


def test_short_records_that_stand_for_millions_of_numbers_cost_little(
    url: str, store: RecordStore
) -> None:
    """A thousand of 200 bytes, each with as many parts as one may have: once 63 s and 1.3 GB."""
    step = 2 * PARTS_LIMIT
    flood = [merged(step * n, step * (n - 1) + 1, PARTS_LIMIT - 1) for n in range(1, 1_001)]
    _cheap(store, flood)
    assert sizes(url)[1] < 4 * ledgerrows.ROW_BYTES
    assert store.tallies().of(GW, COVERS).not_kept > 900
    assert verdicts(store, merged(step * 1_001, step * 1_000 + 1, 9)) == ["stored"]
    assert sizes(url)[1] < 4 * ledgerrows.ROW_BYTES
    [(gw, finding)] = refused_findings(store)
    assert (gw, finding.kind) == (GW, "excess")


def test_short_records_that_stand_for_the_same_numbers_cost_little(
    url: str, store: RecordStore
) -> None:
    _cheap(store, [merged(20_000 + n, 1, PARTS_LIMIT - 1) for n in range(1, 1_001)])
    assert sizes(url)[1] < ledgerrows.ROW_BYTES
    assert store.tallies().of(GW, COVERS).not_kept > 900


def _cheap(store: RecordStore, flood: list[Record]) -> None:
    entries = [entry(each) for each in flood]
    tracemalloc.start()
    begun = time.process_time()
    done = store.commit(entries, [])
    took, (_, peak) = time.process_time() - begun, tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert {each.verdict for each in done} == {"stored"}
    assert took < 10
    assert peak < 64 << 20


def test_the_same_parts_again_and_again_write_nothing(url: str, store: RecordStore) -> None:
    verdicts(store, *(record(n) for n in range(1, 50, 2)))
    done = verdicts(store, *(merged(n, 1, 25) for n in range(100, 300)))
    assert set(done) == {"stored"}
    with psycopg.connect(url) as db:
        [(covered,)] = db.execute("SELECT covered::text FROM kerbstone.ledger")
    assert covered == "{" + ",".join(f"[{n},{n + 1})" for n in range(1, 50, 2)) + ",[100,300)}"


def test_numbers_with_gaps_have_a_bound_and_others_go_on(
    url: str, store: RecordStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every second number for ever: what fills a gap or touches one that is there is taken."""
    monkeypatch.setattr(ledgerrows, "ROW_BYTES", 4 << 10)
    for start in range(1, 2_001, 200):
        verdicts(store, *(record(n) for n in range(start, start + 200, 2)))
    size, _ = sizes(url)
    assert 4 << 10 <= size < 8 << 10
    there = [each.key[3] for each in store.records(GW)]
    top = max(there)
    assert there == list(range(1, top + 1, 2))
    assert top < 800
    assert store.tallies().of(GW, GAPS).not_kept == 1_000 - len(there)
    assert verdicts(store, record(top + 2), record(top)) == ["excess", "repeat"]
    assert verdicts(store, record(top + 1), record(top + 2), record(top + 5)) == [
        "stored", "stored", "excess",
    ]  # fmt: skip
    assert verdicts(store, record(2), record(4)) == ["stored"] * 2
    assert verdicts(store, record(top + 5, epoch=E1 + 1)) == ["stored"], "of another epoch"
    [(_, finding)] = refused_findings(store)
    assert (finding.kind, f"{GW}: {1_002 - len(there)} records" in finding.text) == ("excess", True)


def test_a_full_row_takes_just_what_touches_it(
    store: RecordStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    there = {10, 30, 50}
    verdicts(store, *map(record, there))
    monkeypatch.setattr(ledgerrows, "ROW_BYTES", 0)
    random = Random(7)
    for _ in range(30):
        group, stored = random.sample(range(1, 60), 5), set[int]()
        while more := {n for n in group if {n - 1, n + 1} & (there | stored)} - stored - there:
            stored |= more
        wanted = ["repeat" if n in there else "stored" if n in stored else "excess" for n in group]
        assert verdicts(store, *map(record, group)) == wanted
        there |= stored
