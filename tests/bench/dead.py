"""What silent meters cost a line in the long run.

No bench waits for an hour. The schedule of an hour is the poller's own, in virtual time; what a
retry takes on the wire, and what an answer does, was measured by whoever asks.
"""

import asyncio
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

from drivers.buses.modbus.responsetimeout import ResponseTimeout
from edge.acquire.poll import Poller, PollState
from edge.core import BusError, Point, Polled, Quantity, Sample
from tests.kit.clock import JumpingClock

HOUR_S: Final = 3600.0
FIRST_S: Final = 60.0  # the first attempts follow each other fast; they are no long run
POINTS: Final = (Point("p", Quantity.VOLTAGE, 0, 1),)


@dataclass(slots=True)
class Timed:
    """A device, and how long each of its silences took (s)."""

    polled: Polled
    took_s: list[float] = field(default_factory=list)

    @property
    def points(self) -> Sequence[Point]:
        return self.polled.points

    async def open(self) -> None:
        await self.polled.open()

    async def read(self) -> tuple[Sample, ...]:
        begin = time.monotonic()
        try:
            return await self.polled.read()
        except BusError:
            self.took_s.append(time.monotonic() - begin)
            raise

    async def close(self) -> None:
        await self.polled.close()


@dataclass(slots=True)
class Hour:
    """Of the line, when the first attempts are over."""

    retries: int = 0
    lost_s: float = 0.0
    answers: int = 0


@dataclass(slots=True)
class SilentMeter:
    """A meter that answers in `turn_s`, or is silent as long as is waited for it."""

    unit: int
    clock: JumpingClock
    patience: ResponseTimeout
    turn_s: float
    silent_s: Mapping[bool, float]  # whether it was waited for in full -> how long that took
    hour: Hour
    points: Sequence[Point] = POINTS

    async def open(self) -> None:
        """Nothing on the wire."""

    async def read(self) -> tuple[Sample, ...]:
        counts = self.clock.mono_ns >= FIRST_S * 1e9
        if not self.silent_s:
            self.clock.passes(self.turn_s)
            self.patience.answered(self.unit, self.turn_s)
            self.hour.answers += counts
            return (0.5,)
        waited_in_full = self.patience.wait_s(self.unit) == self.patience.timeout_s
        took_s = self.silent_s[waited_in_full]
        self.clock.passes(took_s)
        self.patience.silent(self.unit)
        self.hour.retries += counts
        self.hour.lost_s += took_s * counts
        raise BusError("silent")

    async def close(self) -> None:
        """Nothing to release."""


def hour(
    units: Sequence[int],
    silent: Sequence[int],
    timeout_s: float,
    turn_s: float,
    silent_s: Mapping[bool, float],
) -> Hour:
    """An hour of the poller with these meters, asked as fast as the line goes."""
    clock, patience, found = JumpingClock(0), ResponseTimeout(timeout_s), Hour()
    devices = [
        PollState(
            f"m{unit}",
            SilentMeter(unit, clock, patience, turn_s, silent_s if unit in silent else {}, found),
            every_ns=1_000_000,
        )
        for unit in units
    ]

    async def run() -> None:
        task = asyncio.create_task(poller.run())
        while clock.mono_ns < (FIRST_S + HOUR_S) * 1e9:
            await asyncio.sleep(0)
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task

    poller = Poller(devices, clock, lambda _: None, lambda *_: None)
    asyncio.run(run())
    return found


def split(took_s: Sequence[float], timeout_s: float) -> dict[bool, float]:
    """The median of the silences that were waited for in full, and of the shorter ones."""
    found = {}
    for in_full in (True, False):
        some = sorted(each for each in took_s if (each >= timeout_s) is in_full)
        assert some, f"no silence was waited for {'in full' if in_full else 'for short'}"
        found[in_full] = some[len(some) // 2]
    return found
