"""Receive, store, and only then say so: to the gateway with a receipt, to the broker with a PUBACK.

When this process dies between the arrival of a message and its commit, the broker still has it, and
sends it to the next connection of the same session. It sends RECEIVE_MAXIMUM messages before the
first of them is acknowledged, so nothing has to be thrown away here. What is refused is
acknowledged after its commit as well.
"""

import asyncio
import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final, Literal

from edge.core import TOPIC_PREFIX, AsyncClock
from edge.platform.auditreport import record_name
from edge.platform.keepquota import KeepQuota
from edge.platform.ledger import merge_numbers
from edge.platform.manualack import HeldMessage, ManualAckClient
from edge.platform.receivedrecord import ReceivedRecord, RefusedMessage, make_received
from edge.platform.recordstore import CommittedRecord, RecordStore
from edge.platform.sitecheck import AllowedSites
from edge.platform.subscription import (
    RETRY_NS,
    ArrivedMessage,
    BrokerSource,
    UnreachableError,
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

GROUP_RECORDS: Final = 500  # messages of one commit
GROUP_BYTES: Final = 8 << 20
RECEIVE_MAXIMUM: Final = 2 * GROUP_RECORDS  # the broker sends while a group is stored and answered
GATHER_NS: Final = 50_000_000  # how long the first message of a group waits for others
QUIET_NS: Final = 10_000_000  # after which no others are expected
IDLE_NS: Final = 1_000_000_000  # one wait for messages: to say that one is there, and to look up
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
        self._tell = report  # from the thread that stores
        self._prefix, self._sites = prefix, sites
        self._reported = KeepQuota(MESSAGES_PER_GATEWAY)

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
        loop, ended = asyncio.get_running_loop(), threading.Event()
        client = ManualAckClient(
            source,
            session_s=SESSION_S,
            receive_maximum=RECEIVE_MAXIMUM,
            largest=MAX_PACKET_BYTES,
        )

        def end() -> None:
            ended.set()
            client.wake()

        async def end_at_stop() -> None:
            await stop.wait()
            end()

        def tell(text: str) -> None:
            loop.call_soon_threadsafe(self._report, text)

        self._tell = tell
        stopping = asyncio.create_task(end_at_stop())
        reached = False
        try:
            while True:
                try:
                    await _in_thread(partial(client.connect, filters, leave), end)
                    reached = True
                    on_ready()
                    await _in_thread(partial(self._collect, client, ended, idle_s), end)
                    return
                except OSError as error:
                    if not reached:
                        raise UnreachableError(f"{source.host}:{source.port}: {error}") from error
                    if stop.is_set():
                        return
                    self.counts.reconnections += 1
                    self._report(f"connection lost ({error}), trying again")
                    await self._clock.sleep_until(self._clock.now().mono_ns + RETRY_NS)
        finally:
            stopping.cancel()
            client.abandon()

    def _collect(
        self, client: ManualAckClient, ended: threading.Event, idle_s: float | None
    ) -> None:
        """In a thread of its own: receiving, decoding and storing, one after the other."""
        try:
            self._receive(client, ended, idle_s)
            client.close()
        except OSError:
            self._store_arrived(client)  # a broker that was killed may have it no more
            raise
        finally:
            self.counts.receipts = client.published

    def _receive(
        self, client: ManualAckClient, ended: threading.Event, idle_s: float | None
    ) -> None:
        heard_ns = self._clock.now().mono_ns
        while not ended.is_set():
            quiet_ns = self._clock.now().mono_ns - heard_ns
            if idle_s is not None and quiet_ns >= idle_s * 1e9:
                break
            wait_ns = IDLE_NS if idle_s is None else min(IDLE_NS, idle_s * 1e9 - quiet_ns)
            heard = client.arrived or client.receive(wait_ns / 1e9)
            self.counts.receipts = client.published
            if not heard:
                continue
            self._gather(client)
            self._store_arrived(client)
            heard_ns = self._clock.now().mono_ns

    def _gather(self, client: ManualAckClient) -> None:
        """Others, for a moment: one commit costs the disk as much for one record as for all."""
        end = self._clock.now().mono_ns + GATHER_NS
        while len(client.arrived) < GROUP_RECORDS and client.arrived_bytes < GROUP_BYTES:
            left = min(end - self._clock.now().mono_ns, QUIET_NS)
            if left <= 0 or not client.receive(left / 1e9):
                return

    def _store_arrived(self, client: ManualAckClient) -> None:
        while client.arrived:
            self._group(client, client.take(GROUP_RECORDS, GROUP_BYTES))

    def _group(self, client: ManualAckClient, group: Sequence[HeldMessage]) -> None:
        entries: list[ReceivedRecord] = []
        refused: list[RefusedMessage] = []
        if self._sites is not None and (why := self._sites.look(self._clock.now().mono_ns)):
            self._tell(why)
        received = iso_time(self._clock.now().wall_ns)
        for message in group:
            self._sort(message.came, received, entries, refused)
        done: list[CommittedRecord] = []
        if entries or refused:
            done = self._store.commit(entries, refused)
            self.counts.commits += 1
        for each in done:
            self._count(each)
        receipts = encode_receipts_of(each.entry for each in done if each.verdict != "excess")
        client.answer(receipts, (message.number for message in group))

    def _count(self, each: CommittedRecord) -> None:
        counts, gw = self.counts, each.entry.key[0]
        match each.verdict:
            case "stored":
                counts.stored += 1
            case "repeat":
                counts.repeats += 1
            case "conflict":
                counts.conflicts += 1
                text = "arrived again with another content; both are kept"
                self._report_limited("conflict", gw, f"{record_name(*each.entry.key)} {text}")
            case "excess":
                counts.excess += 1
                text = (
                    f"{record_name(*each.entry.key)}: no more conflicts of this gateway are "
                    "kept; this content is not stored and gets no receipt"
                )
                self._report_limited("excess", gw, text)

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
            self._tell(f"{kind}: {text}")
        elif self._reported.of(gw, kind).not_kept == 1:
            who = gw or "other senders"
            self._tell(
                f"{kind}: further messages of {who} are counted, but not reported one by one"
            )


async def _in_thread(work: Callable[[], None], end: Callable[[], None]) -> None:
    """Also where this task is cancelled, the thread has ended when this does."""
    task = asyncio.create_task(asyncio.to_thread(work))
    try:
        await asyncio.shield(task)
    except asyncio.CancelledError:
        end()
        await asyncio.wait({task})
        raise


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
