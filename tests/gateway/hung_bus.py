"""A small site whose buses can be made to hang, and what the main loop hears of them."""

import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from edge.config import Bus, I2cBus, Site
from edge.config.model import SiteTable, Uplink
from edge.core import Condition, Edge, Point, Quantity, Reason, Sample, Stream, Sweep
from edge.gateway.wiring import PolledDevice, Wiring
from edge.wire.contract.boxevent import AlarmKind

EVERY_S = 0.05


class StickyBus:
    """A bus: whoever asks while it is `stuck` hangs until it is not, whatever else happens."""

    def __init__(self) -> None:
        self.free = threading.Event()
        self.free.set()
        self.entered = threading.Event()  # somebody hangs
        self.abandoned = self.closed = False

    def stick(self) -> None:
        self.entered.clear()
        self.free.clear()

    def ask(self) -> None:
        if not self.free.is_set():
            self.entered.set()
            self.free.wait()

    def abandon(self) -> None:
        self.abandoned = True

    def close(self) -> None:
        self.closed = True


class Probe:
    """A device that gives how many drivers there were on its bus before it."""

    points: Sequence[Point] = (Point("temperature", Quantity.TEMPERATURE, low=-40, high=999),)

    def __init__(self, wire: StickyBus, number: int) -> None:
        self.wire, self.number = wire, number
        self.restored: tuple[bytes, float] | None = None

    async def open(self) -> None: ...

    async def read(self) -> tuple[Sample, ...]:
        self.wire.ask()
        return (float(self.number),)

    async def close(self) -> None: ...

    def snapshot(self) -> bytes:
        return b"%d" % self.number

    def restore(self, kept: bytes, age_s: float) -> None:
        self.restored = kept, age_s


@dataclass
class BusReadings:
    """Takes what the buses bring, with the time at which it came."""

    values: dict[str, list[tuple[float, float | None]]] = field(default_factory=dict)
    faults: list[tuple[str, Reason | None, str]] = field(default_factory=list)
    alarms: list[tuple[str, str]] = field(default_factory=list)
    lines: list[tuple[str, Reason | None]] = field(default_factory=list)
    contacts: list[Edge] = field(default_factory=list)

    def edges(self, batch: Sequence[Edge]) -> None:
        self.contacts += batch

    def sweeps(self, batch: Sequence[Sweep]) -> None:
        for one in batch:
            value = one.values[0]
            reported = None if value is None else float(value)
            self.values.setdefault(one.source, []).append((time.monotonic(), reported))

    def fault(self, device: str, reason: Reason | None, text: str) -> None:
        self.faults.append((device, reason, text))

    def conditions(self, device: str, identity: str, health: Mapping[Condition, str]) -> None: ...

    def line(self, line: str, reason: Reason | None, text: str, at_ns: int) -> None:
        self.lines.append((line, reason))

    def alarm(self, kind: AlarmKind, text: str) -> None:
        self.alarms.append((kind, text))

    def numbers(self, device: str) -> list[float | None]:
        return [value for _, value in self.values.get(device, [])]


def small_site(buses: Mapping[str, Bus]) -> Site:
    """A site of which only the buses count."""
    return Site(
        SiteTable(id="quay", gateway="gw-1"),
        Uplink(url="mqtt://localhost", confirm="broker"),
        buses=buses,
    )


class ProbedSite:
    """Buses of one probe each: bus `a` has the device `of_a`. `again` builds new ones."""

    def __init__(self, *names: str) -> None:
        self.names, self.built = names, 0
        self.wires: dict[str, list[StickyBus]] = {name: [] for name in names}  # of each build
        self.probes: dict[str, list[Probe]] = {name: [] for name in names}
        self.sticky: set[str] = set()  # a new wire of these is stuck, too

    def wiring(self) -> Wiring:
        buses: dict[str, Any] = {}
        polled: dict[str, list[PolledDevice]] = {}
        for name in self.names:
            wire = buses[name] = StickyBus()
            if name in self.sticky:
                wire.stick()
            probe = Probe(wire, self.built)
            polled[name] = [PolledDevice(f"of_{name}", probe, EVERY_S, Stream.AIR)]
            self.wires[name].append(wire)
            self.probes[name].append(probe)
        self.built += 1
        return Wiring(small_site({name: I2cBus() for name in self.names}), buses, polled)

    def free(self) -> None:
        """Let all threads go."""
        for wires in self.wires.values():
            for wire in wires:
                wire.free.set()
