"""What is retained at the broker: the status, the newest record of each source, and what is taken
away; without a broker.
"""

import json
from dataclasses import replace
from functools import partial
from typing import Any

import pytest

from edge.config.model.uplink import Uplink
from edge.core import Record, RecordKey, Stream
from edge.uplink import presence as retained_module
from edge.uplink.mqtt import BrokerRefusedError, ConnectionLostError
from edge.uplink.presence import RetainedMessages
from edge.uplink.sender import SenderOptions
from edge.wire import Topics
from tests.kit.uplink import GW
from tests.outbox.test_downsample import MINUTE

UP = f"kerbstone/v1/stadtmitte/{GW}/up"


class PublishLog:
    """Takes what is published; answers come when the test says so."""

    room = 99

    def __init__(self) -> None:
        self.sent: list[tuple[Any, str, bytes]] = []

    def publish(self, token: Any, topic: str, payload: bytes, *_: Any, **__: Any) -> None:
        self.sent.append((token, topic, payload))


def retained_messages(last_s: int = 1) -> RetainedMessages:
    topics = Topics("kerbstone/v1", "stadtmitte", GW)
    return RetainedMessages(topics, lambda kind, text: None, {}, last_s=last_s)


def test_by_default_no_record_is_retained_and_what_an_older_version_left_is_taken_away() -> None:
    assert SenderOptions().last_s == Uplink(url="mqtt://broker").last_s == 0
    record = Record(RecordKey(1, Stream.AIR, 7), "hut", 1, 0, MINUTE, {})
    kept = retained_messages(last_s=0)
    link: Any = PublishLog()
    made: list[int] = []
    for minute in range(1, 4):
        at = replace(record, to_ns=minute * MINUTE)
        kept.put_last(at, lambda: made.append(1) or {}, backfilled=False)  # type: ignore[func-returns-value]
        kept.publish(link)
        for level in (True, False):
            kept.set_data_saver(level)
    assert [sent[1:] for sent in link.sent] == [(f"{UP}/last/hut", b"")], "once a process"
    assert not made, "nothing is written that is not sent"
    kept.clear()  # the connection ended before its answer
    kept.publish(link)
    kept.answered(link.sent[-1][0], 0)
    kept.clear()
    kept.publish(link)
    assert len(link.sent) == 2


def test_between_two_retained_records_of_a_source_lies_the_configured_time() -> None:
    kept = retained_messages(last_s=600)
    link: Any = PublishLog()
    for minute in range(1, 31):
        for source, after in (("hut", 0), ("mast", 5)):
            if minute > after:
                key = RecordKey(1, Stream.AIR, minute)
                record = Record(key, source, 1, 0, minute * MINUTE, {})
                kept.put_last(record, partial(dict, seq=minute), backfilled=False)
        kept.publish(link)
    found: dict[str, list[int]] = {}
    for _, topic, payload in link.sent:
        found.setdefault(topic.rpartition("/")[2], []).append(json.loads(payload)["seq"])
    assert found == {"hut": [1, 11, 21], "mast": [6, 16, 26]}
    kept.put_last(
        Record(RecordKey(2, Stream.AIR, 1), "hut", 1, 0, MINUTE, {}), dict, backfilled=False
    )
    kept.publish(link)
    assert len(link.sent) == 7, "a process that begins says what is now"


def test_what_is_to_be_taken_away_outlives_a_connection_and_is_said_once() -> None:
    record = Record(RecordKey(1, Stream.AIR, 7), "hut", 1, 0, MINUTE, {})
    kept = retained_messages()
    link: Any = PublishLog()
    kept.put_last(record, lambda: {"seq": 7}, backfilled=False)
    kept.publish(link)
    kept.set_data_saver(True)
    kept.publish(link)
    token, topic, payload = link.sent[-1]
    assert (topic, payload) == (f"{UP}/last/hut", b"")
    kept.answered(link.sent[0][0], 0)  # of the record before it
    kept.answered(token, ConnectionLostError("gone"))
    kept.clear()  # a new connection
    kept.publish(link)
    assert link.sent[-1][1:] == (topic, b"")
    kept.answered(link.sent[-1][0], 0)
    kept.clear()
    kept.set_data_saver(True)  # level 2
    kept.publish(link)
    assert len(link.sent) == 3
    kept.set_data_saver(False)
    kept.put_last(record, lambda: {"seq": 7}, backfilled=True)
    kept.publish(link)
    assert len(link.sent) == 3, "a late one is not the present"
    kept.put_last(record, lambda: {"seq": 8}, backfilled=False)
    kept.publish(link)
    assert json.loads(link.sent[-1][2]) == {"seq": 8}


def test_of_so_many_sources_the_last_record_is_known_and_the_newest_goes_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(retained_module, "SOURCES_LIMIT", 2)
    kept = retained_messages()
    link: Any = PublishLog()
    for seq, source in enumerate(("hut", "mast", "door", "hut", "hut"), 1):
        end_ns = MINUTE * (1 if seq == 5 else seq)  # the fifth is older than the fourth
        record = Record(RecordKey(1, Stream.AIR, seq), source, 1, 0, end_ns, {})
        kept.put_last(record, partial(dict, seq=seq), backfilled=False)
        kept.publish(link)
    assert [json.loads(payload)["seq"] for _, _, payload in link.sent] == [1, 2, 4]
    later = Record(RecordKey(2, Stream.AIR, 1), "hut", 1, 0, 1, {})  # of the next epoch
    kept.put_last(later, lambda: {"seq": 6}, backfilled=False)
    kept.set_data_saver(True)
    kept.publish(link)
    emptied = [topic.rpartition("/")[2] for _, topic, payload in link.sent if not payload]
    assert sorted(emptied) == ["hut", "mast"]


def test_a_last_record_that_is_refused_or_cannot_be_written_is_told_once() -> None:
    reported: list[str] = []
    refused: dict[str, str] = {}
    topics = Topics("kerbstone/v1", "stadtmitte", GW)
    kept = RetainedMessages(topics, lambda kind, _: reported.append(kind), refused, last_s=1)
    link: Any = PublishLog()
    kept.put(f"{UP}/last/hut", {"x": float("nan")})
    kept.put(f"{UP}/status", {})
    kept.publish(link)
    assert refused.keys() == {f"{UP}/last/hut"}
    assert [topic for _, topic, _ in link.sent] == [f"{UP}/status"]
    assert reported == ["last"]
    kept.answered(f"{UP}/status", BrokerRefusedError(135, "Not authorized"))
    kept.answered(f"{UP}/status", ConnectionLostError("gone"))
    kept.answered(f"{UP}/status", 0)
    assert reported == ["last", "status"]
    link.publish = lambda *_args, **_more: BrokerRefusedError(149, "Packet too large")
    kept.put(f"{UP}/meta", {})
    kept.publish(link)
    assert reported == ["last", "status", "meta"], "also when the answer comes at once"


def test_with_a_topic_only_that_one_goes() -> None:
    kept = retained_messages()
    link: Any = PublishLog()
    kept.put(f"{UP}/meta", {})
    kept.publish(link, only=f"{UP}/status")
    assert link.sent == []
    kept.put(f"{UP}/status", {})
    kept.publish(link, only=f"{UP}/status")
    assert [topic for _, topic, _ in link.sent] == [f"{UP}/status"]
