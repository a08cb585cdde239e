"""Manifests are proved in PostgreSQL by any of several sinks, while others store."""

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import psycopg
import pytest

from edge.core import TimeQuality
from edge.platform.openstore import open_store
from edge.platform.postgres.migrate import migrate
from edge.platform.postgres.proofdesk import PostgresProofDesk
from edge.platform.postgres.store import PostgresStore
from edge.platform.prover import prove_gateway
from edge.platform.receivedrecord import WallTimes
from tests.kit.fixtures import mortal_postgres
from tests.kit.postgres import PostgresServer
from tests.kit.records import E1, GW, NOON, entry, record, sealed
from tests.kit.scripted import ScriptedGateway, entries
from tests.long import size
from tests.platform.gateway_story import tell
from tests.platform.test_prover import (
    by_contents,
    by_proofs,
    commit_in_parts,
    manifest,
    said,
    without_some,
)
from tests.platform.test_walltimecheck import lived

__all__ = ["mortal_postgres"]
ROLES = Path("deploy/city/roles.sql")


@pytest.mark.parametrize("seed", range(size(6, 40)))
def test_of_a_story_and_of_what_is_lost_it_says_the_same(
    seed: int, postgres: PostgresServer
) -> None:
    rng = Random(seed)
    order = without_some(tell(rng), rng, rng.choice([0.0, 0.2]))
    store = open_store(postgres.database(), write=True)
    commit_in_parts(store, [entry(r) for r in order], rng)
    quick, _ = by_proofs(store)
    assert said(quick) == said(by_contents(store))
    store.close()


@pytest.mark.parametrize("seed", range(size(4, 30)))
def test_of_times_that_are_made_better_it_says_the_same(
    seed: int, postgres: PostgresServer
) -> None:
    rng = Random(seed)
    store = open_store(postgres.database(), write=True)
    commit_in_parts(store, lived(seed), rng)
    quick, _ = by_proofs(store)
    assert said(quick) == said(by_contents(store))
    store.close()


def test_several_prove_and_store_at_once_and_each_manifest_counts_once(
    postgres: PostgresServer,
) -> None:
    url, street = postgres.database(), ScriptedGateway()
    street.start(E1)
    for _ in range(30):
        street.minutes(3)
        street.seal()
    sent, begin = entries(street.messages), threading.Barrier(4)

    def work(number: int) -> int:
        store, rng, held = open_store(url, write=True), Random(number), 0
        mine = sent[number::4]
        begin.wait()
        while mine:
            store.commit(mine[:5], [])
            mine = mine[5:]
            if rng.random() < 0.7:
                held += prove_gateway(store, GW)
        store.close()
        return held

    with ThreadPoolExecutor(4) as pool:
        held = sum(pool.map(work, range(4)))
    store = open_store(url, write=True)
    held += prove_gateway(store, GW)
    manifests = sum(each.key[2] == "manifest" for each in sent)
    assert held == manifests
    quick, read = by_proofs(store)
    assert said(quick) == said(by_contents(store))
    assert (quick.findings, quick.proved, read) == ([], manifests, 0)
    store.close()


def test_a_sinks_role_may_prove_and_a_readers_may_not(mortal_postgres: PostgresServer) -> None:
    url = mortal_postgres.database()
    with psycopg.connect(url, autocommit=True) as db:
        db.execute(ROLES.read_bytes())
        db.execute("CREATE USER sink1 IN ROLE kerbstone_sink")
        db.execute("CREATE USER analyst IN ROLE kerbstone_reader")
        migrate(db)
    street = ScriptedGateway()
    street.start(E1)
    street.minutes(3)
    street.seal()
    street.seal()
    store = open_store(url.replace("city@", "sink1@"), write=True)
    store.commit(entries(street.messages), [])
    assert prove_gateway(store, GW) == sum(e.key[2] == "manifest" for e in entries(street.messages))
    again = [each.dated(replace(each.wall, tq="nts")) for each in entries(street.messages[1:2])]
    store.commit(again, [])
    store.close()
    reader = open_store(url.replace("city@", "analyst@"), write=False)
    assert [key[3] for key in reader.redated(GW)] == [again[0].key[3]]
    reader.close()
    with psycopg.connect(url.replace("city@", "analyst@")) as db:
        seen = db.execute("SELECT numbers, proved FROM city.completeness WHERE stream = 'air'")
        assert seen.fetchall() == [(3, 3)]
    forged = "UPDATE kerbstone.proof SET facts = ''"
    with (
        psycopg.connect(url.replace("city@", "analyst@")) as db,
        pytest.raises(psycopg.errors.InsufficientPrivilege),
    ):
        db.execute(forged)


def test_proving_takes_no_lock_that_a_group_of_records_needs(postgres: PostgresServer) -> None:
    """A second sink has locked rows of the ledger: neither waits for the other."""
    url = postgres.database()
    with closing(PostgresStore(url, write=True)) as store, psycopg.connect(url) as sink:
        store.commit([entry(each) for each in sealed(record(1))], [])
        sink.execute("SELECT FROM kerbstone.ledger ORDER BY id FOR UPDATE")
        store._db.execute("SET lock_timeout = '1s'")
        assert prove_gateway(store, GW) == 1


def test_a_better_time_that_comes_while_one_is_proved_is_looked_at(
    postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A second sink stores it after its record was read."""
    url, one = postgres.database(), record(1)
    lie = WallTimes("2026-11-24T12:00:00.000Z", "2026-11-24T12:01:00.000Z", "nts")
    keep = PostgresProofDesk.keep
    with (
        closing(open_store(url, write=True)) as sink, closing(open_store(url, write=True)) as other,
    ):  # fmt: skip
        sink.commit([entry(one, TimeQuality.RTC)], [])
        sink.commit([entry(one)], [])

        def late(*of: Any) -> None:
            other.commit([entry(one).dated(lie)], [])
            keep(*of)

        monkeypatch.setattr(PostgresProofDesk, "keep", late)
        moments = [[1, 0, NOON // 1000, tq, None, None] for tq in ("rtc", "ntp")]
        sink.commit([entry(manifest(1, one, clock=moments[:1], clock_redelivered=moments))], [])
        assert prove_gateway(sink, GW) == 1
        quick, _ = by_proofs(sink)
        assert said(quick) == said(by_contents(sink))
        assert [each.kind for _, each in quick.findings] == ["time", "nothing"]
