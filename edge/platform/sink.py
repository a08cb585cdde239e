"""A consumer of the city's queue: store, then say so. It keeps nothing, so there may be many.

A group is acknowledged after its COMMIT. While the database is away nothing is acknowledged, and
the broker sends no more than PREFETCH: all else waits in its queue, on the brokers' disks.
"""

import asyncio
from collections.abc import Callable, Sequence
from random import Random
from typing import Final

from aiormq.abc import DeliveredMessage

from edge.core import AsyncClock
from edge.platform.amqp import LostConnectionError, RefusedError
from edge.platform.recordingest import RecordIngest
from edge.platform.recordqueue import RecordQueue, arrived_message
from edge.platform.recordstore import RecordStoreError
from edge.platform.subscription import BrokerSource, UnreachableError
from edge.wire import Payload

GROUP_RECORDS: Final = 1_000
GROUP_BYTES: Final = 16 << 20
GATHER_NS: Final = 50_000_000  # how long the first message of a group waits for others
STEP_NS: Final = 5_000_000
RETRY_NS: Final = 500_000_000  # doubled up to MAX_RETRY_NS, and spread: not all sinks at once
MAX_RETRY_NS: Final = 30_000_000_000
UNTAKEN: Final = (
    "RabbitMQ takes no receipts, as when it is short of memory or disk (`rabbitmqctl status`): "
    "records are stored and leave the queue; their gateways send them again, and get receipts then"
)
FIRST_ROUNDS: Final = 3  # through all brokers: one that has just started refuses for a moment


class Sink:
    """`run` until `stop` is set. `brokers` are tried in turn."""

    def __init__(
        self,
        ingest: RecordIngest,
        brokers: Sequence[BrokerSource],
        *,
        clock: AsyncClock,
        prefix: str,
        random: Random,
    ) -> None:
        self.counts = ingest.counts
        self._ingest, self._brokers, self._clock = ingest, brokers, clock
        self._prefix, self._random = prefix, random
        self._untaken = False  # the broker does not take our receipts

    async def run(
        self,
        stop: asyncio.Event,
        *,
        idle_s: float | None = None,
        on_ready: Callable[[BrokerSource], None] = lambda _source: None,
    ) -> None:
        """Ends when `stop` is set, or when nothing has come for `idle_s`.

        Raises UnreachableError when at first no broker lets us consume, and at any time when this
        user may not do what a sink has to do.
        """
        failures, was_open = 0, False
        told: set[type] = set()  # how it has failed since the last time that it was open
        while not stop.is_set():
            source = self._brokers[failures % len(self._brokers)]
            queue = RecordQueue(self._prefix)
            try:
                await queue.open(source)
                failures, was_open, told = 0, True, set()
                on_ready(source)
                await self._consume(queue, stop, idle_s)
                return
            except (LostConnectionError, RefusedError) as error:
                failures += 1
                where = f"{source.host}:{source.port}"
                if not was_open and failures >= FIRST_ROUNDS * len(self._brokers):
                    raise UnreachableError(f"{where}: {error}") from error
                if was_open and type(error) not in told:
                    told.add(type(error))
                    self._tell(error, where)
                self.counts.reconnections += was_open and failures == 1
            finally:
                await queue.close()
            await self._pause(failures, stop)

    def _tell(self, error: Exception, where: str) -> None:
        if isinstance(error, RefusedError):
            self._ingest.report(f"{where}: {error}; trying again")
        else:
            self._ingest.report(f"connection lost ({error}), trying again")

    async def _consume(self, queue: RecordQueue, stop: asyncio.Event, idle_s: float | None) -> None:
        while True:
            await self._wait(queue, stop, idle_s)
            queue.check()
            if stop.is_set() or not queue.arrived:
                return
            await self._gather(queue)
            group = queue.take(GROUP_RECORDS, GROUP_BYTES)
            receipts = await self._store(group, queue, stop)
            if receipts is None:
                return
            taken = await queue.answer(receipts, group[-1])
            self._count_receipts(taken, len(receipts), queue)
            await asyncio.to_thread(self._ingest.prove_when_due)

    async def _wait(self, queue: RecordQueue, stop: asyncio.Event, idle_s: float | None) -> None:
        """For the next message. The time until it comes is for proofs."""
        while self._ingest.unproved and not (queue.arrived or queue.lost.is_set() or stop.is_set()):
            await asyncio.to_thread(self._ingest.prove)
        if not queue.arrived:
            await queue.wait(stop, idle_s)

    def _count_receipts(self, taken: int, owed: int, queue: RecordQueue) -> None:
        """Says when the broker begins to take none, and when it takes them again."""
        self.counts.receipts += taken
        self.counts.receipts_unsent += owed - taken
        if owed and self._untaken != (taken < owed) and not queue.lost.is_set():
            self._untaken = taken < owed
            self._ingest.report(UNTAKEN if self._untaken else "RabbitMQ takes receipts again")

    async def _gather(self, queue: RecordQueue) -> None:
        """Others, for a moment: one COMMIT costs the disk as much for one record as for all."""
        now = self._clock.now().mono_ns
        end = now + GATHER_NS
        while now < end and len(queue.arrived) < GROUP_RECORDS and not queue.lost.is_set():
            await self._clock.sleep_until(min(end, now + STEP_NS))
            now = self._clock.now().mono_ns

    async def _store(
        self, group: Sequence[DeliveredMessage], queue: RecordQueue, stop: asyncio.Event
    ) -> list[tuple[str, Payload]] | None:
        """Until it is stored; None when we have to stop before. Raises what has ended `queue`: then
        the broker has given the group to others meanwhile."""
        arrived = [arrived_message(each) for each in group]
        failures = 0
        while True:
            now = self._clock.now()
            try:
                return await asyncio.to_thread(self._ingest.take, arrived, now.mono_ns, now.wall_ns)
            except RecordStoreError as error:
                failures += 1
                if failures == 1:
                    text = "nothing is acknowledged until it can be stored; trying again"
                    self._ingest.report(f"{error}: {text}")
            await self._pause(failures, stop)
            queue.check()
            if stop.is_set():
                return None

    async def _pause(self, failures: int, stop: asyncio.Event) -> None:
        """Longer each time; `stop` ends it."""
        longest = min(MAX_RETRY_NS, RETRY_NS << min(failures, 10))
        pause_ns = int(longest * self._random.uniform(0.5, 1.0))
        sleeping = asyncio.ensure_future(
            self._clock.sleep_until(self._clock.now().mono_ns + pause_ns)
        )
        stopping = asyncio.ensure_future(stop.wait())
        try:
            await asyncio.wait({sleeping, stopping}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            sleeping.cancel()
            stopping.cancel()
