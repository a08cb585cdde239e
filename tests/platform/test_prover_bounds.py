"""What a hostile gateway's manifests cost whoever proves them: some bytes may name everything."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from edge.core import Record
from edge.platform import prover, walltimecheck
from edge.platform.openstore import open_store
from edge.platform.prover import prove_gateway, prove_some
from edge.platform.receivedrecord import ReceivedRecord, WallTimes
from edge.platform.recordstore import RecordStore
from edge.platform.sqliteproofs import SqliteProofDesk
from edge.platform.storedproofs import pack_proof
from edge.wire.clockmoments import Moment
from tests.kit.records import GW, entry, record
from tests.platform.test_prover import by_contents, by_proofs, manifest, said


@pytest.fixture
def store(tmp_path: Path) -> Iterator[RecordStore]:
    with closing(open_store(tmp_path / "store.db", write=True)) as made:
        yield made


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Numbers of all records but manifests that the prover has read."""
    numbers: list[int] = []
    records = SqliteProofDesk.records

    def counted(
        desk: SqliteProofDesk, epoch: int, stream: str, *between: int
    ) -> Iterator[ReceivedRecord]:
        for each in records(desk, epoch, stream, *between):
            if stream != "manifest":
                numbers.append(each.key[3])
            yield each

    monkeypatch.setattr(SqliteProofDesk, "records", counted)
    return numbers


def put(store: RecordStore, *records: Record) -> None:
    store.commit([entry(each) for each in records], [])


def as_contents(store: RecordStore) -> bool:
    return said(by_proofs(store)[0]) == said(by_contents(store))


def test_of_numbers_far_apart_what_lies_between_is_not_read(
    store: RecordStore, read: list[int]
) -> None:
    records = [record(n) for n in range(1, 3001)]
    put(store, *records, manifest(1, records[0], records[-1]))
    assert prove_gateway(store, GW) == 1
    assert read == [1, 3000]


def test_numbers_that_never_come_wait_in_little_room(store: RecordStore) -> None:
    many = {"seqs": [[1, 19_999, 2]], "first": 1, "last": 19_999, "count": 10_000}
    put(store, *(manifest(n, record(1), **many) for n in range(1, 8)))
    assert prove_gateway(store, GW) == 0
    (proof,) = (proof for _, _, proof in store.proofs(GW))
    assert [len(each.numbers) for each in proof.waiting] == [10_000, 10_000]
    assert len(pack_proof(proof)) < 200_000


def test_more_numbers_than_a_gateway_seals_are_left_to_the_audit(
    store: RecordStore, read: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prover, "SEALED_LIMIT", 3)
    records = [record(n) for n in range(1, 9)]
    put(store, *records, manifest(1, *records[:3]), manifest(2, *records[3:]))
    assert prove_gateway(store, GW) == 1
    assert read == [1, 2, 3]
    assert as_contents(store)


@pytest.mark.parametrize("wrong", [{"sha256": "00" * 32}, {"clock": []}])
def test_records_that_many_manifests_name_in_vain_are_not_read_each_time(
    store: RecordStore, read: list[int], wrong: dict[str, Any]
) -> None:
    records = [record(n) for n in range(1, 51)]
    put(store, *records)
    for at in range(1, 200, 20):
        put(store, *(manifest(n, *records, **wrong) for n in range(at, at + 20)))
        assert prove_gateway(store, GW) == 0
    assert len(read) <= 12 * 50
    assert as_contents(store)


def test_of_moments_by_which_records_are_dated_anew_not_all_are_tried(
    store: RecordStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried: list[Moment] = []
    matches = walltimecheck._matches

    def counted(wall: WallTimes, entry: ReceivedRecord, moment: Moment) -> bool:
        tried.append(moment)
        return matches(wall, entry, moment)

    monkeypatch.setattr(walltimecheck, "_matches", counted)
    for n in range(1, 21):
        again = [[1, 0, 10**15 + (n * 32 + j) * 10**6, "ntp", None, None] for j in range(32)]
        put(store, record(n), manifest(n, record(n), clock_redelivered=again))
    assert prove_gateway(store, GW) == 20
    tried.clear()
    put(store, record(21), manifest(21, record(21), clock=[]))
    assert prove_gateway(store, GW) == 0
    assert 0 < len(tried) <= 200
    assert as_contents(store)


def test_a_turn_ends_and_others_have_theirs(
    store: RecordStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prover, "READ_A_TURN", 5)
    records = [record(n) for n in range(1, 13)]
    put(store, *records, *(manifest(n, *records[3 * n - 3 : 3 * n]) for n in range(1, 5)))
    assert [prove_some(store, GW) for _ in range(3)] == [(2, True), (2, False), (0, False)]
    assert by_proofs(store)[1] == 0
