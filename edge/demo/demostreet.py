"""The street behind the wires: loops that a recorded trace drives, the air, and a meter's load.

Everything sits on the other side of a wire. What the daemon reads, it reads through its own buses.
"""

import gzip
import json
import math
import time
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.resources import files
from typing import Final

from drivers.sim.meter_load import MeterLoad
from edge.cabinet.cabinet import Cabinet, RecordedEdges
from edge.config import Site
from edge.core import Edge

TRACE: Final = "trace.csv.gz"
TRUTH: Final = "trace.json"
BEFORE_ONSET_S: Final = -40.0  # the jam has begun: half a minute later it is flagged
FAULT_AT_S: Final = 30.0  # after the start of the demo
AIR, METER = "hut_air", "cabinet"  # devices of the demo's site
FAULT: Final = "pm2_5=+60"  # the module's fine dust reads so much too high, in ug/m3
POWERED_S: Final = 86_400.0  # the module has been on since yesterday: its gas sensors have settled
KWH: Final = 5230.0
S: Final = 1_000_000_000


@dataclass(frozen=True, slots=True)
class DemoTrace:
    """Edges of all loop lines, and when the jam reaches them (seconds of the trace)."""

    edges: tuple[Edge, ...]
    onset_s: float

    @property
    def start_s(self) -> float:
        """Where the demo joins the trace."""
        return self.onset_s - BEFORE_ONSET_S

    def between(self, from_s: float, to_s: float) -> Iterator[Edge]:
        """Edges with from <= time < to, their stamps in nanoseconds of the trace."""
        return (e for e in self.edges if from_s * 1e9 <= e.mono_ns < to_s * 1e9)

    def levels(self, at_s: float) -> dict[str, bool]:
        """How each line stands at this moment."""
        found = {edge.line: False for edge in self.edges}
        found.update((edge.line, edge.high) for edge in self.between(0, at_s))
        return found


def load_trace() -> DemoTrace:
    """The trace that ships with the package; made by SUMO, see `models/congestion/scenarios`."""
    here = files("edge.demo")
    rows = gzip.decompress((here / TRACE).read_bytes()).decode().splitlines()[1:]
    edges = []
    for i, row in enumerate(rows, 1):
        t_ms, line, level = row.split(",")
        edges.append(Edge(line, level == "1", round(float(t_ms) * 1e6), i))
    truth = json.loads((here / TRUTH).read_text(encoding="utf-8"))
    return DemoTrace(tuple(edges), float(truth["onset_s"]))


def demo_air(t_s: float) -> dict[str, float]:
    """What the air is like at a moment of the trace: a mild day, a slow breath in everything."""

    def wave(period_s: float, phase: float = 0.0) -> float:
        return math.sin(2 * math.pi * t_s / period_s + phase)

    pm2_5 = 9.5 + 1.2 * wave(900) + 0.4 * wave(47, 1.0) + 0.3 * wave(13, 2.0)
    return {
        "pm1_0": pm2_5 * 0.62,
        "pm2_5": pm2_5,
        "pm4_0": pm2_5 * 1.25,
        "pm10": pm2_5 * 1.6,
        "humidity": 54 + 2 * wave(1800) + 0.2 * wave(31),
        "temperature": 17.5 + 0.6 * wave(1800, 0.5) + 0.05 * wave(23),
        "voc_index": 102 + 6 * wave(600) + 2 * wave(37),
        "nox_index": 2 + 0.5 * wave(700),
    }


def demo_currents(t_s: float) -> tuple[float, float, float]:
    """The cabinet's currents: signal heads, a fan, a modem."""

    def wave(period_s: float, phase: float = 0.0) -> float:
        return math.sin(2 * math.pi * t_s / period_s + phase)

    return (
        1.6 + 0.15 * wave(300) + 0.04 * wave(17),
        0.9 + 0.10 * wave(420, 1.0) + 0.03 * wave(29),
        0.5 + 0.05 * wave(240, 2.0) + 0.02 * wave(11),
    )


def demo_cabinet(site: Site, trace: DemoTrace) -> Cabinet:
    """What the demo plays: its loops are driven by the trace, its air and load are a mild day's.

    The cabinet's clock shows the seconds of the trace. The site's places are simulated ones.
    """
    zero_ns = time.monotonic_ns() - int(trace.start_s * S)  # when the trace began
    begin_ns = time.monotonic_ns()

    def since_start_s() -> float:
        return (time.monotonic_ns() - begin_ns) / S

    load = MeterLoad(amps=lambda t_s: demo_currents(t_s + trace.start_s), clock=since_start_s)
    load.reset(kwh=KWH)
    edges = RecordedEdges(trace.between(trace.start_s, math.inf), trace.levels(trace.start_s))
    return Cabinet(
        site,
        sources={AIR: demo_air, METER: lambda t_s: load.values()},
        recorded=edges,
        zero_ns=zero_ns,
    )
