"""An audit by proofs says what an audit of all records says, whenever the proofs were made."""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.core import Record, Stream
from edge.platform import prover
from edge.platform.audit import GatewayAudit, audit_store
from edge.platform.openstore import open_store
from edge.platform.prover import prove_gateway
from edge.platform.receivedrecord import ReceivedRecord, WallTimes
from edge.platform.recordstore import RecordStore
from edge.platform.storedproofs import pack_proof
from edge.wire import CHAIN_START
from tests.kit.records import E1, GW, entry, record, sealed
from tests.kit.scripted import ScriptedGateway, entries
from tests.long import examples
from tests.platform.gateway_story import Story, place, tell
from tests.platform.test_audit import came
from tests.platform.test_walltimecheck import lived

SEEDS = st.integers(0, 2**32)


class CountingStore:
    """How many records an audit has read."""

    def __init__(self, store: RecordStore) -> None:
        self._store, self.read = store, 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def records(self, gw: str, stream: str | None = None) -> Iterator[ReceivedRecord]:
        for each in self._store.records(gw, stream):
            self.read += 1
            yield each

    def record_range(self, first: Any, last: int) -> Iterator[ReceivedRecord]:
        for each in self._store.record_range(first, last):
            self.read += 1
            yield each


def by_proofs(store: RecordStore) -> tuple[GatewayAudit, int]:
    counting = CountingStore(store)
    (done,) = audit_store(counting)
    return done, counting.read


def by_contents(store: RecordStore) -> GatewayAudit:
    (done,) = audit_store(store, contents=True)
    return done


def said(done: GatewayAudit) -> dict[str, Any]:
    """All that an audit says, but not in which order."""
    return {
        "findings": sorted((day, each.kind, each.text) for day, each in done.findings),
        "notes": sorted(done.notes), "missing": done.missing, "branch": done.branch,
        "records": done.records, "proved": done.proved, "unsealed": done.unsealed,
        "days": {
            day: (c.records, c.numbers, c.gaps, c.drops, c.proved, c.findings,
                  {of: round(s, 3) for of, s in c.covered.items()})
            for day, c in done.days.days.items()
        },
    }  # fmt: skip


def commit_in_parts(
    store: RecordStore, entries: Sequence[ReceivedRecord], rng: Random, proving: float = 0.5
) -> None:
    """Some at a time; proved now and then."""
    left = [*entries]
    while left:
        count = rng.randrange(1, 12)
        store.commit(left[:count], [])
        left = left[count:]
        if rng.random() < proving:
            prove_gateway(store, GW)


def with_gaps(seals: int, minutes: int) -> ScriptedGateway:
    """A gap of ten seconds before each manifest and its minutes."""
    street = ScriptedGateway()
    street.start(E1)
    for _ in range(seals):
        gap = [street.at * 1_000_000, (street.at + 10) * 1_000_000]
        street.at += 10
        street.event({"event": "gap", "reason": "stall", "sources": ["*"], "gap": gap, "text": ""})
        street.minutes(minutes)
        street.seal()
    return street


def without_some(story: Story, rng: Random, share: float) -> list[Record]:
    may = [r for r in story.records if place(r) not in story.keep]
    lost = {place(r) for r in may if rng.random() < share}
    return came(story, lost, rng)


@settings(max_examples=examples(80), deadline=None)
@given(seed=SEEDS)
def test_of_a_whole_story_hardly_anything_is_read_again(seed: int) -> None:
    rng = Random(seed)
    story = tell(rng)
    with TemporaryDirectory() as folder:
        store = open_store(Path(folder) / "store.db", write=True)
        commit_in_parts(store, [entry(r) for r in came(story, set(), rng)], rng)
        prove_gateway(store, GW)
        quick, read = by_proofs(store)
        assert said(quick) == said(by_contents(store))
        assert (quick.findings, read) == ([], 0)
        store.close()


