"""The rig's ear at the broker: all messages of the box, each with the moment at which it came.

A subscriber in a thread of its own, which comes back after each loss: the broker keeps what comes
meanwhile, as far as it lives.
"""

import asyncio
import secrets
import threading
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from typing import Final, NamedTuple

from edge.acquire.clock import SystemClock
from edge.platform.subscription import (
    ArrivedMessage,
    BrokerSource,
    UnreachableError,
    listen,
)
from edge.rig.layer import LayerError

READY_S: Final = 30.0
STOP_S: Final = 10.0
MOST_BYTES: Final = 512 << 20  # of a run: its file may have twice that, a day of 64 lanes has it


class CameIn(NamedTuple):
    """A message, and when it came (ns of CLOCK_MONOTONIC)."""

    mono_ns: int
    message: ArrivedMessage


class Ear:
    """Listens between `start` and `stop`."""

    def __init__(self, host: str, port: int, filters: Sequence[str]) -> None:
        self._source = BrokerSource(host, port, f"kerbstone-rig-{secrets.token_hex(4)}")
        self._filters, self._clock = [*filters], SystemClock()
        self._came: deque[CameIn] = deque()
        self._ready = threading.Event()
        self._loop = asyncio.new_event_loop()
        self._task: asyncio.Task[None] | None = None
        self._thread = threading.Thread(target=self._run, name="rig-ear", daemon=True)
        self._trouble = ""
        self.lost: list[tuple[int, str]] = []
        """Moments at which the connection was lost, and why."""
        self._bytes = 0
        self.thrown_away = 0
        """Messages that came faster than the rig took them."""

    def start(self) -> None:
        """It has subscribed. Raises LayerError."""
        self._thread.start()
        if not self._ready.wait(READY_S):
            self._trouble = self._trouble or "it does not answer"
        if self._trouble:
            self.stop()
            raise LayerError(f"the rig cannot listen at the broker: {self._trouble}")

    def stop(self) -> None:
        """Always safe."""
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._cancel)
            self._thread.join(STOP_S)

    def take(self) -> list[CameIn]:
        """What came since the last call. Raises LayerError when it does not hear any more."""
        if self._bytes > MOST_BYTES:
            raise LayerError(f"the box has sent more than {MOST_BYTES >> 20} MB: no more is kept")
        if self.thrown_away:
            raise LayerError(f"{self.thrown_away} messages came faster than the rig took them")
        if not self._thread.is_alive():
            raise LayerError(f"the rig hears nothing any more: {self._trouble}")
        found = []
        with suppress(IndexError):
            while True:
                found.append(self._came.popleft())
        return found

    # in the thread

    def _cancel(self) -> None:
        if self._task is not None:
            self._task.cancel()

    def _run(self) -> None:
        try:
            self._task = self._loop.create_task(self._listen())
            self._loop.run_until_complete(asyncio.gather(self._task, return_exceptions=True))
            with suppress(asyncio.CancelledError):
                self._task.result()
        except UnreachableError as error:
            self._trouble = str(error)
        finally:
            self._ready.set()
            self._loop.run_until_complete(self._loop.shutdown_asyncgens())
            self._loop.close()

    async def _listen(self) -> None:
        messages = listen(
            self._source, self._filters, self._clock,
            on_ready=self._ready.set, on_loss=self._lose, on_overrun=self._overrun,
        )  # fmt: skip
        async for message in messages:
            self._bytes += message.size
            if self._bytes <= MOST_BYTES:
                self._came.append(CameIn(self._clock.now().mono_ns, message))

    def _lose(self, why: str) -> None:
        self.lost.append((self._clock.now().mono_ns, why))

    def _overrun(self, count: int) -> None:
        self.thrown_away += count
