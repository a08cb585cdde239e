"""What people write who want to be sure: publish one message, wait for its PUBACK, then the next.

python -m tests.bench.single paho|aiomqtt BROKER_PORT

The message is a summary of ten points, as our sender would write it. Every 0.5 s it prints what it
has done. Nothing is on disk.
"""

import asyncio
import json
import sys
import time
from collections.abc import Iterator

import aiomqtt
import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from edge.core import Envelope, Record, RecordKey
from edge.wire import encode
from tests.kit.asread import as_read
from tests.kit.clock import NTP
from tests.kit.virtualgateway import lived, summaries

TOPIC = "site/meter"
REPORT_S = 0.5


class ConfirmedCount:
    """Counts, and says so now and then."""

    def __init__(self) -> None:
        self.count, self._due_s = 0, 0.0

    def __call__(self) -> None:
        self.count += 1
        now_s = time.monotonic()
        if now_s >= self._due_s:
            self._due_s = now_s + REPORT_S
            found = {"at_ns": time.monotonic_ns(), "confirmed": self.count,
                     "cpu_s": time.process_time()}  # fmt: skip
            print(json.dumps(found), flush=True)


def payloads() -> Iterator[bytes]:
    """Without an end: those of twenty meters."""
    made = []
    for number, draft in enumerate(summaries(lived(1))):
        key = RecordKey(1 << 32, draft.stream, number + 1)
        record = Record(key, draft.source, 1, draft.from_ns, draft.to_ns, as_read(draft))
        made.append(encode(record, Envelope(1, 2, NTP), "gw", "msgpack").data)
    while True:
        yield from made


def with_paho(port: int) -> None:
    client = mqtt.Client(CallbackAPIVersion.VERSION2, protocol=mqtt.MQTTv5)
    client.connect("127.0.0.1", port)
    client.loop_start()
    result = ConfirmedCount()
    for payload in payloads():
        client.publish(TOPIC, payload, qos=1).wait_for_publish()
        result()


async def with_aiomqtt(port: int) -> None:
    async with aiomqtt.Client("127.0.0.1", port, protocol=aiomqtt.ProtocolVersion.V5) as client:
        result = ConfirmedCount()
        for payload in payloads():
            await client.publish(TOPIC, payload, qos=1)
            result()


if __name__ == "__main__":
    if sys.argv[1] == "paho":
        with_paho(int(sys.argv[2]))
    else:
        asyncio.run(with_aiomqtt(int(sys.argv[2])))
