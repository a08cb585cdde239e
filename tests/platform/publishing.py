"""A channel of the library that takes what is published, as the test says."""

import asyncio
from typing import Any


class FakeChannel:
    """`blocked` is what RabbitMQ says when it is short of memory or disk."""

    def __init__(self) -> None:
        self.published: list[bytes] = []
        self.asked = 0  # how often it was waited for
        self.end: Exception | None = None  # what the next publish raises
        self.stuck = False  # a publish never returns
        self._unblocked = asyncio.Event()
        self._unblocked.set()

    @property
    def connection(self) -> "FakeChannel":
        return self

    @property
    def closing(self) -> "asyncio.Future[None]":
        """It is open."""
        return asyncio.Future()

    @property
    def as_any(self) -> Any:
        return self

    @property
    def blocked(self) -> bool:
        return not self._unblocked.is_set()

    @blocked.setter
    def blocked(self, now: bool) -> None:
        (self._unblocked.clear if now else self._unblocked.set)()

    async def ready(self) -> None:
        self.asked += 1
        await self._unblocked.wait()

    async def basic_publish(self, data: bytes, **_: object) -> None:
        if self.end is not None:
            raise self.end
        if self.stuck:
            await asyncio.Event().wait()
        self.published.append(data)
