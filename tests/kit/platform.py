"""The city's side: `kerbstone receipts` as a process, and a gateway that heeds its receipts.

An example:

    async with gateway(broker) as one:
        with platform(broker, tmp_path / "store.db"):
            await one.publish(record(1))
            await until(lambda: (E1, "air", 1) in one.receipted)
"""

import asyncio
import contextlib
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any, Protocol

import aiomqtt
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from edge.core import Record
from edge.wire import Payload, Topics, decode_receipts, encode
from tests.kit.broker import Mosquitto
from tests.kit.records import GW, TOPICS, envelope

ROOT = Path(__file__).parents[2]


# the verbs are in the command's list only where it ships them
RUN = (
    "from edge.cli import main as m; m.VERBS.setdefault('receipts', ''); "
    "m.VERBS.setdefault('audit', ''); raise SystemExit(m.main())"
)


COMMAND = [sys.executable, "-c", RUN]


class MqttBroker(Protocol):
    """Whatever a gateway connects to."""

    port: int


class ReceiptedGateway:
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

    async def subscribe(self) -> None:
        await self._client.subscribe(self._topics.receipt, qos=1)

    async def listen(self) -> None:
        async for message in self._client.messages:
            assert isinstance(message.payload, bytes)
            self.messages += 1
            for each in decode_receipts(message.payload, GW):
                for first, last in each.ranges:
                    numbers = range(first, last + 1)
                    self.receipted |= {(each.epoch, each.stream, number) for number in numbers}


@contextlib.asynccontextmanager
async def gateway(broker: MqttBroker, topics: Topics = TOPICS) -> AsyncIterator[ReceiptedGateway]:
    """One that has subscribed."""
    async with aiomqtt.Client(
        "127.0.0.1", broker.port, protocol=aiomqtt.ProtocolVersion.V5, timeout=60
    ) as client:
        client.pending_calls_threshold = 10_000
        made = ReceiptedGateway(client, topics)
        # not in the task: Python 3.11's `wait_for`, in which aiomqtt waits for the SUBACK, loses a
        # `cancel` that comes in the same moment, and the task would never end
        await made.subscribe()
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
