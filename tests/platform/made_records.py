"""Records as a gateway sends them, and a gateway that holds to the rules of receipts."""

import asyncio
import contextlib
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import aiomqtt
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from edge.core import Envelope, Record, RecordKey, Stream
from edge.platform.receivedrecord import ReceivedRecord, make_received
from edge.uplink.manifests import Manifests
from edge.uplink.wire import Payload, Topics, decode, decode_receipts, encode
from edge.uplink.wire.clockmoments import Moment
from tests.uplink.broker import Mosquitto

S = 1_000_000_000
GW = "gw-0001"
E1, E2 = (1 << 32) + 7, (2 << 32) + 9
TOPICS = Topics("kerbstone/v1", "stadt", GW)
NOON = 1_795_608_000 * S  # 2026-11-25T12:00:00Z
ROOT = Path(__file__).parents[2]
KINDS = ["store.db", "store.jsonl"]  # a store is of the kind that its name says
# the verbs are in the command's list only where it ships them
RUN = (
    "from edge.cli import main as m; m.VERBS.setdefault('receipts', ''); "
    "m.VERBS.setdefault('audit', ''); raise SystemExit(m.main())"
)
COMMAND = [sys.executable, "-c", RUN]


def record(
    seq: int, *, stream: Stream = Stream.AIR, source: str = "hut", epoch: int = E1, boot: int = 1,
    at: tuple[int, int] | None = None, body: dict[str, Any] | None = None,
) -> Record:  # fmt: skip
    start, end = at or ((seq - 1) * 60, seq * 60)
    found = {"covered_s": float(end - start), "x": seq} if body is None else body
    return Record(RecordKey(epoch, stream, seq), source, boot, start * S, end * S, found)


def envelope(
    made: Record, tq: str = "ntp", *, backfilled: bool = False, redelivered: bool = False
) -> Envelope:
    return Envelope(NOON + made.from_ns, NOON + made.to_ns, tq, backfilled, redelivered)


def entry(
    made: Record,
    tq: str = "ntp",
    encoding: Any = "msgpack",
    received: str = "2026-11-25T13:00:00.000Z",
    *,
    backfilled: bool = False,
    redelivered: bool = False,
) -> ReceivedRecord:
    topic = TOPICS.record(made.key.stream, made.source)
    payload = encode(
        made, envelope(made, tq, backfilled=backfilled, redelivered=redelivered), GW, encoding
    )
    (message,) = decode(topic, payload.data, payload.content_type)
    return make_received(message, topic, payload.data, payload.content_type, received)


def moment(made: Record) -> Moment:
    """By which `envelope` dates it."""
    return Moment(made.boot, 0, NOON // 1000, "ntp")


def sealed(*records: Record) -> list[Record]:
    """With their manifest."""
    manifests = Manifests()
    for each in records:
        manifests.handed(each, moment(each))
    (draft,) = manifests.due(records[-1].to_ns, all_=True)
    at_s = records[-1].to_ns // S
    body = dict(draft.body)
    return [
        *records,
        record(1, stream=Stream.MANIFEST, source=draft.source, at=(at_s, at_s), body=body),
    ]


class Gateway:
    """Publishes records, and knows which have a receipt."""

    def __init__(self, client: aiomqtt.Client, topics: Topics = TOPICS) -> None:
        self._client, self._topics = client, topics
        self.receipted: set[tuple[int, str, int]] = set()
        self.messages = 0

    async def publish(
        self,
        made: Record,
        encoding: Any = "msgpack",
        *,
        backfilled: bool = False,
        redelivered: bool = False,
    ) -> None:
        payload = encode(
            made, envelope(made, backfilled=backfilled, redelivered=redelivered), GW, encoding
        )
        await self.put(TOPICS.record(made.key.stream, made.source), payload)

    async def put(self, topic: str, payload: Payload, retain: bool = False) -> None:
        properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
        properties.ContentType = payload.content_type
        await self._client.publish(topic, payload.data, 1, retain, properties)

    async def listen(self) -> None:
        await self._client.subscribe(self._topics.receipt, qos=1)
        async for message in self._client.messages:
            assert isinstance(message.payload, bytes)
            self.messages += 1
            for each in decode_receipts(message.payload, GW):
                for first, last in each.ranges:
                    numbers = range(first, last + 1)
                    self.receipted |= {(each.epoch, each.stream, number) for number in numbers}


@contextlib.asynccontextmanager
async def gateway(broker: Mosquitto, topics: Topics = TOPICS) -> AsyncIterator[Gateway]:
    async with aiomqtt.Client(
        "127.0.0.1", broker.port, protocol=aiomqtt.ProtocolVersion.V5, timeout=60
    ) as client:
        client.pending_calls_threshold = 10_000
        made = Gateway(client, topics)
        task = asyncio.create_task(made.listen())
        try:
            yield made
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task


@contextlib.contextmanager
def platform(broker: Mosquitto, store: Path, *options: str) -> Iterator["subprocess.Popen[str]"]:
    """`kerbstone receipts` as a process, which has subscribed."""
    before = broker.log.count("Sending SUBACK")
    process = subprocess.Popen(
        [*COMMAND, "receipts", "--broker", broker.url, "--store", str(store), *options],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT,
    )  # fmt: skip
    try:
        end = time.monotonic() + 60
        while broker.log.count("Sending SUBACK") == before:
            assert time.monotonic() < end
            assert process.poll() is None, process.communicate()
            time.sleep(0.02)
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()
