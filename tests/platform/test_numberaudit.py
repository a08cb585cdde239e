"""An audit of numbers alone finds what is missing as the whole one does, without any content."""

import contextlib
import json
import sqlite3
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.cli.main import VERBS
from edge.core import Stream
from edge.core.numbers import Numbers
from edge.platform.audit import GatewayAudit, audit_store
from edge.platform.ledger import COVERED_LIMIT, PARTS_LIMIT, enter_ranges, ranges_in
from edge.platform.numberaudit import audit_numbers
from edge.platform.openstore import open_store
from edge.platform.prover import prove_gateway
from edge.platform.recordstore import RecordStore, RecordStoreError
from edge.platform.storetables import SCHEMA
from tests.audit.runner import FOLDER
from tests.kit.command import Command
from tests.kit.records import E1, E2, GW, entry, record, sealed
from tests.kit.scripted import Sent, entries
from tests.long import examples
from tests.platform.formerstore import tamper
from tests.platform.gateway_story import tell

OF_NUMBERS = {"missing", "lost", "open", "fork"}


def said(found: GatewayAudit) -> list[str]:
    kinds = [(finding.kind, finding.text) for _, finding in found.findings]
    return sorted(f"{kind}: {text}" for kind, text in kinds if kind in OF_NUMBERS)


def the_same(store: RecordStore) -> None:
    whole, quick = list(audit_store(store)), list(audit_numbers(store))
    assert [each.gw for each in quick] == [each.gw for each in whole]
    assert [each.missing for each in quick] == [each.missing for each in whole]
    assert [said(each) for each in quick] == [said(each) for each in whole]
    assert [each.branch for each in quick] == [each.branch for each in whole]


@pytest.mark.parametrize("vector", sorted(each.stem for each in FOLDER.glob("*.json")))
def test_it_finds_what_the_whole_audit_finds_of_numbers(vector: str, store: RecordStore) -> None:
    messages = json.loads((FOLDER / f"{vector}.json").read_text("utf-8"))["messages"]
    store.commit(entries(Sent(each["topic"], each["payload"]) for each in messages), [])
    the_same(store)
    prove_gateway(store, GW)
    the_same(store)


@pytest.mark.parametrize("seed", range(20))
def test_whatever_is_missing_of_a_story(seed: int, store: RecordStore, path: Path) -> None:
    """Merged records, drops, gaps and several epochs, in any order and in any groups; also while
    it is converted from an earlier version."""
    rng = Random(seed)
    told = [entry(each) for each in tell(rng).records]
    left = [each for each in told if rng.random() > 0.1 or each.key[2] == "manifest"]
    rng.shuffle(left)
    while left:
        group, left = left[:40], left[40:]
        store.commit(group, [])
    the_same(store)
    before = list(store.numbers(GW))
    assert any(first < last for _, _, (first, last) in before)
    if path.suffix == ".db":
        store.close()
        tamper(path, "")
        for write in (False, True):
            with contextlib.closing(open_store(path, write=write)) as again:
                assert list(again.numbers(GW)) == before
                the_same(again)


def test_a_merged_record_stands_for_what_it_covers(store: RecordStore) -> None:
    merged = record(9, body={"covers": [[1, 5, 2], [6, 9, 1]]})
    lying = [
        record(20, body={"covers": [[1, 19, 1]]}), record(22, body={"covers": [[1, 0, 0]]}),
        record(24, body={"covers": "all"}), record(26, body={"text": "it covers nothing"}),
    ]  # fmt: skip
    store.commit([entry(each) for each in (merged, *lying)], [])
    assert list(store.numbers(GW)) == [
        (E1, "air", each) for each in ((1, 1), (3, 3), (5, 9), *((n, n) for n in (20, 22, 24, 26)))
    ]  # fmt: skip
    assert list(store.numbers("gw-9")) == []
    for payload in (b"\xffcovers", "covers", None):
        assert ranges_in(payload, 3) == [(3, 3)]


@pytest.mark.parametrize(
    ("covers", "count"),
    [
        ([[1, COVERED_LIMIT, 1]], 1), ([[1, COVERED_LIMIT + 1, 1]], 0),
        ([[1, 2 * PARTS_LIMIT - 1, 2]], PARTS_LIMIT), ([[1, 2 * PARTS_LIMIT + 1, 2]], 0),
        ([[1, 1, 1], [3, 2 * PARTS_LIMIT + 1, 2]], 0), ([[1, 1 << 60, 2 << 50]], 0),
        ([[1, 3, 1], [5, 5, 0]], 0), ([[1, 3, 1], [0, 5, 1]], 0), ([[1, 4, 2]], 0),
    ],
)  # fmt: skip
def test_what_a_record_may_cover_is_bounded(covers: list[list[int]], count: int) -> None:
    """Else a hundred bytes of a hostile gateway were a hundred thousand rows."""
    seq = covers[-1][1]
    found = ranges_in(json.dumps({"covers": covers}).encode(), seq)
    assert found == [(seq, seq)] if count == 0 else len(found) == count


