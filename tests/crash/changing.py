"""One box whose configuration is changed between two processes: the real pipeline, committer, stage
and outbox in virtual time, killed before or behind any write.

The wires go on whatever is configured: each line has its own traffic, each bus its own devices.
"""

import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from zlib import crc32

import drivers
from edge.acquire.stage import Stage
from edge.config import load_site
from edge.core import (
    Draft,
    Edge,
    Envelope,
    Point,
    PointKind,
    Record,
    Stamp,
    Stream,
    Sweep,
    all_good,
)
from edge.gateway.ingest import Ingest
from edge.gateway.manifestschedule import ManifestSchedule
from edge.gateway.urgentevents import UrgentEvents
from edge.gateway.windowcommitter import WindowCommitter
from edge.gateway.windowschedule import GRACE_NS
from edge.gateway.wiring import Wiring
from edge.health.progress import Progress
from edge.outbox import (
    CommitRider,
    Outbox,
    OwnerStates,
    StoredRecord,
)
from edge.outbox.outbox import NO_OWNER_STATES
from edge.platform.auditor import Auditor, AuditReport
from edge.process.merge import merge_bodies
from edge.wire import Topics, decode, encode, raw_sweeps
from tests.crash.configs import LINES, Config
from tests.kit.clock import NONE, NTP
from tests.kit.engine import MS, S
from tests.kit.lives import KilledError
from tests.kit.ports import CountedRetained, QuietBuses
from tests.kit.waiting import done

GW: Final = "gw-1"
TOPICS: Final = Topics("kerbstone/v1", "stadt", GW)
RATE: Final = 0.002  # of all registers, a second
BEGIN_NS: Final = 100 * S
TICK_NS: Final = 500 * MS
SLOT_NS: Final = 250 * MS
RUN_S: Final = 13  # of each process that nobody kills: two windows, and a bit


# -- the wires ------------------------------------------------------------------------------------


def high(line: str, at_ns: int) -> bool:
    """Each line is closed for a moment, in a rhythm of its own."""
    number = LINES.index(line)
    return (at_ns + number * 137 * MS) % ((900 + 250 * number) * MS) < (50 + 30 * number) * MS


