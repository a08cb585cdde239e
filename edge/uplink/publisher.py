"""Filling the window: what goes next is chosen, dated, written and handed to the network.

To save bytes, what can wait goes together each quarter of an hour; at level 2 it merges first
(`BacklogGate`). The connection stays, and alarms, registers, commands and receipts pass at any
time. What waits at the closed gate was not handed over, so the outbox may make quarter hours of its
minutes.
"""

from collections.abc import Callable, Sequence
from typing import Final, Literal

from edge.core import Clock, Envelope, Stamp
from edge.uplink.delivery import Delivery
from edge.uplink.mqtt import MqttConnection, publish_size
from edge.uplink.presence import LAST_STREAMS, PresencePublisher
from edge.uplink.rowtable import RowTable
from edge.uplink.sendqueue import Backlog, SendItem, SendQueue
from edge.uplink.timestamps import Timestamper
from edge.wire import Topics, WireError, encode
from edge.wire.clockmoments import Moment
from edge.wire.records import Payload, record_map

PAGES_PER_FILL: Final = 20  # of rows that must not go now, in one turn
QUARTER_NS: Final = 900_000_000_000
SETTLED_NS: Final = 10_000_000_000  # so long after it all of a quarter is committed
DOWNSAMPLE_LEVEL: Final = 2  # from this level on minutes merge
DOWNSAMPLE_STEPS: Final = 200  # of merging, each some 500 rows, before the rest goes as it is


