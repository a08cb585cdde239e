"""A TCP server of a rig in a thread of its own, between a box and its broker.

What it does with each client is its subclass's: `edge.rig.brokerlink`, `edge.rig.brokerquota`.
"""

import asyncio
import contextlib
import threading
from abc import ABC, abstractmethod
from collections.abc import Coroutine
from typing import Any, Final, Self

from edge.acquire.clock import SystemClock

HERE: Final = "127.0.0.1"
START_S: Final = 30.0
CLOSE_NS: Final = 20_000_000


class TcpForwarder(ABC):
    """Listens at `listen`, whose port it may choose itself (0). `name` is that of its thread. All
    methods may be called from any thread, between `start` and `stop`."""

    def __init__(self, name: str, listen: tuple[str, int] = (HERE, 0)) -> None:
        self._listen = listen
        self._clock = SystemClock()
        self._serving: set[asyncio.Future[None]] = set()
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self.port = 0

    def start(self) -> Self:
        """Raises OSError if it cannot listen."""
        self._thread.start()
        if not self._ready.wait(START_S) or not self.port:
            raise OSError(f"{self._thread.name} does not start: it cannot listen")
        return self

    def stop(self) -> None:
        """All connections end. Always safe."""
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(START_S)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    @abstractmethod
    async def _take(self, reader: asyncio.StreamReader, client: asyncio.StreamWriter) -> None:
        """One client, until one end has gone; closes what it has opened, and `client`."""

    # in the thread

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            server = self._loop.run_until_complete(
                asyncio.start_server(self._accept, *self._listen)
            )
        except OSError:
            self._loop.close()
            self._ready.set()
            return
        self.port = server.sockets[0].getsockname()[1]
        self._ready.set()
        self._loop.run_forever()
        self._loop.run_until_complete(self._close(server))
        self._loop.close()

    async def _close(self, server: asyncio.Server) -> None:
        """End all tasks. A server that is closed while somebody comes leaves his socket open: so
        nobody is let in first."""
        for listener in server.sockets:
            self._loop.remove_reader(listener.fileno())
        await self._clock.sleep_until(self._clock.now().mono_ns + CLOSE_NS)
        server.close()
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._clock.sleep_until(self._clock.now().mono_ns + CLOSE_NS)

    def _accept(self, reader: asyncio.StreamReader, client: asyncio.StreamWriter) -> None:
        task = asyncio.ensure_future(self._take(reader, client))
        self._serving.add(task)
        task.add_done_callback(self._serving.discard)


async def first_of(*ways: Coroutine[Any, Any, None]) -> None:
    """Until one direction has ended; the other one ends with it. Raises what the first raised."""
    tasks = [asyncio.ensure_future(way) for way in ways]
    try:
        ended, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for one in ended:
            one.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def close_all(*ends: asyncio.StreamWriter | None) -> None:
    """Both ends of a connection, as far as they are there."""
    for end in ends:
        if end is not None:
            end.close()
            with contextlib.suppress(OSError):
                await end.wait_closed()
