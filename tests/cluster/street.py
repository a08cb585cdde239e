"""Gateways that send what they measure to a cluster: the daemon's own outbox and uplink."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Collection
from dataclasses import dataclass, field
from pathlib import Path

from edge.core import Stream
from edge.outbox import AsyncOutbox
from edge.uplink.sender import Sender, SenderHooks, SenderOptions
from edge.wire import Topics
from tests.cluster.rabbit import GATEWAYS, Rabbit
from tests.kit.clock import RealClock
from tests.kit.uplink import UplinkGateway, drafts

Key = tuple[str, int]
"""A gateway, and a number of its stream `air`: each names one record, for ever."""


class ConfirmedOutbox(AsyncOutbox):
    """An outbox that remembers what the sender told it to forget, and when."""

    gone: set[int]
    longest_s: float
    last_s: float | None

    def confirm(self, rows: Collection[int]) -> None:
        super().confirm(rows)
        if rows:
            now = time.monotonic()
            if self.last_s is not None:
                self.longest_s = max(self.longest_s, now - self.last_s)
            self.last_s = now
            self.gone.update(rows)


@dataclass(slots=True)
class ClusterGateway:
    name: str
    box: UplinkGateway
    writer: ConfirmedOutbox
    rows: dict[int, int] = field(default_factory=dict)
    """What was committed: its number in the stream, by row."""

    @property
    def confirmed(self) -> set[Key]:
        return {(self.name, self.rows[row]) for row in self.writer.gone if row in self.rows}

    async def measure(self, count: int) -> None:
        for stored in await self.box.commit(drafts(len(self.rows), count)):
            if stored.record.key.stream is Stream.AIR:
                self.rows[stored.row] = stored.record.key.seq

    @property
    def done(self) -> bool:
        return self.writer.gone >= self.rows.keys()


@contextlib.asynccontextmanager
async def gateway(
    rabbit: Rabbit, folder: Path, name: str, first: int
) -> AsyncIterator[ClusterGateway]:
    """Confirmed is what the broker has answered. `first`: the node that it prefers."""
    folder.mkdir(parents=True)
    writer = await ConfirmedOutbox.start(folder, limit_bytes=64 << 20, boot_id="b", run_dir=folder)
    assert isinstance(writer, ConfirmedOutbox)
    writer.gone, writer.longest_s, writer.last_s = set(), 0.0, None
    alarms: list[tuple[str, str]] = []
    clock, epoch = RealClock(), writer.epoch
    hooks = SenderHooks(
        status=lambda: {"epoch": epoch.epoch},
        meta=lambda: {"devices": {}},
        alarm=lambda kind, text: alarms.append((kind, text)),
    )
    sender = Sender(
        rabbit.brokers(name, first), Topics("kerbstone/v1", "mitte", name), name, writer, clock,
        boot=epoch.boot, epoch=epoch.epoch, options=SenderOptions(encoding="json"), hooks=hooks,
    )  # fmt: skip
    box = UplinkGateway(writer, sender, clock)
    box.alarms = alarms
    box.connect()
    try:
        yield ClusterGateway(name, box, writer)
    finally:
        await box.disconnect()
        await writer.close()


class ClusterGateways:
    """Three gateways, each at home at another node."""

    def __init__(self, gateways: list[ClusterGateway]) -> None:
        self.gateways = gateways

    @classmethod
    @contextlib.asynccontextmanager
    async def of(cls, rabbit: Rabbit, folder: Path) -> AsyncIterator["ClusterGateways"]:
        async with contextlib.AsyncExitStack() as stack:
            yield cls([
                await stack.enter_async_context(gateway(rabbit, folder / name, name, first))
                for first, name in enumerate(GATEWAYS)
            ])  # fmt: skip

    @property
    def sent(self) -> set[Key]:
        return {(each.name, seq) for each in self.gateways for seq in each.rows.values()}

    @property
    def confirmed(self) -> set[Key]:
        return set().union(*(each.confirmed for each in self.gateways))

    @property
    def nobody(self) -> int:
        """Answered with success although the broker knew no session for it: lost."""
        return sum(each.box.sender.counts.no_subscribers for each in self.gateways)

    @property
    def longest_s(self) -> float:
        """Between two confirmations of one gateway."""
        return max(each.writer.longest_s for each in self.gateways)

    async def _measure(self, each: int, pause_s: float, end: asyncio.Event) -> None:
        """A commit is never cut off: what is on disk is known here."""
        while not end.is_set():
            await asyncio.gather(*(one.measure(each) for one in self.gateways))
            await asyncio.sleep(pause_s)

    @contextlib.asynccontextmanager
    async def busy(self, each: int = 10, pause_s: float = 0.2) -> AsyncIterator[None]:
        """Records are committed all the time; then waits until each has been confirmed."""
        for one in self.gateways:
            one.writer.last_s = None  # what was between two times is no gap
        over = asyncio.Event()
        task = asyncio.create_task(self._measure(each, pause_s, over))
        try:
            yield
        finally:
            over.set()
            await task
        end = time.monotonic() + 120
        while not all(one.done for one in self.gateways):
            assert time.monotonic() < end, f"{len(self.confirmed)} of {len(self.sent)} confirmed"
            await asyncio.sleep(0.1)
