"""A simulated gateway in virtual time: what it sends, sends again, and counts."""

import json

import pytest

from edge.fleet.ledger import FormerEpoch
from edge.uplink.rowtable import TRACKED_LIMIT
from edge.wire import CHAIN_START, chain_map, encode_command
from edge.wire.contract.boxevent import PreviousEpoch
from tests.contract.conform import conforms
from tests.fleet.serverside import Box, BrokerSide, Written, records

WINDOW = 4 + 1  # records of a minute: two lanes, air, a meter; and the gap at the start


async def test_every_record_is_what_the_contract_declares() -> None:
    for encoding in ("msgpack", "json"):
        box = Box(encoding=encoding, last=True)
        side = box.connect()
        for _ in range(31):
            box.gateway.pass_minute()
            written = side.take_all()
            for each in written:
                conforms(each.decoded())
        kinds = {each.decoded().kind for each in written}
        assert kinds >= {"record", "last"}
        assert box.tally.sent == box.tally.pubacks == box.tally.made


async def test_a_start_says_status_meta_and_its_gap_and_the_record_before_it() -> None:
    former = FormerEpoch(5 << 32, 3, 29_800_100, {"traffic": 8})
    box = Box(former)
    side = box.connect()
    written = side.take_all()
    kinds = [each.decoded().kind for each in written]
    assert kinds[0] == "status"
    assert written[0].retain
    assert "meta" in kinds
    gap, opening = records(written)
    assert gap.data["event"] == "gap"
    assert (
        gap.data["former"] == opening.data["former"] == {"epoch": 5 << 32, "last": {"traffic": 8}}
    )
    assert PreviousEpoch(**gap.data["former"])
    assert box.gateway.start.epoch >> 32 == 6
    assert box.gateway.start.minute == 29_800_100


async def test_manifests_seal_what_was_sent_by_the_chain_that_a_platform_calculates() -> None:
    box = Box()
    side = box.connect()
    found = []
    for _ in range(16):
        box.gateway.pass_minute()
        found += records(side.take_all())
    box.gateway.seal()
    found += records(side.take_all())
    by_key = {each.key[1:]: each.sent for each in found}
    sealed = set()
    manifests = [each for each in found if each.data["stream"] == "manifest"]
    assert len(manifests) >= 8
    for each in manifests:
        chain, place = CHAIN_START, (each.data["epoch_of"], each.data["stream_of"])
        for first, last, step in each.data["seqs"]:
            for seq in range(first, last + 1, step):
                chain = chain_map(chain, by_key[*place, seq])
                sealed.add((*place, seq))
        assert chain.hex() == each.data["sha256"]
    rest = {key for key in by_key if key[1] != "manifest"} - sealed
    assert not rest


async def test_a_record_without_a_receipt_goes_again_after_waits_that_double() -> None:
    box = Box(receipt_s=10.0, last=False)
    side = box.connect()
    box.gateway.pass_minute()
    first = records(side.take_all())
    assert len(first) == WINDOW
    assert not any("redelivered" in each.data for each in first)
    went: list[int] = []
    for second in range(1, 160):
        box.wait(1.0)
        if again := records(side.take_all()):
            went.append(second)
            assert {each.key for each in again} == {each.key for each in first}
            assert all(each.data["redelivered"] is True for each in again)
    assert went == [10, 30, 70, 150]
    assert box.tally.again == {"receipt": 4 * WINDOW, "refused": 0}
    assert box.tally.sent == WINDOW


async def test_what_a_receipt_names_never_goes_again() -> None:
    box = Box(receipt_s=10.0, last=False)
    side = box.connect()
    box.gateway.pass_minute()
    found = records(side.take_all())
    box.receipt(side, *found[:3])
    box.wait(11.0)
    again = records(side.take_all())
    assert {each.key for each in again} == {each.key for each in found[3:]}
    assert [int(k) for k in (box.tally.receipted, box.gateway.pending)] == [3, WINDOW - 3]
    box.receipt(side, *found)
    assert box.gateway.pending == 0
    assert box.tally.receipts_unknown == 3
    numbers = box.gateway.ledger.of("traffic")
    assert numbers.sent.ranges() == numbers.acknowledged.ranges() == numbers.receipted.ranges()


