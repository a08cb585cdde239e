"""Whatever happens to disk, process and power: no committed row is lost without a word, no key has
two contents, every start succeeds, no epoch comes twice. The model knows what was committed."""

import shutil
import sqlite3
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest import mock

from hypothesis import example, given, settings
from hypothesis import strategies as st

from edge.core import Draft, Record, RecordKey, Stamp, Stream
from edge.outbox import Outbox, StoredRecord
from tests.kit.asread import as_read
from tests.kit.clock import NONE
from tests.kit.outbox import S, everything, text
from tests.long import examples
from tests.outbox.faulty import FaultyDisk, FaultyPlace, away, back

LIMIT = 1 << 20  # bytes; a quarter of it in memory
EXAMPLES = 30  # a few seconds: each opens a dozen databases


@dataclass
class FailoverModel:
    """One box over all of its starts."""

    folder: Path
    seen: dict[RecordKey, Any] = field(default_factory=dict)  # every record that ever showed itself
    owed: set[RecordKey] = field(
        default_factory=set
    )  # committed, and neither confirmed nor excused
    left: set[RecordKey] = field(default_factory=set)  # confirmed by a commit: never seen again
    under_way: list[StoredRecord] = field(
        default_factory=list
    )  # taken, perhaps before the disk failed
    epochs: list[int] = field(default_factory=list)
    declared: list[tuple[int, str, int, int | None]] = field(default_factory=list)
    now: int = 0
    made: int = 0
    is_away: bool = False
    boot: int = 1
    outbox: Outbox = field(init=False)

    def __post_init__(self) -> None:
        (self.folder / "run").mkdir()
        self.start()

    def start(self) -> None:
        self.under_way = []
        self.outbox = Outbox.open(
            self.folder / "outbox", limit_bytes=LIMIT, boot_id=f"b{self.boot}",
            run_dir=self.folder / "run", ballast_bytes=0,
        )  # fmt: skip
        self.epochs.append(self.outbox.begin().epoch)
        assert len(set(self.epochs)) == len(self.epochs), "an epoch twice"
        for stored in self.outbox.leftovers:
            self.see(stored.record)

    # -- what can happen ---------------------------------------------------------------------------

    def flood(self, stream: Stream) -> None:
        """More than there is room for."""
        for _ in range(7):
            self.commit(100, 1000, 1, stream)

    def commit(self, count: int, size: int, wait_s: int, stream: Stream = Stream.AIR) -> None:
        self.now += wait_s * S
        drafts = [
            Draft(
                Stream.EVENT if n % 5 == 4 else stream, "hut", self.now, self.now + 1,
                {"n": self.made + n, "text": text(self.made + n, size)},
            )
            for n in range(count)
        ]  # fmt: skip
        self.made += count
        self.committed(drafts)

    def committed(self, drafts: list[Draft], confirmed: tuple[int, ...] = ()) -> None:
        mark = Stamp(self.now, self.now, NONE)
        states = {"total": (1, b"%d" % self.made)}
        for stored in self.outbox.commit(drafts, states, confirmed, mark):
            self.see(stored.record)
            self.owed.add(stored.record.key)

    def confirm(self, count: int, reported: bool) -> None:
        """`reported`: the outbox has a commit to say so, and not only its journal."""
        taken = self.under_way or self.outbox.pending(0, count)
        rows = tuple(stored.row for stored in taken)
        self.outbox.journal.sent(rows)
        self.outbox.journal.confirmed(rows)
        for stored in taken:
            self.see(stored.record)
            self.arrived(stored)
        self.now += S
        if reported:
            self.committed([], rows)
            self.left |= {stored.record.key for stored in taken}
        self.under_way = self.outbox.pending(0, count) if reported else []  # for the next time

    def arrived(self, stored: StoredRecord) -> None:
        self.owed.discard(stored.record.key)
        self.declared += reported_by(stored.record)

    def kill(self) -> None:
        outbox = self.outbox
        if outbox._storage.disk is not None:
            outbox._storage.disk.close()
        outbox.journal.close()
        outbox._storage.commit_log._close()

    def power_cut(self) -> None:
        """What was in memory only is lost, and so is what was only there known to be lost."""
        outbox = self.outbox
        if outbox._storage.disk is None:
            self.left.clear()
            self.owed -= {
                RecordKey(row.epoch, Stream(row.stream), row.seq)
                for row in outbox._storage.memory.rows.values()
            }
            known = drops_of(outbox)
            for stored in outbox._read(list(outbox._storage.memory.rows.values()))[0]:
                known += reported_by(stored.record)
            self.owed -= {key for key in self.owed if covers(known, key)}
        self.kill()
        shutil.rmtree(self.folder / "run")
        (self.folder / "run").mkdir()
        self.boot += 1
        self.now = 0

    def card(self, there: bool) -> None:
        if there == self.is_away:
            (back if there else away)(self.folder / "outbox")
            self.is_away = not there

    # -- what must be true -------------------------------------------------------------------------

    def see(self, record: Record) -> None:
        what = (record.source, record.boot, record.from_ns, record.to_ns, as_read(record))
        assert self.seen.setdefault(record.key, what) == what, f"{record.key} has two contents"

    def end(self) -> None:
        FaultyDisk.heal()
        self.card(there=True)
        for _ in range(4):
            self.commit(1, 10, 40)
        assert self.outbox.counts().in_memory is None, "the disk works, and nobody goes back to it"
        self.outbox.close()
        self.start()
        for stored in everything(self.outbox):
            self.see(stored.record)
            assert stored.record.key not in self.left, "it was confirmed, and is there again"
            self.arrived(stored)
        said = [*self.declared, *drops_of(self.outbox)]
        lost = [key for key in self.owed if not covers(said, key)]
        assert lost == [], f"{len(lost)} rows are lost, and nobody says so"
        self.outbox.close()


