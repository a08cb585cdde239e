"""All of a sender but its turn, over the real connection; only its packets stay here, in place of a
socket, until the broker answers: each is counted with all of its bytes (MQTT 5.0, chapter 3.3).
"""

import json
from collections import deque
from collections.abc import Collection, Hashable
from dataclasses import replace
from types import SimpleNamespace
from typing import Any, NamedTuple

from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.reasoncodes import ReasonCode

from edge.core import Record, RecordKey, Stamp, Stream
from edge.outbox import StoredRecord
from edge.uplink.broker import make_broker
from edge.uplink.delivery import Delivery
from edge.uplink.inflight import START_BYTES, ConnectionLostError, PublishAnswer
from edge.uplink.mqtt import MqttConnection
from edge.uplink.presence import PresencePublisher
from edge.uplink.publisher import Publisher
from edge.uplink.refusals import BrokerLogThrottle
from edge.uplink.rowtable import RowEntry, RowState, RowTable, UplinkCounters
from edge.uplink.sendqueue import URGENT_STREAMS
from edge.uplink.timestamps import Timestamper
from edge.wire import Topics
from tests.kit.clock import NTP, WALL_0, VirtualClock
from tests.kit.rawbroker import length
from tests.uplink.test_sendqueue_order import StoredRows

TAKEN = ReasonCode(PacketTypes.PUBACK)
SMALL, HALF = 300, START_BYTES // 2  # bytes of bodies


class Rows(StoredRows):
    """Of many streams and sizes; what is confirmed has left."""

    def __init__(self) -> None:
        super().__init__([])
        self.count = 0
        self.written: list[int] = []  # to the journal, before they go out

    def add(self, stream: Stream, *sizes: int) -> list[StoredRecord]:
        made = []
        for size in sizes:
            self.count += 1
            key = RecordKey(1, stream, self.count)
            record = Record(key, "hut", 1, 0, 1, {"text": "x" * size})
            made.append(StoredRecord(self.count, record))
        self.rows += made
        return made

    async def urgent(self, after_row: int = 0, limit: int = 200) -> list[StoredRecord]:
        found = await self.pending(after_row, len(self.rows))
        return [row for row in found if row.record.key.stream in URGENT_STREAMS][:limit]

    async def marks(self, boot: int) -> list[Stamp]:
        return [Stamp(0, WALL_0, NTP)]

    def sent(self, rows: Collection[int]) -> None:
        self.written += rows

    def confirm(self, rows: Collection[int]) -> None:
        self.rows = [row for row in self.rows if row.row not in rows]


class Packet(NamedTuple):
    """A PUBLISH that the broker has not answered."""

    number: int
    size: int
    name: str  # the number of the record, or the kind of topic


class Uplink:
    """All of a sender but its turn; `out` is what MQTT was given, in order, by its name."""

    def __init__(self, window: int = 200, meta: int = 0) -> None:
        self.rows, self.clock, self.now_s = Rows(), VirtualClock(), 100.0
        self.flying: deque[Packet] = deque()
        self.out: list[str] = []
        self.lost: list[Hashable] = []
        self.table = RowTable(None, UplinkCounters())
        topics = Topics("kerbstone/v1", "stadt", "gw-0001")
        self.delivery = Delivery(
            self.rows, 1e6, BrokerLogThrottle(lambda kind, text: None), self.table, topics.up,
            lambda item, moments: None,
        )  # fmt: skip
        about = {"text": "x" * meta}
        self.presence = PresencePublisher(
            topics, "gw-0001", 1, dict, lambda: about, self._failed, {}, last_s=1
        )
        timestamper = Timestamper(self.rows, 1, 1)
        self.publisher = Publisher(
            self.delivery, timestamper, self.rows, self.presence, topics, "gw-0001", "json",
            self.clock,
        )  # fmt: skip
        broker = replace(make_broker("mqtt://127.0.0.1", "gw-0001"), window=window)
        self.link = MqttConnection(broker, None, self._answered, lambda error: None)
        self.window = window
        connection: Any = self.link
        connection._up, connection._loop = True, SimpleNamespace(time=lambda: self.now_s)
        connection._client.publish = self._packet

    def _failed(self, kind: str, text: str) -> None:
        raise AssertionError(text)

    @property
    def flying_bytes(self) -> int:
        return sum(packet.size for packet in self.flying)

    @property
    def written_ahead(self) -> int:
        """Messages that are written and wait for their room."""
        return len(self.link._inflight._next)

    def _packet(
        self, topic: str, payload: bytes, qos: int, _retain: bool, properties: Any
    ) -> SimpleNamespace:
        """What paho would write."""
        body = 2 + len(topic.encode()) + 2 + len(properties.pack()) + len(payload)
        size = 1 + len(length(body)) + body
        room = self.link._inflight._window._bytes - self.flying_bytes
        assert qos == 1
        assert not self.flying or size <= room, "more than the window, and not alone"
        assert len(self.flying) < self.window, "the broker may hang up on what is more"
        data, kind = json.loads(payload), topic.split("/up/")[1].partition("/")[0]
        name = str(data["seq"]) if "seq" in data and kind != "last" else kind
        assert name == kind or int(name) in self.rows.written
        self.out.append(name)
        self.flying.append(Packet(len(self.out), size, name))
        return SimpleNamespace(rc=0, mid=len(self.out))

    def _answered(self, token: Hashable, answer: PublishAnswer) -> None:
        if isinstance(answer, ConnectionLostError):
            self.lost.append(token)
        if isinstance(token, RowEntry):
            self.delivery.answered(token, answer)
        else:
            self.presence.answered(token, answer)

    def offer(self, stream: Stream, *sizes: int) -> list[str]:
        """New records, right after their commit; their names."""
        rows = self.rows.add(stream, *sizes)
        self.delivery.send_queue.offer(rows, self.clock.mono_ns)
        return [str(row.row) for row in rows]

    def store(self, stream: Stream, *sizes: int) -> list[str]:
        """Records of the backlog."""
        names = [str(row.row) for row in self.rows.add(stream, *sizes)]
        self.delivery.send_queue.rewind(0)
        return names

    async def turn(self) -> list[str]:
        """The sender's; what went."""
        before = len(self.out)
        await self.delivery.process_answers(self.clock.mono_ns)
        self.clock.mono_ns += 1_000_000
        self.delivery.send_queue.refill(self.clock.mono_ns)
        self.presence.publish_status_and_replies(self.link)
        await self.publisher.fill(self.link)
        self.presence.publish(self.link)
        assert self.table.count(RowState.CHOSEN) == 0, "nobody would send it"
        return self.out[before:]

    def answer(self, count: int = 1, after_s: float = 0.01) -> None:
        """The broker takes the oldest."""
        self.now_s += after_s
        for _ in range(min(count, len(self.flying))):
            packet = self.flying.popleft()
            self.link._puback(None, None, packet.number, TAKEN, None)

    async def finish(self, turns: int = 2000) -> None:
        """Until nothing is left to send."""
        for _ in range(turns):
            await self.turn()
            self.answer()
            if not self.flying and not self.rows.rows:
                return
        raise AssertionError(f"{len(self.rows.rows)} rows wait, {len(self.flying)} are in flight")
