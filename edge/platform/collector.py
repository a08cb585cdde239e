"""Receive, store, and only then say so: the platform's half of `confirm = "platform"`.

The library acknowledges a message towards the broker (PUBACK) when it arrives, not when it is
stored. When this process dies between the two, the broker has forgotten the message and the store
does not have it; but no receipt was sent either, so the gateway still has it and sends it again.
For the same reason what does not fit in memory may be thrown away. What has come and is not yet
stored is bounded in messages and bytes, and kept over reconnections.
"""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final, Literal

import aiomqtt
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from edge.core import TOPIC_PREFIX, AsyncClock
from edge.core.numbers import Range
from edge.platform.auditreport import record_name
from edge.platform.keepquota import KeepQuota
from edge.platform.receivedrecord import ReceivedRecord, RefusedMessage, make_received
from edge.platform.recordstore import CommittedRecord, RecordStore
from edge.platform.sitecheck import AllowedSites
from edge.platform.subscription import (
    RETRY_NS,
    ArrivedMessage,
    BrokerSource,
    Inbox,
    UnreachableError,
    leave_all,
    make_client,
    next_message,
    subscribe_all,
)
from edge.wire import (
    MAX_PAYLOAD,
    DecodedMessage,
    Payload,
    Receipt,
    WireError,
    WrongGatewayError,
    decode,
    encode_receipts,
    gateway_of,
    is_down,
    iso_time,
)

INBOX_MESSAGES: Final = 20_000
INBOX_BYTES: Final = 64 << 20
GROUP_RECORDS: Final = 500  # messages of one commit
GROUP_BYTES: Final = 8 << 20
GATHER_NS: Final = 50_000_000  # how long the first message of a group waits for others
STEP_NS: Final = 10_000_000
SESSION_S: Final = 86_400  # the broker keeps what comes while this process is away
MAX_PACKET_BYTES: Final = MAX_PAYLOAD + (64 << 10)  # of one packet: topic and properties have room
REFUSED_PAYLOAD_KEPT: Final = (
    64 << 10
)  # bytes that are kept of the payload of a message that is refused
MESSAGES_PER_GATEWAY: Final = 5  # sentences of one gateway and kind; the rest is counted


@dataclass(slots=True)
class CollectorCounts:
    """What happened since the start. Records are `stored + repeats + conflicts + excess`."""

    stored: int = 0
    repeats: int = 0
    conflicts: int = 0
    excess: int = 0  # conflicts of gateways that have no more room for them: no receipt
    foreign: int = 0  # named another gateway or site than their own: no receipt
    undecodable: int = 0
    others: int = 0  # status, meta, last, answers
    thrown_away: int = 0  # came faster than they could be stored; they come again
    commits: int = 0
    receipts: int = 0  # messages
    reconnections: int = 0


