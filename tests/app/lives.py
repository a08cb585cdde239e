"""One gateway box through many lives: the daemon's order of stage, engine and commits, no threads.

What survives a kill is in `Box`: the stage in its tmpfs, and what was committed. A `Life` may be
ended before any write or commit; time is virtual, and the wires go on without it.
"""

import os
from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgpack

from edge.acquire.stage import Stage, read_back
from edge.app.pipeline import Pipeline
from edge.app.recover import Before, recover
from edge.app.windows import GRACE_NS, Windows
from edge.core import Contact, Draft, Envelope, Key, Record, Stamp, Stream, Sweep
from edge.infer.judge import Judge, JudgeSetup, LaneSite
from edge.platform.check import Auditor, Report
from edge.process.engine import Engine
from edge.process.setup import Setup
from edge.uplink.wire import Topics, decode, encode
from tests.process.build import AIR, ENERGY, HEAT, METER, MS, PAIR, SINGLE, S, car, presences, sweeps

PERIOD_NS = 5 * S
TICK_NS = 500 * MS
SLOT_NS = 100 * MS  # how often the wires bring something
DRIVE_S = 30.0  # how long vehicles pass
GW, TOPICS = "gw-1", Topics("kerbstone/v1", "stadt", "gw-1")
SETUP = Setup((PAIR, SINGLE), (AIR, METER), (HEAT,), PERIOD_NS)
LANES = tuple(LaneSite(lane.name, lane.approach, "corridor") for lane in (PAIR, SINGLE))


class KilledError(Exception):
    """-9."""


class Wires:
    """What passes on all wires, in monotonic time; the same in every test."""

    def __init__(self) -> None:
        contacts: list[Contact] = []
        for i in range(int(DRIVE_S / 1.7)):
            contacts += car("north_1", 0.36 + 1.7 * i, 40 + 3 * (i % 5))
        for i in range(int(DRIVE_S / 2.3)):
            contacts += presences("east_1.lead", (0.91 + 2.3 * i, 1.52 + 2.3 * i))
        for i in range(int(DRIVE_S / 0.9)):
            contacts += presences("heat", (0.53 + 0.9 * i, 0.58 + 0.9 * i))
        self.contacts = sorted(contacts, key=lambda c: c.mono_ns)
        seconds = [0.25 + i for i in range(int(DRIVE_S) + 40)]
        self.sweeps = sorted(
            sweeps("hut_air", [(t, (9.5 + t % 3, 20.0)) for t in seconds])
            + sweeps("main_meter", [(t, (7200.0, self.register(t))) for t in seconds]),
            key=lambda s: s.mono_ns,
        )
        self._at = [c.mono_ns for c in self.contacts], [s.mono_ns for s in self.sweeps]

    @staticmethod
    def register(t_s: float) -> float:
        """7.2 kW are 0.002 kWh a second."""
        return round(1000.0 + 0.002 * int(t_s), 3)

    def between(self, from_ns: int, to_ns: int) -> tuple[list[Contact], list[Sweep]]:
        at_contacts, at_sweeps = self._at
        return (
            self.contacts[bisect_left(at_contacts, from_ns) : bisect_left(at_contacts, to_ns)],
            self.sweeps[bisect_left(at_sweeps, from_ns) : bisect_left(at_sweeps, to_ns)],
        )

    def levels(self, at_ns: int) -> list[Contact]:
        """What is found when the lines are opened."""
        found = dict.fromkeys(("north_1.lead", "north_1.trail", "east_1.lead", "heat"), False)
        for contact in self.between(0, at_ns)[0]:
            found[contact.source] = contact.on
        return [Contact(source, on, at_ns, initial=True) for source, on in found.items()]

    def rises(self, source: str) -> list[int]:
        return [c.mono_ns for c in self.contacts if c.source == source and c.on]


WIRES = Wires()


