"""What a broker announces may keep records back; nothing of it is a reason to give one up."""

import asyncio
import random
from pathlib import Path

import pytest

from edge.core import RecordKey, Stream
from edge.report.status.link import link_lines
from edge.uplink import refusals, rowtable
from edge.uplink.broker import Broker, make_broker
from edge.uplink.reconnect import ReconnectPolicy
from edge.uplink.refusals import PROOF_RECORDS, Oversize
from edge.uplink.rowtable import HELD, HELD_LIMIT, RowTable, UplinkCounters
from tests.kit.broker import Make
from tests.kit.rawbroker import raw_broker
from tests.kit.uplink import GW, S, box, drafts, large
from tests.kit.waiting import until

SMALL = b"\x27\x00\x00\x00\xc8"  # Maximum Packet Size 200
NO_QOS, NO_RETAIN = b"\x24\x00", b"\x25\x00"


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SPREAD_DEFAULT_S", "MAX_BACKOFF_S"):
        monkeypatch.setattr(f"edge.uplink.reconnect.{name}", 0.05)
    monkeypatch.setattr(refusals, "PROOF_WITHIN_NS", S // 2)


async def test_a_limit_of_200_bytes_gives_nothing_up_and_a_larger_one_lets_all_of_it_go(
    mosquitto: Make, tmp_path: Path
) -> None:
    broker = mosquitto("allow_anonymous true\nmax_packet_size 200\n")
    async with box(tmp_path, broker.url) as gateway:
        await gateway.commit([*drafts(0, 60), *drafts(0, 30, Stream.EVENT)])
        gateway.connect()
        await until(lambda: gateway.sender.connection.limit_notice != "")
        await asyncio.sleep(1)
        assert gateway.sender.counts.dead_letters == 0
        assert (await gateway.writer.counts()).rows == 90
        ((kind, text),) = gateway.alarms
        assert kind == "broker_limit"
        assert "up to 200 bytes" in text
        needed = int(text.rpartition(" bytes or more")[0].rpartition(" ")[2])
        broker.kill()
        broker._conf = f"allow_anonymous true\nmax_packet_size {needed}\n"
        broker.start()
        await until(lambda: gateway.sender.counts.confirmed == 90)
        assert gateway.sender.connection.limit_notice == ""


@pytest.mark.long
async def test_the_smallest_limit_that_would_do_does(mosquitto: Make, tmp_path: Path) -> None:
    """Not a byte less: the figure that people are told is the broker's own arithmetic."""
    broker = mosquitto("allow_anonymous true\nmax_packet_size 450\n")
    async with box(tmp_path, broker.url) as gateway:
        await gateway.commit(large(3))
        gateway.connect()
        await until(lambda: gateway.sender.connection.limit_notice != "")
        link = gateway.sender._link
        assert link is not None
        assert 600 < link.needed < 1200


async def test_what_fits_goes_on_beside_what_does_not(mosquitto: Make, tmp_path: Path) -> None:
    broker = mosquitto("allow_anonymous true\nmax_packet_size 450\n")
    async with box(tmp_path, broker.url) as gateway:
        gateway.connect()
        await gateway.commit([*large(40), *drafts(0, 5), *drafts(0, 2, Stream.EVENT)])
        await until(lambda: gateway.sender.counts.confirmed == 7)
        await until(lambda: gateway.sender.connection.limit_notice != "")
        await gateway.commit(drafts(5, 1))
        await until(lambda: gateway.sender.counts.confirmed == 8)
        assert gateway.sender.counts.dead_letters == 0
        assert (await gateway.writer.counts()).rows >= 40


async def test_one_among_many_that_arrive_is_given_up_and_told(
    mosquitto: Make, tmp_path: Path
) -> None:
    broker = mosquitto("allow_anonymous true\nmax_packet_size 450\n")
    async with box(tmp_path, broker.url) as gateway:
        gateway.connect()
        await gateway.commit([*large(1), *drafts(0, PROOF_RECORDS - 1)])
        await until(lambda: gateway.sender.counts.confirmed == PROOF_RECORDS - 1)
        assert gateway.sender.counts.dead_letters == 0
        await gateway.commit(drafts(200, 2))
        await until(lambda: gateway.sender.counts.dead_letters == 1)
        assert [kind for kind, _ in gateway.alarms] == ["refused"]
        assert gateway.sender.connection.limit_notice == ""


async def test_the_next_broker_is_tried_at_once_when_the_first_takes_too_little(
    mosquitto: Make, tmp_path: Path
) -> None:
    small = mosquitto("allow_anonymous true\nmax_packet_size 200\n")
    usual = mosquitto()
    both = [make_broker(small.url, GW), make_broker(usual.url, GW)]
    async with box(tmp_path, both) as gateway:  # type: ignore[arg-type]
        await gateway.commit(drafts(0, 60))
        gateway.connect()
        await until(lambda: gateway.sender.counts.confirmed == 60, 20)
        assert gateway.sender.counts.dead_letters == 0


@pytest.mark.parametrize("lacking", [NO_QOS, b"\x21\x00\x00", b"\x27\x00\x00\x00\x00"])
async def test_a_broker_that_cannot_do_it_is_left_for_one_that_can(
    tmp_path: Path, lacking: bytes
) -> None:
    """Maximum QoS 0, Receive Maximum 0, Maximum Packet Size 0."""
    async with raw_broker() as broker, raw_broker() as other:
        broker.connack_properties = lacking
        both = [make_broker(each.url, GW) for each in (broker, other)]
        async with box(tmp_path, both) as gateway:  # type: ignore[arg-type]
            await gateway.commit(drafts(0, 20))
            gateway.connect()
            await until(lambda: gateway.sender.counts.confirmed == 20, 20)
            assert not broker.published
            assert gateway.sender.counts.dead_letters == 0
            reported = [text for kind, text in gateway.alarms if kind == "broker_limit"]
            assert len(reported) == (lacking == NO_QOS)


async def test_a_broker_that_says_that_it_does_what_is_needed_is_taken(tmp_path: Path) -> None:
    """Maximum QoS 1: 2 is what it cannot do, and nobody wants."""
    async with raw_broker() as broker:
        broker.connack_properties = b"\x24\x01"
        async with box(tmp_path, broker.url) as gateway:
            await gateway.commit(drafts(0, 3))
            gateway.connect()
            await until(lambda: gateway.sender.counts.confirmed == 3, 20)
            assert gateway.alarms == []


async def test_a_broker_that_refuses_a_retained_will_is_told_and_left(tmp_path: Path) -> None:
    async with raw_broker() as broker, raw_broker() as other:
        broker.connack = 154
        both = [make_broker(each.url, GW) for each in (broker, other)]
        async with box(tmp_path, both) as gateway:  # type: ignore[arg-type]
            await gateway.commit(drafts(0, 3))
            gateway.connect()
            await until(lambda: gateway.sender.counts.confirmed == 3, 20)
            (text,) = [text for kind, text in gateway.alarms if kind == "broker_limit"]
            assert "does not allow retained messages" in text


def test_the_status_says_what_a_broker_takes_too_little_of() -> None:
    reported = {"link": {"connected": True, "trouble": "it takes 200 bytes"}}
    assert any(
        "THE BROKER'S LIMITS ARE TOO LOW: it takes 200 bytes" in line
        for line in link_lines(reported).lines
    )


async def test_without_retained_messages_the_records_arrive(tmp_path: Path) -> None:
    async with raw_broker() as broker, box(tmp_path, broker.url) as gateway:
        broker.connack_properties = NO_RETAIN
        gateway.connect()
        await gateway.commit(drafts(0, 20))
        await until(lambda: gateway.sender.counts.confirmed == 20)
        assert not [kind for kind in broker.kinds if kind >> 4 == 3 and kind & 1]


@pytest.mark.parametrize(
    "announced",
    [b"\x21\x00\x01", b"\x22\x00\x05", b"\x22\xff\xff", b"\x22\x00\x05\x22\x00\x05", b"\x28\x00"],
)
async def test_what_else_a_broker_announces_gives_nothing_up(
    tmp_path: Path, announced: bytes
) -> None:
    """Receive Maximum 1, topic aliases once and twice, no wildcards: records stay or arrive."""
    async with raw_broker() as broker, box(tmp_path, broker.url) as gateway:
        broker.connack_properties = announced
        await gateway.commit(drafts(0, 20))
        gateway.connect()
        counts = gateway.sender.counts
        await until(lambda: counts.confirmed == 20 or counts.connection_failures >= 3)
        assert counts.dead_letters == 0
        assert (await gateway.writer.counts()).rows == 20
        broker.connack_properties = b""
        await until(lambda: counts.confirmed == 20)


async def test_a_backlog_that_does_not_fit_is_not_read_through_to_its_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for part in (refusals, rowtable):
        monkeypatch.setattr(part, "HELD_LIMIT", 100)
    async with raw_broker() as broker, box(tmp_path, broker.url, backlog_per_s=1e6) as gateway:
        broker.connack_properties = SMALL
        await gateway.writer.commit(drafts(0, 3000))
        gateway.connect()
        await until(lambda: gateway.sender.connection.limit_notice != "")
        await asyncio.sleep(0.3)
        assert len(gateway.sender._delivery.oversize) == 100
        assert gateway.sender._delivery.stalled
        broker.connack_properties = b""
        broker.hang_up()
        await until(lambda: gateway.sender.counts.confirmed == 3000)


# -- whose fault it is, and whom to try: pure -----------------------------------------------------


class OversizeRun:
    """An `Oversize` with its table."""

    def __init__(self) -> None:
        self.table = RowTable(None, UplinkCounters())
        self.oversize = Oversize(self.table)

    def hold(self, row: int, stream: Stream, now_ns: int) -> None:
        self.table.choose(row, RecordKey(1, stream, row))
        self.oversize.hold(row, now_ns)


def test_it_is_the_broker_until_nearly_all_arrive_and_then_the_record() -> None:
    run = OversizeRun()
    one = run.oversize
    assert not one.too_many(10**12)
    run.hold(7, Stream.AIR, 0)
    assert not one.too_many(1), "what fits may have no answer yet"
    assert one.too_many(refusals.PROOF_WITHIN_NS)
    for _ in range(PROOF_RECORDS - 1):
        one.accepted()
    assert (one.too_many(10**12), one.dead_letters()) == (False, [])
    one.accepted()
    assert one.dead_letters() == run.table.rows(HELD)
    assert [entry.row for entry in one.dead_letters()] == [7]
    one.connected()
    run.table.connected()
    assert (len(one), one.too_many(10**12)) == (0, False)


def test_a_stream_that_does_not_fit_among_others_that_do_is_the_brokers_fault() -> None:
    """A limit that lets six of ten records pass: those go on, and the others are told and held."""
    run = OversizeRun()
    one = run.oversize
    for row in range(4000):
        run.hold(row, Stream.TRAFFIC, 0)
        for _ in range(2):
            one.accepted()
        assert not one.dead_letters()
        assert not one.mostly_too_large, "more of the backlog fits"
        assert one.too_many(1) == (row >= refusals.TOO_MANY - 1)
    assert len(one) == HELD_LIMIT


def test_where_nothing_fits_the_backlog_is_not_looked_through() -> None:
    run = OversizeRun()
    one = run.oversize
    for row in range(2 * HELD_LIMIT):
        run.hold(row, Stream.AIR, 1)
    assert (len(one), one.mostly_too_large, one.dead_letters()) == (HELD_LIMIT, True, [])


def made(count: int) -> ReconnectPolicy:
    brokers = [Broker(name, 1883, "gw") for name in "abc"[:count]]
    return ReconnectPolicy(brokers, random.Random(1), 0)


def test_a_single_broker_that_takes_too_little_is_asked_again_in_five_minutes() -> None:
    one = made(1)
    one.connected(0)
    one.reject_limits(S)
    assert not one.return_due(300 * S)
    assert one.return_due(331 * S)
    one.ended(331 * S)
    assert one.next.at_ns == 331 * S


def test_others_are_tried_at_once_and_when_none_is_better_the_first_is_kept() -> None:
    one = made(2)
    one.connected(0)
    one.reject_limits(S)
    assert one.return_due(S)
    one.ended(S)
    assert (one.next.broker.host, one.next.at_ns) == ("b", S)
    one.failed(S)  # it is not there
    now = one.next.at_ns
    assert one.next.broker.host == "a"
    one.connected(now)
    one.reject_limits(now + S)
    assert not one.return_due(now + 299 * S), "what fits goes there meanwhile"
    assert one.return_due(now + 332 * S)


def test_two_that_take_too_little_do_not_throw_the_box_to_and_fro() -> None:
    one, now, connections = made(2), 0, 0
    while now < 3600 * S:
        now = max(now, one.next.at_ns)
        one.connected(now)
        connections += 1
        one.reject_limits(now + 6 * S)
        now += 6 * S
        while not one.return_due(now):
            now += S
        one.ended(now)
    assert connections < 30
