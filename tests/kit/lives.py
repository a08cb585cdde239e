"""One box through many lives: the daemon's own committer, ingest and stage, without threads.

What survives a kill is in `GatewayStorage`: the stage in its tmpfs, and what was committed. A
`GatewayLife` may be ended before any write or commit; time is virtual, and the wires go on without
it.

    box = GatewayStorage(tmp_path)
    life = GatewayLife(box, now_ns=0, left=7)
    with contextlib.suppress(KilledError):
        life.run(60 * S)
"""

import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import msgspec

import drivers
from edge.acquire.stage import Stage
from edge.config import Site, load_site
from edge.core import Contact, Draft, Edge, Envelope, Record, RecordKey, Stamp, Stream, Sweep
from edge.gateway.boxchange import BoxChange
from edge.gateway.boxmonitor import BoxMonitor
from edge.gateway.ingest import Ingest
from edge.gateway.manifestschedule import ManifestSchedule
from edge.gateway.pipeline import Pipeline
from edge.gateway.recover import GAP_TEXTS
from edge.gateway.urgentevents import UrgentEvents
from edge.gateway.windowcommitter import WindowCommitter
from edge.gateway.windowschedule import GRACE_NS
from edge.gateway.wiring import Wiring
from edge.health.progress import Progress
from edge.infer.judge import Judge, JudgeSetup, LaneSite
from edge.outbox import (
    CommitRider,
    Epoch,
    OpenReport,
    OwnerStates,
    PreviousStart,
    StoredRecord,
)
from edge.outbox.outbox import NO_OWNER_STATES
from edge.platform.auditor import Auditor, AuditReport
from edge.wire import Topics, decode, encode
from tests.kit.asread import as_read
from tests.kit.clock import NONE, NTP
from tests.kit.engine import MS, S
from tests.kit.ports import CountedRetained, QuietBuses
from tests.kit.waiting import done
from tests.kit.wires import DRIVE_S, ENERGY, LINES, WIRES

PERIOD_NS = 5 * S
TICK_NS = 500 * MS
SLOT_NS = 100 * MS  # how often the wires bring something
GW, TOPICS = "gw-1", Topics("kerbstone/v1", "stadt", "gw-1")
SITE = """
[site]
id = "stadt"
gateway = "gw-1"
period_s = 5
[store]
run_dir = "/run"
[uplink]
url = "mqtt://localhost"
confirm = "broker"
[bus.loops]
kind = "gpio"
[bus.meters]
kind = "modbus-tcp"
host = "localhost"
[bus.dust]
kind = "serial"
port = "/dev/null"
[lane.north_1]
approach = "north"
bus = "loops"
lead = "a"
trail = "b"
spacing_m = 4.0
active = "high"
[lane.east_1]
approach = "east"
bus = "loops"
lead = "c"
active = "high"
[device.heat]
driver = "s0"
bus = "loops"
line = "d"
active = "high"
[device.hut_air]
driver = "pms5003"
bus = "dust"
[device.main_meter]
driver = "sdm120"
bus = "meters"
unit = 1
"""


class KilledError(Exception):
    """-9."""


@cache
def template(text: str = SITE) -> Site:
    """The site of all boxes, or another one."""
    with tempfile.NamedTemporaryFile("w", suffix=".toml") as file:
        file.write(text)
        file.flush()
        return load_site(Path(file.name), drivers.catalogue())


def placed(folder: Path, text: str = SITE) -> Site:
    """It, with this folder as its tmpfs."""
    site = template(text)
    store = msgspec.structs.replace(site.store, run_dir=str(folder))
    return replace(site, store=store)


class FragileStage(Stage):
    """A stage whose process is killed before one of its writes; that one may be torn."""

    def __init__(self, folder: Path, boot: str, life: "GatewayLife") -> None:
        super().__init__(folder, boot, staged=life.box.wiring.staged())
        self._life = life

    def _append(self, entry: Any) -> None:
        try:
            self._life.step()
        except KilledError:
            if self._life.torn and self._file is not None:
                super()._append(entry)
                path = self._path(self.number)
                os.truncate(path, path.stat().st_size - 3)
            raise
        super()._append(entry)

    def drop_others(self) -> None:
        self._life.step()
        super().drop_others()


class FragileWriter:
    """What the committer asks of the outbox's writer. The process may be killed before a commit."""

    def __init__(self, box: "GatewayStorage", life: "GatewayLife", rider: CommitRider) -> None:
        self._box, self._life, self._rider = box, life, rider
        box.start()
        self.epoch = Epoch(box.epoch, box.boot, True, box.former, True)
        self.opened = OpenReport()
        self.leftovers: list[StoredRecord] = []  # nothing is sent here

    high_water_unsaved = False  # its card takes everything

    async def state(self, owner: str) -> tuple[int, bytes] | None:
        return self._box.states.get(owner)

    async def commit(
        self,
        drafts: Sequence[Draft],
        states: OwnerStates = NO_OWNER_STATES,
        clock: Stamp | None = None,
    ) -> list[StoredRecord]:
        self._life.step()
        riding, kept = self._rider(drafts)
        self._box.commit(drafts, {**states, **riding})
        kept()
        return []


