"""What an audit of a store notes, counts and bounds beside the judge's verdict."""

from collections.abc import Iterable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import msgpack
import pytest

from edge.core import Stream
from edge.platform import audit as module
from edge.platform.audit import GatewayAudit, audit_store
from edge.platform.days import UNKNOWN, DaysOfGateway
from edge.platform.openstore import open_store
from edge.platform.receivedranges import ReceivedRanges
from edge.platform.receivedrecord import ReceivedRecord
from edge.platform.signatures import CertificateKeys
from edge.platform.storedpayload import stands_for
from edge.wire import CHAIN_START, WireError
from edge.wire.records import HEADER_KEYS
from tests.kit.records import E1, E2, GW, entry, record, sealed
from tests.kit.scripted import device_key

ELSEWHERE = "kerbstone/v1/stadt/gw-evil/up/air/hut"


def audited(folder: Path, entries: Iterable[ReceivedRecord], **more: Any) -> GatewayAudit:
    path = folder / f"store.{len(list(folder.iterdir()))}.db"
    store = open_store(path, write=True)
    for each in entries:
        store.commit([each], [])
    (done,) = audit_store(store, **more)
    store.close()
    return done


def kinds(done: GatewayAudit) -> list[str]:
    return [finding.kind for _, finding in done.findings]


SEALED = [entry(each) for each in sealed(record(1), record(2))]


@pytest.mark.parametrize(
    ("came", "last", "old"),
    [
        ("2026-11-24T13:00:00.000Z", "2026-11-25T13:00:00.000Z", False),
        ("2026-11-24T12:59:59.999Z", "2026-11-25T13:00:00.000Z", True),
        ("2026-11-24T14:00:00+01:00", "2026-11-25T13:00:00.000Z", False),
        ("no time", "2026-11-25T13:00:00.000Z", True),
        ("2026-11-25T13:00:00.000Z", "yesterday", True),
    ],
)
def test_what_came_long_ago_and_is_not_sealed_is_a_finding(
    tmp_path: Path, came: str, last: str, old: bool
) -> None:
    early, late = entry(record(3), received=came), entry(record(4), received=last)
    done = audited(tmp_path, [*SEALED, early, late])
    assert done.unsealed == 2
    assert done.notes[-1] == f"{GW}: 2 numbers have arrived that no manifest seals yet"
    assert kinds(done) == ["unsealed"] * old
    if old:
        ((day, finding),) = done.findings
        number = 1 if came.startswith("2026") and last.startswith("2026") else 2
        text = f"{GW} {E1}/air: {number} old records were never sealed"
        assert finding.text == f"{text}: nothing proves them (3-4)"
        assert (day, finding.place) == ("2026-11-25", (GW, E1, "air", 3))
        assert done.days.day(day).findings == 1


def test_what_is_proved_is_counted_by_the_day(tmp_path: Path) -> None:
    seen: list[int] = []
    done = audited(tmp_path, SEALED, progress=seen.append)
    assert (done.gw, done.findings, done.hidden, done.missing) == (GW, [], 0, {})
    assert (done.records, done.proved, done.unsealed, seen) == (3, 1, 0, [])
    assert done.branch == f"kerbstone/v1/stadt/{GW}"
    assert done.notes == [f"{GW}: epoch {E1} is open: no later start has reported how it ended"]
    ((date, day),) = done.days.days.items()
    assert (date, day.records, day.numbers, day.proved) == ("2026-11-25", 3, 3, 1)


def test_progress_is_told_now_and_then(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PROGRESS_EVERY", 2)
    seen: list[int] = []
    audited(tmp_path, [entry(record(n)) for n in range(1, 6)], progress=seen.append)
    assert seen == [2, 4]


def test_findings_are_shown_up_to_a_bound_and_counted_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "FINDINGS_SHOWN", 3)
    foreign = [replace(entry(record(n)), topic=ELSEWHERE) for n in range(1, 9)]
    done = audited(tmp_path, foreign)
    assert (len(done.findings), done.hidden) == (3, 6)  # the ninth: nothing is proved
    assert set(kinds(done)) == {"foreign"}
    assert sum(day.findings for day in done.days.days.values()) == 9
    assert done.branch == ""


def test_a_second_content_is_told_with_its_time(tmp_path: Path) -> None:
    other = entry(record(2, body={"x": "other"}), received="then")
    done = audited(tmp_path, [*SEALED, other])
    ((_, finding),) = done.findings
    text = f"{GW} {E1}/air/2 arrived with two different contents; the second at then"
    assert (finding.kind, finding.text) == ("conflict", text)


def test_a_manifest_whose_records_are_gone_proves_nothing(tmp_path: Path) -> None:
    done = audited(tmp_path, [SEALED[0], SEALED[2]])
    assert kinds(done) == ["nothing", "missing"]
    assert done.proved == 0
    text = "1 manifests seal numbers that are not in the store: the digests of these manifests"
    assert f"{GW}: {text} are not checked" in done.notes


