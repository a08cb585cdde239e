"""Ask the devices of one bus in turn: the one owner of that bus.

A device that fails gets a retry time of its own, growing and capped, so its neighbours do not
wait for it. While it rests, its ticks are still accounted for: each gives a sweep that says why
there is no value.
"""

import contextlib
import heapq
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from edge.core import BusError, Clock, DataError, Polled, Reason, Sweep, failed, sweep

RETRY_FIRST_S: Final = 2.0
RETRY_CAP_S: Final = 60.0
BREATH_NS: Final = 50_000_000  # at least so often the loop turns, however late the polls are
FRESH_NS: Final = 3_000_000_000  # for a person
REOPEN_AFTER_NS: Final = 15_000_000_000  # of no news at all; a fan cleans itself for 10 s


@dataclass(slots=True)
class Device:
    """One polled device and how it fares. `every_ns` is its period."""

    name: str
    polled: Polled
    every_ns: int
    open: bool = False
    reason: Reason | None = None  # why the last attempt failed
    text: str = ""
    failures: int = 0
    rest_until_ns: int = 0
    reads: int = 0
    errors: int = 0
    missed: int = 0  # ticks that passed while the bus was busy
    news_ns: int = field(default=0, repr=False)  # when it last had a value, or was opened
    latest: Sweep | None = field(default=None, repr=False)  # the last that had a value


class Report(Protocol):
    """Hears of the first failure of a device and of its recovery, not of the hours between."""

    def __call__(self, device: str, reason: Reason | None, text: str) -> None: ...


Command = Callable[[], Awaitable[Any]]


class Poller:
    """Runs on the bus's own loop. `deliver` gets each sweep; it must not block."""

    def __init__(
        self,
        devices: list[Device],
        clock: Clock,
        deliver: Callable[[Sweep], None],
        report: Report,
        progress: Callable[[], None] = lambda: None,
    ) -> None:
        self.devices = {device.name: device for device in devices}
        self._clock, self._deliver = clock, deliver
        self._report, self._progress = report, progress
        self._commands: deque[Command] = deque()

    def command(self, command: Command) -> None:
        """Let `command` use the bus between two polls; it goes before what is due."""
        self._commands.append(command)

    async def run(self) -> None:
        """Poll until cancelled; then close every device."""
        start_ns = self._clock.now().mono_ns
        # devices with one period start together and then follow each other as fast as the wire goes
        due = [(start_ns, i, d) for i, d in enumerate(self.devices.values())]
        heapq.heapify(due)
        breath_ns = start_ns
        try:
            while True:
                await self._serve_commands()
                self._progress()
                now_ns = self._clock.now().mono_ns
                if not due or due[0][0] > now_ns:
                    until_ns = min(due[0][0] if due else now_ns + 100_000_000, now_ns + 100_000_000)
                    await self._clock.sleep_until(until_ns)
                    breath_ns = until_ns
                    continue
                if now_ns - breath_ns >= BREATH_NS:  # a bus blocks: who calls would wait for ever
                    await self._clock.sleep_until(now_ns)
                    breath_ns = now_ns
                at_ns, order, device = heapq.heappop(due)
                await self._tick(device)
                next_ns = at_ns + device.every_ns
                late = (self._clock.now().mono_ns - next_ns) // device.every_ns
                if late > 0:
                    device.missed += late
                    next_ns += late * device.every_ns
                heapq.heappush(due, (next_ns, order, device))
        finally:
            for device in self.devices.values():
                await self._close(device)

    async def read(self, name: str) -> Sweep:
        """One extra reading now, for a person; the schedule goes on as it was.

        A sensor that measures once a second has nothing new for whoever asks in between: then it
        is what it told the poll a moment ago.
        """
        device = self.devices[name]
        result, latest = await self._read(device), device.latest
        if latest is None or any(value is not None for value in result.values):
            return result
        fresh = result.mono_ns - latest.mono_ns <= max(2 * device.every_ns, FRESH_NS)
        return latest if fresh and device.reason is None else result

    async def _serve_commands(self) -> None:
        while self._commands:
            await self._commands.popleft()()
            self._progress()

    async def _tick(self, device: Device) -> None:
        now_ns = self._clock.now().mono_ns
        if now_ns < device.rest_until_ns:
            self._deliver(
                failed(
                    device.name, now_ns, len(device.polled.points), device.reason or Reason.SILENT
                )
            )
            return
        self._deliver(await self._read(device))

    async def _read(self, device: Device) -> Sweep:
        try:
            if not device.open:
                await device.polled.open()
                device.open, device.news_ns = True, self._clock.now().mono_ns
            samples = await device.polled.read()
        except (BusError, DataError) as error:
            return await self._failed(device, error)
        device.reads += 1
        # the moment of the answer: before it, a value cannot have been true yet
        result = sweep(device.name, self._clock.now().mono_ns, samples)
        if any(value is not None for value in result.values):
            device.news_ns, device.latest = result.mono_ns, result
        elif result.mono_ns - device.news_ns >= REOPEN_AFTER_NS:
            await self._close(device)  # it answers, and has nothing: it lost power and its mode
        if device.reason is not None:
            device.reason, device.text, device.failures = None, "", 0
            self._report(device.name, None, "answers again")
        return result

    async def _failed(self, device: Device, error: BusError | DataError) -> Sweep:
        now_ns = self._clock.now().mono_ns
        device.errors += 1
        device.failures += 1
        if isinstance(error, BusError):  # a damaged answer is worth an immediate next try
            rest_s = min(RETRY_CAP_S, RETRY_FIRST_S * 2 ** (device.failures - 1))
            device.rest_until_ns = now_ns + int(rest_s * 1e9)
            await self._close(device)
        if device.reason != error.reason:
            device.reason, device.text = error.reason, str(error)
            self._report(device.name, error.reason, str(error))
        return failed(device.name, now_ns, len(device.polled.points), error.reason)

    async def _close(self, device: Device) -> None:
        device.open = False
        with contextlib.suppress(BusError, DataError):  # gone already: no goodbye is needed
            await device.polled.close()