class GatewayStorage:
    """What is kept while no process runs. `zero_ns` is the wires' time 0 in this boot's time;
    `text` is its configuration."""

    def __init__(self, folder: Path, text: str = SITE) -> None:
        self.folder = folder
        self.boot, self.boot_id, self.zero_ns = 1, "boot-1", 0
        self.epoch = 0
        self.former: PreviousStart | None = None
        self.numbers: dict[str, int] = {}
        self.records: list[Record] = []
        self.states: dict[str, tuple[int, bytes]] = {}
        self.kills = 0
        self.site = placed(folder, text)
        self.wiring = Wiring.of(self.site)

    def __repr__(self) -> str:
        return f"<box with {len(self.records)} records after {self.kills} kills>"

    def start(self) -> None:
        """A new epoch, which knows the last one that numbered anything."""
        if self.numbers:
            self.former = PreviousStart(self.epoch, self.boot, self.numbers)
        self.epoch, self.numbers = self.epoch + (1 << 32), {}

    def commit(self, drafts: Sequence[Draft], states: Mapping[str, tuple[int, bytes]]) -> None:
        for draft in drafts:
            seq = self.numbers[draft.stream] = self.numbers.get(draft.stream, 0) + 1
            key = RecordKey(self.epoch, draft.stream, seq)
            body = as_read(draft)
            at = draft.from_ns, draft.to_ns
            self.records.append(Record(key, draft.source, self.boot, *at, body))
        self.states |= states

    def stage(self) -> list[Path]:
        return sorted(self.folder.glob("stage.*"))

    def reboot(self, zero_ns: int) -> None:
        """The power comes back: another boot's clock, and its tmpfs is empty."""
        self.boot, self.boot_id, self.zero_ns = self.boot + 1, f"boot-{self.boot + 1}", zero_ns
        for path in self.folder.iterdir():
            path.unlink()

    def of(self, source: str) -> list[Record]:
        """Records of a source in the order of its time, events apart."""
        found = [r for r in self.records if r.source == source and r.key.stream != Stream.EVENT]
        return sorted(found, key=lambda r: (r.boot, r.from_ns))

    def events(self, kind: str) -> list[Record]:
        return [r for r in self.records if r.body.get("event") == kind]

    def gaps(self, lines: bool = True) -> list[tuple[int, int]]:
        """What gap events name, in ns of the wires; but for a first start at 0. Of one boot only.

        Without `lines` not those in which only lines were not open yet. Before the first start
        nobody watched: that is a gap from -1 on. What overlaps is one.
        """
        reported = (r.body for r in self.events("gap"))
        pairs = [body["gap"] for body in reported if lines or body["text"] != GAP_TEXTS["opening"]]
        found: list[tuple[int, int]] = []
        for begin, end in sorted((-1 if a is None else a * 1000, b * 1000) for a, b in pairs):
            if found and begin <= found[-1][1]:
                begin, end = found[-1][0], max(end, found.pop()[1])
            found.append((begin, end))
        return [gap for gap in found if gap != (-1, 0)]

    def audit(self) -> AuditReport:
        auditor = Auditor()
        for record in self.records:
            data = encode(record, Envelope(S, S, NTP), GW, "json")
            topic = TOPICS.record(record.key.stream, record.source)
            for message in decode(topic, data.data, data.content_type):
                auditor.take(message)
        return auditor.report()


