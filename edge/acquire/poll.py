"""Ask the devices of one bus in turn: the one owner of that bus.

A device that fails gets a retry time of its own, growing and capped, so its neighbours do not
wait for it: all retries together get a small part of the bus's time. While it rests, its ticks
are still accounted for: each gives a sweep that says why there is no value.
"""

import contextlib
import heapq
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from edge.acquire.badpoints import BadPoint, bad_points
from edge.acquire.settling import settle_limit_ns, unsettled_reason
from edge.acquire.swappeddevice import GAP, UNTOLD_READS, hold_registers, mark_ambiguous, mark_gap
from edge.core import (
    AsyncClock,
    Bad,
    BusError,
    Condition,
    DataError,
    PacedDevice,
    Polled,
    Reason,
    Sample,
    SelfReporting,
    Stateful,
    Sweep,
    failed_sweep,
    sweep,
)

BACKOFF_FIRST_S: Final = 2.0
BACKOFF_CAP_S: Final = 60.0
BACKOFF_LONGEST_S: Final = (
    900.0  # where a shorter one would cost the neighbours more than their part
)
BACKOFF_CHEAP_CAP_S: Final = 5.0  # of a retry that costs nothing: an adapter that is not there
CHEAP_S: Final = 0.01
BACKOFF_PART: Final = 80  # of the bus's time, one part in so many is for those that do not answer
SLOW_S: Final = 0.25  # damage that took so long to see costs as much as silence
DAMAGED_IN_A_ROW: Final = 3  # and then it is treated as such
PAUSE_NS: Final = 100_000_000  # after an interrupted answer: who is busy with it refuses to stop
BREATH_NS: Final = 50_000_000  # at least so often the loop turns, however late the polls are
OUTAGE_READS: Final = 2  # that failed in a row: it was away
RETURNS_KEPT: Final = 3
FRESH_NS: Final = 3_000_000_000  # for a person
WARMING_UP: Final = Bad(Reason.WARMUP)
REOPEN_AFTER_NS: Final = 15_000_000_000  # of no news at all; a fan cleans itself for 10 s
REOPEN_PACES: Final = 3  # and so many times its own period
OCCUPIED_CONDITIONS: Final = frozenset({Condition.CLEANING, Condition.SELF_TEST})
OCCUPIED_TIMES: Final = 4  # so much longer then: who has lost its supply may look the same


@dataclass(slots=True)
class PollState:
    """One polled device and how it fares. `every_ns` is its period."""

    name: str
    polled: Polled
    every_ns: int
    open: bool = False
    reason: Reason | None = None  # why the last attempt failed
    text: str = ""  # what is wrong with it, as of the last attempt
    failures: int = 0
    failed_ns: int = 0  # when the last attempt failed
    # when it answered again after it was away; replaced whole, since other threads look at it
    returns: tuple[int, ...] = field(default=(), repr=False)
    backoff_until_ns: int = 0
    reads: int = 0
    errors: int = 0
    missed: int = 0  # ticks that passed while the bus was busy
    last_value_ns: int = field(default=0, repr=False)  # when it last had a value, or was opened
    latest: Sweep | None = field(default=None, repr=False)  # the last that had a value
    unsettled: Reason | None = None  # why its answers are those of a device that still starts
    unsettled_since_ns: int | None = None
    bad: Mapping[str, BadPoint] = field(default_factory=dict, repr=False)  # of the last answer
    identity: str = ""  # its serial number, as it was last reported
    # readings for which it may still be another one
    reads_without_identity: int = field(default=0, repr=False)
    is_other_device: bool = field(default=False, repr=False)  # it is, and no sweep has said so yet
    gaps: set[int] = field(default_factory=set, repr=False)  # of points, shown to a person only
    health: Mapping[Condition, str] = field(default_factory=dict)  # what it last said of itself
    kept: bytes = b""  # what its algorithm has learnt
    self_reporting: SelfReporting | None = field(init=False, repr=False)
    stateful: Stateful | None = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self.self_reporting = self.polled if isinstance(self.polled, SelfReporting) else None
        self.stateful = self.polled if isinstance(self.polled, Stateful) else None

    @property
    def point_count(self) -> int:
        """So many it has."""
        return len(self.polled.points)

    @property
    def settle_limit_ns(self) -> int:
        """For so long its answers may be unsettled."""
        return settle_limit_ns(self.polled, self.every_ns)

    def note_answer(self, result: Sweep) -> None:
        """What an answer shows of its warm-up, and of points without a value."""
        self.bad = bad_points(self.bad, result, self.polled.points)
        self.unsettled = unsettled_reason(result, self.health)
        if self.unsettled is None:
            self.unsettled_since_ns = None
        elif self.unsettled_since_ns is None:
            self.unsettled_since_ns = result.mono_ns