async def test_what_was_on_its_way_goes_again_with_the_next_connection() -> None:
    box = Box(last=False)
    side = box.connect()
    box.gateway.pass_minute()
    lost = records(side.published())
    assert lost
    side.session.connection_lost(None)
    assert box.tally.again["connection"] == len(lost)
    box.gateway.pass_minute()  # while nobody is there
    found = records(box.connect().take_all())
    assert {each.key for each in lost} <= {each.key for each in found}
    again = {each.key for each in found if "redelivered" in each.data}
    assert again == {each.key for each in lost}
    assert all("backfilled" in each.data for each in found)
    assert len({each.key for each in found}) == len(found) == 2 * 4 + 1


async def test_a_backlog_leaves_a_quarter_of_the_window_and_keeps_to_its_rate() -> None:
    box = Box(last=False, receipt_s=None)
    for _ in range(100):
        box.gateway.pass_minute()
    side = box.connect(window=8)
    first = side.published()
    assert len(records(first)) <= 6
    side.acknowledge(*(each.number for each in first))
    count = len(records(first)) + len(records(side.take_all()))
    assert count <= 102  # of 500 a second, a fifth of a second's at once
    box.wait(1.0)
    assert 90 <= len(records(side.take_all())) <= 102


async def test_a_backlog_does_not_pass_what_is_retained_behind_a_stream_that_is_denied() -> None:
    box = Box(last=True, receipt_s=None)
    for _ in range(100):
        box.gateway.pass_minute()
    side = box.connect()
    while fresh := side.published():
        for each in fresh:
            side.acknowledge(each.number, code=135 if "/energy/" in each.topic else 0)
    box.clock.mono_ns += 200_000_000  # its rate lets some of the backlog go
    box.gateway.pass_minute()
    written = side.published()
    newest = [n for n, each in enumerate(written) if "/up/last/" in each.topic]
    behind = [n for n, each in enumerate(written) if "backfilled" in each.decoded().data]
    assert newest
    side.acknowledge(*(each.number for each in written))
    assert not behind or max(newest) < min(behind)
    assert len(records(side.take_all())) > 10, "and then it goes on"


async def test_each_row_in_order_of_its_number() -> None:
    box = Box(last=False, receipt_s=None)
    for _ in range(20):
        box.gateway.pass_minute()
    side = box.connect()
    found = records(side.take_all())
    lanes = [each.data["seq"] for each in found if each.data["stream"] == "traffic"]
    assert lanes == sorted(lanes) == list(range(1, 41))


@pytest.mark.parametrize(("code", "waits_s"), [(131, 1.0), (151, 10.0), (135, 300.0)])
async def test_what_is_refused_goes_again_after_the_wait_of_its_reason(
    code: int, waits_s: float
) -> None:
    box = Box(last=False, receipt_s=None)
    side = box.connect()
    side.take_all()
    box.gateway.pass_minute()
    refused = side.published()
    side.acknowledge(*(each.number for each in refused), code=code)
    assert box.tally.refused == {code: len(refused)}
    box.wait(waits_s - 0.1)
    assert not records(side.take_all())
    box.wait(0.2)
    found = records(side.take_all())
    assert {each.key for each in found} == {each.key for each in records(refused)}
    assert box.gateway.pending == 0


async def test_the_newest_record_of_a_source_is_retained_but_none_of_a_backlog() -> None:
    box = Box(last=True)
    box.gateway.pass_minute()
    side = box.connect()
    assert not [each for each in side.take_all() if "/up/last/" in each.topic]
    box.gateway.pass_minute()
    last = [each for each in side.take_all() if "/up/last/" in each.topic]
    assert {each.topic.rpartition("/")[2] for each in last} == {
        "north_1", "east_1", "hut_air", "main_meter",
    }  # fmt: skip
    assert all(each.retain for each in last)


async def test_the_broker_s_receive_maximum_is_kept_to() -> None:
    box = Box(last=False)
    for _ in range(50):
        box.gateway.pass_minute()
    side = box.connect(b"\x20\x06\x00\x00\x03\x21\x00\x03")
    found = []
    while fresh := side.published():
        assert len(fresh) <= 3
        found += fresh
        side.acknowledge(fresh[0].number)
        found += (more := side.published())
        assert len(more) <= 1
        side.acknowledge(*(each.number for each in (*fresh[1:], *more)))
    assert len(records(found)) > 20


