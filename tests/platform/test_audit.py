"""The audit judges right: held against a gateway of which everything is known."""

import base64
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.core import ConfigError, Record, Stream
from edge.core.numbers import count_in_ranges
from edge.platform.audit import GatewayAudit, audit_store
from edge.platform.auditor import Auditor, AuditReport
from edge.platform.days import UNKNOWN, day_of
from edge.platform.openstore import open_store
from edge.platform.receivedrecord import WallTimes
from edge.wire import decode, encode
from tests.kit.records import E1, GW, TOPICS, entry, envelope, record, sealed
from tests.kit.scripted import device_key
from tests.long import examples
from tests.platform.gateway_story import Place, Story, place, tell

SEEDS = st.integers(0, 2**32)


def live(records: Iterable[Record], again: Iterable[Record] = ()) -> AuditReport:
    """What `subscribe --check` says."""
    auditor = Auditor()
    for one, marks in [*((r, False) for r in records), *((r, True) for r in again)]:
        payload = encode(one, envelope(one, redelivered=marks), GW, "msgpack")
        topic = TOPICS.record(one.key.stream, one.source)
        (message,) = decode(topic, payload.data, payload.content_type)
        auditor.take(message)
    return auditor.report()


def stored(folder: Path, records: Iterable[Record], again: Iterable[Record] = ()) -> GatewayAudit:
    """What `audit` says of a store into which it came."""
    path = folder / f"store.{len(list(folder.iterdir()))}.db"
    store = open_store(path, write=True)
    store.commit([entry(r) for r in records], [])
    store.commit([entry(r, redelivered=True) for r in again], [])
    (done,) = audit_store(store)
    store.close()
    return done


def missing_of(done: GatewayAudit) -> set[Place]:
    return {
        (epoch, stream, n)
        for (epoch, stream), ranges in done.missing.items()
        for first, last in ranges
        for n in range(first, last + 1)
    }


def came(story: Story, lost: set[Place], rng: Random) -> list[Record]:
    """In any order; only a record of the first epoch is the first: that is where we join."""
    found = [r for r in story.records if place(r) not in lost]
    rng.shuffle(found)
    start = min(r.key.epoch for r in story.records)
    first = next(n for n, r in enumerate(found) if r.key.epoch == start)
    return [found.pop(first), *found]


@settings(max_examples=examples(60), deadline=None)
@given(seed=SEEDS)
def test_all_of_it_in_any_order_and_any_number_of_times_is_clean(seed: int) -> None:
    rng = Random(seed)
    story = tell(rng)
    order = came(story, set(), rng)
    again = rng.choices(order, k=5)
    report = live(order, again)
    assert report.findings == []
    assert report.records == len(story.records)
    manifests = sum(r.key.stream is Stream.MANIFEST for r in order)
    assert report.proved == manifests
    assert report.notes == []
    with TemporaryDirectory() as folder:
        done = stored(Path(folder), order, again)
    assert done.findings == []
    assert done.proved == manifests
    last = max(r.key.epoch for r in order)
    assert done.notes == [f"{GW}: epoch {last} is open: no later start has reported how it ended"]
    assert sum(day.records for day in done.days.days.values()) == len(order)
    numbers = {n for r in order for n in story.numbers_of(r)}
    assert sum(day.numbers for day in done.days.days.values()) == len(numbers)


@settings(max_examples=examples(100), deadline=None)
@given(seed=SEEDS, share=st.floats(0.02, 0.6))
def test_what_is_lost_is_missing_to_the_number(seed: int, share: float) -> None:
    rng = Random(seed)
    story = tell(rng)
    may = [r for r in story.records if place(r) not in story.keep]
    gone = [r for r in may if rng.random() < share]
    lost = {place(r) for r in gone}
    truth = {n for r in gone for n in story.numbers_of(r)}
    truth |= {n for n, event in story.dropped.items() if event in lost}
    order = came(story, lost, rng)
    with TemporaryDirectory() as folder:
        done = stored(Path(folder), order, rng.choices(order, k=3))
    assert missing_of(done) == truth
    kinds = {finding.kind for _, finding in done.findings}
    kinds -= {"nothing"}  # where each manifest, or something of what it seals, is lost
    assert kinds == ({"missing"} if truth else set()), done.findings
    report = live(order)
    assert {finding.kind for finding in report.findings} == kinds, report.findings
    assert len(report.findings) == len(done.missing)


