"""Clocks of a gateway under test: virtual ones, in which an hour takes a moment, and the real one.

An example:

    clock = VirtualClock()
    task = asyncio.create_task(poller.run())
    await clock.run(3600.0)  # sleepers wake in order
"""

import asyncio
import heapq
import time
from datetime import datetime, timedelta

from edge.core import Stamp, TimeQuality
from edge.core.clock import EPOCH

WALL_0 = 1_790_000_000_000_000_000
NONE, FLOOR, RTC, NTP, NTS = TimeQuality  # for those who name many


class VirtualClock:
    """Sleepers wake in the order of their times; nothing passes unless somebody sleeps."""

    def __init__(self, mono_ns: int = 1_000_000_000_000, tq: TimeQuality = NONE) -> None:
        self.mono_ns = mono_ns
        self.offset_ns = WALL_0
        self.tq = tq
        self._sleepers: list[tuple[int, int, asyncio.Event]] = []
        self._count = 0

    def now(self) -> Stamp:
        return Stamp(self.mono_ns, self.mono_ns + self.offset_ns, self.tq)

    def set_wall(self, moment: datetime) -> None:
        """It shows this now."""
        self.offset_ns = (moment - EPOCH) // timedelta(microseconds=1) * 1000 - self.mono_ns

    async def sleep_until(self, mono_ns: int) -> None:
        woken = asyncio.Event()
        self._count += 1
        heapq.heappush(self._sleepers, (max(mono_ns, self.mono_ns), self._count, woken))
        await woken.wait()

    async def run(self, seconds: float) -> None:
        """Let this much time pass, one sleeper after the other."""
        end_ns = self.mono_ns + int(seconds * 1e9)
        while True:
            for _ in range(50):  # everybody who can run does
                await asyncio.sleep(0)
            if not self._sleepers or self._sleepers[0][0] > end_ns:
                self.mono_ns = end_ns
                return
            self.mono_ns, _, woken = heapq.heappop(self._sleepers)
            woken.set()


class JumpingClock(VirtualClock):
    """One who sleeps alone is awake at once: hours pass in a second."""

    async def sleep_until(self, mono_ns: int) -> None:
        self.wait_until(mono_ns)
        await asyncio.sleep(0)

    def wait_until(self, mono_ns: int) -> None:
        self.mono_ns = max(self.mono_ns, mono_ns)

    def passes(self, seconds: float) -> None:
        """Whoever uses a line moves the clock on."""
        self.mono_ns += int(seconds * 1e9)


class RealClock:
    """Real brokers need real time."""

    def now(self) -> Stamp:
        return Stamp(time.monotonic_ns(), time.time_ns(), NTP)

    async def sleep_until(self, mono_ns: int) -> None:
        await asyncio.sleep(max(0.0, (mono_ns - time.monotonic_ns()) / 1e9))