def test_what_comes_again_or_is_taken_back_enters_nothing(store: RecordStore) -> None:
    store.commit([entry(record(n)) for n in (1, 2, 4)], [])
    bad = replace(entry(record(5)), key=(GW, E1, "air", 1 << 70))
    with pytest.raises((OverflowError, RecordStoreError)):
        store.commit([entry(record(3)), bad], [])
    store.commit([entry(record(2)), entry(record(4, body={"x": "other"}))], [])
    store.commit([entry(record(1, stream=Stream.ENERGY)), entry(record(1, epoch=E2))], [])
    assert list(store.numbers(GW)) == [
        (E1, "air", (1, 2)), (E1, "air", (4, 4)), (E1, "energy", (1, 1)), (E2, "air", (1, 1)),
    ]  # fmt: skip


RANGES = st.lists(st.sets(st.integers(1, 60), max_size=12), max_size=12)


@settings(max_examples=examples(60), deadline=None)
@given(RANGES)
def test_the_ledger_is_a_set_of_numbers(groups: list[set[int]]) -> None:
    with contextlib.closing(sqlite3.connect(":memory:")) as db:
        db.executescript(SCHEMA)
        truth, other = Numbers(), Numbers()
        for group in groups:
            ranges = [(number, number) for number in group]
            if ranges:
                ranges.append((min(group), min(group) + 3))
                truth.add_range(*ranges[-1])
                other.add_range(*(number + 1000 for number in ranges[-1]))
            shifted = [(first + 1000, last + 1000) for first, last in ranges]
            enter_ranges(db, {1: ranges, 2: shifted})
            for number in group:
                truth.add(number)
                other.add(number + 1000)
            found = db.execute("SELECT * FROM ledger ORDER BY numbering, first").fetchall()
            wanted = [(1, *each) for each in truth.ranges()] + [
                (2, *each) for each in other.ranges()
            ]
            assert found == wanted


@pytest.fixture
def street(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Numbers 3 and 4 are missing, and the payload of 7 is damaged."""
    monkeypatch.setitem(VERBS, "audit", "")
    path = tmp_path / "city.db"
    mine = sealed(*(record(n) for n in range(1, 11)))
    with contextlib.closing(open_store(path, write=True)) as made:
        made.commit([entry(each) for each in mine if each.key.seq not in (3, 4)], [])
    with contextlib.closing(sqlite3.connect(path)) as db:
        db.execute("UPDATE entry SET payload = x'80' WHERE seq = 7")
        db.commit()
    return path


def test_it_says_so_in_lines_and_objects(kerbstone: Command, street: Path) -> None:
    done = kerbstone("audit", "--store", street, "--numbers")
    assert done.code == 1
    assert done.lines == [
        f"{GW}: 9 numbers: 1 findings",
        f"missing: {GW} {E1}/air: 2 numbers are missing: 3-4",
        "1 gateways, 9 numbers: 1 findings",
    ]
    done = kerbstone("audit", "--store", street, "--numbers", "--json")
    assert json.loads(done.lines[0]) == {"gw": GW, "numbers": 9, "findings": 1}
    assert json.loads(done.lines[-1])["numbers"] == 9


def test_without_a_gap_it_says_what_it_has_not_looked_at(kerbstone: Command, street: Path) -> None:
    with contextlib.closing(open_store(street, write=True)) as made:
        made.commit([entry(record(n)) for n in (3, 4)], [])
    done = kerbstone("audit", "--store", street, "--numbers")
    assert done.code == 0
    assert done.lines[-1] == "1 gateways, 11 numbers: none is missing (contents were not looked at)"
    assert kerbstone("audit", "--store", street).code == 1, "the whole audit finds the damage"
    assert kerbstone("audit", "--store", street, "--numbers", "--gateway", "gw-9").code == 1


@pytest.mark.parametrize("word", ["--day 2026-11-25", "--keys keys", "--sites sites"])
def test_what_needs_contents_does_not_go_with_it(
    kerbstone: Command, street: Path, word: str
) -> None:
    done = kerbstone("audit", "--store", street, "--numbers", *word.split())
    assert done.code == 2
    assert word.split()[0] in done.err


def test_short_records_that_stand_for_millions_of_numbers_fill_no_ledger(tmp_path: Path) -> None:
    """Each of 200 bytes was thousands of its rows."""
    path, step = tmp_path / "store.db", 2 * PARTS_LIMIT
    store = open_store(path, write=True)
    for n in range(1, 31):
        covers = [[step * (n - 1) + 1, step * n - 3, 2], [step * n, step * n, 1]]
        flood = record(step * n, body={"covered_s": 1.0, "covers": covers})
        assert [done.verdict for done in store.commit([entry(flood)], [])] == ["stored"]
    ((gw, kind, tally),) = store.tallies()
    assert (gw, kind, tally.total) == (GW, "covers", 27)
    store.close()
    with contextlib.closing(sqlite3.connect(path)) as db:
        assert db.execute("SELECT count(*) FROM ledger").fetchone()[0] < 16_000