WRONG: list[dict[str, Any]] = [
    {"gw": "gw-2"}, {"epoch": E2}, {"stream": "energy"}, {"seq": 2}, {"boot": 2}, {"mono": [0, 1]},
]  # fmt: skip


@pytest.mark.parametrize("wrong", WRONG, ids=str)
def test_a_payload_of_another_key_is_damage(tmp_path: Path, wrong: dict[str, Any]) -> None:
    one = entry(record(1))
    changed = replace(one, payload=msgpack.packb({**one.sent(), **wrong}))
    done = audited(tmp_path, [changed, *SEALED[1:]])
    assert sorted(kinds(done)) == ["damage", "digest", "nothing"]
    day = done.days.day("2026-11-25")
    assert (day.numbers, day.covered) == (3, {("air", "hut"): 60.0})
    assert "not checked" not in str(done.notes)
    (text,) = [each.text for _, each in done.findings if each.kind == "damage"]
    why = "the payload has another key than its row"
    assert text == f"{GW} {E1}/air/1: the stored payload is damaged: {why}"
    assert done.days.day("2026-11-25").records == 3


@pytest.mark.parametrize("payload", [b"[1]", b"{", b"\xc1", b"\x93\x01", b"{" * 9, b"\x01"])
def test_bytes_that_are_no_map_are_damage(tmp_path: Path, payload: bytes) -> None:
    rotten = replace(SEALED[0], payload=payload)
    with pytest.raises(WireError):
        rotten.sent()
    assert sorted(kinds(audited(tmp_path, [rotten, *SEALED[1:]]))) == [
        "damage", "digest", "nothing",
    ]  # fmt: skip
    manifest = replace(SEALED[2], payload=payload)
    assert sorted(kinds(audited(tmp_path, [*SEALED[:2], manifest]))) == ["damage", "nothing"]


def test_one_gateway_of_a_store_is_audited_alone(tmp_path: Path) -> None:
    other = replace(SEALED[0], key=("gw-2", *SEALED[0].key[1:]))
    store = open_store(tmp_path / "city.db", write=True)
    store.commit([*SEALED, other], [])
    assert [done.gw for done in audit_store(store)] == [GW, "gw-2"]
    assert [done.gw for done in audit_store(store, gateway=GW)] == [GW]
    assert list(audit_store(store, gateway="gw-3")) == []
    store.close()


def test_a_merged_record_stands_for_what_it_covers(tmp_path: Path) -> None:
    whole = record(5, at=(0, 180), body={"x": 1, "covers": [[1, 5, 2]]})
    done = audited(tmp_path, [entry(whole)])
    day = done.days.day("2026-11-25")
    assert (day.records, day.numbers) == (1, 3)
    assert [stands_for({"covers": covers}) for covers in ([[1, 5, 2]], "x", [])] == [3, 1, 0]
    assert stands_for({}) == 1


MANIFEST = sealed(record(1), record(2))[-1]


def manifest(seq: int, **more: Any) -> ReceivedRecord:
    body = {**MANIFEST.body, **more}
    return entry(record(seq, stream=Stream.MANIFEST, source="air", at=(120, 120), body=body))


@pytest.mark.parametrize("at", [1, 3])
def test_a_manifest_that_is_no_good_hides_no_other(tmp_path: Path, at: int) -> None:
    foreign = replace(manifest(at), topic=ELSEWHERE.replace("air/hut", "manifest/air"))
    rotten = replace(manifest(at), payload=b"x")
    for wrong, kind in (
        (foreign, "foreign"), (rotten, "damage"), (manifest(at, count=9), "digest"),
    ):  # fmt: skip
        done = audited(tmp_path, [*SEALED[:2], manifest(2), wrong])
        assert (kinds(done), done.proved) == ([kind], 1)


def test_a_manifest_that_seals_nothing_proves_nothing(tmp_path: Path) -> None:
    body = {
        "epoch_of": E1, "stream_of": "manifest", "first": 1, "last": 0, "count": 0, "seqs": [],
        "sha256": CHAIN_START.hex(), "clock": [], "former": {"epoch": E1 - 1, "last": {}},
    }  # fmt: skip
    opening = entry(record(1, stream=Stream.MANIFEST, source="manifest", body=body))
    done = audited(tmp_path, [SEALED[0], opening])
    assert (kinds(done), done.proved) == (["nothing"], 1)
    assert audited(tmp_path, [entry(each) for each in sealed(record(1))]).findings == []


