"""The collector in the test's own process, which has subscribed at a real mosquitto."""

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pytest

from edge.acquire.clock import SystemClock
from edge.platform.collector import Collector
from edge.platform.openstore import open_store
from edge.platform.receivedrecord import ReceivedRecord, RefusedMessage
from edge.platform.recordstore import CommittedRecord, RecordStore
from edge.platform.sitecheck import AllowedSites
from edge.platform.subscription import parse_source
from tests.kit.broker import Mosquitto
from tests.kit.records import TOPICS
from tests.kit.waiting import until

ALL = "kerbstone/v1/#"
UP = "kerbstone/v1/+/+/up/#"
AIR = f"{TOPICS.up}/air/hut"


class Gate:
    """A real store whose commits wait until they may; `sizes` are those of the groups."""

    def __init__(self, store: RecordStore, *, free: bool = True) -> None:
        self._store = store
        self.sizes: list[int] = []
        self.free = threading.Event()
        self.before: Callable[[], object] = lambda: None
        if free:
            self.free.set()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def commit(
        self, entries: Sequence[ReceivedRecord], refused: Sequence[RefusedMessage]
    ) -> list[CommittedRecord]:
        self.sizes.append(len(entries) + len(refused))
        assert self.free.wait(60)
        done = self._store.commit(entries, refused)
        before, self.before = self.before, lambda: None
        before()
        return done


class Noted(SystemClock):
    """Real time; remembers how long it was asked to sleep."""

    def __init__(self) -> None:
        super().__init__()
        self.slept: list[int] = []

    async def sleep_until(self, mono_ns: int) -> None:
        self.slept.append(mono_ns - self.now().mono_ns)
        await super().sleep_until(mono_ns)


@dataclass
class Running:
    collector: Collector
    reported: list[str]
    clock: Noted
    stop: asyncio.Event
    task: "asyncio.Task[None]"

    async def until(self, condition: Callable[[], bool]) -> None:
        """Fails at once when the collector has ended."""
        await until(lambda: condition() or self.task.done())
        if self.task.done():
            await self.task
        assert condition()

    @property
    def counts(self) -> dict[str, int]:
        return {name: count for name, count in asdict(self.collector.counts).items() if count}

    async def end(self) -> None:
        self.stop.set()
        await asyncio.wait_for(self.task, 60)


@contextlib.asynccontextmanager
async def collecting(
    broker: Mosquitto, store: Any, *, filters: str = UP, sites: AllowedSites | None = None,
    idle_s: float | None = None,
) -> AsyncIterator[Running]:  # fmt: skip
    """One that has subscribed; ended in order if the test has not done so."""
    reported: list[str] = []
    ready, stop, clock = asyncio.Event(), asyncio.Event(), Noted()
    made = Collector(store, clock=clock, report=reported.append, sites=sites)
    source = parse_source(broker.url, "city")
    run = made.run(source, [filters], stop, idle_s=idle_s, on_ready=ready.set)
    task = asyncio.create_task(run)
    try:
        await until(lambda: ready.is_set() or task.done())
        running = Running(made, reported, clock, stop, task)
        yield running
        await running.end()
    finally:
        task.cancel()


@pytest.fixture
def store(tmp_path: Path) -> Any:
    with contextlib.closing(open_store(tmp_path / "store.db", write=True)) as made:
        yield made
