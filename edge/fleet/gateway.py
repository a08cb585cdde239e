"""One simulated gateway: what it sends, what came of it, and when it sends it again.

The life of a row, manifests, window and waits are those of a real gateway, by its own code
(`edge/uplink`). Only its outbox is not there: a fleet that is stopped loses what it has not sent.
"""

from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from edge.core import Draft, Stream
from edge.fleet import boxmeta
from edge.fleet.boxcommands import BoxCommands
from edge.fleet.boxqueue import BoxQueue, Chosen
from edge.fleet.boxrecords import SOURCE, BoxRecords, BoxStart
from edge.fleet.ledger import GatewayLedger
from edge.fleet.packets import Message, publish_properties
from edge.fleet.session import FleetSession
from edge.fleet.street import Street
from edge.fleet.tally import FleetTally, Subscription
from edge.kernelclock import mono_ns
from edge.uplink.delivery import (
    NO_MATCHING_SUBSCRIBERS,
    NOT_AUTHORIZED,
    NOT_AUTHORIZED_RETRY_NS,
    QUOTA_EXCEEDED,
    QUOTA_PAUSE_NS,
    RETRY_FIRST_NS,
    RETRY_MAX_NS,
)
from edge.uplink.inflight import BrokerRefusedError, ConnectionLostError, PublishAnswer
from edge.uplink.manifests import Manifests
from edge.uplink.presence import LAST_STREAMS
from edge.uplink.rowtable import RowEntry, RowState, RowTable, UplinkCounters
from edge.wire import JSON, MSGPACK, Topics, WireError, decode_receipts, decode_reconnect_spread
from edge.wire.records import Payload, encode, encode_json, record_map

QUARTER: Final = 15  # minutes between two manifests of a stream, and between two health records
PROPERTIES: Final = {kind: publish_properties(kind) for kind in (JSON, MSGPACK)}


@dataclass(frozen=True, slots=True)
class BoxOptions:
    """Of all gateways of a fleet. `receipt_s` None: the broker's answer confirms."""

    site: str
    prefix: str
    encoding: Literal["json", "msgpack"] = "msgpack"
    receipt_s: float | None = 120.0
    last: bool = False  # the newest record of each source is retained, too


