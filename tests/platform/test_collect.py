"""The collector in the test's own process, against mosquitto and a real store."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiomqtt
import pytest

from edge.acquire.clock import SystemClock
from edge.core import Record, Stamp
from edge.platform import collector
from edge.platform.collector import Collector
from edge.platform.recordstore import RecordStore
from edge.platform.subscription import RETRY_NS, ArrivedMessage, UnreachableError, parse_source
from edge.wire import encode
from tests.kit.broker import Make, Mosquitto, free_port
from tests.kit.clock import NONE
from tests.kit.platform import ReceiptedGateway, gateway
from tests.kit.records import E1, GW, envelope, record
from tests.kit.waiting import until
from tests.platform.collecting import AIR, UP, Gate, Running, collecting, store

__all__ = ["store"]


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
        await asyncio.sleep(0)  # it has heard that, and writes still
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
