"""Proofs and the archive: manifests that come late are proved against packed records, and what is
removed stays proved."""

from contextlib import closing
from datetime import date
from random import Random

import pytest

from edge.platform.openstore import open_store
from edge.platform.postgres.retention import Retention
from edge.platform.prover import prove_gateway
from tests.kit.archiving import archive_all, connect
from tests.kit.postgres import PostgresServer
from tests.kit.records import E1, GW, entry, record, sealed
from tests.kit.scripted import ScriptedGateway, entries
from tests.platform.gateway_story import tell
from tests.platform.test_prover import by_contents, by_proofs, manifest, said, without_some

LATER = date(2027, 1, 1)


@pytest.mark.parametrize("seed", range(4))
def test_what_is_archived_is_proved_as_before(postgres: PostgresServer, seed: int) -> None:
    url, rng = postgres.database(), Random(seed)
    order = [entry(each) for each in without_some(tell(rng), rng, 0.1)]
    with closing(open_store(url, write=True)) as store:
        for at in range(0, len(order), 7):
            store.commit(order[at : at + 7], [])
            if rng.random() < 0.3:
                archive_all(url)
            if rng.random() < 0.5:
                prove_gateway(store, GW)
        archive_all(url)
        quick, _ = by_proofs(store)
        assert said(quick) == said(by_contents(store))


def test_what_is_removed_stays_proved(postgres: PostgresServer) -> None:
    url, street = postgres.database(), ScriptedGateway()
    street.start(E1)
    for _ in range(9):
        street.minutes(3)
        street.seal()
    with closing(open_store(url, write=True)) as store:
        store.commit(entries(street.messages), [])
        prove_gateway(store, GW)
        before = by_proofs(store)[0]
        archive_all(url)
        with connect(url) as db:
            retention = Retention(db)
            (day,) = retention.days(LATER)
            done = retention.remove(day)
            (left,) = db.execute("SELECT sum(records) FROM record_archive").fetchone() or (0,)
        after = by_proofs(store)[0]
    assert done.records > 0
    assert {each.stream for each in done.unproved} <= {"manifest"}, done
    assert said(after) == said(before)
    assert left in (None, 1)


def test_of_what_is_removed_gaps_are_told_though_the_rest_is_odd(postgres: PostgresServer) -> None:
    """Reading all again would begin at the first record that is left."""
    url, records = postgres.database(), [record(n) for n in range(1, 10)]
    with closing(open_store(url, write=True)) as store:
        store.commit([entry(each) for each in sealed(*records)], [])
        prove_gateway(store, GW)
        archive_all(url)
        with connect(url) as db:
            Retention(db).remove(Retention(db).days(LATER)[0])
        late = entry(record(12, boot=2), received="2026-12-25T13:00:00.000Z")
        store.commit([late], [])
        done, _ = by_proofs(store)
    assert done.missing == {(E1, "air"): [(10, 11)]}
    assert [each.kind for _, each in done.findings] == ["missing", "damage"]
    assert "10 numbers were removed" in done.findings[-1][1].text


def test_a_pack_that_is_damaged_ends_neither_an_audit_nor_proving(postgres: PostgresServer) -> None:
    url, records = postgres.database(), [record(n) for n in range(1, 7)]
    with closing(open_store(url, write=True)) as store:
        store.commit([entry(each) for each in records], [])
        archive_all(url)
        with connect(url) as db:
            db.execute("UPDATE record_archive SET pack = 'x'")
        late = (record(7), manifest(1, *records), manifest(2, record(7)))
        store.commit([entry(each) for each in late], [])
        assert prove_gateway(store, GW) == 1
        for done in (by_proofs(store)[0], by_contents(store)):
            assert [each.kind for _, each in done.findings] == ["damage"]
            assert "a pack of the archive cannot be read" in done.findings[0][1].text
