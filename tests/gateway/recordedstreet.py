"""The street of the demo under the daemon's own committer, with a recorder; time is virtual.

street = RecordedStreet(folder)
street.live(120)
street.recorder.freeze("a person asks")
street.live(10)
"""

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path

import msgspec

import drivers
from edge.acquire.stage import Stage
from edge.config import Site, load_site
from edge.core import Draft, Edge, Stamp, Sweep, sweep
from edge.core.frametap import TappedFrame
from edge.demo.demostreet import load_trace
from edge.gateway.flightrecorder import FlightRecorder
from edge.gateway.ingest import Ingest
from edge.gateway.manifestschedule import ManifestSchedule
from edge.gateway.urgentevents import UrgentEvents
from edge.gateway.windowcommitter import WindowCommitter
from edge.gateway.wiring import Wiring
from edge.health.progress import Progress
from tests.kit.clock import NTP
from tests.kit.engine import S
from tests.kit.ports import CountedRetained, QuietBuses
from tests.kit.virtualgateway import MONO_0, WALL_0, RememberingWriter
from tests.kit.waiting import done

ROOT = Path(__file__).parents[2]
DOOR = """
[device.door]
driver = "contact"
bus = "loops"
line = "door"
active = "high"
event = "door"
"""
TRACE_S = 1500  # of the trace when the street begins; the jam comes 360 s later
LIMIT = 4 << 20
SLICE_NS = 500_000_000


@cache
def trace() -> tuple[Edge, ...]:
    """All edges of the demo's trace, by time."""
    return load_trace().edges


def demo_site(folder: Path, period_s: int = 5) -> Site:
    """As `site.toml` in this folder."""
    text = (ROOT / "deploy" / "demo.toml").read_text().replace("period_s = 5", "period_s = {}")
    (folder / "site.toml").write_text(text.format(period_s) + DOOR)
    site = load_site(folder / "site.toml", drivers.catalogue())
    return replace(site, store=msgspec.structs.replace(site.store, run_dir=str(folder)))


@dataclass
class RecordedStreet:
    """It is its own clock. `broken` are loops that stay on; `loads` the ampere of the meter."""

    folder: Path
    period_s: int = 5
    limit_bytes: int = LIMIT
    broken: set[str] = field(default_factory=set)
    load: float = 8.0
    now_ns: int = MONO_0

    def __post_init__(self) -> None:
        self.site = demo_site(self.folder, self.period_s)
        self.writer = RememberingWriter()
        self.start()

    def start(self) -> None:
        """A process, the first or another one."""
        self.wiring = Wiring.of(self.site)
        self.pipeline = self.wiring.pipeline(hurry=False)
        self.pipeline.load()
        self.stage = Stage(self.folder, "boot")
        urgent = UrgentEvents(self)
        self.frames: dict[str, list[TappedFrame]] = {}
        self.recorder = FlightRecorder(
            self.folder, ("demo", "demo-1"), "boot", self, self.limit_bytes, lambda: self.frames
        )
        self.ingest = Ingest(
            self.wiring, self.pipeline, self.stage, self, urgent, CountedRetained()
        )
        self.committer = WindowCommitter(
            self.wiring, self.pipeline, self.ingest, self.stage, self.writer, self, "boot",
            ManifestSchedule(900, None, self.now()),
            urgent=urgent, buses=QuietBuses(), box_monitor=None, watch=None, progress=Progress(),
            offer=lambda rows, now_ns: None, recorder=self.recorder,
        )  # fmt: skip
        done(self.committer.recover())

    def now(self) -> Stamp:
        return Stamp(self.now_ns, WALL_0 - MONO_0 + self.now_ns, NTP)

    async def sleep_until(self, mono_ns: int) -> None:
        raise AssertionError("nobody sleeps here")

    def live(self, seconds: float) -> list[Draft]:
        """What is committed in this time."""
        before = len(self.writer.commits)
        for _ in range(round(seconds * S / SLICE_NS)):
            begin = self.now_ns
            self.now_ns += SLICE_NS
            self.ingest.edges(self._edges(begin, self.now_ns))
            if self.now_ns % S == 0:
                self.ingest.sweeps(self._sweeps())
            done(self.committer.tick(self.now()))
            self.recorder.look(self.now_ns)
        return [d for each in self.writer.commits[before:] for d in each.drafts]

    def door(self) -> None:
        """It opens and closes."""
        self.ingest.edges(
            [Edge("door", True, self.now_ns - 2, 1), Edge("door", False, self.now_ns - 1, 2)]
        )

    def _edges(self, begin_ns: int, end_ns: int) -> Sequence[Edge]:
        zero_ns = MONO_0 - TRACE_S * S
        first, last = (
            bisect_left(trace(), at_ns - zero_ns, key=lambda edge: edge.mono_ns)
            for at_ns in (begin_ns, end_ns)
        )
        return [
            Edge(e.line, e.high, e.mono_ns + zero_ns, e.seqno)
            for e in trace()[first:last]
            if e.high or self.wiring.lined[e.line].source not in self.broken
        ]

    def _sweeps(self) -> list[Sweep]:
        points, second = self.wiring.points(), self.now_ns // S
        meter = [
            second * 0.01 * (1 + i)
            if "energy" in point.key
            else self.load + 0.25 * (second % 3) + i
            for i, point in enumerate(points["cabinet"])
        ]
        air = [10.0 + (second % 11) for _ in points["hut_air"]]
        return [sweep("cabinet", self.now_ns - 3, meter), sweep("hut_air", self.now_ns - 2, air)]
