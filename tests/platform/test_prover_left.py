"""What sinks have stored and did not live to prove is found by the next one."""

from edge.platform.openstore import open_store
from edge.platform.postgres.store import PostgresStore
from edge.platform.recordingest import RecordIngest
from tests.kit.postgres import PostgresServer
from tests.kit.records import E1, GW
from tests.kit.scripted import ScriptedGateway, entries


def test_what_a_killed_sink_left_unproved_is_known(postgres: PostgresServer) -> None:
    street = ScriptedGateway()
    street.start(E1)
    for _ in range(2):
        street.minutes(3)
        street.seal()
    url, sent = postgres.database(), entries(street.messages)
    store = open_store(url, write=True)
    store.commit(sent, [])
    store.close()  # it dies before it proves
    store = PostgresStore(url, write=True)
    assert store.unproved() == [GW]
    ingest = RecordIngest(store, report=lambda _: None)
    ingest.prove_later(store.unproved())
    while ingest.unproved:
        ingest.prove()
    assert ingest.counts.proved == sum(each.key[2] == "manifest" for each in sent)
    assert store.unproved() == []
    store.close()