@settings(max_examples=examples(150), deadline=None)
@given(seed=SEEDS, share=st.floats(0, 0.5), again=st.integers(0, 10))
def test_of_what_is_lost_and_comes_again_it_says_the_same(
    seed: int, share: float, again: int
) -> None:
    rng = Random(seed)
    order = without_some(tell(rng), rng, share)
    sent = [entry(r) for r in order]
    sent += [entry(r, redelivered=True) for r in rng.choices(order, k=again)]
    with TemporaryDirectory() as folder:
        store = open_store(Path(folder) / "store.db", write=True)
        commit_in_parts(store, sent, rng)
        quick, _ = by_proofs(store)
        assert said(quick) == said(by_contents(store))
        store.close()


@settings(max_examples=examples(60), deadline=None)
@given(seed=st.integers(0, 1 << 32))
def test_of_what_the_boxs_own_code_dates_and_dates_anew_it_says_the_same(seed: int) -> None:
    """Boots without a clock, steps of it, records that go out again with a better time."""
    rng = Random(seed)
    with TemporaryDirectory() as folder:
        store = open_store(Path(folder) / "store.db", write=True)
        commit_in_parts(store, lived(seed), rng)
        quick, _ = by_proofs(store)
        assert said(quick) == said(by_contents(store))
        store.close()


@settings(max_examples=examples(60), deadline=None)
@given(seed=SEEDS, which=st.sampled_from(["other content", "conflict", "another time", "forged"]))
def test_what_is_wrong_is_found_whenever_it_comes(seed: int, which: str) -> None:
    rng = Random(seed)
    story = tell(rng)
    victim = rng.choice([r for r in story.records if "x" in r.body])
    key = victim.key
    other = Record(
        key, victim.source, victim.boot, victim.from_ns, victim.to_ns, {**victim.body, "x": 2.5}
    )
    order = came(story, set(), rng)
    sent = [entry(r) for r in order]
    at = order.index(victim)
    match which:
        case "other content":
            sent[at] = entry(other)
        case "conflict":
            sent.insert(rng.randrange(at + 1, len(sent) + 1), entry(other))
        case "another time":  # that no manifest knows of, though it says that it is a better one
            later = WallTimes("2026-11-25T01:00:00.000Z", "2026-11-25T01:01:00.000Z", "nts")
            again = entry(victim, redelivered=True).dated(later)
            sent.insert(rng.randrange(at + 1, len(sent) + 1), again)
        case "forged":
            sent[at] = sent[at].dated(replace(sent[at].wall, start="2026-11-24T01:00:00Z"))
    with TemporaryDirectory() as folder:
        store = open_store(Path(folder) / "store.db", write=True)
        commit_in_parts(store, sent, rng)
        prove_gateway(store, GW)
        quick, _ = by_proofs(store)
        assert quick.findings
        assert said(quick) == said(by_contents(store))
        store.close()


def manifest(seq: int, *records: Record, **changed: Any) -> Record:
    made = sealed(*records)[-1]
    at = made.from_ns // 1_000_000_000
    body = {**made.body, **changed}
    return record(seq, stream=Stream.MANIFEST, source=made.source, at=(at, at), body=body)


NOTHING: dict[str, Any] = {
    "seqs": [], "first": 1, "last": 0, "count": 0, "sha256": CHAIN_START.hex(),
}  # fmt: skip


@pytest.mark.parametrize(
    ("second", "kinds"),
    [
        ([manifest(n, record(1), **NOTHING) for n in (2, 3)], ["replay"]),
        ([manifest(5, record(2), covers=[[2, 5, 1]]), record(2)], []),
        ([replace(entry(each), topic=entry(each).topic.replace("/stadt/", "/dorf/"))
          for each in (record(2), manifest(2, record(2)))], ["site"]),
    ],
    ids=["nothing sealed twice", "a manifest that covers", "another site"],
)  # fmt: skip
def test_what_no_gateway_seals_is_told_as_by_contents(
    tmp_path: Path, second: list[Record | ReceivedRecord], kinds: list[str]
) -> None:
    with closing(open_store(tmp_path / "store.db", write=True)) as store:
        for group in ([record(1), manifest(1, record(1))], second):
            store.commit([entry(e) if isinstance(e, Record) else e for e in group], [])
            prove_gateway(store, GW)
        quick, _ = by_proofs(store)
        assert said(quick) == said(by_contents(store))
        assert [each.kind for _, each in quick.findings] == kinds