async def test_a_record_larger_than_the_broker_takes_is_kept() -> None:
    box = Box(last=False, receipt_s=None)
    box.gateway.pass_minute()
    side = box.connect(b"\x20\x08\x00\x00\x05\x27" + (700).to_bytes(4, "big"))
    side.take_all()
    held = box.gateway.pending
    assert held > 0
    side.session.connection_lost(None)
    box.connect().take_all()
    assert box.gateway.pending == 0


async def test_a_goodbye_is_the_last_word() -> None:
    box = Box()
    side = box.connect()
    side.take_all()
    box.gateway.goodbye()
    written = side.packets()
    assert written[-1] == (0xE0, b"")
    assert b'"gw":"gw-1","state":"offline","why":"stopped"' in written[-2][1]


def pushed(side: BrokerSide, topic: str, payload: object) -> None:
    side.send(topic, json.dumps(payload).encode())


async def test_messages_that_are_none_are_counted_and_harm_nobody() -> None:
    box = Box()
    side = box.connect()
    side.take_all()
    pushed(side, box.gateway.topics.receipt, {"v": 1, "gw": "another", "receipts": []})
    side.send(box.gateway.topics.receipt, b"\xff")
    pushed(side, box.gateway.topics.reconnect_spread, {"v": 1, "spread_s": -1})
    assert box.tally.malformed == 3
    pushed(side, box.gateway.topics.reconnect_spread, {"v": 1, "spread_s": 600})
    assert box.gateway.spread_s == 600
    assert not side.aborted


async def test_while_nobody_stores_only_live_records_go_and_later_all_of_them() -> None:
    box = Box(last=False)
    for _ in range(TRACKED_LIMIT // 4 + 100):
        box.gateway.pass_minute()
    side = box.connect()
    found = {each.key: each for each in records(side.take_all())}
    for _ in range(60):
        box.wait(0.2)
        found |= {each.key: each for each in records(side.take_all())}
    assert len(found) in range(TRACKED_LIMIT, TRACKED_LIMIT + 20)
    box.gateway.pass_minute()
    live = records(side.take_all())
    assert len(live) >= 4
    assert not any("backfilled" in each.data for each in live)
    found |= {each.key: each for each in live}
    for _ in range(400):
        for first in range(0, len(sent := list(found.values())), 500):
            box.receipt(side, *sent[first : first + 500])
        found = {each.key: each for each in records(side.take_all())}
        if not box.gateway.pending:
            break
        box.wait(1.0)
    assert box.gateway.pending == 0
    assert box.tally.receipted == box.tally.made


def answers(written: list[Written]) -> list[dict[str, object]]:
    return [each.decoded().data for each in written if "/up/answer/" in each.topic]


async def test_resend_sends_what_is_still_here_and_says_what_is_gone() -> None:
    box = Box(last=False)
    side = box.connect()
    for _ in range(5):
        box.gateway.pass_minute()
    found = [each for each in records(side.take_all()) if each.data["stream"] == "air"]
    box.receipt(side, *found[:2])
    epoch = box.gateway.start.epoch
    ranges = [{"epoch": epoch, "stream": "air", "ranges": [[1, 5]]}]
    topic = f"{box.gateway.topics.down}/cmd/resend"
    side.send(topic, encode_command("gw-1", epoch, "one", {"ranges": ranges}).data)
    written = side.take_all()
    (answer,) = answers(written)
    assert (answer["ok"], answer["resent"], answer["gone"]) == (True, 3, 2)
    again = records(written)
    assert {each.key for each in again} == {each.key for each in found[2:]}
    assert all("redelivered" in each.data for each in again)
    for each in written:
        conforms(each.decoded())
    side.send(topic, encode_command("gw-1", epoch - 1, "two", {"ranges": ranges}).data)
    (refused,) = answers(side.take_all())
    assert refused["ok"] is False


async def test_status_is_said_again_when_it_is_asked_for() -> None:
    box = Box()
    side = box.connect()
    side.take_all()
    side.send(
        f"{box.gateway.topics.down}/cmd/status",
        encode_command("gw-1", box.gateway.start.epoch, "one", {}).data,
    )
    written = side.take_all()
    assert answers(written)[0]["ok"] is True
    assert [each.retain for each in written if each.topic == box.gateway.topics.status] == [True]
