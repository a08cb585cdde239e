"""A street at the nominal rate in virtual time: the daemon's pipeline and committer make records.

Twenty single-phase meters, ten points each, one reading a second, periods of 60 s. What it
commits is kept as it is: drafts, states, and when.

    commits = lived(minutes=60)
    assert len(summaries(commits)) == 60 * DEVICES
"""

import random
import struct
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import drivers
from edge.acquire.stage import Stage
from edge.config import load_site
from edge.core import Draft, Stamp, Sweep, sweep
from edge.gateway.ingest import Ingest
from edge.gateway.manifestschedule import ManifestSchedule
from edge.gateway.pipeline import Pipeline
from edge.gateway.urgentevents import UrgentEvents
from edge.gateway.windowcommitter import WindowCommitter
from edge.gateway.wiring import Wiring
from edge.health.progress import Progress
from edge.infer.judge import Judge, JudgeSetup
from edge.outbox import (
    Epoch,
    OpenReport,
    OwnerStates,
    StoredRecord,
)
from edge.outbox.outbox import NO_OWNER_STATES
from tests.kit.asread import as_read
from tests.kit.clock import NTP
from tests.kit.ports import CountedRetained, QuietBuses
from tests.kit.waiting import done

S: Final = 1_000_000_000
DEVICES: Final = 20
POINTS: Final = (
    "voltage_l1", "current_l1", "power", "apparent_power", "reactive_power", "power_factor",
    "phase_angle", "frequency", "energy_import", "energy_export",
)  # fmt: skip
PERIOD_S: Final = 60
WALL_0: Final = 1_789_999_200 * S  # a full hour
MONO_0: Final = 3600 * S  # the box has been up for an hour: windows end with the wall's minutes

SITE: Final = """
[site]
id = "street"
gateway = "gw-1"
period_s = {period_s}
[store]
run_dir = "{folder}"
[streams]
raw = {raw}
[privacy]
passages = true
[uplink]
url = "mqtt://localhost"
confirm = "broker"
[bus.meters]
kind = "modbus-tcp"
host = "localhost"
"""
DEVICE: Final = """
[device.meter_{unit}]
driver = "sdm120"
bus = "meters"
unit = {unit}
every_s = 1
points = [{points}]
"""


@dataclass(frozen=True, slots=True)
class Commit:
    """One transaction, as the daemon asks for it. `at_ns` is virtual monotonic time."""

    at_ns: int
    drafts: tuple[Draft, ...]
    states: Mapping[str, tuple[int, bytes]]

    @property
    def closes(self) -> bool:
        """A window ends with it."""
        return "engine" in self.states


class WanderingMeter:
    """What hangs on one circuit: a load that wanders, a mains that trembles."""

    def __init__(self, unit: int) -> None:
        self.source = f"meter_{unit}"
        self._rng = random.Random(unit)
        self._load = self._rng.uniform(0.5, 20.0)  # A
        self._mean = self._load
        self._swing = self._angle = 0.0
        self._energy = [self._rng.uniform(100, 9000), self._rng.uniform(0, 50)]

    def sweep(self, at_ns: int) -> Sweep:
        """Its registers one second later."""
        rng = self._rng
        self._swing = 0.97 * self._swing + rng.gauss(0, 0.5)
        self._load = max(0.0, self._load + 0.02 * (self._mean - self._load) + rng.gauss(0, 0.15))
        self._angle = 0.9 * self._angle + rng.gauss(0, 0.8)
        volts, factor = 230.0 + self._swing, 0.93 + 0.02 * rng.random()
        apparent = volts * self._load
        power = apparent * factor
        reactive = (apparent**2 - power**2) ** 0.5
        self._energy[0] += power / 3.6e6
        values = (
            volts, self._load, power, apparent, reactive, factor, 20.0 + self._angle,
            50.0 + rng.gauss(0, 0.01), round(self._energy[0], 2), round(self._energy[1], 2),
        )  # fmt: skip
        return sweep(self.source, at_ns, struct.unpack("10f", struct.pack("10f", *values)))


class RememberingWriter:
    """What the committer asks of the outbox's writer; it only remembers."""

    high_water_unsaved = False

    def __init__(self) -> None:
        self.epoch = Epoch(1 << 32, 1, False, None, False)
        self.opened = OpenReport()
        self.leftovers: list[StoredRecord] = []
        self.commits: list[Commit] = []

    async def state(self, owner: str) -> tuple[int, bytes] | None:
        return None

    async def commit(
        self,
        drafts: Sequence[Draft],
        states: OwnerStates = NO_OWNER_STATES,
        clock: Stamp | None = None,
    ) -> list[StoredRecord]:
        assert clock is not None, "a commit without its moment"
        self.commits.append(Commit(clock.mono_ns, tuple(drafts), dict(states)))
        return []


@dataclass(slots=True)
class VirtualGateway:
    """`live` lets time pass. It is its own clock. `models`: load them, else their rules answer."""

    folder: Path
    raw: bool = False
    models: bool = False
    now_ns: int = MONO_0
    kept: RememberingWriter = field(default_factory=RememberingWriter)
    swept: int = 0

    def now(self) -> Stamp:
        return Stamp(self.now_ns, WALL_0 - MONO_0 + self.now_ns, NTP)

    async def sleep_until(self, mono_ns: int) -> None:
        raise AssertionError("nobody sleeps here")

    def live(self, minutes: int) -> list[Commit]:
        """All commits of this time but for the one at the start."""
        file = self.folder / "site.toml"
        text = SITE.format(
            period_s=PERIOD_S, folder=self.folder, raw="true" if self.raw else "false"
        )
        points = ", ".join(f'"{point}"' for point in POINTS)
        devices = (DEVICE.format(unit=unit + 1, points=points) for unit in range(DEVICES))
        file.write_text(text + "".join(devices), "utf-8")
        wiring = Wiring.of(load_site(file, drivers.catalogue()))
        judge = Judge(JudgeSetup((), PERIOD_S * S))
        pipeline = Pipeline(wiring.setup(), judge)
        if self.models:
            pipeline.load()
        stage = Stage(self.folder, "boot")
        urgent = UrgentEvents(self)
        ingest = Ingest(wiring, pipeline, stage, self, urgent, CountedRetained())
        committer = WindowCommitter(
            wiring, pipeline, ingest, stage, self.kept, self, "boot",
            ManifestSchedule(900, None, self.now()),
            urgent=urgent, buses=QuietBuses(), box_monitor=None, watch=None,
            progress=Progress(),
            offer=lambda rows, now_ns: None,
        )  # fmt: skip
        done(committer.recover())
        self.kept.commits.clear()
        meters = [WanderingMeter(unit + 1) for unit in range(DEVICES)]
        # each is asked once a second, one after the other
        for second in range(minutes * 60 + 1):
            at_ns = MONO_0 + second * S
            batch = [meter.sweep(at_ns + n * 20_000_000) for n, meter in enumerate(meters)]
            self.now_ns = at_ns + 600_000_000
            ingest.sweeps(batch)
            self.swept += len(batch)
            done(committer.tick(self.now()))
        stage.close()
        return self.kept.commits


def lived(minutes: int, *, raw: bool = False, models: bool = False) -> list[Commit]:
    """Commits of so many minutes."""
    with tempfile.TemporaryDirectory(prefix="kerbstone-street-") as folder:
        return VirtualGateway(Path(folder), raw, models).live(minutes)


def summaries(commits: Sequence[Commit]) -> Iterator[Draft]:
    return (draft for commit in commits for draft in commit.drafts if "points" in as_read(draft))
