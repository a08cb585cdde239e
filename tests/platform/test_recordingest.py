"""What becomes of messages that have come: counted, told, stored, and receipted or not."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from edge.platform import keepquota, recordingest
from edge.platform.receivedrecord import ReceivedRecord, RefusedMessage
from edge.platform.recordingest import MESSAGES_PER_GATEWAY, RecordIngest
from edge.platform.recordstore import CommittedRecord, RecordStore, RecordStoreError
from edge.platform.sitecheck import AllowedSites
from edge.platform.subscription import ArrivedMessage
from edge.wire import JSON, Payload, encode
from tests.kit.broker import Make
from tests.kit.platform import gateway
from tests.kit.records import E1, GW, NOON, TOPICS, entry, envelope, record
from tests.platform.collecting import AIR, ALL, collecting, store

__all__ = ["store"]


async def test_each_kind_of_message_is_counted_and_records_have_receipts(
    mosquitto: Make, store: RecordStore
) -> None:
    broker = mosquitto()
    other = record(1, body={"x": "another content"})
    async with collecting(broker, store, filters=ALL) as running, gateway(broker) as sender:
        for one in (record(1), record(1), other, record(2)):
            await sender.publish(one)
        foreign = encode(record(3), envelope(record(3)), "gw-evil", "json")
        await sender.put(AIR, foreign)
        await sender.put(AIR, Payload(b"\x81", JSON))
        await sender.put("kerbstone/v1/x", Payload(b"no record", JSON))
        await sender.put(TOPICS.last("hut"), encode(record(9), envelope(record(9)), GW, "json"))
        await sender.put(TOPICS.status, Payload(b'{"v":1,"gw":"%s"}' % GW.encode(), JSON))
        await sender.publish(record(4))
        await running.until(lambda: sender.receipted == {(E1, "air", n) for n in (1, 2, 4)})
        await running.end()
    counts = running.counts
    assert counts.pop("commits") >= 1
    assert counts.pop("receipts") == sender.messages
    assert counts == {
        "stored": 3, "repeats": 1, "conflicts": 1, "foreign": 1, "undecodable": 2, "others": 2,
    }  # fmt: skip
    (conflict,) = (text for text in running.reported if text.startswith("conflict: "))
    assert f"{GW} {E1}/air/1 arrived again with another content" in conflict
    assert sorted(text.partition(":")[0] for text in running.reported) == [
        "conflict", "foreign", "undecodable", "undecodable",
    ]  # fmt: skip
    assert "Received PUBLISH from city (d0, q1" in broker.log
    assert "Received PUBLISH from city (d0, q2" not in broker.log
    assert [each.key[3] for each in store.records(GW)] == [1, 2, 4]
    kept = {(gw, kind): tally.kept for gw, kind, tally in store.tallies()}
    assert kept == {
        (GW, "conflict"): 1, (GW, "foreign"): 1, (GW, "undecodable"): 1, ("", "undecodable"): 1,
    }  # fmt: skip


async def test_what_is_retained_no_more_is_no_message(mosquitto: Make, store: RecordStore) -> None:
    """An empty `last` takes the retained one away: anybody may send it at any time."""
    broker = mosquitto()
    async with collecting(broker, store) as running, gateway(broker) as sender:
        await sender.put(TOPICS.last("hut"), Payload(b"", JSON))
        await sender.publish(record(1))
        await running.until(lambda: sender.receipted == {(E1, "air", 1)})
    assert (running.counts["stored"], running.reported) == (1, [])


async def test_what_is_not_told_one_by_one_is_told_of_its_gateway(
    mosquitto: Make, store: RecordStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recordingest, "MESSAGES_PER_GATEWAY", 0)
    others = [entry(record(1, body={"x": f"other {n}"})) for n in range(keepquota.KEPT_PER_KIND)]
    store.commit([entry(record(1)), *others], [])
    broker = mosquitto()
    async with collecting(broker, store) as running, gateway(broker) as sender:
        for x in ("other 1", "one more", "and more", "other 2"):
            await sender.publish(record(1, body={"x": x}))
        await running.until(lambda: running.counts.get("conflicts") == 2)
    more = f"further messages of {GW} are counted, but not reported one by one"
    assert running.reported == [f"conflict: {more}", f"excess: {more}"]
    assert running.counts["excess"] == 2


async def test_what_is_more_than_is_kept_has_no_receipt(
    mosquitto: Make, store: RecordStore
) -> None:
    others = [entry(record(1, body={"x": f"other {n}"})) for n in range(keepquota.KEPT_PER_KIND)]
    store.commit([entry(record(1)), *others], [])
    broker = mosquitto()
    async with collecting(broker, store) as running, gateway(broker) as sender:
        await sender.publish(record(1, body={"x": "one more"}))
        await sender.publish(record(2))
        await running.until(lambda: sender.receipted == {(E1, "air", 2)})
    counts = running.counts
    assert (counts["excess"], counts["stored"], "conflicts" in counts) == (1, 1, False)
    (reported,) = running.reported
    assert reported == (
        f"excess: {GW} {E1}/air/1 is not stored and gets no receipt: no more conflicts of this "
        "gateway are kept"
    )


async def test_one_gateway_does_not_hide_the_sentences_about_another(
    mosquitto: Make, store: RecordStore
) -> None:
    broker = mosquitto()
    async with collecting(broker, store) as running, gateway(broker) as sender:
        for _ in range(MESSAGES_PER_GATEWAY + 1):
            await sender.put(AIR, Payload(b"", JSON))
        await running.until(lambda: len(running.reported) == MESSAGES_PER_GATEWAY + 1)
        for _ in range(2):
            await sender.put(AIR, Payload(b"", JSON))
        for gw in ("gw-2", "x y"):  # the second is no gateway's branch
            await sender.put(AIR.replace(GW, gw), Payload(b"", JSON))
        await running.until(lambda: running.counts.get("undecodable") == MESSAGES_PER_GATEWAY + 5)
    reported = [text.partition(": ")[2] for text in running.reported]
    assert [text.startswith(AIR) for text in reported] == [True] * MESSAGES_PER_GATEWAY + [
        False
    ] * 3
    assert (
        reported[MESSAGES_PER_GATEWAY]
        == f"further messages of {GW} are counted, but not reported one by one"
    )


async def test_a_gateway_files_under_its_own_site_and_a_list_that_is_lost_is_told(
    mosquitto: Make, store: RecordStore, tmp_path: Path
) -> None:
    path = tmp_path / "sites"
    path.write_text(f"{GW} nord\n")
    sites = AllowedSites(path)
    path.unlink()
    broker = mosquitto()
    async with collecting(broker, store, sites=sites) as running, gateway(broker) as sender:
        await sender.publish(record(1))
        await running.until(lambda: len(running.reported) == 2)
    lost, foreign = running.reported
    assert lost.endswith("the sites that were known before still apply")
    assert foreign.endswith(f"{GW} belongs to nord, but publishes under stadt")
    assert (running.counts["foreign"], list(store.records(GW))) == (1, [])
    assert [(gw, kind) for gw, kind, _ in store.tallies()] == [(GW, "foreign")], "it is written"


def test_what_is_given_again_until_it_is_stored_is_told_once() -> None:
    class Away:
        left = 20

        def commit(
            self, entries: Sequence[ReceivedRecord], refused: Sequence[RefusedMessage]
        ) -> list[CommittedRecord]:
            assert [each.kind for each in refused] == ["undecodable"]
            self.left -= 1
            if self.left >= 0:
                raise RecordStoreError("away")
            return []

    store: Any = Away()
    said: list[str] = []
    ingest = RecordIngest(store, report=said.append)
    group = [ArrivedMessage(AIR, b"no record", JSON, retained=False)]
    for _ in range(20):
        with pytest.raises(RecordStoreError):
            ingest.take(group, 0, NOON)
    assert said == []
    ingest.take(group, 0, NOON)
    assert [text.partition(": ")[0] for text in said] == ["undecodable"]
    assert ingest.counts.undecodable == 1
