"""The platform at a cluster: a session that lasts, and a count of what arrives."""

import asyncio
import contextlib
import itertools
import json
import time
from collections import Counter
from collections.abc import AsyncIterator

import aiomqtt

from tests.cluster.rabbit import Rabbit
from tests.cluster.street import Key

FILTERS = [("kerbstone/v1/+/+/up/+", 1), ("kerbstone/v1/+/+/up/+/+", 1)]  # with their QoS


class ClusterPlatform:
    """Goes to the next node when one fails."""

    def __init__(self, rabbit: Rabbit) -> None:
        self._rabbit = rabbit
        self.seen: Counter[Key] = Counter()
        self.longest_s = 0.0
        self._last_s: float | None = None
        self._connected = asyncio.Event()

    @contextlib.asynccontextmanager
    async def listening(self, first: int) -> AsyncIterator[None]:
        self._connected.clear()
        self._last_s = None
        task = asyncio.create_task(self._listen(first))
        try:
            async with asyncio.timeout(60):
                await self._connected.wait()
            yield
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    async def _listen(self, first: int) -> None:
        came = self._came

        class Counting(asyncio.Queue[aiomqtt.Message]):
            """Counts when it comes: what waits in the queue has been acknowledged."""

            def put_nowait(self, item: aiomqtt.Message) -> None:
                came(item)

        for number in itertools.count(first):
            with contextlib.suppress(aiomqtt.MqttError, OSError):
                async with self._rabbit.session(number % 3, Counting) as client:
                    await client.subscribe(FILTERS)
                    self._connected.set()
                    async for _ in client.messages:
                        pass  # never: it ends with the connection
            await asyncio.sleep(0.2)

    def _came(self, message: aiomqtt.Message) -> None:
        if "/up/air/" not in str(message.topic):
            return
        now = time.monotonic()
        if self._last_s is not None:
            self.longest_s = max(self.longest_s, now - self._last_s)
        self._last_s = now
        assert isinstance(message.payload, bytes)
        data = json.loads(message.payload)
        self.seen[data["gw"], data["seq"]] += 1

    @property
    def twice(self) -> int:
        return sum(count - 1 for count in self.seen.values())

    async def have(self, keys: set[Key], seconds: float = 60.0) -> None:
        """Wait for them, in vain if need be."""
        end = time.monotonic() + seconds
        while not keys <= self.seen.keys() and time.monotonic() < end:
            await asyncio.sleep(0.1)
