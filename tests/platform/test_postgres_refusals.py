"""Records that the database itself refuses: they harm neither others nor the sink."""

from dataclasses import replace

import msgpack
import psycopg
import pytest

from edge.core import TimeQuality
from edge.platform.receivedrecord import ReceivedRecord, RefusedMessage, make_received
from edge.platform.recordingest import RecordIngest
from edge.platform.recordstore import RecordStore, RecordStoreError
from edge.platform.subscription import ArrivedMessage
from edge.wire import decode
from tests.kit.fixtures import postgres_store, url
from tests.kit.records import GW, NOON, entry, record

__all__ = ["postgres_store", "url"]
NO_SEVENS = """
CREATE FUNCTION no_sevens() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.{column} {test} THEN
        RAISE 'no sevens here' USING ERRCODE = '{code}';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER no_sevens BEFORE INSERT ON kerbstone.{table}
FOR EACH ROW EXECUTE FUNCTION no_sevens()"""


def refuse(url: str, table: str, test: str, code: str = "22000") -> None:
    """Let the database refuse what passes this test."""
    column, _, test = test.partition(" ")
    words = NO_SEVENS.format(table=table, column=column, test=test, code=code)
    with psycopg.connect(url) as db:
        db.execute(words.encode())


def arrived(each: ReceivedRecord) -> ArrivedMessage:
    return ArrivedMessage(each.topic, each.payload, each.content_type, retained=False)


def again(first: ReceivedRecord, **fields: object) -> ReceivedRecord:
    """With other fields in its payload."""
    payload = msgpack.packb(msgpack.unpackb(first.payload) | fields)
    (message,) = decode(first.topic, payload, first.content_type)
    return make_received(message, first.topic, payload, first.content_type, first.received)


def test_one_record_that_the_database_refuses_stops_no_other(url: str, store: RecordStore) -> None:
    refuse(url, "record", "seq = 7")
    said: list[str] = []
    ingest = RecordIngest(store, report=said.append)
    receipts = ingest.take([arrived(entry(record(n))) for n in range(1, 101)], 0, NOON)
    assert [each.key[3] for each in store.records(GW)] == [*range(1, 7), *range(8, 101)]
    [(_, payload)] = receipts
    assert b"[[1,6],[8,100]]" in payload.data.replace(b" ", b"")
    assert (ingest.counts.stored, ingest.counts.undecodable) == (99, 1)
    [line] = [each for each in said if not each.startswith("unfit: ")]
    assert line.startswith("undecodable: gw-0001 4294967303/air/7 ")
    assert "no sevens here" in line
    with psycopg.connect(url) as db:
        [(gw, why, payload)] = db.execute("SELECT gw, why, payload FROM kerbstone.refused")
    assert (gw, payload) == (GW, entry(record(7)).payload)
    assert "no sevens here" in why
    assert store.tallies().of(GW, "undecodable").total == 1


def test_a_group_of_nothing_else_is_refused_one_by_one(url: str, store: RecordStore) -> None:
    refuse(url, "record", "seq > 0")
    done = store.commit([entry(record(n)) for n in range(1, 21)], [])
    assert [each.verdict for each in done] == ["refused"] * 20
    assert list(store.records(GW)) == []


def test_a_message_that_cannot_even_be_kept_as_refused_stops_no_other(
    url: str, store: RecordStore
) -> None:
    refuse(url, "refused", "gw = 'gw-7'")
    refused = [
        RefusedMessage("undecodable", f"gw-{n}", "t\ud800\0", "w\0\udfff", 1, b"", "")
        for n in range(10)
    ]
    done = store.commit([entry(record(1)), entry(record(2))], refused)
    assert [each.verdict for each in done] == ["stored"] * 2
    with psycopg.connect(url) as db:
        rows = db.execute("SELECT gw, topic, why FROM kerbstone.refused ORDER BY gw").fetchall()
    assert rows == [(f"gw-{n}", "t?\ufffd", "w\ufffd?") for n in range(10) if n != 7]


def test_a_database_that_is_away_refuses_no_record(url: str, store: RecordStore) -> None:
    refuse(url, "record", "seq = 7", "53100")  # the disk is full
    with pytest.raises(RecordStoreError, match="no sevens"):
        store.commit([entry(record(n)) for n in range(1, 11)], [])
    assert list(store.records(GW)) == []


@pytest.mark.parametrize("time", ["\0", "\ud800", "x" * 100_000, "2026-11-25T12:00:00\0"])
def test_a_better_time_that_is_none_harms_nobody(store: RecordStore, time: str) -> None:
    first = entry(record(1), TimeQuality.NONE)
    assert store.commit([first], [])[0].verdict == "stored"
    try:
        better = again(entry(record(1)), **{"from": time})
    except UnicodeEncodeError:
        made = entry(record(1))
        better = replace(made, wall=replace(made.wall, start=time))
    done = store.commit([better, entry(record(2))], [])
    assert [each.verdict for each in done] == ["repeat", "stored"]
    assert len(list(store.records(GW))) == 2