class Collector:
    """`run` until `stop` is set. `report` gets sentences for people, few about each gateway.

    `sites` knows which sites a gateway may file under, None: any.
    """

    def __init__(
        self,
        store: RecordStore,
        *,
        clock: AsyncClock,
        report: Callable[[str], None],
        prefix: str = TOPIC_PREFIX,
        sites: AllowedSites | None = None,
    ) -> None:
        self.counts = CollectorCounts()
        self._store, self._clock, self._report = store, clock, report
        self._prefix, self._sites = prefix, sites
        self._reported = KeepQuota(MESSAGES_PER_GATEWAY)
        # what comes when it is full is thrown away: without a receipt it comes again
        self._inbox = Inbox(INBOX_MESSAGES, INBOX_BYTES)
        self._unconfirmed: list[CommittedRecord] = []  # stored, and no receipt sent

    async def run(
        self,
        source: BrokerSource,
        filters: Sequence[str],
        stop: asyncio.Event,
        *,
        leave: Sequence[str] = (),
        idle_s: float | None = None,
        on_ready: Callable[[], None] = lambda: None,
    ) -> None:
        """Ends when `stop` is set, or when nothing has come for `idle_s`. `leave` are filters that
        the session may have from an earlier version.

        Raises UnreachableError when the first connection fails, RecordStoreError when nothing can
        be stored: what was not receipted is safe at the gateways.
        """
        reached, queue = False, self._inbox.queue_type
        while True:
            try:
                async with make_client(source, SESSION_S, queue, MAX_PACKET_BYTES) as client:
                    client.pending_calls_threshold = GROUP_RECORDS
                    await subscribe_all(client, filters)
                    await leave_all(client, leave)
                    reached = True
                    on_ready()
                    await self._send_receipts(client)
                    await self._collect(client, stop, idle_s)
                    return
            except (aiomqtt.MqttError, OSError) as error:
                if not reached:
                    raise UnreachableError(f"{source.host}:{source.port}: {error}") from error
                if stop.is_set():
                    return
                self.counts.reconnections += 1
                self._report(f"connection lost ({error}), trying again")
                await self._clock.sleep_until(self._clock.now().mono_ns + RETRY_NS)

    async def _collect(
        self, client: aiomqtt.Client, stop: asyncio.Event, idle_s: float | None
    ) -> None:
        while (first := await self._first(client, stop, idle_s)) is not None:
            await self._wait_for_more()
            await self._group(client, self._taken(first))
        left = self._inbox.qsize()  # what comes after the end is not ours
        while left > 0:
            group = self._taken()
            left -= len(group)
            await self._group(client, group)

    async def _first(
        self, client: aiomqtt.Client, stop: asyncio.Event, idle_s: float | None
    ) -> ArrivedMessage | None:
        if stop.is_set():
            return None  # one that waits must not be taken and cancelled: it is acknowledged
        waiting = asyncio.ensure_future(next_message(client))
        stopping = asyncio.ensure_future(stop.wait())
        try:
            await asyncio.wait(
                {waiting, stopping}, timeout=idle_s, return_when=asyncio.FIRST_COMPLETED
            )
            return waiting.result() if waiting.done() else None
        finally:
            for task in (waiting, stopping):
                task.cancel()

    async def _wait_for_more(self) -> None:
        now = self._clock.now().mono_ns
        end = now + GATHER_NS
        while now < end and self._inbox.qsize() + 1 < GROUP_RECORDS:
            await self._clock.sleep_until(min(end, now + STEP_NS))
            now = self._clock.now().mono_ns

    def _taken(self, *group: ArrivedMessage) -> list[ArrivedMessage]:
        found, room = list(group), GROUP_BYTES
        while len(found) < GROUP_RECORDS and room > 0 and not self._inbox.empty():
            found.append(self._inbox.get_nowait())
            room -= found[-1].size
        return found

    async def _group(self, client: aiomqtt.Client, group: Iterable[ArrivedMessage]) -> None:
        entries: list[ReceivedRecord] = []
        refused: list[RefusedMessage] = []
        if self._sites is not None and (why := self._sites.look(self._clock.now().mono_ns)):
            self._report(why)
        received = iso_time(self._clock.now().wall_ns)
        for message in group:
            self._sort(message, received, entries, refused)
        counts = self.counts
        counts.thrown_away = self._inbox.thrown_away
        if not entries and not refused:
            return
        done = await asyncio.to_thread(self._store.commit, entries, refused)
        counts.commits += 1
        for each in done:
            match each.verdict:
                case "stored":
                    counts.stored += 1
                case "repeat":
                    counts.repeats += 1
                case "conflict":
                    counts.conflicts += 1
                    text = "arrived again with another content; both are kept"
                    self._report_limited(
                        "conflict", each.entry.key[0], f"{record_name(*each.entry.key)} {text}"
                    )
                case "excess":
                    counts.excess += 1
                    text = (
                        f"{record_name(*each.entry.key)}: no more conflicts of this gateway are "
                        "kept; this content is not stored and gets no receipt"
                    )
                    self._report_limited("excess", each.entry.key[0], text)
        self._unconfirmed.extend(each for each in done if each.verdict != "excess")
        await self._send_receipts(client)

    def _sort(
        self,
        came: ArrivedMessage,
        received: str,
        entries: list[ReceivedRecord],
        refused: list[RefusedMessage],
    ) -> None:
        if is_down(came.topic, self._prefix):
            return
        counts = self.counts
        try:
            found = decode(came.topic, came.payload, came.content_type, prefix=self._prefix)
            for message in found:  # none: a retained `last` was taken away
                self._at_home(message)
        except WrongGatewayError as error:
            counts.foreign += 1
            refused.append(self._refused("foreign", came, error, received))
        except WireError as error:
            counts.undecodable += 1
            refused.append(self._refused("undecodable", came, error, received))
        else:
            for message in found:
                if message.kind == "record":
                    entry = make_received(
                        message, came.topic, came.payload, came.content_type, received
                    )
                    entries.append(entry)
                else:
                    counts.others += 1

    def _at_home(self, message: DecodedMessage) -> None:
        """Raises WrongGatewayError."""
        place = message.topic
        if self._sites is not None and (why := self._sites.refusal(place.gw, place.site)):
            raise WrongGatewayError(why)

    def _refused(
        self,
        kind: Literal["foreign", "undecodable"],
        came: ArrivedMessage,
        why: WireError,
        received: str,
    ) -> RefusedMessage:
        gw, payload = gateway_of(came.topic, self._prefix), came.payload
        text = f"{why}".encode("utf-8", "backslashreplace").decode()
        self._report_limited(kind, gw, f"{came.topic:.200}: {text:.200}")
        return RefusedMessage(
            kind, gw, came.topic, text, len(payload), payload[:REFUSED_PAYLOAD_KEPT], received
        )

    def _report_limited(self, kind: str, gw: str, text: str) -> None:
        """One gateway must not hide another one's sentences behind its own."""
        if self._reported.keep(gw, kind, 0):
            self._report(f"{kind}: {text}")
        elif self._reported.of(gw, kind).not_kept == 1:
            who = gw or "other senders"
            self._report(
                f"{kind}: further messages of {who} are counted, but not reported one by one"
            )

    async def _send_receipts(self, client: aiomqtt.Client) -> None:
        """Of all that is owed. A receipt that is lost costs one repeat, and no more."""
        messages = encode_receipts_of(each.entry for each in self._unconfirmed)
        results = await asyncio.gather(
            *(
                client.publish(topic, payload.data, qos=1, properties=_json(payload))
                for topic, payload in messages
            ),
            return_exceptions=True,
        )
        for result in results:
            if isinstance(result, BaseException):
                raise result
        self._unconfirmed.clear()
        self.counts.receipts += len(messages)


def encode_receipts_of(entries: Iterable[ReceivedRecord]) -> list[tuple[str, Payload]]:
    """Topic and payload of the receipts for these records: few messages, ranges merged."""
    gateways: dict[tuple[str, str], dict[tuple[int, str], set[int]]] = {}
    for entry in entries:
        gw, epoch, stream, seq = entry.key
        streams = gateways.setdefault((f"{entry.branch}/down/receipt", gw), {})
        streams.setdefault((epoch, stream), set()).add(seq)
    return [
        (topic, payload)
        for (topic, gw), streams in gateways.items()
        for payload in encode_receipts(
            gw,
            [
                Receipt(epoch, stream, merge_numbers(seqs))
                for (epoch, stream), seqs in streams.items()
            ],
        )
    ]


def merge_numbers(numbers: Iterable[int]) -> tuple[Range, ...]:
    """`(1, 2), (4, 4)` of 1, 2 and 4."""
    found: list[Range] = []
    for number in sorted(numbers):
        if found and found[-1][1] == number - 1:
            found[-1] = found[-1][0], number
        else:
            found.append((number, number))
    return tuple(found)


def _json(payload: Payload) -> Properties:
    properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
    properties.ContentType = payload.content_type
    return properties
