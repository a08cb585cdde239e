"""A gateway that invents sites: the broker's rights do not always name a gateway's site."""

import contextlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import psycopg

from edge.platform.keepquota import SITE
from edge.platform.openstore import open_store
from edge.platform.postgres.places import BRANCHES_OF_GATEWAY
from edge.platform.postgres.store import PostgresStore
from edge.platform.receivedrecord import ReceivedRecord
from edge.platform.recordingest import RecordIngest
from edge.platform.sitecheck import refused_findings
from edge.platform.subscription import ArrivedMessage
from tests.kit.postgres import PostgresServer
from tests.kit.records import GW, NOON, entry, record

OTHER = "gw-0002"
MADE = entry(record(1))


def at_site(site: str, number: int, gw: str = GW) -> ReceivedRecord:
    _, epoch, stream, _ = MADE.key
    topic = f"kerbstone/v1/{site}/{gw}/up/air/hut"
    return replace(MADE, topic=topic, key=(gw, epoch, stream, number))


def branches(url: str) -> dict[str, int]:
    with psycopg.connect(url) as db:
        return dict(db.execute("SELECT gw, count(*) FROM kerbstone.branch GROUP BY gw").fetchall())


def test_a_hundred_thousand_sites_of_one_gateway_are_a_few_rows(postgres: PostgresServer) -> None:
    url = postgres.database()
    with contextlib.closing(PostgresStore(url, write=True)) as store:
        store.commit([at_site("stadt", 1), at_site("stadt", 1, OTHER)], [])
        counts = {"stored": 0, "excess": 0}
        for start in range(0, 100_000, 1_000):
            group = [at_site(f"invented{n}", n + 2) for n in range(start, start + 1_000)]
            for each in store.commit([*group, at_site("stadt", start + 2, OTHER)], []):
                if each.entry.key[0] == OTHER:
                    assert each.verdict == "stored", "another one is not harmed"
                else:
                    counts[each.verdict] += 1
        beyond = 100_001 - BRANCHES_OF_GATEWAY
        assert counts == {"stored": BRANCHES_OF_GATEWAY - 1, "excess": beyond}
        assert branches(url) == {GW: BRANCHES_OF_GATEWAY, OTHER: 1}
        assert len(store._places._branches) == BRANCHES_OF_GATEWAY + 1
        assert len(list(store.records(GW))) == BRANCHES_OF_GATEWAY
        assert store.commit([at_site("stadt", 100_002)], [])[0].verdict == "stored"
        [(gw, finding)] = refused_findings(store)
        assert (gw, finding.kind) == (GW, "excess")
        assert f"{beyond} records" in finding.text
        assert store.tallies().of(GW, SITE).not_kept == beyond


def test_writers_that_meet_new_sites_at_once_keep_the_bound(postgres: PostgresServer) -> None:
    url = postgres.database()

    def write(writer: int) -> None:
        with contextlib.closing(open_store(url, write=True)) as store:
            for n in range(20):
                store.commit([at_site(f"w{writer}-{n}", 20 * writer + n + 1)], [])

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(write, range(4)))
    assert branches(url) == {GW: BRANCHES_OF_GATEWAY}


def test_a_record_beyond_the_bound_has_no_receipt_and_is_told(postgres: PostgresServer) -> None:
    url, said = postgres.database(), list[str]()
    with contextlib.closing(open_store(url, write=True)) as store:
        ingest = RecordIngest(store, report=said.append)
        came = [
            ArrivedMessage(each.topic, each.payload, each.content_type, retained=False)
            for n in range(BRANCHES_OF_GATEWAY + 1)
            for each in [entry(record(n + 1))]
        ]
        came = [replace(each, topic=each.topic.replace("stadt", f"s{n}"))
            for n, each in enumerate(came)]  # fmt: skip
        receipts = ingest.take(came, 0, NOON)
    assert len(receipts) == BRANCHES_OF_GATEWAY
    assert (ingest.counts.stored, ingest.counts.excess) == (BRANCHES_OF_GATEWAY, 1)
    [line] = [each for each in said if each.startswith("excess: ")]
    assert "too many sites" in line