class SimulatedGateway:
    """Told of time, of its connection, and of what comes (`SessionOwner`)."""

    def __init__(
        self,
        start: BoxStart,
        street: Street,
        options: BoxOptions,
        tally: FleetTally,
        now_ns: Callable[[], int] = mono_ns,
    ) -> None:
        self._now_ns = now_ns
        self.start, self._options, self._tally = start, options, tally
        self.topics = Topics(options.prefix, options.site, start.gw)
        self.counts = UplinkCounters()
        patience = options.receipt_s
        self._table = RowTable(None if patience is None else int(patience * 1e9), self.counts)
        self._manifests = Manifests()
        self._moment = start.moment
        self._records = BoxRecords(start, street)
        self._queue = BoxQueue()
        self._street = street
        self._commands = BoxCommands(
            start.gw, start.epoch, self._records, self._unconfirmed, self._ask_again,
            self._put_status,
        )  # fmt: skip
        self.ledger = GatewayLedger(start.gw, options.site, start.epoch, start.boot)
        self._handed_ns: dict[int, int] = {}  # when a row went out first, until it is confirmed
        self._retained: dict[str, Mapping[str, Any]] = {}  # by topic: what is to be published
        self._denied: list[int] = []  # rows of streams that the broker does not allow
        self._bytes: dict[str, bytes] = {}  # topics in UTF-8
        self._paused_ns = 0
        self._count = 0  # of all rows
        self.session: FleetSession | None = None
        self.spread_s: float | None = None
        """What the platform has set as the spread of reconnections."""
        rows = [self._records.begin()]
        if (former := self._records.former) is not None:
            opening = self._manifests.opening(start.epoch, former, self._records.now_ns)
            rows.append(self._records.keep(opening))
        self._made(rows)

    # -- time --------------------------------------------------------------------------------------

    def pass_minute(self) -> None:
        """A minute of the street has ended: its records, and each quarter health and manifests."""
        rows = list(self._records.pass_minute())
        now_ns, minutes = self._records.now_ns, self._records.minutes
        self.ledger.minute = self.start.minute + minutes
        quarter = (minutes + self.start.number) % QUARTER == 0
        if quarter:
            body = boxmeta.health(self._records, self.counts)
            from_ns = now_ns - min(minutes, QUARTER) * 60_000_000_000
            rows.append(self._records.keep(Draft(Stream.HEALTH, SOURCE, from_ns, now_ns, body)))
        rows += self._sealed(all_=quarter)
        self._made(rows)
        self.fill()

    def seal(self) -> None:
        """A clean stop: all that was sent is sealed."""
        self._made(self._sealed(all_=True))
        self.fill()

    def tick(self) -> None:
        """About every second."""
        now_ns = self._now_ns()
        overdue = self._table.take_overdue(now_ns)
        refused = self._table.take_retries(now_ns)
        self._tally.again["receipt"] += len(overdue)
        self._tally.again["refused"] += len(refused)
        self._queue.again([*overdue, *refused])
        if self._table.take_evicted() is not None:
            self._queue.again(self._unawaited())
        if self._table.take_allowed(now_ns):
            self._queue.again(self._denied)
            self._denied.clear()
        if self.session is not None:
            self.session.tick()
        self.fill()

    def _unawaited(self) -> list[int]:
        """Rows that went out, and for whose receipt nobody waits any more: others had to."""
        queued, table = self._queue.rows(), self._table
        return [
            row
            for row in self._handed_ns
            if row not in queued and table.state(row) is RowState.STORED
        ]

    @property
    def pending(self) -> int:
        """Records that are not confirmed yet, as `confirm` means it, or not answered."""
        return self._count - self.counts.confirmed + self._table.count(RowState.RECEIPTED)

    @property
    def unsent(self) -> int:
        """Of these, those that wait for their turn."""
        return len(self._queue)

    def _sealed(self, *, all_: bool) -> list[int]:
        drafts = self._manifests.due(self._records.now_ns, all_=all_)
        self._manifests.mark_durable(self._manifests.changes, drafts)
        return [self._records.keep(draft) for draft in drafts]

    def _made(self, rows: Iterable[int]) -> None:
        rows = list(rows)
        self._count += len(rows)
        self._tally.made += len(rows)
        if self.session is None:
            self._queue.put_off(rows)
        else:
            self._queue.offer(rows, self._now_ns())

    # -- sending -----------------------------------------------------------------------------------

    def fill(self) -> None:
        """Send as much as there is room for: status, live rows, what is retained, the backlog."""
        session, now_ns = self.session, self._now_ns()
        if session is None or now_ns < self._paused_ns:
            return
        session.look()
        self._publish_retained(session, only=self.topics.status)
        while session.room:
            chosen = self._choose(session, now_ns)
            if chosen is None:
                break
            self._hand(session, chosen, now_ns)
        self._publish_retained(session)
        session.flush()
        if (wait_s := self._queue.wait_s) is not None and session.room:
            session.read_in(wait_s)

    def _choose(self, session: FleetSession, now_ns: int) -> Chosen | None:
        inflight = session.inflight
        kept, kept_bytes = inflight.backlog_leaves
        room = inflight.room > kept and inflight.room_bytes > kept_bytes
        full = self._table.is_full  # nobody stores: only live records go
        backlog = room and not full and not self._retained
        chosen = self._queue.choose(now_ns, backlog=backlog)
        while chosen is not None and self._table.denied(self._records.key(chosen.row).stream):
            self._denied.append(chosen.row)
            chosen = self._queue.choose(now_ns, backlog=backlog)
        return chosen

    def _hand(self, session: FleetSession, chosen: Chosen, now_ns: int) -> None:
        row, record = chosen.row, self._records.record(chosen.row)
        key, table = record.key, self._table
        again = table.was_handed(row)
        envelope = self._records.envelope(record, backfilled=chosen.backfilled, redelivered=again)
        payload = encode(record, envelope, self.start.gw, self._options.encoding)
        topic = self._topic(self.topics.record(key.stream, record.source))
        table.choose(row, key)
        if session.max_packet is not None and len(topic) + len(payload.data) > session.max_packet:
            table.hold(row)
            return
        entry = table.hand(row, now_ns, redelivered=again, backfilled=chosen.backfilled)
        self._manifests.handed(record, self._moment)
        session.publish(entry, topic, payload.data, PROPERTIES[payload.content_type], retain=False)
        if not again:
            self._tally.sent += 1
            self._handed_ns[row] = now_ns
            self.ledger.of(key.stream).sent.add(key.seq)
        if self._options.last and key.stream in LAST_STREAMS and not chosen.backfilled:
            self._retained[self.topics.last(record.source)] = record_map(
                record, envelope, self.start.gw
            )

    def _publish_retained(self, session: FleetSession, only: str | None = None) -> None:
        while self._retained and session.room:
            topic = next(iter(self._retained)) if only is None else only
            data = self._retained.pop(topic, None)
            if data is None:
                return
            payload = Payload(encode_json(data), JSON)
            self._tally.retained += 1
            session.publish(topic, self._topic(topic), payload.data, PROPERTIES[JSON], retain=True)

    def _topic(self, topic: str) -> bytes:
        found = self._bytes.get(topic)
        if found is None:
            found = self._bytes[topic] = topic.encode()
        return found

    # -- its connection ----------------------------------------------------------------------------

    @property
    def filters(self) -> tuple[str, ...]:
        """What it subscribes, as a gateway does."""
        return tuple(self._subscriptions)

    @property
    def _subscriptions(self) -> dict[str, Subscription]:
        """By filter, what it is for."""
        asked: dict[str, Subscription] = {
            self.topics.commands: "commands", self.topics.reconnect_spread: "reconnect_spread",
        }  # fmt: skip
        return {self.topics.receipt: "receipts", **asked} if self._table.awaits_receipts else asked

    @property
    def will(self) -> tuple[str, bytes, bytes]:
        """What the broker says of it when the connection breaks."""
        data = encode_json(boxmeta.offline(self.start.gw, "lost"))
        return self.topics.status, data, PROPERTIES[JSON]

    def session_open(self, session: FleetSession) -> None:
        """Everything is said anew."""
        self.session = session
        self.counts.connections += 1
        self._tally.unsubscribed.update(self._subscriptions[each] for each in session.unsubscribed)
        held = [entry.row for entry in self._table.rows(RowState.HELD)]
        self._table.connected()
        self._queue.again([*held, *self._denied])
        self._denied.clear()
        self._paused_ns = 0
        self._retained.clear()
        self._put_status()
        self._retained[self.topics.meta] = boxmeta.description(
            self.start.gw, self._options.site, self._street.lanes
        )

    def _put_status(self) -> None:
        self._retained[self.topics.status] = boxmeta.online(self.start, self._records, self.counts)

    def session_lost(self, error: ConnectionLostError | BrokerRefusedError) -> None:
        """What was on its way has had its answer before."""
        self.session = None
        self._queue.disconnected()

    def goodbye(self) -> None:
        """The last word of a clean end."""
        if self.session is not None:
            data = encode_json(boxmeta.offline(self.start.gw, "stopped"))
            topic = self.topics.status
            self.session.publish(topic, self._topic(topic), data, PROPERTIES[JSON], retain=True)
            self.session.end()

    # -- answers -----------------------------------------------------------------------------------

    def session_read(self) -> None:
        self.fill()

    def session_answered(self, token: Hashable, answer: PublishAnswer) -> None:
        if not isinstance(token, RowEntry):  # what is retained names its topic
            if isinstance(answer, BrokerRefusedError):
                self._tally.retained_refused[answer.code] += 1
        elif isinstance(answer, int):
            self._acknowledged(token, answer)
        elif isinstance(answer, ConnectionLostError):
            self._table.lose(token)
            self._go_again(token, "connection")
        else:
            self._refused(token, answer)

    def _acknowledged(self, entry: RowEntry, code: int) -> None:
        key, tally = entry.key, self._tally
        tally.pubacks += 1
        tally.no_subscribers += code == NO_MATCHING_SUBSCRIBERS
        self.ledger.of(key.stream).acknowledged.add(key.seq)
        if self._table.acknowledge(entry, self._now_ns()):
            self._handed_ns.pop(entry.row, None)
            self._records.forget(entry.row)

    def _refused(self, entry: RowEntry, error: BrokerRefusedError) -> None:
        now_ns = self._now_ns()
        self._tally.refused[error.code] += 1
        if error.code in (NOT_AUTHORIZED, QUOTA_EXCEEDED):
            if error.code == NOT_AUTHORIZED:
                self._table.deny(entry.key.stream, now_ns + NOT_AUTHORIZED_RETRY_NS)
            else:
                self._paused_ns = now_ns + QUOTA_PAUSE_NS
            self._table.put_off(entry)
            self._go_again(entry, "refused")
            return
        refusals = self._table.refuse(entry, self._tally.pubacks)
        if entry.state is RowState.REFUSED:
            self._table.retry_at(entry, now_ns + min(RETRY_FIRST_NS << refusals, RETRY_MAX_NS))

    def _go_again(self, entry: RowEntry, why: Literal["connection", "refused"]) -> None:
        """Unless its receipt was faster than the answer."""
        if entry.state is RowState.STORED:
            self._tally.again[why] += 1
            self._queue.again((entry.row,))

    # -- messages of the platform ------------------------------------------------------------------

    def session_message(self, message: Message) -> None:
        try:
            if message.topic == self.topics.receipt:
                self._receipted(message)
            elif message.topic == self.topics.reconnect_spread:
                self.spread_s = decode_reconnect_spread(message.payload)
            elif (verb := self.topics.verb(message.topic)) is not None:
                self._commanded(verb, message)
        except WireError:
            self._tally.malformed += 1

    def _commanded(self, verb: str, message: Message) -> None:
        self.counts.commands += 1
        answer = self._commands.take(verb, message.payload, message.retain, self._now_ns())
        if answer is not None and self.session is not None:
            topic = self.topics.answer(answer.verb)
            data = encode_json({"v": 1, "gw": self.start.gw, **answer.data})
            self.session.publish(topic, topic.encode(), data, PROPERTIES[JSON], retain=False)

    def _unconfirmed(self) -> Iterable[int]:
        return {*self._handed_ns, *self._queue.rows(), *self._denied}

    def _ask_again(self, rows: Iterable[int]) -> None:
        queued = self._queue.rows()
        self._queue.again(row for row in self._table.ask_again(rows) if row not in queued)

    def _receipted(self, message: Message) -> None:
        if message.retain or not self._table.awaits_receipts:
            return
        now_ns, tally = self._now_ns(), self._tally
        tally.receipts += 1
        self.counts.receipts += 1
        unknown = self.counts.receipts_unknown
        for receipt in decode_receipts(message.payload, self.start.gw):
            for row in self._table.receipt(receipt, now_ns):
                key = self._records.key(row)
                self.ledger.of(key.stream).receipted.add(key.seq)
                tally.receipted += 1
                if (handed_ns := self._handed_ns.pop(row, None)) is not None:
                    tally.receipt_waits.add((now_ns - handed_ns) / 1e9)
                self._records.forget(row)
        tally.receipts_unknown += self.counts.receipts_unknown - unknown
