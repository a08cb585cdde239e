"""Meters of a gateway under test that need no bus: they answer the poller as the test says.

    meter = ScriptedMeter(clock, takes_s=0.1, trouble=BusError("no answer"))
    poller = Poller([PollState("m", meter, S)], clock, sweeps.append, lambda *_: None)

What answers on a bus is in `drivers.sim`; peers that are programs of others are in `pymodbuspeer`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from edge.core import Condition, Point, Quantity, Sample
from tests.kit.clock import VirtualClock

POWER = (Point("power", Quantity.POWER),)


@dataclass
class ScriptedMeter:
    """Answers after `takes_s`; `troubles` are raised instead, each once, and then `trouble`.

    `log` has the times of its questions (monotonic ns).
    """

    clock: VirtualClock
    takes_s: float = 0.1
    trouble: Exception | None = None
    troubles: list[Exception] = field(default_factory=list)
    samples: tuple[Sample, ...] = (1.0,)
    points: Sequence[Point] = POWER
    opened: int = 0
    closed: int = 0
    log: list[int] = field(default_factory=list)

    async def open(self) -> None:
        self.opened += 1

    async def read(self) -> tuple[Sample, ...]:
        self.log.append(self.clock.mono_ns)
        once = self.troubles.pop(0) if self.troubles else None
        await self.clock.sleep_until(self.clock.mono_ns + int(self.takes_s * 1e9))
        if trouble := once or self.trouble:
            raise trouble
        return self.samples

    async def close(self) -> None:
        self.closed += 1


@dataclass(slots=True)
class FixedMeter:
    """Tells what it is given, at once; its `identity` is a serial number."""

    samples: tuple[Sample, ...]
    points: Sequence[Point]
    identity: str = "SN-1"
    health: Mapping[Condition, str] = field(default_factory=dict)

    async def open(self) -> None: ...
    async def read(self) -> tuple[Sample, ...]:
        return self.samples

    async def close(self) -> None: ...