@settings(max_examples=examples(60), deadline=None)
@given(seed=SEEDS)
def test_one_other_content_breaks_the_digest_of_its_manifest(seed: int) -> None:
    rng = Random(seed)
    story = tell(rng)
    at = rng.choice([n for n, r in enumerate(story.records) if "x" in r.body])
    old = story.records[at]
    new = Record(old.key, old.source, old.boot, old.from_ns, old.to_ns, {**old.body, "x": 2.5})
    order = [new if r is old else r for r in came(story, set(), rng)]
    report = live(order)
    assert [finding.kind for finding in report.findings] == ["digest"]
    with TemporaryDirectory() as folder:
        done = stored(Path(folder), order)
    assert [finding.kind for _, finding in done.findings] == ["digest"]
    manifests = sum(r.key.stream is Stream.MANIFEST for r in order)
    assert done.proved == report.proved == manifests - 1


def test_both_contents_under_a_number_are_a_conflict(tmp_path: Path) -> None:
    other = record(2, body={"x": "other"})
    done = stored(tmp_path, [*sealed(record(1), record(2)), other])
    assert [finding.kind for _, finding in done.findings] == ["conflict"]


def test_what_no_manifest_seals_is_noted_and_nothing_else_is_no_proof(tmp_path: Path) -> None:
    done = stored(tmp_path, [record(1), record(2)])
    assert [finding.kind for _, finding in done.findings] == ["nothing"]
    done = stored(tmp_path, [*sealed(record(1), record(2)), record(3), record(4)])
    assert done.findings == []
    assert done.notes[-1] == f"{GW}: 2 numbers have arrived that no manifest seals yet"


def test_a_finding_is_near_a_day(tmp_path: Path) -> None:
    """Twelve hours after the first record a new day begins."""
    night = 12 * 60
    numbers = [n for n in range(1, night + 100) if n not in (5, night + 50)]
    done = stored(tmp_path, sealed(*map(record, numbers)))
    assert [(day, finding.kind) for day, finding in done.findings] == [("2026-11-25", "missing")]
    assert done.days.of((GW, E1, "air", night + 50)) == "2026-11-26"
    first, second = (done.days.days[day] for day in ("2026-11-25", "2026-11-26"))
    assert (first.records, second.records) == (night - 1, 99)
    assert first.least() == ("air/hut", (night - 1) * 60.0)
    assert count_in_ranges(done.missing[E1, "air"]) == 2


@pytest.mark.parametrize(
    ("wall", "day"),
    [
        (WallTimes("2026-11-26T23:59:00.000Z", "2026-11-27T00:00:00.000Z", "ntp"), "2026-11-26"),
        (WallTimes("2026-11-26T23:59:00.000Z", "2026-11-27T00:00:00.000Z", "rtc"), "2026-11-26"),
        (WallTimes("2026-11-26T01:00:00.000Z", "x", "none"), UNKNOWN),
        (WallTimes("2026-11-26T01:00:00.000Z", "x", "floor", "[null, null]"), UNKNOWN),
        (WallTimes("1970", "x", "none", '["2026-11-26T01:00:00Z", "2026-11-26T09:00:00Z"]'),
         "2026-11-26"),
        (WallTimes("1970", "x", "none", '["2026-11-25T01:00:00Z", "2026-11-26T09:00:00Z"]'),
        UNKNOWN),
        (WallTimes("1970", "x", "none", '["2026-11-26T01:00:00Z", null]'), UNKNOWN),
        (WallTimes("nonsense", "x", "ntp"), UNKNOWN),
    ],
)  # fmt: skip
def test_a_record_without_a_clock_has_a_day_only_by_its_bounds(wall: WallTimes, day: str) -> None:
    assert day_of(wall) == day


