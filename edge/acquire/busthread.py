"""One thread with a small loop of its own for each bus, and the bridge to the main loop.

Drivers may block there and nowhere else. What they bring crosses in batches: a wake-up of the
main loop for each batch, not for each sweep.
"""

import asyncio
import contextlib
import threading
import time
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import Future
from dataclasses import replace
from typing import Any, Final, Generic, TypeVar

from edge.core import Edge

T = TypeVar("T")

QUEUE_ITEMS: Final = (
    20_000  # items that may wait for a main loop that is busy; beyond, the oldest go
)


class ThreadBridge(Generic[T]):
    """Carries items from a bus's thread to the main loop. Bounded; what falls out is counted."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        deliver: Callable[[Sequence[T]], None],
        clock_ns: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        self._loop, self._deliver, self._clock_ns = loop, deliver, clock_ns
        self._items: deque[T] = deque()
        self._lock = threading.Lock()
        self._woken = False
        self._woken_ns = 0
        self._waited_ns = 0  # what was taken last, at the most
        self.dropped = 0
        self.error: BaseException | None = None
        self._cut = False

    def cut(self) -> None:
        """From the main loop: nothing is delivered any more, whatever a late thread puts in.

        What crossed already is delivered first: it was brought in time.
        """
        self._drain()
        self._cut = True

    def waited_ns(self) -> int:
        """How long the main loop let wait what it took last, or lets wait what is there now."""
        with self._lock:
            waiting_ns = self._clock_ns() - self._woken_ns if self._woken else 0
            return max(self._waited_ns, waiting_ns)

    def put(self, items: Sequence[T]) -> None:
        """From the bus's thread. Returns at once."""
        if self._cut:
            return
        with self._lock:
            self._items.extend(items)
            while len(self._items) > QUEUE_ITEMS:
                self._drop(self._items.popleft())
                self.dropped += 1
            wake, self._woken = not self._woken, True
            if wake:
                self._woken_ns = self._clock_ns()
        if wake:
            try:
                self._loop.call_soon_threadsafe(self._drain)
            except RuntimeError:
                return  # the main loop has ended: nobody is there to hear

    def _drain(self) -> None:
        with self._lock:
            items = self._mended(list(self._items))
            self._items.clear()
            if self._woken:
                self._waited_ns = self._clock_ns() - self._woken_ns
            self._woken = False
        if items and self.error is None and not self._cut:
            try:
                self._deliver(items)
            except BaseException as error:  # noqa: BLE001  a fault of ours: the app ends with it
                self.error = error

    def _drop(self, item: T) -> None:
        """The oldest did not fit any more."""

    def _mended(self, items: list[T]) -> list[T]:
        """What is delivered in place of `items`, when something before them was dropped."""
        return items


class EdgeBridge(ThreadBridge[Edge]):
    """Edges that fall out count as lost with the next edge of their line, as in the kernel."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, deliver: Callable[[Sequence[Edge]], None]
    ) -> None:
        super().__init__(loop, deliver)
        self._lost: dict[str, int] = {}

    def _drop(self, item: Edge) -> None:
        edges = item.lost + (item.seqno > 0)  # the level found at opening is no edge
        self._lost[item.line] = self._lost.get(item.line, 0) + edges

    def _mended(self, items: list[Edge]) -> list[Edge]:
        """With the next true edge: a level that is found at opening says nothing of edges."""
        if not self._lost:
            return items
        return [
            replace(edge, lost=edge.lost + self._lost.pop(edge.line))
            if edge.seqno and edge.line in self._lost
            else edge
            for edge in items
        ]


class BusThread:
    """Runs `main()` on a loop in a thread of its own until `stop`."""

    def __init__(self, name: str, main: Callable[[], Awaitable[None]]) -> None:
        self.name = name
        self._main = main
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[None] | None = None
        self._ready = threading.Event()
        self.error: BaseException | None = None
        self._abandoned = False
        self._thread = threading.Thread(target=self._run, name=f"bus-{name}", daemon=True)

    def start(self) -> None:
        self._thread.start()
        self._ready.wait()

    @property
    def alive(self) -> bool:
        return self._thread.is_alive()

    def call(self, make: Callable[[], Awaitable[T]]) -> "Future[T]":
        """Run a coroutine on the bus's loop; the future may be awaited with asyncio.wrap_future."""
        assert self._loop is not None, "start() comes first"

        async def run() -> T:
            return await make()

        return asyncio.run_coroutine_threadsafe(run(), self._loop)

    def stop(self, timeout_s: float = 3.0) -> bool:
        """Ask it to end. False when it hangs in a system call; then it is abandoned."""
        if self._loop is not None and self._task is not None and self._thread.is_alive():
            with contextlib.suppress(RuntimeError):  # its loop may have ended by itself just now
                self._loop.call_soon_threadsafe(self._task.cancel)
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def abandon(self) -> None:
        """It hangs, and nobody waits for it any more. If it ever comes back, it ends."""
        self._abandoned = True
        if self._loop is not None and self._task is not None and self._thread.is_alive():
            with contextlib.suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self._task.cancel)

    def _run(self) -> None:
        try:
            with contextlib.suppress(asyncio.CancelledError):
                asyncio.run(self._supervised())
        except BaseException as error:  # noqa: BLE001  a fault of ours: the app ends the process
            if not self._abandoned:  # nobody wants to know of what comes after
                self.error = error
        finally:
            self._ready.set()

    async def _supervised(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._task = asyncio.ensure_future(self._wrap())
        self._ready.set()
        await self._task

    async def _wrap(self) -> Any:
        await self._main()