class Publisher:
    """Alarms first, then live rows, then the backlog, which leaves a quarter of the window."""

    def __init__(
        self,
        delivery: Delivery,
        timestamper: Timestamper,
        backlog: Backlog,
        presence: PresencePublisher,
        topics: Topics,
        gw: str,
        encoding: Literal["json", "msgpack"],
        clock: Clock,
    ) -> None:
        self._delivery, self._timestamper, self._backlog = delivery, timestamper, backlog
        self._presence, self._topics, self._gw = presence, topics, gw
        self._encoding, self._clock = encoding, clock

    async def fill(self, link: MqttConnection) -> bool:
        """Send as much as there is room for. False: there is more to look through, in a while."""
        delivery = self._delivery
        pages = 0  # that held nothing to send
        while link.room and not delivery.paused_ns:
            if not await self._publish(link):
                if pages == PAGES_PER_FILL:
                    return False  # others have their turn
                if not await delivery.send_queue.next_page(urgent_only=delivery.stalled):
                    return True
                pages += 1
            await delivery.process_answers(self._clock.now().mono_ns)
        return True

    async def probe(self, link: MqttConnection) -> None:
        """One alarm, to a broker that has refused whatever came: maybe it takes something again."""
        delivery, now_ns = self._delivery, self._clock.now().mono_ns
        item = delivery.send_queue.alarm() if link.room else None
        for _ in range(PAGES_PER_FILL if link.room else 0):
            if item is not None or not await delivery.send_queue.next_page(urgent_only=True):
                break
            item = delivery.send_queue.alarm()
        delivery.probing.sent(None if item is None else item.row, now_ns)
        if item is not None:
            await self._publish(link, item)

    def _chosen(self, *, backlog: bool) -> SendItem | None:
        """What goes next."""
        send_queue, delivery = self._delivery.send_queue, self._delivery
        item = send_queue.alarm() or send_queue.live()
        if item is None and backlog and not (delivery.stalled or self._presence.passed_over):
            item = send_queue.next_backlog()
        return item

    async def _publish(self, link: MqttConnection, only: SendItem | None = None) -> bool:
        """Hand over what goes next, as much as there is room for. False: there was nothing.

        How long a message is is known when it is written, so the last one may have to wait for its
        room. Nothing is chosen behind it: no more than the window is ever written ahead.
        """
        delivery, timestamper = self._delivery, self._timestamper
        room, free = link.room, link.room_bytes
        # so much the backlog leaves
        kept, kept_bytes = link.limit - max(1, link.limit * 3 // 4), link.limit_bytes // 4
        messages: list[tuple[SendItem, Envelope, Sequence[Moment], str, Payload]] = []
        first = item = only or self._chosen(backlog=room > kept and free > kept_bytes)
        while item is not None:
            record = item.record
            if not timestamper.is_prepared(record):  # with those that follow: one commit for all
                await timestamper.prepare([record, *delivery.send_queue.records])
            dated, moments = timestamper.date(
                record, backfilled=item.backfilled, redelivered=item.redelivered
            )
            try:
                topic = self._topics.record(record.key.stream, record.source)
                payload = encode(record, dated, self._gw, self._encoding)
            except WireError as error:
                await delivery.unsendable(item, str(error), self._clock.now().mono_ns)
            else:
                size = publish_size(topic, *payload)
                if link.fits(size):
                    messages.append((item, dated, moments, topic, payload))
                    free -= size
                else:
                    delivery.too_large(item, self._clock.now().mono_ns)
            room -= 1
            if only is not None or room <= 0 or free <= 0:
                break
            item = self._chosen(backlog=room > kept and free > kept_bytes)
        self._backlog.sent([item.row for item, *_ in messages])
        now_ns = self._clock.now().mono_ns
        for item, dated, moments, topic, payload in messages:
            record = item.record
            token = delivery.hand(item, now_ns, moments)
            answer = link.publish(token, topic, *payload)
            if answer is not None:
                delivery.answered(token, answer)
            elif record.key.stream in LAST_STREAMS:
                self._presence.put_last(
                    record, record_map(record, dated, self._gw), backfilled=item.backfilled
                )
        return first is not None


class BacklogGate:
    """In front of the backlog; open unless somebody has asked to spare bytes."""

    def __init__(self, backlog: Backlog, send_queue: SendQueue, table: RowTable) -> None:
        self._backlog, self._send_queue, self._table = backlog, send_queue, table
        self._level = 0
        self._quarter = 0  # that has opened it last
        self._up = False  # a connection

    def level(self, level: int) -> None:
        """0 open, 1 together, 2 merged. It closes when all that waits has gone, and at once while
        nothing can go."""
        self._level = level
        if level and not self._up:
            self._send_queue.hold_live()

    async def linked(self, now: Stamp, beat: Callable[[], None]) -> None:
        """A connection is up. Before the first row is handed over."""
        self._up = True
        if not self._send_queue.held:
            await self._open(now)
        elif not self._level or self._at(now) != self._quarter:
            await self._release(now, beat)

    def unlinked(self) -> None:
        """The connection is down."""
        self._up = False
        self._backlog.link_lost(self._table.highest)
        if self._level:
            self._send_queue.hold_live()

    async def update(self, now: Stamp, beat: Callable[[], None]) -> None:
        """Time has passed: open it, or close it behind the last one."""
        send_queue, due = self._send_queue, self._at(now) != self._quarter
        if send_queue.held and (due or not self._level):
            await self._release(now, beat)
        elif (
            self._level
            and not send_queue.held
            and send_queue.is_drained
            and not self._table.unanswered
        ):
            if due:  # it has been open all the time
                self._quarter = self._at(now)
            send_queue.hold_live()
            self._backlog.link_lost(self._table.highest)

    async def _release(self, now: Stamp, beat: Callable[[], None]) -> None:
        """Nobody holds a row of what waits, so all of it may merge before."""
        for _ in range(DOWNSAMPLE_STEPS if self._level >= DOWNSAMPLE_LEVEL else 0):
            beat()
            if not await self._backlog.downsample():
                break
        await self._open(now)

    async def _open(self, now: Stamp) -> None:
        self._send_queue.held, self._quarter = False, self._at(now)
        # from here on rows may have been handed over
        await self._backlog.link_up(self._send_queue.live_from)

    @staticmethod
    def _at(now: Stamp) -> int:
        """By the wall, right or wrong: a clock that jumps opens it once too often."""
        return (now.wall_ns - SETTLED_NS) // QUARTER_NS
