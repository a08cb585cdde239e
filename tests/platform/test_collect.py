"""The collector in the test's own process, against mosquitto and a real store."""

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import aiomqtt
import pytest

from edge.acquire.clock import SystemClock
from edge.core import Record, Stamp
from edge.platform import collector, keepquota, recordingest
from edge.platform.collector import Collector
from edge.platform.openstore import open_store
from edge.platform.receivedrecord import ReceivedRecord, RefusedMessage
from edge.platform.recordingest import MESSAGES_PER_GATEWAY
from edge.platform.recordstore import CommittedRecord, RecordStore
from edge.platform.sitecheck import AllowedSites
from edge.platform.subscription import RETRY_NS, ArrivedMessage, UnreachableError, parse_source
from edge.wire import JSON, Payload, encode
from tests.kit.broker import Make, Mosquitto, free_port
from tests.kit.clock import NONE
from tests.kit.platform import ReceiptedGateway, gateway
from tests.kit.records import E1, GW, TOPICS, entry, envelope, record
from tests.kit.waiting import until

ALL = "kerbstone/v1/#"
UP = "kerbstone/v1/+/+/up/#"
AIR = f"{TOPICS.up}/air/hut"


class Gate:
    """A real store whose commits wait until they may; `sizes` are those of the groups."""

    def __init__(self, store: RecordStore, *, free: bool = True) -> None:
        self._store = store
        self.sizes: list[int] = []
        self.free = threading.Event()
        self.before: Callable[[], object] = lambda: None
        if free:
            self.free.set()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def commit(
        self, entries: Sequence[ReceivedRecord], refused: Sequence[RefusedMessage]
    ) -> list[CommittedRecord]:
        self.sizes.append(len(entries) + len(refused))
        assert self.free.wait(60)
        done = self._store.commit(entries, refused)
        before, self.before = self.before, lambda: None
        before()
        return done


class Noted(SystemClock):
    """Real time; remembers how long it was asked to sleep."""

    def __init__(self) -> None:
        super().__init__()
        self.slept: list[int] = []

    async def sleep_until(self, mono_ns: int) -> None:
        self.slept.append(mono_ns - self.now().mono_ns)
        await super().sleep_until(mono_ns)


@dataclass
class Running:
    collector: Collector
    reported: list[str]
    clock: Noted
    stop: asyncio.Event
    task: "asyncio.Task[None]"

    async def until(self, condition: Callable[[], bool]) -> None:
        """Fails at once when the collector has ended."""
        await until(lambda: condition() or self.task.done())
        if self.task.done():
            await self.task
        assert condition()

    @property
    def counts(self) -> dict[str, int]:
        return {name: count for name, count in asdict(self.collector.counts).items() if count}

    async def end(self) -> None:
        self.stop.set()
        await asyncio.wait_for(self.task, 60)


@contextlib.asynccontextmanager
async def collecting(
    broker: Mosquitto, store: Any, *, filters: str = UP, sites: AllowedSites | None = None,
    idle_s: float | None = None,
) -> AsyncIterator[Running]:  # fmt: skip
    """One that has subscribed; ended in order if the test has not done so."""
    reported: list[str] = []
    ready, stop, clock = asyncio.Event(), asyncio.Event(), Noted()
    made = Collector(store, clock=clock, report=reported.append, sites=sites)
    source = parse_source(broker.url, "city")
    run = made.run(source, [filters], stop, idle_s=idle_s, on_ready=ready.set)
    task = asyncio.create_task(run)
    try:
        await until(lambda: ready.is_set() or task.done())
        running = Running(made, reported, clock, stop, task)
        yield running
        await running.end()
    finally:
        task.cancel()


@pytest.fixture
def store(tmp_path: Path) -> Any:
    with contextlib.closing(open_store(tmp_path / "store.db", write=True)) as made:
        yield made


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
        f"excess: {GW} {E1}/air/1 is not stored and gets no receipt: of this gateway no more "
        "conflicts, or new epochs today, are kept"
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