class GatewayLife:
    """One process. `run` lets time pass; it raises KilledError after `left` steps."""

    def __init__(
        self,
        box: GatewayStorage,
        now_ns: int,
        left: int | None = None,
        torn: bool = False,
        opening_ns: int | None = 0,
        serial: str | None = None,
    ) -> None:
        """`serial`: of the board on which it runs; None: nobody asks which one it is."""
        self.box, self.left, self.torn = box, left, torn
        self.steps = 0
        self.now_ns = now_ns  # of the wires
        wiring = box.wiring
        lanes = tuple(
            LaneSite(name, one.approach, one.position) for name, one in box.site.lanes.items()
        )
        judge = Judge(JudgeSetup(lanes, PERIOD_NS))
        self.pipeline = Pipeline(wiring.setup(), judge)
        self.stage = FragileStage(box.folder, box.boot_id, self)
        self.urgent, self.buses = UrgentEvents(self), QuietBuses()
        self.retained = CountedRetained()
        self.ingest = Ingest(wiring, self.pipeline, self.stage, self, self.urgent, self.retained)
        sealing = ManifestSchedule(900, None, self.now())
        writer = FragileWriter(box, self, sealing.manifests.riding)
        self.offered: list[Sequence[StoredRecord]] = []  # of each commit
        self.box_monitor = self.watch_box()
        self.committer = WindowCommitter(
            wiring, self.pipeline, self.ingest, self.stage, writer, self, box.boot_id, sealing,
            urgent=self.urgent, buses=self.buses, box_monitor=self.box_monitor, watch=None,
            progress=Progress(),
            box_change=None if serial is None else BoxChange(box.folder, serial),
            offer=lambda rows, now_ns: self.offered.append(rows),
        )  # fmt: skip
        done(self.committer.recover())
        self.deaf = opening_ns is None  # its lines never open
        self.now_ns += opening_ns or 0  # a bus takes its time
        self.take(WIRES.levels(self.now_ns), [])

    def watch_box(self) -> BoxMonitor | None:
        """Who watches the box itself: here nobody."""
        return None

    # it is its own clock

    def now(self) -> Stamp:
        return Stamp(self.now_ns + self.box.zero_ns, 0, NONE)

    async def sleep_until(self, mono_ns: int) -> None:
        raise AssertionError("nobody sleeps here")

    def step(self) -> None:
        """Something is about to be written."""
        if self.left is not None and self.steps >= self.left:
            self.box.kills += 1
            raise KilledError
        self.steps += 1

    def run(self, until_ns: int) -> None:
        """Until then, slot by slot: first what the wires bring, then what the daemon does."""
        tick_ns = self.now_ns
        while self.now_ns < until_ns:
            self.now_ns += SLOT_NS
            self.take(*WIRES.between(self.now_ns - SLOT_NS, self.now_ns))
            now = self.now()
            if self.now_ns >= tick_ns + TICK_NS or now.mono_ns >= self.committer.next_ns:
                tick_ns = self.now_ns
                self.stage.mark(now.mono_ns - GRACE_NS)
                done(self.committer.tick(now))

    def take(self, contacts: Sequence[Contact], swept: Sequence[Sweep]) -> None:
        """What the wires bring, in their time: all contacts are closed by a high level."""
        zero_ns = self.box.zero_ns
        if contacts and not self.deaf:
            self.ingest.edges(
                [
                    Edge(LINES[c.source], c.on, c.mono_ns + zero_ns, 0 if c.initial else 1)
                    for c in contacts
                ]
            )
        if swept:
            self.ingest.sweeps(
                [Sweep(s.source, s.mono_ns + zero_ns, s.values, s.qualities) for s in swept]
            )

    def stop(self) -> None:
        """As systemd stops it: the open window is closed short."""
        done(self.committer.close(self.now().mono_ns, partial=True, last=True))
        self.stage.close()


def lived(
    box: GatewayStorage, kills: Sequence[tuple[int, int]], *, torn: bool = False
) -> GatewayStorage:
    """A box whose process is killed after so many writes, and away for so many ns; then it lives on
    until all vehicles have passed and their windows are closed."""
    now_ns = 0
    for left, away_ns in kills:
        life = None
        try:
            life = GatewayLife(box, now_ns, left, torn)
            life.run(end_ns(now_ns))
            return closed(life)
        except KilledError:
            # killed while it began: no time has passed for the wires
            now_ns = (life.now_ns if life is not None else now_ns) + away_ns
    life = GatewayLife(box, now_ns)
    life.run(end_ns(now_ns))
    return closed(life)


def end_ns(now_ns: int) -> int:
    return max(int(DRIVE_S * S), now_ns) + 2 * PERIOD_NS


def closed(life: GatewayLife) -> GatewayStorage:
    life.stop()
    return life.box


def volumes(box: GatewayStorage, lane: str) -> int:
    return sum(record.body["volume"] or 0 for record in box.of(lane))


def steps_of(record: Record, name: str) -> int | None:
    """A number of the record's energy, in whole steps."""
    point = record.body["points"][ENERGY]
    return None if point[name] is None else round(point[name] / point["step"])


def grown(box: GatewayStorage, source: str) -> int:
    """All growth of the source's energy, in steps."""
    return sum(steps_of(record, "delta") or 0 for record in box.of(source))


def ends(box: GatewayStorage, source: str) -> Iterator[int]:
    """The first and the last value of its register, in steps."""
    for records, name in ((box.of(source), "first"), (box.of(source)[::-1], "last")):
        values = [steps_of(record, name) for record in records]
        yield next(value for value in values if value is not None)
