"""Filling the window: what goes next is chosen, dated, written and handed to the network.

To save bytes, what can wait goes together each quarter of an hour; at level 2 it merges first
(`BacklogGate`). The connection stays, and alarms, registers, commands and receipts pass at any
time. What waits at the closed gate was not handed over, so the outbox may make quarter hours of its
minutes.
"""

from collections.abc import Callable
from typing import Final, Literal

from edge.core import Clock, Stamp
from edge.core.walltime import QUARTER_NS
from edge.uplink.delivery import Delivery
from edge.uplink.mqtt import MqttConnection
from edge.uplink.presence import LAST_STREAMS, PresencePublisher
from edge.uplink.rowtable import RowTable
from edge.uplink.sendqueue import Backlog, SendItem, SendQueue
from edge.uplink.timestamps import Timestamper
from edge.wire import Topics, WireError, encode
from edge.wire.records import record_map

PAGES_PER_FILL: Final = 20  # of rows that must not go now, in one turn
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
            if items := self._chosen(link):
                await self._publish(link, items)
            elif pages == PAGES_PER_FILL:
                return False  # others have their turn
            elif not await delivery.send_queue.next_page(urgent_only=delivery.stalled):
                return True
            else:
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
            await self._publish(link, [item])

    def _chosen(self, link: MqttConnection) -> list[SendItem]:
        send_queue, delivery = self._delivery.send_queue, self._delivery
        items: list[SendItem] = []
        share = max(1, link.limit * 3 // 4)
        while len(items) < link.room:
            item = send_queue.alarm() or send_queue.live()
            if item is None and link.unacknowledged + len(items) < share and not delivery.stalled:
                item = send_queue.next_backlog()
            if item is None:
                break
            items.append(item)
        return items

    async def _publish(self, link: MqttConnection, items: list[SendItem]) -> None:
        delivery = self._delivery
        await self._timestamper.prepare([item.record for item in items])
        self._backlog.sent([item.row for item in items])
        now_ns = self._clock.now().mono_ns
        dates = [  # all at once, for between two of them the clock could be looked at
            self._timestamper.date(
                item.record, backfilled=item.backfilled, redelivered=item.redelivered
            )
            for item in items
        ]
        for item, (dated, moments) in zip(items, dates, strict=True):
            record, key = item.record, item.record.key
            try:
                topic = self._topics.record(key.stream, record.source)
                payload = encode(record, dated, self._gw, self._encoding)
            except WireError as error:
                await delivery.unsendable(item, str(error), now_ns)
                continue
            if not link.fits(topic, payload.data, payload.content_type):
                delivery.too_large(item, now_ns)
                continue
            token = delivery.hand(item, now_ns, moments)
            answer = link.publish(token, topic, payload.data, payload.content_type)
            if answer is not None:
                delivery.answered(token, answer)
            elif key.stream in LAST_STREAMS:
                self._presence.put_last(
                    record, record_map(record, dated, self._gw), backfilled=item.backfilled
                )


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
