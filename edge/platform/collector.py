"""Receive, store, and only then say so: to the gateway with a receipt, to the broker with a PUBACK.

When this process dies between the arrival of a message and its commit, the broker still has it, and
sends it to the next connection of the same session. It sends RECEIVE_MAXIMUM messages before the
first of them is acknowledged, so nothing has to be thrown away here. What is refused is
acknowledged after its commit as well.
"""

import asyncio
import threading
from collections.abc import Callable, Sequence
from functools import partial
from typing import Final

from edge.core import TOPIC_PREFIX, AsyncClock
from edge.platform.intakerate import IntakeRate
from edge.platform.manualack import HeldMessage, ManualAckClient
from edge.platform.recordingest import RecordIngest
from edge.platform.recordstore import RecordStore
from edge.platform.sitecheck import AllowedSites
from edge.platform.subscription import (
    RETRY_NS,
    BrokerSource,
    UnreachableError,
)
from edge.wire import MAX_PAYLOAD

GROUP_RECORDS: Final = 500  # messages of one commit
GROUP_BYTES: Final = 8 << 20
RECEIVE_MAXIMUM: Final = 2 * GROUP_RECORDS  # the broker sends while a group is stored and answered
GATHER_NS: Final = 50_000_000  # how long the first message of a group waits for others
QUIET_NS: Final = 10_000_000  # after which no others are expected
IDLE_NS: Final = 1_000_000_000  # one wait for messages: to say that one is there, and to look up
SESSION_S: Final = 86_400  # the broker keeps what comes while this process is away
MAX_PACKET_BYTES: Final = MAX_PAYLOAD + (64 << 10)  # of one packet: topic and properties have room


class Collector:
    """`run` until `stop` is set. `report` gets sentences for people, few about each gateway.

    `sites` knows which sites a gateway may file under, None: any. `rate` says how much each may
    send, None: the usual.
    """

    def __init__(
        self,
        store: RecordStore,
        *,
        clock: AsyncClock,
        report: Callable[[str], None],
        prefix: str = TOPIC_PREFIX,
        sites: AllowedSites | None = None,
        rate: IntakeRate | None = None,
    ) -> None:
        self._clock, self._report = clock, report
        self._ingest = RecordIngest(store, report=report, prefix=prefix, sites=sites, rate=rate)
        self.counts = self._ingest.counts

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

        self._ingest.report = tell  # it is used in a thread
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
            unproved = self._ingest.unproved  # the time until the next message is for proofs
            heard = client.arrived or client.receive(0 if unproved else wait_ns / 1e9)
            self.counts.receipts = client.published
            if not heard:
                self._ingest.prove()
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
        now = self._clock.now()
        receipts = self._ingest.take((each.came for each in group), now.mono_ns, now.wall_ns)
        client.answer(receipts, (message.number for message in group))
        self._ingest.prove_when_due()


async def _in_thread(work: Callable[[], None], end: Callable[[], None]) -> None:
    """Also where this task is cancelled, the thread has ended when this does."""
    task = asyncio.create_task(asyncio.to_thread(work))
    try:
        await asyncio.shield(task)
    except asyncio.CancelledError:
        end()
        await asyncio.wait({task})
        raise