def reported_by(record: Record) -> list[tuple[int, str, int, int | None]]:
    body = record.body
    if body.get("event") != "drop":
        return []
    return [(body["epoch_of"], body["stream_of"], body["range"][0], body["range"][1])]


def drops_of(outbox: Outbox) -> list[tuple[int, str, int, int | None]]:
    return [(e, s, drop.first, drop.last) for (e, s, _), drop in outbox._losses.pending.items()]


def covers(said: list[tuple[int, str, int, int | None]], key: RecordKey) -> bool:
    return any(
        (stream == "*" and key.epoch <= epoch)
        or (
            (epoch, stream) == (key.epoch, key.stream)
            and first <= key.seq
            and (last is None or key.seq <= last)
        )
        for epoch, stream, first, last in said
    )


CODES = [
    sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_FULL, sqlite3.SQLITE_READONLY,
]  # fmt: skip
STEPS = st.one_of(
    st.tuples(
        st.just("commit"), st.sampled_from([1, 5, 100]), st.sampled_from([10, 1000]),
        st.sampled_from([1, 40]),
    ),
    st.tuples(st.just("flood"), st.sampled_from([Stream.AIR, Stream.EVENT])),
    st.tuples(st.just("confirm"), st.sampled_from([1, 10, 200]), st.booleans()),
    st.tuples(
        st.just("fail"), st.sampled_from(CODES), st.integers(0, 60), st.booleans()
    ),
    st.tuples(st.just("heal")),
    st.tuples(st.sampled_from(["kill", "stop", "cut"]), st.booleans()),
    st.tuples(st.just("card")),
)  # fmt: skip


@settings(max_examples=examples(EXAMPLES))
@example([("flood", Stream.AIR), ("fail", sqlite3.SQLITE_IOERR, 16, False), ("kill", False)])
@given(st.lists(STEPS, min_size=3, max_size=40))
def test_nothing_is_lost_without_a_word(steps: list[tuple[Any, ...]]) -> None:
    shared = Path("/dev/shm")
    root = shared if shared.is_dir() else None
    with (
        tempfile.TemporaryDirectory(prefix="kerbstone-", dir=root) as folder,
        mock.patch("edge.outbox.outboxfolder.DiskOutbox", FaultyDisk),
        mock.patch("edge.outbox.outbox.OutboxFolder", FaultyPlace),
    ):
        FaultyDisk.heal()
        world = FailoverModel(Path(folder))
        try:
            for name, *values in steps:
                step(world, name, values)
            world.end()
        finally:
            FaultyDisk.heal()
            world.kill()


def step(world: FailoverModel, name: str, values: list[Any]) -> None:
    match name:
        case "commit":
            world.commit(*values)
        case "flood":
            world.flood(*values)
        case "confirm":
            world.confirm(*values)
        case "fail":
            FaultyDisk.fail(values[0], values[1], device=values[2])
        case "heal":
            FaultyDisk.heal()
        case "card":
            world.card(there=True)
        case _:
            {"kill": world.kill, "stop": world.outbox.close, "cut": world.power_cut}[name]()
            if values[0]:
                world.card(there=False)
            world.start()