def test_what_is_changed_in_the_store_afterwards_is_found_by_its_contents(tmp_path: Path) -> None:
    """And not by the proofs: they say what had come, and so does the manual."""
    path = tmp_path / "store.db"
    store = open_store(path, write=True)
    store.commit([entry(each) for each in sealed(record(1), record(2))], [])
    assert prove_gateway(store, GW) == 1
    store.close()
    db = sqlite3.connect(path)
    row = entry(record(2, body={"covered_s": 60.0, "x": "other"}))
    db.execute("UPDATE entry SET payload = ? WHERE seq = 2", (row.payload,))
    db.commit()
    db.close()
    store = open_store(path, write=False)
    quick, read = by_proofs(store)
    assert (quick.findings, read) == ([], 0)
    assert [each.kind for _, each in by_contents(store).findings] == ["digest", "nothing"]
    store.close()


@pytest.mark.parametrize("rotten", [b"", b"\x81\xa7numbers\x05", b"\xc1", b"\x80" * 40])
def test_a_proof_that_is_rotten_is_as_good_as_none(rotten: bytes, tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    store = open_store(path, write=True)
    store.commit([entry(each) for each in sealed(record(1), record(2))], [])
    prove_gateway(store, GW)
    store.close()
    db = sqlite3.connect(path)
    db.execute("UPDATE proof SET facts = ?", (rotten,))
    db.commit()
    db.close()
    store = open_store(path, write=True)
    store.commit([entry(record(3))], [])
    assert prove_gateway(store, GW) == 0
    quick, _ = by_proofs(store)
    assert said(quick) == said(by_contents(store))
    store.close()


def test_chapters_and_what_waits_have_bounds(tmp_path: Path, monkeypatch: Any) -> None:
    """A source with a thousand gaps fills chapters; the manifests of a backlog that never comes
    wait, and the oldest are left to the audit."""
    monkeypatch.setattr(prover, "CHAPTER_BYTES", 200)
    monkeypatch.setattr(prover, "MANIFESTS_A_TURN", 5)
    monkeypatch.setattr(prover, "WAITING_LIMIT", 3)
    store = open_store(tmp_path / "store.db", write=True)
    street = with_gaps(40, minutes=5)
    half = len(street.messages) // 2
    come, late = street.messages[:half], street.messages[half:]
    store.commit(entries(come), [])
    prove_gateway(store, GW)
    store.commit(entries(each for each in late if "/manifest" in each.topic), [])
    prove_gateway(store, GW)
    proofs = [*store.proofs(GW)]
    assert sum(len(proof.waiting) for _, _, proof in proofs) == 3
    assert max(len(pack_proof(proof)) for _, _, proof in proofs) < 800
    assert len([None for _, stream, _ in proofs if stream == "air"]) > 2
    store.commit(entries(each for each in late if "/manifest" not in each.topic), [])
    prove_gateway(store, GW)
    quick, _ = by_proofs(store)
    assert said(quick) == said(by_contents(store))
    assert quick.findings == []
    store.close()


def test_what_is_kept_of_a_place_has_a_bound(tmp_path: Path, monkeypatch: Any) -> None:
    """A gateway may invent names without end: what is beyond is read by each audit."""
    monkeypatch.setattr(prover, "PLACE_BYTES", 3000)
    monkeypatch.setattr(prover, "CHAPTER_BYTES", 500)
    monkeypatch.setattr(prover, "MANIFESTS_A_TURN", 5)
    store = open_store(tmp_path / "store.db", write=True)
    street = with_gaps(60, minutes=2)
    store.commit(entries(street.messages), [])
    prove_gateway(store, GW)
    sizes: dict[str, int] = {}
    for _, stream, proof in store.proofs(GW):
        sizes[stream] = sizes.get(stream, 0) + len(pack_proof(proof))
    assert 3000 < max(sizes.values()) < 4500
    quick, read = by_proofs(store)
    assert said(quick) == said(by_contents(store))
    assert (quick.findings, read > 0) == ([], True)
    store.close()