class FragileStage(Stage):
    """A stage whose process is killed after `left` more of its writes; the last may be torn."""

    def __init__(self, folder: Path, boot: str, life: "Life") -> None:
        super().__init__(folder, boot)
        self._life = life

    def _append(self, entry: Any) -> None:
        try:
            self._life.step()
        except KilledError:
            if self._life.torn and self._fd >= 0:
                super()._append(entry)
                os.truncate(self._path(self.number), os.path.getsize(self._path(self.number)) - 3)
            raise
        super()._append(entry)


class Box:
    """What is kept while no process runs. `zero_ns` is the wires' time 0 in this boot's time."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.boot, self.boot_id, self.zero_ns = 1, "boot-1", 0
        self.epoch = 0
        self.numbers: dict[Stream, int] = {}
        self.records: list[Record] = []
        self.states: dict[str, bytes] = {}
        self.kills = 0

    def __repr__(self) -> str:
        return f"<box with {len(self.records)} records after {self.kills} kills>"

    def commit(self, drafts: Sequence[Draft], states: Mapping[str, Any]) -> None:
        for draft in drafts:
            seq = self.numbers[draft.stream] = self.numbers.get(draft.stream, 0) + 1
            key = Key(self.epoch, draft.stream, seq)
            body = msgpack.unpackb(msgpack.packb(draft.body))
            at = draft.from_ns, draft.to_ns
            self.records.append(Record(key, draft.source, self.boot, *at, body))
        self.states |= {owner: msgpack.packb(state) for owner, state in states.items()}

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

    def gaps(self) -> list[tuple[int, int]]:
        """What gap events name, in ns of the wires; but for a first start at 0. Of one boot only.

        Before the first start nobody watched: that is a gap from -1 on. What overlaps is one.
        """
        pairs = [r.body["gap"] for r in self.events("gap")]
        found: list[tuple[int, int]] = []
        for begin, end in sorted((-1 if a is None else a * 1000, b * 1000) for a, b in pairs):
            if found and begin <= found[-1][1]:
                begin, end = found[-1][0], max(end, found.pop()[1])
            found.append((begin, end))
        return [gap for gap in found if gap != (-1, 0)]

    def audit(self) -> Report:
        auditor = Auditor()
        for record in self.records:
            data = encode(record, Envelope(S, S, "ntp"), GW, "json")
            topic = TOPICS.record(record.key.stream, record.source)
            for message in decode(topic, data.data, data.content_type):
                auditor.take(message)
        return auditor.report()


class Life:
    """One process. `run` lets time pass; it raises KilledError after `left` steps."""

    def __init__(self, box: Box, now_ns: int, left: int | None = None, torn: bool = False) -> None:
        self.box, self.left, self.torn = box, left, torn
        self.steps = 0
        self.now_ns = now_ns  # of the wires
        self.pipeline = Pipeline(Engine(SETUP), Judge(JudgeSetup(LANES, PERIOD_NS)))
        self.stage = FragileStage(box.folder, box.boot_id, self)
        self.windows = Windows(PERIOD_NS, self.stamp)
        former = None if not box.epoch else {"epoch": box.epoch, "last": self._last()}
        box.epoch, box.numbers = box.epoch + (1 << 32), {}
        self._begin(former)

    @property
    def mono_ns(self) -> int:
        return self.now_ns + self.box.zero_ns

    @property
    def stamp(self) -> Stamp:
        return Stamp(self.mono_ns, 0, "none")

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
            contacts, swept = WIRES.between(self.now_ns - SLOT_NS, self.now_ns)
            self.take(contacts, swept)
            if self.now_ns >= tick_ns + TICK_NS:
                tick_ns = self.now_ns
                self.stage.mark(self.mono_ns - GRACE_NS)
            if self.mono_ns >= self.windows.end_ns + GRACE_NS:
                end_ns = self.windows.end_ns
                drafts = self.pipeline.close(end_ns)
                self.windows.opened(Stamp(end_ns, 0, "none"))
                self._segment(end_ns, drafts)

    def take(self, contacts: Sequence[Contact], swept: Sequence[Sweep]) -> None:
        """What the wires bring, in their time."""
        zero_ns = self.box.zero_ns
        moved = [Contact(c.source, c.on, c.mono_ns + zero_ns, c.lost, c.initial) for c in contacts]
        later = [Sweep(s.source, s.mono_ns + zero_ns, s.values, s.qualities) for s in swept]
        if moved:
            self.stage.add_contacts(moved)
            self.pipeline.contacts(moved)
        if later:
            self.stage.add_sweeps(later)
            self.pipeline.sweeps(later)

    def stop(self) -> None:
        """As systemd stops it: the open window is closed short."""
        drafts = self.pipeline.close(self.mono_ns, partial=True)
        self.windows.opened(self.stamp)
        self._segment(self.mono_ns, drafts)
        self.stage.close()

    def _last(self) -> dict[str, int]:
        return {str(stream): number for stream, number in self.box.numbers.items()}

    def _begin(self, former: dict[str, Any] | None) -> None:
        box, before = self.box, None
        if "app" in box.states:
            before = Before.parse(msgpack.unpackb(box.states["app"]))
            self.pipeline.engine.restore(msgpack.unpackb(box.states["engine"]))
        since = 0 if before is None else before.segment
        segments = read_back(box.folder, box.boot_id, since)
        found = recover(
            self.pipeline, before, box.boot, segments, self.mono_ns, self.windows.end_ns, former
        )
        self.windows.end_ns = found.end_ns
        self.stage.number = max((s.number for s in segments), default=since)
        self._segment(found.start_ns, found.drafts)
        for gap in found.gaps:
            self.stage.gap(*gap)
        self.take(WIRES.levels(self.now_ns), [])

    def _segment(self, start_ns: int, drafts: Sequence[Draft]) -> None:
        contacts, swept = self.pipeline.engine.pending()
        number = self.stage.rotate(start_ns, self.windows.end_ns, contacts, swept)
        before = Before(self.box.boot, number, start_ns, (number, self.stage.sweeps))
        self.step()
        states = {"engine": self.pipeline.snapshot(), "app": before.packed()}
        self.box.commit(drafts, states)
        self.step()
        self.stage.drop_others()


def lived(box: Box, kills: Sequence[tuple[int, int]], *, torn: bool = False) -> Box:
    """A box whose process is killed after so many writes, and away for so many ns; then it lives on
    until all vehicles have passed and their windows are closed."""
    now_ns = 0
    for left, away_ns in kills:
        try:
            life = None
            life = Life(box, now_ns, left, torn)
            life.run(end_ns(now_ns))
            return closed(life)
        except KilledError:
            # killed while it began: no time has passed for the wires
            now_ns = (life.now_ns if life is not None else now_ns) + away_ns
            now_ns -= now_ns % SLOT_NS
    life = Life(box, now_ns)
    life.run(end_ns(now_ns))
    return closed(life)


def end_ns(now_ns: int) -> int:
    return max(int(DRIVE_S * S), now_ns) + 2 * PERIOD_NS


def closed(life: Life) -> Box:
    life.stop()
    return life.box


def volumes(box: Box, lane: str) -> int:
    return sum(record.body["volume"] or 0 for record in box.of(lane))


def steps_of(record: Record, key: str, name: str) -> int | None:
    """A number of a total in whole steps."""
    point = record.body["points"][key]
    return None if point[name] is None else round(point[name] / point["step"])


def grown(box: Box, source: str) -> int:
    """All growth of the source's energy, in steps."""
    key = ENERGY.key
    return sum(steps_of(record, key, "delta") or 0 for record in box.of(source))


def ends(box: Box, source: str) -> Iterator[int]:
    """The first and the last value of its register, in steps."""
    for records, name in ((box.of(source), "first"), (box.of(source)[::-1], "last")):
        values = [steps_of(record, ENERGY.key, name) for record in records]
        yield next(value for value in values if value is not None)