@contextlib.asynccontextmanager
async def ten_sent(
    mosquitto: Make, store: RecordStore
) -> AsyncIterator[tuple[Running, ReceiptedGateway, Gate]]:
    """Nine records are sent while the first one is written, which takes until the gate is free."""
    broker, gate = mosquitto(), Gate(store, free=False)
    async with collecting(broker, gate) as running, gateway(broker) as sender:
        await sender.publish(record(1))
        await running.until(lambda: gate.sizes == [1])
        for n in range(2, 11):
            await sender.publish(record(n))
        await running.until(lambda: broker.log.count("Sending PUBLISH to city") == 10)
        assert "Received PUBACK from city" not in broker.log, "nothing is stored yet"
        yield running, sender, gate


async def sizes_of_ten(mosquitto: Make, store: RecordStore) -> list[int]:
    """The sizes of the groups that are made of them."""
    async with ten_sent(mosquitto, store) as (running, sender, gate):
        gate.free.set()
        await running.until(lambda: len(sender.receipted) == 10)
        await running.end()
    assert running.counts["commits"] == len(gate.sizes)
    return gate.sizes


async def test_groups_are_bounded_in_messages(
    mosquitto: Make, store: RecordStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(collector, "GROUP_RECORDS", 4)
    assert await sizes_of_ten(mosquitto, store) == [1, 4, 4, 1]


async def test_groups_are_bounded_in_bytes(
    mosquitto: Make, store: RecordStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = encode(record(1), envelope(record(1)), GW, "msgpack")
    size = ArrivedMessage(AIR, one.data, one.content_type, retained=False).size
    monkeypatch.setattr(collector, "GROUP_RECORDS", 4)
    monkeypatch.setattr(collector, "GROUP_BYTES", 2 * size)
    assert await sizes_of_ten(mosquitto, store) == [1, 2, 2, 2, 2, 1]


async def test_at_the_end_all_is_stored_and_acknowledged_or_comes_to_the_next_one(
    mosquitto: Make, store: RecordStore
) -> None:
    broker = mosquitto()
    async with ten_sent(lambda: broker, store) as (running, sender, gate):
        running.stop.set()
        gate.free.set()
        await asyncio.wait_for(running.task, 60)
        assert [each.key[3] for each in store.records(GW)] == [1], "it took no more of them"
        assert broker.log.count("Received PUBACK from city") == 1
        assert "Received DISCONNECT from city" in broker.log
        async with collecting(broker, Gate(store)) as again:
            await again.until(lambda: again.counts.get("stored") == 9)
            await until(lambda: len(sender.receipted) == 10)


async def test_the_broker_sends_so_many_and_waits(
    mosquitto: Make, store: RecordStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What comes faster than it can be stored stays there, and nothing is thrown away."""
    monkeypatch.setattr(collector, "RECEIVE_MAXIMUM", 3)
    broker, gate = (
        mosquitto("allow_anonymous true\nmax_queued_messages 0\n"),
        Gate(store, free=False),
    )
    async with collecting(broker, gate) as running, gateway(broker) as sender:
        for n in range(1, 31):
            await sender.publish(record(n))
        await asyncio.sleep(0.2)  # the time in which it would send more
        assert broker.log.count("Sending PUBLISH to city") == 3
        gate.free.set()
        await running.until(lambda: len(sender.receipted) == 30)
    assert running.counts["stored"] == 30
    assert max(gate.sizes) <= 3


async def sent(broker: Mosquitto, one: Record) -> None:
    """By somebody who does not hear whether it was stored."""
    with contextlib.suppress(aiomqtt.MqttError):  # the broker may have ended meanwhile
        async with aiomqtt.Client(
            "127.0.0.1", broker.port, protocol=aiomqtt.ProtocolVersion.V5
        ) as client:
            await ReceiptedGateway(client).publish(one)


async def test_a_receipt_that_could_not_be_sent_is_sent_when_the_broker_is_back(
    mosquitto: Make, store: RecordStore
) -> None:
    """The gateway sends nothing again here."""
    broker, gate = mosquitto(), Gate(store)

    def restart() -> None:
        broker.kill()
        broker.start()

    gate.before = restart
    async with collecting(broker, gate) as running:
        await sent(broker, record(1))
        await running.until(lambda: running.counts.get("receipts") == 1)
        assert "/down/receipt" in broker.log
        async with gateway(broker) as sender:
            await sender.publish(record(2))
            await running.until(lambda: sender.receipted == {(E1, "air", 2)})
    assert running.counts == {"stored": 2, "commits": 2, "receipts": 2, "reconnections": 1}
    (reported,) = running.reported
    assert reported.startswith("connection lost (")
    assert max(running.clock.slept) > RETRY_NS // 2, "a broker that starts is not hammered"


async def test_what_has_arrived_from_a_broker_that_is_killed_then_is_stored(
    mosquitto: Make, store: RecordStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It has no file: what this process has is the only copy, until a gateway sends it again."""
    monkeypatch.setattr(collector, "GROUP_RECORDS", 4)
    broker, gate = mosquitto(), Gate(store, free=False)
    async with collecting(broker, gate) as running:
        async with gateway(broker) as sender:
            for n in range(1, 11):
                await sender.publish(record(n))
            await running.until(lambda: broker.log.count("Sending PUBLISH to city") == 10)
            await running.until(lambda: gate.sizes != [])
        broker.kill()
        gate.free.set()
        await running.until(lambda: running.counts.get("stored") == 10)
        broker.start()
        await running.until(lambda: running.counts.get("receipts", 0) > 1)
    assert [each.key[3] for each in store.records(GW)] == [*range(1, 11)]


async def test_told_to_end_without_a_connection_it_ends(
    mosquitto: Make, store: RecordStore
) -> None:
    broker, gate = mosquitto(), Gate(store)
    async with collecting(broker, gate) as running:

        def end() -> None:
            running.stop.set()
            broker.kill()

        gate.before = end
        await sent(broker, record(1))
        await asyncio.wait_for(asyncio.shield(running.task), 60)
    assert (running.counts, running.reported) == ({"stored": 1, "commits": 1}, [])


async def test_a_broker_that_was_never_there_is_an_error(
    tmp_path: Path, store: RecordStore
) -> None:
    port = free_port()
    source = parse_source(f"mqtt://127.0.0.1:{port}", "city")
    running = Collector(store, clock=SystemClock(), report=pytest.fail)
    with pytest.raises(UnreachableError, match=f"127.0.0.1:{port}: "):
        await running.run(source, [UP], asyncio.Event())


async def test_it_ends_when_nothing_comes(mosquitto: Make, store: RecordStore) -> None:
    broker, before = mosquitto(), asyncio.all_tasks()
    async with collecting(broker, store, idle_s=0.2) as running:
        await asyncio.wait_for(asyncio.shield(running.task), 60)
        assert not running.stop.is_set()
    assert asyncio.all_tasks() == before, "nothing is left waiting"


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


class Quiet:
    """A clock that moves with the waits of the client below."""

    mono_ns = 0

    def now(self) -> Stamp:
        return Stamp(self.mono_ns, 0, NONE)

    async def sleep_until(self, mono_ns: int) -> None:
        raise AssertionError


class Trickle:
    """A client to which a message comes each 9 ms, so many of them."""

    arrived_bytes = 0

    def __init__(self, clock: Quiet, left: int) -> None:
        self._clock, self._left = clock, left
        self.arrived = [object()]

    def receive(self, wait_s: float) -> bool:
        wait_ns = round(wait_s * 1e9)
        took = min(9_000_000, wait_ns) if self._left else wait_ns
        self._clock.mono_ns += took
        if not self._left or took < 9_000_000:
            return False
        self._left -= 1
        self.arrived.append(object())
        return True


@pytest.mark.parametrize(
    ("coming", "waited_ms", "group"),
    [(0, 10, 1), (2, 28, 3), (100, 50, 6)],
)
def test_the_first_of_a_group_waits_for_others_a_moment(
    store: RecordStore, coming: int, waited_ms: int, group: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(collector, "GROUP_RECORDS", 7)
    clock = Quiet()
    client: Any = Trickle(clock, coming)
    running = Collector(store, clock=clock, report=pytest.fail)
    running._gather(client)
    assert (clock.mono_ns // 1_000_000, len(client.arrived)) == (waited_ms, group)
    client.arrived += [object()] * 7
    running._gather(client)
    assert clock.mono_ns // 1_000_000 == waited_ms, "a whole group waits for nothing"
