"""What a sink takes for a lost connection: what the library says of one, and no fault of our own.

With a broker that is not there; a connection that is lost raises the count of deliveries of all
that was under way, and a fault would do that until all of it lies in `kerbstone.dead`.
"""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import Any, ClassVar

import psycopg
import pytest
from aiormq import spec
from aiormq.abc import DeliveredMessage
from aiormq.exceptions import ChannelInvalidStateError, ConnectionClosed
from pamqp.header import ContentHeader

from edge.platform import sink as sink_module
from edge.platform.amqp import SWAPPED, LostConnectionError
from edge.platform.openstore import open_store
from edge.platform.recordingest import RecordIngest
from edge.platform.recordqueue import RecordQueue
from edge.platform.sink import Sink
from edge.platform.subscription import BrokerSource
from edge.wire import Payload, encode
from tests.bench.cityrecords import bundles
from tests.kit.broker import free_port
from tests.kit.clock import JumpingClock
from tests.kit.fixtures import rabbit
from tests.kit.platform import gateway
from tests.kit.records import GW, TOPICS, envelope, record
from tests.kit.waiting import until
from tests.platform.publishing import FakeChannel
from tests.platform.sinkprocess import Sinks, sinks

__all__ = ["rabbit", "sinks"]

SOURCE = BrokerSource("127.0.0.1", 1, "")


class RaisingStore:
    """It has a fault that nobody has thought of."""

    def __init__(self, fault: Exception) -> None:
        self._fault = fault

    def commit(self, entries: Sequence[object], refused: Sequence[object]) -> list[object]:
        raise self._fault


class Quiet:
    """A store that takes everything, and keeps nothing."""

    def commit(self, entries: Sequence[object], refused: Sequence[object]) -> list[object]:
        return []


class FakeQueue(RecordQueue):
    """One record has come when it is open. `answers` are what `answer` raises, in turn."""

    opened: ClassVar[int]
    answers: ClassVar[list[Exception]]

    async def open(self, source: BrokerSource) -> None:
        FakeQueue.opened += 1
        await self._came(delivered())

    async def close(self) -> None:
        pass

    async def answer(self, receipts: Sequence[tuple[str, Payload]], last: DeliveredMessage) -> int:
        if self.answers:
            raise self.answers.pop(0)
        return 1


def delivered() -> DeliveredMessage:
    made = record(1)
    payload = encode(made, envelope(made), GW, "json")
    return message(TOPICS.record(made.key.stream, made.source), payload)


def message(topic: str, payload: Payload) -> DeliveredMessage:
    """As the library gives it."""
    header = ContentHeader(properties=spec.Basic.Properties(content_type=payload.content_type))
    deliver = spec.Basic.Deliver("sink", 1, routing_key=topic.translate(SWAPPED))
    channel: Any = None
    return DeliveredMessage(deliver, header, payload.data, channel)


@pytest.fixture
def queue(monkeypatch: pytest.MonkeyPatch) -> type[FakeQueue]:
    FakeQueue.opened, FakeQueue.answers = 0, []
    monkeypatch.setattr(sink_module, "RecordQueue", FakeQueue)
    return FakeQueue


def sink(store: Any, said: list[str]) -> Sink:
    ingest = RecordIngest(store, report=said.append)
    return Sink(ingest, [SOURCE], clock=JumpingClock(), prefix="kerbstone/v1", random=Random(1))


@pytest.mark.parametrize(
    "fault", [RecursionError, NotImplementedError, RuntimeError, PermissionError, TimeoutError]
)
async def test_a_fault_of_ours_comes_out_as_it_is(
    queue: type[FakeQueue], fault: type[Exception]
) -> None:
    said: list[str] = []
    with pytest.raises(fault, match="ours"):
        await asyncio.wait_for(sink(RaisingStore(fault("ours")), said).run(asyncio.Event()), 10)
    assert (queue.opened, said) == (1, [])


async def test_the_time_between_messages_is_for_proofs(
    queue: type[FakeQueue], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """All gateways of a city seal in one minute, and then nothing comes for a while."""
    sent = [each for bundle in bundles(30, 16) for each in bundle]

    async def open_(self: RecordQueue, source: BrokerSource) -> None:
        for each in sent:
            await self._came(message(each.topic, Payload(each.payload, each.content_type)))

    monkeypatch.setattr(FakeQueue, "open", open_)
    store = open_store(tmp_path / "store.db", write=True)
    one = sink(store, [])
    await asyncio.wait_for(one.run(asyncio.Event(), idle_s=0.01), 60)
    store.close()
    assert one.counts.stored == len(sent)
    assert one.counts.proved == sum("/manifest" in each.topic for each in sent) == 90


async def test_a_lost_connection_is_made_anew(queue: type[FakeQueue]) -> None:
    said: list[str] = []
    queue.answers += [LostConnectionError("hung up")]
    one = sink(Quiet(), said)
    await asyncio.wait_for(one.run(asyncio.Event(), idle_s=0.01), 10)
    assert (queue.opened, one.counts.receipts, one.counts.reconnections) == (2, 1, 1)
    assert said == ["connection lost (hung up), trying again"]


@pytest.mark.parametrize(
    "end", [ChannelInvalidStateError("closed"), ConnectionClosed(320, "a node ends"), OSError("x")]
)
async def test_what_the_library_raises_is_a_lost_connection(end: Exception) -> None:
    class Ended:
        async def basic_ack(self, *_: object, **__: object) -> None:
            raise end

    ended: Any = Ended()
    queue = RecordQueue("kerbstone/v1")
    queue._channel = ended
    queue._receipts._channel = FakeChannel().as_any
    with pytest.raises(LostConnectionError):
        await queue.answer([], delivered())


async def test_a_broker_that_is_not_there_is_a_lost_connection() -> None:
    queue = RecordQueue("kerbstone/v1")
    with pytest.raises(LostConnectionError, match="Connect"):
        await queue.open(BrokerSource("127.0.0.1", free_port(), ""))
    await queue.close()


async def test_a_newer_program_that_migrates_ends_a_sink_with_a_sentence(sinks: Sinks) -> None:
    sink = sinks.start()
    with psycopg.connect(sinks.database, autocommit=True) as db:
        db.execute("INSERT INTO kerbstone.migration (number, name) VALUES (9999, 'newer')")
        db.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
    async with gateway(sinks.rabbit) as one:
        await one.publish(record(1))
    await until(lambda: sink.ended, 30)
    code, said = sink.left()
    assert (code, said.count("\n")) == (2, 2)
    assert "the database has version 9999, this program knows" in said
    sinks.rabbit.ctl("purge_queue", "kerbstone.records")
