"""Records of an outbox that no daemon has: to the broker under their own keys, beside a gateway
that may be connected. Nothing is said of the gateway's own state, and nothing is retained.
"""

import asyncio
from collections import Counter, deque
from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass, field
from itertools import islice
from typing import Final, Literal

from edge.core import Envelope, Record, RecordKey
from edge.core.numbers import Numbers
from edge.uplink.broker import Broker
from edge.uplink.delivery import NOT_AUTHORIZED
from edge.uplink.mqtt import (
    BrokerRefusedError,
    ConnectionLostError,
    MqttConnection,
    PublishAnswer,
    publish_size,
)
from edge.uplink.pahoclient import InboundMessage
from edge.wire import Topics, WireError, decode_receipts, encode

UNCONFIRMED_LIMIT: Final = 2000  # records whose receipt is awaited at one time
TICK_S: Final = 0.5
PAGE_RECORDS: Final = 200  # records read at one time

DatedRecord = tuple[Record, Envelope]


@dataclass(slots=True)
class RescueResult:
    """What became of the records. `refused`: why, and how many of them."""

    sent: int = 0
    confirmed: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    unconfirmed: int = 0  # by an answer, or by a receipt


class RescueSender:
    """One connection. `receipt_s` None: the broker's answer confirms; else the platform's receipt,
    and so long a silence ends it."""

    def __init__(
        self,
        topics: Topics,
        gw: str,
        encoding: Literal["json", "msgpack"],
        receipt_s: float | None,
        progress: Callable[[RescueResult], None],
    ) -> None:
        self._topics, self._gw, self._encoding = topics, gw, encoding
        self._receipt_s, self._progress = receipt_s, progress
        self.done = RescueResult()
        self._in_flight: set[Hashable] = set()  # not answered by the broker
        self._waiting: dict[tuple[int, str], set[int]] = {}  # not receipted
        self._lost: ConnectionLostError | None = None
        self._refused: BrokerRefusedError | None = None
        self._wake = asyncio.Event()

    async def run(self, broker: Broker, records: Iterable[DatedRecord]) -> None:
        """Until all are confirmed, or nobody answers any more. Raises OSError, BrokerRefusedError:
        the broker lets nobody in, hangs up, or does not allow it."""
        link = await MqttConnection.open(
            broker, will=None, on_answer=self._answered, on_lost=self._on_disconnect,
            subscribe=() if self._receipt_s is None else (self._topics.receipt,),
            on_message=self._on_message,
        )  # fmt: skip
        try:
            if link.unsubscribed:
                raise ConnectionLostError(f"no right to subscribe to {self._topics.receipt}")
            await self._send(link, records)
        finally:
            self.done.unconfirmed = len(self._in_flight) + self._unreceipted
            await link.close()

    @property
    def _unreceipted(self) -> int:
        return sum(map(len, self._waiting.values()))

    async def _send(self, link: MqttConnection, records: Iterable[DatedRecord]) -> None:
        loop, left = asyncio.get_running_loop(), iter(records)
        more, heard_s = True, loop.time()
        page: deque[DatedRecord] = deque()
        while more or page or self._in_flight or self._waiting:
            self._wake.clear()
            while (page or more) and link.room and self._unreceipted < UNCONFIRMED_LIMIT:
                if not page:  # a damaged file is looked through for long: the link lives meanwhile
                    page.extend(await asyncio.to_thread(list, islice(left, PAGE_RECORDS)))
                    more = bool(page)
                if page:
                    self._publish(link, *page.popleft())
            if self._lost is not None:
                raise self._lost
            if self._refused is not None:
                raise self._refused
            try:
                async with asyncio.timeout(TICK_S):
                    await self._wake.wait()
                heard_s = loop.time()
            except TimeoutError:
                waits = not (more or page) or self._unreceipted >= UNCONFIRMED_LIMIT
                if waits and not self._in_flight and loop.time() - heard_s > (self._receipt_s or 0):
                    return
            self._progress(self.done)

    def _publish(self, link: MqttConnection, record: Record, envelope: Envelope) -> None:
        key = record.key
        try:
            topic = self._topics.record(key.stream, record.source)
            payload = encode(record, envelope, self._gw, self._encoding)
        except WireError as error:
            self.done.refused[f"it cannot be written as a message ({error})"] += 1
            return
        if not link.fits(publish_size(topic, *payload)):
            self.done.refused["it is larger than the broker accepts"] += 1
            return
        if self._receipt_s is not None:
            self._waiting.setdefault((key.epoch, str(key.stream)), set()).add(key.seq)
        self._in_flight.add(key)
        self.done.sent += 1
        answer = link.publish(key, topic, payload.data, payload.content_type)
        if answer is not None:
            self._answered(key, answer)

    def _answered(self, key: Hashable, answer: PublishAnswer) -> None:
        self._wake.set()
        if isinstance(answer, ConnectionLostError):
            self._lost = self._lost or answer
            return
        self._in_flight.discard(key)
        if isinstance(answer, BrokerRefusedError):
            self._forget(key)
            self.done.refused[str(answer)] += 1
            if answer.code == NOT_AUTHORIZED:
                self._refused = answer
        elif self._receipt_s is None:
            self.done.confirmed += 1

    def _forget(self, key: Hashable) -> None:
        if not isinstance(key, RecordKey):
            return
        place = key.epoch, str(key.stream)
        self._waiting.get(place, set()).discard(key.seq)
        if not self._waiting.get(place, {0}):
            del self._waiting[place]

    def _on_message(self, message: InboundMessage) -> None:
        if message.topic != self._topics.receipt or message.retain:
            return
        try:
            receipts = decode_receipts(message.payload, self._gw)
        except WireError:
            return
        for receipt in receipts:
            place = receipt.epoch, str(receipt.stream)
            numbers = Numbers()
            for first, last in receipt.ranges:
                numbers.add_range(first, last)
            waiting = self._waiting.get(place, set())
            stored = {seq for seq in waiting if seq in numbers}
            if stored:
                self.done.confirmed += len(stored)
                waiting -= stored
                self._wake.set()
                if not waiting:
                    del self._waiting[place]

    def _on_disconnect(self, error: ConnectionLostError) -> None:
        self._lost = self._lost or error
        self._wake.set()