def test_what_is_not_signed_is_believed_only_where_the_operator_says_so(tmp_path: Path) -> None:
    folder = tmp_path / "keys"
    folder.mkdir()
    sign, pem = device_key()
    (folder / "gw.pem").write_text(pem)
    done = audited(tmp_path, SEALED, keys=CertificateKeys(folder))
    assert (kinds(done), done.proved) == (["unsigned", "nothing"], 0)
    assert "not signed" not in str(done.notes)
    allowed = CertificateKeys(folder, unsigned_ok=[GW])
    done = audited(tmp_path, SEALED, keys=allowed)
    assert (done.findings, done.proved) == ([], 0)
    text = "1 manifests are not signed, which --unsigned-ok allows (a key in a TPM): anybody"
    rest = "who can write this store could have made them, so they prove nothing"
    assert done.notes[0] == f"{GW}: {text} {rest}"
    signed = manifest(
        1, **asdict(sign({k: v for k, v in SEALED[2].sent().items() if k not in HEADER_KEYS}))
    )
    done = audited(tmp_path, [*SEALED[:2], signed], keys=allowed)
    assert (done.findings, done.proved) == ([], 1)
    assert "not signed" not in str(done.notes)


def test_a_register_that_began_anew_is_noted(tmp_path: Path) -> None:
    points: list[dict[str, int]] = [
        {"first": 0, "last": 5, "delta": 0, "step": 1}, {"first": 9, "last": 12, "delta": 3,
                                                        "step": 1},
    ]  # fmt: skip
    made = [
        record(n, stream=Stream.ENERGY, body={"covered_s": 60.0, "points": {"energy": point}})
        for n, point in enumerate(points, 1)
    ]
    done = audited(tmp_path, [entry(each) for each in sealed(*made)])
    assert done.findings == []
    text = "1 registers have their first growth of an epoch above the last recorded value"
    assert done.notes[0] == f"{GW}: {text}: no record has the growth in between"


# -- days ------------------------------------------------------------------------------------------


def test_a_number_belongs_to_the_day_of_the_record_before_it() -> None:
    days = DaysOfGateway()
    for seq, date in ((5, "a"), (6, "a"), (9, "b"), (12, "a")):
        days.record((GW, E1, "air", seq), "hut", date, {"mono": [0, 60_000_000]}, 1)
    near = {seq: days.of((GW, E1, "air", seq)) for seq in (1, 5, 8, 9, 10, 11, 12, 99)}
    assert near == {1: "a", 5: "a", 8: "a", 9: "b", 10: "b", 11: "b", 12: "a", 99: "a"}
    assert days.of(None) == days.of((GW, E1, "energy", 5)) == days.of((GW, E2, "air", 5)) == UNKNOWN
    assert (days.day("a").records, days.day("b").records) == (3, 1)
    assert days.day("a").least() == ("air/hut", 180.0)
    assert days.day("c").least() is None


def test_seconds_gaps_and_drops_are_added_up() -> None:
    days = DaysOfGateway()
    for said in (7.5, True, "9", None):
        sent = {"mono": [1_000_000, 3_000_000], "covered_s": said}
        days.record((GW, E1, "air", 1), "b", "a", sent, 2)
    for source in ("a", "c"):
        days.record((GW, E1, "air", 1), source, "a", {"mono": [0, 0], "covered_s": 13.5}, 2)
    for event in ("gap", "gap", "drop", "start"):
        days.record((GW, E1, "event", 1), "", "a", {"event": event}, 1)
    days.record((GW, E1, "manifest", 1), "", "a", {"event": "gap"}, 1)
    day = days.day("a")
    assert day.covered == {("air", "b"): 13.5, ("air", "a"): 13.5, ("air", "c"): 13.5}
    assert day.least() == ("air/a", 13.5)
    assert (day.gaps, day.drops, day.records, day.numbers) == (2, 1, 11, 17)


# -- received ranges ------------------------------------------------------------------------------


def test_the_epoch_that_was_heard_last_is_known_by_its_time() -> None:
    received = ReceivedRanges(GW, E1)
    assert (received.latest, received.heard) == (E1, "")
    for epoch, heard, latest in ((E2, "b", E2), (E1, "a", E2), (E1, "b", E1), (E2, "", E1)):
        received.add_number(epoch, "air", 1, heard)
        assert received.latest == latest


def test_covered_numbers_are_new_once_and_a_conflict_as_records_of_their_own() -> None:
    received = ReceivedRanges(GW, E1)

    def take(seq: int, covers: Any = None) -> tuple[bool, list[str]]:
        new = received.add_number(E1, "raw", seq)
        data = {"stream": "raw", "epoch": E1, "seq": seq, "boot": 7, "covers": covers}
        return new, [each.text for each in received.add_record("", data)]

    name = f"{GW} {E1}/raw"
    assert take(5, [[1, 5, 2]]) == (True, [])
    assert take(2) == (True, [])
    assert take(2) == (False, [])
    own = f"{name}/3 arrived as a record of its own, and another record covers it, too"
    assert take(3) == (True, [own])
    assert take(5) == (False, []), "its own number is none that it covers"
    twice = f"{name}/6 covers 2 numbers that other records have or cover too"
    assert take(6, [[1, 2, 1], [6, 6, 1]]) == (True, [twice])
    for covers in ([], [[1, 2, 1]], [[8, 6, 1]], 7):
        _, (text,) = take(7, covers)
        assert text.startswith(f"{name}/7: covers: ")
    assert received.boots == {E1: 7}