def value(point: Point, at_ns: int) -> float:
    """Registers grow by 0.002 a second; any other stands where its key says, so that a value that
    comes out under another key is found."""
    if point.kind is PointKind.TOTAL:
        return round(1000 + RATE * (at_ns // S), 3)
    low, high_ = max(point.low, 0.0), min(point.high, 100.0)
    return low + (high_ - low) * (crc32(point.key.encode()) % 97 / 97)


# -- the box --------------------------------------------------------------------------------------


@dataclass(slots=True)
class ChangingStorage:
    """What is kept while no process runs, and what the wires have brought to any of them."""

    folder: Path
    now_ns: int = BEGIN_NS
    boot: int = 1
    kills: int = 0
    starts: int = 0
    swept: dict[tuple[str, int], tuple[str, ...]] = field(default_factory=dict)
    pulses: dict[tuple[str, float], int] = field(default_factory=dict)  # by name and constant
    polled: set[str] = field(default_factory=set)  # names that were, once
    watched: list[tuple[str, int, int]] = field(default_factory=list)  # source, from, to
    said: dict[str, set[float]] = field(default_factory=dict)  # all values of a key, no registers

    @property
    def store(self) -> Path:
        return self.folder / "store"

    @property
    def boot_id(self) -> str:
        return f"boot-{self.boot}"

    def reboot(self) -> None:
        """Nothing is left of the run directory."""
        self.boot += 1
        shutil.rmtree(self.folder / "run")
        (self.folder / "run").mkdir()

    def killed(self, outbox: Outbox) -> None:
        """What is on disk stays as it is: closing the connection would tidy it up."""
        self.kills += 1
        kept = self.folder / "kept"
        shutil.copytree(self.store, kept)
        if (disk := outbox._storage.disk) is not None:
            disk.close()
        shutil.rmtree(self.store)
        kept.rename(self.store)

    def records(self) -> list[Record]:
        """Everything: nothing was ever sent."""
        outbox = opened(self)
        outbox.begin()
        found: list[Record] = []
        after = 0
        while rows := outbox.pending(after, 500):
            found += (stored.record for stored in rows)
            after = rows[-1].row
        outbox.close()
        return found


def opened(box: ChangingStorage) -> Outbox:
    return Outbox.open(
        box.store, limit_bytes=16 << 20, boot_id=box.boot_id, run_dir=box.folder / "run",
        merge=merge_bodies, ballast_bytes=0,
    )  # fmt: skip


class DyingWriter:
    """What the committer asks of the writer, of a real outbox; killed before a commit, or after."""

    def __init__(self, box: ChangingStorage, life: "ConfiguredLife", rider: CommitRider) -> None:
        self._life, self._rider = life, rider
        self.outbox = opened(box)
        self.opened = self.outbox.opened
        self.epoch = self.outbox.begin()
        self.leftovers: list[StoredRecord] = self.outbox.leftovers

    @property
    def high_water_unsaved(self) -> bool:
        return self.outbox.high_water_unsaved

    async def state(self, owner: str) -> tuple[int, bytes] | None:
        return self.outbox.state(owner)

    async def commit(
        self,
        drafts: Sequence[Draft],
        states: OwnerStates = NO_OWNER_STATES,
        clock: Stamp | None = None,
    ) -> list[StoredRecord]:
        self._life.step()
        riding, kept = self._rider(drafts)
        stored = self.outbox.commit(drafts, {**states, **riding}, (), clock)
        kept()
        self._life.committed()
        self._life.step()
        return stored


class Fragile(Stage):
    """A stage whose process is killed before one of its writes."""

    def __init__(self, life: "ConfiguredLife", wiring: Wiring) -> None:
        super().__init__(life.box.folder / "run", life.box.boot_id, staged=wiring.staged())
        self._life = life

    def _append(self, entry: Any) -> None:
        self._life.step()
        super()._append(entry)

    def drop_others(self) -> None:
        self._life.step()
        super().drop_others()


class ConfiguredLife:
    """One process with one configuration; it dies after `left` steps."""

    def __init__(self, box: ChangingStorage, config: Config, left: int | None = None) -> None:
        self.box, self.left, self.steps = box, left, 0
        box.starts += 1
        file = box.folder / "site.toml"
        file.write_text(config.text(box.folder), "utf-8")
        site = load_site(file, drivers.catalogue())
        self.wiring, self._raw = Wiring.of(site), site.streams.raw
        self.pipeline = self.wiring.pipeline()
        self.stage = Fragile(self, self.wiring)
        urgent = UrgentEvents(self)
        self.ingest = Ingest(
            self.wiring, self.pipeline, self.stage, self, urgent, CountedRetained()
        )
        sealing = ManifestSchedule(900, None, self.now())
        self.kept = DyingWriter(box, self, sealing.manifests.riding)
        self.committer = WindowCommitter(
            self.wiring, self.pipeline, self.ingest, self.stage, self.kept, self, box.boot_id,
            sealing, urgent=urgent, buses=QuietBuses(), box_monitor=None, watch=None,
            progress=Progress(),
            offer=lambda rows, now_ns: None,
        )  # fmt: skip

    def now(self) -> Stamp:
        return Stamp(self.box.now_ns, 0, NONE)

    async def sleep_until(self, mono_ns: int) -> None:
        raise AssertionError("nobody sleeps here")

    def step(self) -> None:
        if self.left is not None and self.steps >= self.left:
            raise KilledError
        self.steps += 1

    def committed(self) -> None:
        """Something is on disk now."""

    def live(self, seconds: float, *, stop: bool = True) -> bool:
        """Whether it was still there at the end, and has stopped in order; else it is killed."""
        box = self.box
        try:
            done(self.committer.recover())
            from_ns = box.now_ns
            self._levels()
            end_ns, tick_ns = box.now_ns + int(seconds * S), box.now_ns
            while box.now_ns < end_ns:
                box.now_ns += SLOT_NS
                self._take(box.now_ns - SLOT_NS, box.now_ns)
                now = self.now()
                if now.mono_ns >= min(tick_ns + TICK_NS, self.committer.next_ns):
                    tick_ns = now.mono_ns
                    self.stage.mark(now.mono_ns - GRACE_NS)
                    self._watched(from_ns, now.mono_ns - GRACE_NS)
                    done(self.committer.tick(now))
            if not stop:
                raise KilledError
            done(self.committer.close(now.mono_ns, partial=True, last=True))
        except KilledError:
            self.stage.close()
            box.killed(self.kept.outbox)
            return False
        self.stage.close()
        self.kept.outbox.close()
        return True

    def _watched(self, from_ns: int, to_ns: int) -> None:
        """Whoever sums something up was watched then, as far as a kill leaves it known."""
        setup = self.pipeline.engine.setup
        names = [each.name for kind in (setup.lanes, setup.devices) for each in kind]
        names += [each.name for kind in (setup.pulses, setup.bays) for each in kind]
        self.box.watched += [(name, from_ns, to_ns) for name in names]

    def _levels(self) -> None:
        now_ns = self.box.now_ns
        self._edges(
            [Edge(line, high(line, now_ns), now_ns, 0) for line in self.wiring.lined if line]
        )

    def _take(self, from_ns: int, to_ns: int) -> None:
        edges = [
            Edge(line, high(line, at_ns), at_ns, 1)
            for at_ns in range(from_ns, to_ns, 10 * MS)
            for line in self.wiring.lined
            if high(line, at_ns) != high(line, at_ns - 10 * MS)
        ]
        if edges:
            self._edges(edges)
        if from_ns % S == 0 and (sweeps := [*self._sweeps(from_ns + 7 * MS)]):
            self.stage_first(sweeps)

    def _edges(self, edges: Sequence[Edge]) -> None:
        constants = {each.name: each.imp_per_kwh for each in self.pipeline.engine.setup.pulses}
        for edge in edges:
            name = self.wiring.lined[edge.line].source
            if edge.high and edge.seqno and name in constants:
                key = name, constants[name]
                self.box.pulses[key] = self.box.pulses.get(key, 0) + 1
        if edges:
            self.ingest.edges(edges)

    def stage_first(self, sweeps: Sequence[Sweep]) -> None:
        """What is lost with a kill is what had not reached the stage."""
        steps = self.steps
        try:
            self.ingest.sweeps(sweeps)
        finally:
            if self.steps > steps and self._raw:
                for each in sweeps:
                    keys = tuple(point.key for point in self.wiring.points()[each.source])
                    self.box.swept[each.source, each.mono_ns // 1000] = keys

    def _sweeps(self, at_ns: int) -> Iterator[Sweep]:
        for name, points in self.wiring.points().items():
            self.box.polled.add(name)
            values = tuple(value(point, at_ns) for point in points)
            for point, said in zip(points, values, strict=True):
                if point.kind is PointKind.GAUGE:
                    self.box.said.setdefault(point.key, set()).add(said)
            yield Sweep(name, at_ns, values, all_good(len(values)))


# -- what must be so ------------------------------------------------------------------------------


def raw_of(records: Sequence[Record]) -> list[tuple[tuple[str, int], tuple[str, ...]]]:
    """Each sweep of all raw records, with the keys of its points."""
    found = []
    for record in records:
        if record.key.stream is Stream.RAW:
            points, sweeps = raw_sweeps(record.body)
            found += [((s.source, s.mono_ns // 1000), points[s.source]) for s in sweeps]
    return found


def audit(records: Sequence[Record]) -> AuditReport:
    auditor = Auditor()
    for record in records:
        data = encode(record, Envelope(S, S, NTP), GW, "json")
        topic = TOPICS.record(record.key.stream, record.source)
        for message in decode(topic, data.data, data.content_type):
            auditor.take(message)
    return auditor.report()