class FaultListener(Protocol):
    """Hears of the first failure of a device and of its recovery, not of the hours between."""

    def __call__(self, device: str, reason: Reason | None, text: str) -> None: ...


class ConditionListener(Protocol):
    """Hears what a device says of itself, each time that it is something else."""

    def __call__(self, device: str, identity: str, health: Mapping[Condition, str]) -> None: ...


Command = Callable[[], Awaitable[Any]]


class Poller:
    """Runs on the bus's own loop. `deliver` gets each sweep; it must not block."""

    def __init__(
        self,
        devices: list[PollState],
        clock: AsyncClock,
        deliver: Callable[[Sweep], None],
        report: FaultListener,
        progress: Callable[[], None] = lambda: None,
        on_condition: ConditionListener = lambda device, identity, health: None,
        rest_ns: Callable[[], int] = lambda: 0,
    ) -> None:
        """`rest_ns` is how long to give way to others before a question that is overdue."""
        self.devices = {device.name: device for device in devices}
        self._clock, self._deliver = clock, deliver
        self._report, self._progress, self._on_condition = report, progress, on_condition
        self._rest_ns = rest_ns
        self.rested_ns = 0  # in which questions were due, and others went first
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
        asking = False
        try:
            while True:
                asking = bool(self._commands)
                await self._serve_commands()
                asking = False
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
                asking = True
                await self._tick(device)
                asking = False
                next_ns = at_ns + device.every_ns
                late = (self._clock.now().mono_ns - next_ns) // device.every_ns
                if late > 0:
                    device.missed += late
                    next_ns += late * device.every_ns
                heapq.heappush(due, (next_ns, order, device))
                breath_ns = await self._give_way(due[0][0], breath_ns)
        finally:
            if asking:
                await self._clock.sleep_until(self._clock.now().mono_ns + PAUSE_NS)
            for device in self.devices.values():
                await self._close(device)

    async def _give_way(self, due_ns: int, breath_ns: int) -> int:
        """Rest, if the bus is late and others need the processor; when the loop turned last."""
        now_ns = self._clock.now().mono_ns
        rest_ns = self._rest_ns() if due_ns <= now_ns else 0
        if rest_ns <= 0:
            return breath_ns
        self.rested_ns += rest_ns
        await self._clock.sleep_until(now_ns + rest_ns)
        return now_ns + rest_ns

    async def read(self, name: str) -> Sweep:
        """One extra reading now, for a person; the schedule goes on as it was.

        A sensor that measures once a second has nothing new for whoever asks in between: then it
        is what it reported to the poll a moment ago.
        """
        device = self.devices[name]
        result, latest = await self._read(device), device.latest
        device.gaps |= {place for place, each in enumerate(result.qualities) if each == GAP}
        if latest is None or any(value is not None for value in result.values):
            return result
        fresh = result.mono_ns - latest.mono_ns <= max(2 * device.every_ns, FRESH_NS)
        return latest if fresh and device.reason is None else result

    async def _serve_commands(self) -> None:
        while self._commands:
            await self._commands.popleft()()
            self._progress()

    async def _tick(self, device: PollState) -> None:
        now_ns = self._clock.now().mono_ns
        if now_ns < device.backoff_until_ns:
            self._deliver(
                failed_sweep(
                    device.name, now_ns, len(device.polled.points), device.reason or Reason.SILENT
                )
            )
            return
        result = await self._read(device)
        if device.gaps:
            result = mark_ambiguous(result, device.gaps)
            device.gaps = {place for place in device.gaps if result.values[place] is None}
        self._deliver(result)
        if device.reason is None:
            device.is_other_device = False

    async def _read(self, device: PollState) -> Sweep:
        begin_ns = self._clock.now().mono_ns
        try:
            if not device.open:
                await device.polled.open()
                device.open, device.last_value_ns = True, self._clock.now().mono_ns
                device.reads_without_identity = UNTOLD_READS if device.identity else 0
            samples = await device.polled.read()
        except (BusError, DataError) as error:
            return await self._failed(device, error, begin_ns)
        device.reads += 1
        if device.stateful is not None:
            device.kept = device.stateful.snapshot()
        if device.self_reporting is not None:
            samples = self._update_conditions(device, device.self_reporting, samples)
        # the moment of the answer: before it, a value cannot have been true yet
        result = sweep(device.name, self._clock.now().mono_ns, samples)
        device.note_answer(result)
        if any(value is not None for value in result.values):
            device.last_value_ns, device.latest = result.mono_ns, result
        elif result.mono_ns - device.last_value_ns >= _patience_ns(device):
            await self._close(device)  # it answers, and has nothing: it lost power and its mode
        if device.reason is not None:
            if device.failures >= OUTAGE_READS:
                device.returns = (*device.returns, result.mono_ns)[-RETURNS_KEPT:]
            device.reason, device.text, device.failures, device.backoff_until_ns = None, "", 0, 0
            self._report(device.name, None, "answers again")
        return result

    def _update_conditions(
        self, device: PollState, reporting: SelfReporting, samples: tuple[Sample, ...]
    ) -> tuple[Sample, ...]:
        """Pass on what it says of itself; what its values are worth if it may be another one."""
        before, identity, health = device.identity, reporting.identity, reporting.health
        identity = identity or before  # it has not reported it yet
        if all(sample == WARMING_UP for sample in samples):
            # just started, and not asked how it is: what was wrong before is not over
            health = {**device.health, **health}
        if identity != before or health != device.health:
            device.identity, device.health = identity, dict(health)
            self._on_condition(device.name, identity, device.health)
        device.is_other_device |= before not in ("", identity)
        device.reads_without_identity = (
            0 if reporting.identity else max(0, device.reads_without_identity - 1)
        )
        if device.is_other_device:
            return mark_gap(device.polled.points, samples)
        if device.reads_without_identity:
            return hold_registers(device.polled.points, samples)
        return samples

    async def _failed(self, device: PollState, error: BusError | DataError, begin_ns: int) -> Sweep:
        now_ns = self._clock.now().mono_ns
        device.errors += 1
        if isinstance(error, BusError):  # it may have lost its supply, and starts anew
            device.unsettled = device.unsettled_since_ns = None
        device.failures += 1
        device.failed_ns = now_ns
        took_s = (now_ns - begin_ns) / 1e9
        # a damaged answer is worth an immediate next try
        hopeless = device.failures >= DAMAGED_IN_A_ROW and took_s >= SLOW_S
        if isinstance(error, BusError) or hopeless:
            device.backoff_until_ns = now_ns + int(self._backoff_s(device, took_s) * 1e9)
            await self._close(device)
        before, device.reason, device.text = device.reason, error.reason, str(error)
        if before != error.reason:
            self._report(device.name, error.reason, device.text)
        return failed_sweep(device.name, now_ns, len(device.polled.points), error.reason)

    def _backoff_s(self, device: PollState, took_s: float) -> float:
        """Until the next try: growing, and so long that all the dead together are a small part."""
        # no float holds 2 to the power of what fails for days
        grown_s = BACKOFF_FIRST_S * 2.0 ** min(device.failures - 1, 10)
        dead = sum(other.failures > 0 for other in self.devices.values())
        share_s = 0.0
        if device.failures > 1 and dead < len(self.devices):  # there are neighbours to be spared
            share_s = took_s * dead * BACKOFF_PART
        cap_s = BACKOFF_CAP_S if took_s >= CHEAP_S else BACKOFF_CHEAP_CAP_S
        # beyond it step by step: all may have been away for a moment, and are back
        cap_s = min(max(cap_s, min(share_s, grown_s)), BACKOFF_LONGEST_S)
        return min(cap_s, max(share_s, grown_s))

    async def _close(self, device: PollState) -> None:
        device.open = False
        with contextlib.suppress(BusError, DataError):  # gone already: no goodbye is needed
            await device.polled.close()


def _patience_ns(device: PollState) -> int:
    """How long it may answer without news. One poll without any is none to act on."""
    pace_s = device.polled.pace_s if isinstance(device.polled, PacedDevice) else 0.0
    own_ns = max(int(REOPEN_PACES * pace_s * 1e9), 3 * device.every_ns // 2)
    occupied = not OCCUPIED_CONDITIONS.isdisjoint(device.health)
    return max(REOPEN_AFTER_NS, own_ns) * (OCCUPIED_TIMES if occupied else 1)