def test_signatures_are_checked_with_the_gateways_certificates(tmp_path: Path) -> None:
    from edge.platform.signatures import CertificateKeys

    sign, pem = device_key()
    keys, others = tmp_path / "keys", tmp_path / "others"
    for folder in (keys, others):
        folder.mkdir()
    (keys / "gw.pem").write_text(pem)
    (others / "gw.pem").write_text(device_key("gw-9", 9)[1])
    story = tell(Random(3), sign)
    path = tmp_path / "store.db"
    store = open_store(path, write=True)
    store.commit([entry(r) for r in story.records], [])
    (without,) = audit_store(store)
    assert without.findings == []
    assert "are signed" in without.notes[0]
    (right,) = audit_store(store, keys=CertificateKeys(keys))
    assert right.findings == [], right.findings
    assert [note for note in right.notes if "sign" in note] == []
    (unknown,) = audit_store(store, keys=CertificateKeys(others))
    manifests = sum(r.key.stream is Stream.MANIFEST for r in story.records)
    kinds = [finding.kind for _, finding in unknown.findings]
    # and so nothing seals the events that declare what is missing
    assert sorted(kinds) == ["nothing", *["signature"] * manifests, "unsealed"]
    store.close()


@pytest.mark.parametrize(("old", "new"), [
    ("a003020102", "a003020130"),  # a version that there is none of
    ("06032b6570032100", "06032b6579032100"),  # a key of a kind that nobody knows
    (GW.encode().hex(), "ff" + GW.encode().hex()[2:]),  # a name that is no UTF-8
])  # fmt: skip
def test_a_certificate_with_a_wrong_byte_is_named(tmp_path: Path, old: str, new: str) -> None:
    from cryptography import x509
    from cryptography.hazmat.primitives.serialization import Encoding

    from edge.platform.signatures import CertificateKeys

    _, pem = device_key()
    der = x509.load_pem_x509_certificate(pem.encode()).public_bytes(Encoding.DER).hex()
    assert old in der
    wrong = base64.encodebytes(bytes.fromhex(der.replace(old, new)))
    head, tail = b"-----BEGIN CERTIFICATE-----\n", b"-----END CERTIFICATE-----\n"
    (tmp_path / "gw.pem").write_bytes(head + wrong + tail)
    with pytest.raises(ConfigError, match=r"gw\.pem"):
        CertificateKeys(tmp_path)


def test_a_manifest_that_was_changed_has_a_wrong_signature() -> None:
    from edge.platform.signatures import CertificateKeys

    sign, pem = device_key()
    with TemporaryDirectory() as folder:
        (Path(folder) / "gw.pem").write_text(pem)
        keys = CertificateKeys(Path(folder))
    (made, *_) = [r for r in tell(Random(5), sign).records if r.key.stream is Stream.MANIFEST]
    sent = entry(made).sent()
    assert keys.refusal(GW, sent) is None
    assert keys.refusal(GW, {**sent, "count": sent["count"] + 1}) == "its signature is wrong"
    assert "gw-0001" in str(keys.refusal("gw-2", sent))
    assert "of another type" in str(keys.refusal(GW, {**sent, "alg": "ecdsa-sha256"}))
    assert keys.refusal(GW, {**sent, "sig": "?"}) == "its signature is wrong"


@settings(max_examples=examples(60), deadline=None)
@given(seed=SEEDS, data=st.data())
def test_bytes_that_rot_in_the_store_are_findings_and_never_a_crash(
    seed: int, data: st.DataObject
) -> None:
    entries = [entry(r) for r in tell(Random(seed)).records]
    for _ in range(data.draw(st.integers(1, 6))):
        at = data.draw(st.integers(0, len(entries) - 1))
        payload = bytearray(entries[at].payload)
        payload[data.draw(st.integers(0, len(payload) - 1))] = data.draw(st.integers(0, 255))
        entries[at] = replace(entries[at], payload=bytes(payload))
    with TemporaryDirectory() as folder:
        store = open_store(Path(folder) / "store.db", write=True)
        store.commit(entries, [])
        (done,) = audit_store(store)
        store.close()
    assert done.records == len(entries)
