"""Whatever is handed over, killed or cut off: a row that has gone is never changed or merged."""

import random
import shutil
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edge.core import Record, Stamp
from edge.outbox import StoredRecord
from edge.outbox.diskoutbox import DiskOutbox
from tests.kit.clock import NTP
from tests.kit.outbox import everything
from tests.kit.power import PowerCut
from tests.long import examples
from tests.outbox.test_downsample import SOURCES, WALL, S, covered, minute, opened


class DarkDisk(DiskOutbox):
    """Goes dark after so many statements."""

    left = 1 << 60

    def change(self, statement: str, values: object) -> int:
        DarkDisk.left -= 1
        if DarkDisk.left < 0:
            raise PowerCut
        return super().change(statement, values)  # type: ignore[arg-type]

    def set_meta(self, values: object) -> None:
        DarkDisk.left -= 1
        if DarkDisk.left < 0:
            raise PowerCut
        super().set_meta(values)  # type: ignore[arg-type]


class DyingSender:
    """A daemon with a sender that does what it may, and remembers what it has handed over."""

    def __init__(self, folder: Path, rng: random.Random) -> None:
        self.folder, self.rng = folder, rng
        self.handed: dict[tuple[int, str, int], Record] = {}
        self.at = 0
        self.merged = 0
        self.begin()

    def begin(self) -> None:
        DarkDisk.left = 1 << 60
        self.outbox = opened(self.folder, 8 << 20, boot=f"b{self.rng.randrange(3)}")
        self.queue: list[StoredRecord] = []  # held as live
        self.up, self.after, self.highest = False, 0, 0

    def live(self) -> None:
        for _ in range(self.rng.randrange(1, 40)):
            self.at += 1
            drafts = [minute(self.at, source, 20) for source in SOURCES]
            now_ns = (self.at + 1) * 60 * S
            # the sender holds for ten seconds, if at all; a minute is more
            self.queue = self.outbox.commit(drafts, clock=Stamp(now_ns, WALL + now_ns, NTP))
            if self.up and self.rng.random() < 0.7:
                self.hand(self.queue)

    def link(self) -> None:
        if self.up:
            self.outbox.unlinked(self.highest)
        else:
            first = min((s.row for s in self.queue), default=1 << 62)
            self.outbox.linked(first if self.rng.random() < 0.7 else 1 << 62)
            self.after = 0
            self.hand(self.queue)
        self.up = not self.up

    def drain(self) -> None:
        if self.up:
            for _ in range(self.rng.randrange(1, 4)):
                rows = self.outbox.take(self.after, self.rng.randrange(1, 60))
                if rows:
                    self.after = rows[-1].row
                    self.hand(rows)

    def hand(self, rows: list[StoredRecord]) -> None:
        for stored in rows:
            key = stored.record.key
            self.handed[key.epoch, str(key.stream), key.seq] = stored.record
            self.highest = max(self.highest, stored.row)

    def downsample(self) -> None:
        disk = self.outbox._storage.disk
        assert disk is not None
        for _ in range(self.rng.randrange(1, 30)):
            if not self.outbox._handover.make_room(disk):
                break
        self.merged = self.outbox.counts().downsampled

    def arrive(self) -> None:
        if self.up and self.rng.random() < 0.5:
            rows = [s.row for s in everything(self.outbox) if key(s) in self.handed]
            self.outbox.commit([], confirmed=self.rng.sample(rows, len(rows) // 2))

    def die(self) -> None:
        """Killed, or the power goes in the middle of something."""
        disk = self.outbox._storage.disk
        assert disk is not None
        disk._db.close()  # what is committed is on the card, whatever comes
        self.begin()

    def check(self) -> None:
        for stored in everything(self.outbox):
            for number in covered(stored):
                epoch, stream, _ = key(stored)
                reported = self.handed.get((epoch, stream, number))
                assert reported is None or reported == stored.record, (
                    "it has gone as something else"
                )


def key(stored: StoredRecord) -> tuple[int, str, int]:
    found = stored.record.key
    return found.epoch, str(found.stream), found.seq


@settings(deadline=None, max_examples=examples(12), suppress_health_check=list(HealthCheck))
@given(st.integers(0, 1 << 30))
def test_a_row_that_was_handed_over_is_never_merged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    monkeypatch.setattr("edge.outbox.outboxfolder.DiskOutbox", DarkDisk)
    monkeypatch.setattr("edge.outbox.mergeable.STRIDE", 20)
    rng = random.Random(seed)
    folder = tmp_path / str(seed)
    street = DyingSender(folder, rng)
    acts = [street.live] * 3 + [
        street.link,
        street.drain,
        street.drain,
        street.downsample,
        street.arrive,
    ]
    for _ in range(60):
        if rng.random() < 0.1:
            DarkDisk.left = rng.randrange(1, 40)
        try:
            rng.choice(acts)()
        except PowerCut:
            street.die()
        if rng.random() < 0.05:
            street.die()
        street.check()
    DarkDisk.left = 1 << 60
    street.outbox.close()
    shutil.rmtree(folder)


def test_such_a_life_does_merge_and_hand_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edge.outbox.mergeable.STRIDE", 20)
    street = DyingSender(tmp_path, random.Random(5))
    for act in (street.live, street.link, street.drain, street.live, street.link, street.live):
        act()
        street.downsample()
        street.check()
    assert street.merged > 0
    assert street.handed
    street.outbox.close()
