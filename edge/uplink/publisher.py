"""Filling the window: what goes next is chosen, dated, written and handed to the network."""

from collections.abc import Sequence
from functools import partial
from typing import Final, Literal

from edge.core import Clock, Envelope
from edge.uplink.delivery import Delivery
from edge.uplink.mqtt import MqttConnection, publish_size
from edge.uplink.presence import LAST_STREAMS, PresencePublisher
from edge.uplink.sendqueue import Backlog, SendItem
from edge.uplink.timestamps import Timestamper
from edge.wire import Topics, WireError, encode
from edge.wire.clockmoments import Moment
from edge.wire.records import Payload, record_map

PAGES_PER_FILL: Final = 20  # of rows that must not go now, in one turn
COMPANY_BOOTS: Final = (
    64  # whose moments are kept in one commit: an alarm waits while they are read
)

ReadyMessage = tuple[SendItem, Envelope, Sequence[Moment], str, Payload]


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
        item = delivery.send_queue.next_urgent() if link.room else None
        for _ in range(PAGES_PER_FILL if link.room else 0):
            if item is not None or not await delivery.send_queue.next_page(urgent_only=True):
                break
            item = delivery.send_queue.next_urgent()
        delivery.probing.sent(None if item is None else item.row, now_ns)
        if item is not None:
            await self._publish(link, item)

    def _chosen(self, *, backlog: bool) -> SendItem | None:
        """What goes next."""
        send_queue, delivery = self._delivery.send_queue, self._delivery
        item = send_queue.next_urgent() or send_queue.next_live()
        if item is None and backlog and not (delivery.stalled or self._presence.passed_over):
            item = send_queue.next_backlog()
        return item

    async def _publish(self, link: MqttConnection, only: SendItem | None = None) -> bool:
        """Hand over what goes next, as much as there is room for. False: there was nothing.

        How long a message is is known when it is written, so the last one may have to wait for its
        room. Nothing is chosen behind it, and what is written goes before anything is waited for:
        one message at most is ever written ahead.
        """
        delivery, timestamper = self._delivery, self._timestamper
        room, free = link.room, link.room_bytes
        kept, kept_bytes = link.backlog_leaves
        batch: list[ReadyMessage] = []
        first = item = only or self._chosen(backlog=room > kept and free > kept_bytes)
        while item is not None:
            record = item.record
            if not timestamper.is_prepared(record):
                self._hand_over(link, batch)
                boots = COMPANY_BOOTS if item.backfilled else 0
                await timestamper.prepare([record], delivery.send_queue.records, boots)
                if not link.is_open:
                    return True  # it waits for the next connection
                room, free = link.room, link.room_bytes
            dated, moments = timestamper.date(
                record, backfilled=item.backfilled, redelivered=item.redelivered
            )
            try:
                topic = self._topics.record(record.key.stream, record.source)
                payload = encode(record, dated, self._gw, self._encoding)
            except WireError as error:
                self._hand_over(link, batch)
                await delivery.unsendable(item, str(error), self._clock.now().mono_ns)
                room, free = link.room + 1, link.room_bytes
            else:
                size = publish_size(topic, *payload)
                if link.fits(size):
                    batch.append((item, dated, moments, topic, payload))
                    free -= size
                else:
                    delivery.too_large(item, self._clock.now().mono_ns)
            room -= 1
            if only is not None or room <= 0 or free <= 0:
                break
            item = self._chosen(backlog=room > kept and free > kept_bytes)
        self._hand_over(link, batch)
        return first is not None

    def _hand_over(self, link: MqttConnection, batch: list[ReadyMessage]) -> None:
        """To the network, all of them; the journal has one line of it."""
        if not batch:
            return
        self._backlog.sent([item.row for item, *_ in batch])
        now_ns = self._clock.now().mono_ns
        for item, dated, moments, topic, payload in batch:
            record = item.record
            token = self._delivery.hand(item, now_ns, moments)
            answer = link.publish(token, topic, *payload)
            if answer is not None:
                self._delivery.answered(token, answer)
            elif record.key.stream in LAST_STREAMS:
                data = partial(record_map, record, dated, self._gw)
                self._presence.put_last(record, data, backfilled=item.backfilled)
        batch.clear()
