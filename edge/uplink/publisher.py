"""Filling the window: what goes next is chosen, dated, written and handed to the network."""

from typing import Final, Literal

from edge.core import Clock
from edge.uplink.delivery import Delivery
from edge.uplink.mqtt import MqttConnection
from edge.uplink.presence import LAST_STREAMS, PresencePublisher
from edge.uplink.sendqueue import Backlog, SendItem
from edge.uplink.timestamps import Timestamper
from edge.wire import Topics, WireError, encode
from edge.wire.records import record_map

PAGES_PER_FILL: Final = 20  # of rows that must not go now, in one turn


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
