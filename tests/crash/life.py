"""The life of one outbox on a card whose power goes again and again, with a model beside it."""

import base64
import contextlib
import ctypes
import random
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from unittest import mock

from edge.core import Draft, Stamp, Stream
from edge.outbox import Outbox, StoredRecord
from tests.crash.calls import watching
from tests.crash.card import PowerCutCard
from tests.crash.model import CheckFindings, Model
from tests.crash.vfs import CardVfs
from tests.kit.clock import NONE
from tests.kit.power import PowerCut
from tests.kit.promises import Wish, everything, merge

LIMIT: Final = 1 << 20  # bytes: the smallest, so that room runs out
S: Final = 1_000_000_000
BALLAST: Final = 32 << 10
PERIOD_NS: Final = 60 * S
SUMMARIES: Final = [
    (stream, source) for stream in (Stream.TRAFFIC, Stream.AIR, Stream.ENERGY) for source in "abc"
]
RARE: Final = [Stream.EVENT, Stream.REGISTER, Stream.MANIFEST, Stream.HEALTH, Stream.BAY]


@dataclass(slots=True)
class LifeTally:
    """What many lives have come to."""

    cuts: int = 0
    kills: int = 0
    inside: int = 0  # of the cuts: while it was opened
    acknowledged: int = 0
    lost: int = 0
    twice: int = 0
    declared: int = 0
    over: int = 0
    merged: int = 0
    starts: int = 0
    failed: int = 0  # starts after which nothing could be kept on the card
    quarantined: int = 0
    damaged: int = 0
    doubtful: int = 0  # starts behind a commit that was torn
    wrong: list[str] = field(default_factory=list)

    def add(self, other: "LifeTally") -> None:
        for name in self.__slots__:
            setattr(self, name, getattr(self, name) + getattr(other, name))

    def __str__(self) -> str:
        names = [name for name in self.__slots__ if name != "wrong"]
        return ", ".join(f"{name} {getattr(self, name)}" for name in names)


class OutboxLife:
    """`live` for so many deaths. Everything follows from the seed."""

    def __init__(
        self,
        sqlite: ctypes.CDLL,
        root: Path,
        seed: int,
        lie: float = 0.0,
        pragmas: Sequence[str] = (),
    ) -> None:
        self.rng = random.Random(seed)
        self.card = PowerCutCard(root, self.rng, lie)
        self.vfs = CardVfs(sqlite, self.card)
        self.folder, self.run_dir = self.card.folder / "store", root / "run"
        self.run_dir.mkdir()
        self.model = Model()
        self.tally = LifeTally()
        self.lies = lie > 0
        self._seed, self._pragmas = seed, pragmas
        self._boots = 0
        self._n = 0
        self._now_ns = S
        self._waiting: list[StoredRecord] = []  # told to the journal, not yet to a commit
        self._killed_only = True  # since the last check
        self._busy = 0.0
        self._taken = 0  # the last row that the present link has had

    def live(self, deaths: int) -> LifeTally:
        with self.powered():
            for _ in range(deaths):
                self._until_death()
                self._die()
                if self.rng.random() < 0.7:
                    self._look()
            self._look()
        return self.tally

    def linked_while_it_dies(self, after: int) -> bool:
        """One death, `after` so many operations of the moment in which a link is there; then the
        process is killed. Nothing in tmpfs is lost by that: what arrived has arrived. Whether
        anything has, although the card had died.

        SQLite says nothing when the checkpoint fails that follows a commit by itself.
        """
        with self.powered():
            outbox = self._open()
            self._begin(outbox)
            for _ in range(20):
                self._commit(outbox)
            if outbox._storage.disk is not None:
                outbox._storage.disk.rows("PRAGMA wal_autocheckpoint = 1")
            self.card.arm(after)
            self._confirm(outbox)
            reached = self.card.dead and len(self.model.reported) > 0
            self._kill()
            self._look()
        return reached

    @contextlib.contextmanager
    def powered(self) -> Iterator[None]:
        dice = mock.patch("secrets.randbits", self.rng.getrandbits)  # ids: sizes depend on them
        try:
            with watching(self.card), self.vfs.installed(*self._pragmas), dice:
                yield
        finally:
            self.card.close()
        self.tally.acknowledged = self.model.acknowledged

    # -- living and dying -----------------------------------------------------------------------

    def _until_death(self) -> None:
        """A start and commits, until the card works no more."""
        self._busy = self.rng.choice([0.0, 0.02, 0.3])  # how often there is a link
        soon = self.rng.random() < 0.3  # while it is being opened
        self.card.arm(self.rng.randrange(1, 40) if soon else self.rng.randrange(20, 4000))
        self.tally.inside += 1
        with contextlib.suppress(PowerCut):
            outbox = self._open()
            if self._begin(outbox):
                self.tally.inside -= 1
                while not self.card.dead:
                    self._commit(outbox)

    def _die(self) -> None:
        if self.rng.random() < 0.2:
            self._kill()
        else:
            self.vfs.close()
            self._waiting, self._taken = [], 0
            self.tally.cuts += 1
            self.card.cut()
            self._boots += 1
            self._killed_only = False
            for path in self.run_dir.iterdir():
                path.unlink()

    def _kill(self) -> None:
        self.vfs.close()
        self._waiting, self._taken = [], 0
        self.tally.kills += 1
        self.card.disarm()

    def _open(self) -> Outbox:
        return Outbox.open(
            self.folder,
            limit_bytes=LIMIT,
            boot_id=f"boot-{self._boots}",
            run_dir=self.run_dir,
            merge=merge,
            ballast_bytes=BALLAST,
        )

    def _begin(self, outbox: Outbox) -> bool:
        """False when the power went on the way."""
        self.epoch = outbox.begin()
        if self.card.dead:
            self.model.epochs.append(self.epoch.epoch)
            return False
        if self.epoch.epoch in self.model.epochs:
            self._say([f"epoch {self.epoch.epoch} was there before"])
        wrong = self.model.begun(self.epoch)
        if self.epoch.past == "older":  # its states are those of the last commit that returned
            wrong.append("the card is taken for one of before")
        self.tally.doubtful += self.epoch.past == "doubtful"
        if not self.lies:
            self._say(wrong)
        return True

    def _look(self) -> None:
        """A start with the power on: it must succeed, and everything is looked at."""
        outbox = self._open()
        self._begin(outbox)
        self.tally.starts += 1
        opened = outbox.opened
        self.tally.quarantined += opened.quarantined is not None
        found = self.model.check(outbox, self.epoch, killed=self._killed_only, lies=self.lies)
        self._killed_only = True
        self._commit(outbox)
        counts = outbox.counts()
        if opened.in_memory or counts.in_memory:
            self.tally.failed += 1
            self._say([f"after a start it is in memory: {opened.in_memory or counts.in_memory}"])
        if opened.damage and not self.lies:
            self._say([f"damage: {opened.damage}"])
        self.tally.damaged += counts.damaged + (opened.damage is not None)
        self._add(found)
        outbox.close()
        self.vfs.close()
        self._waiting, self._taken = [], 0

    def _add(self, found: CheckFindings) -> None:
        self._say(found.wrong)
        self.tally.lost += found.lost
        self.tally.twice += found.twice
        self.tally.declared += found.declared
        self.tally.over += found.over
        self.tally.merged += found.merged

    def _say(self, wrong: Sequence[str]) -> None:
        self.tally.wrong += [f"seed {self._seed}, cut {self.tally.cuts}: {each}" for each in wrong]

    # -- work -----------------------------------------------------------------------------------

    def _commit(self, outbox: Outbox) -> None:
        rng = self.rng
        if rng.random() < self._busy:
            self._confirm(outbox)
        states = {
            owner: (1, f"{owner} {self._n} ".encode() * rng.randrange(1, 40))
            for owner in ("totals", "model", "manifest")
            if rng.random() < 0.5
        }
        self._now_ns += PERIOD_NS
        drafts = self._drafts()
        gone = [stored.row for stored in self._waiting]
        self.model.starts(Wish(self.epoch.epoch, drafts, states))
        stored = outbox.commit(drafts, states, gone, Stamp(self._now_ns, self._now_ns, NONE))
        if self.card.dead:
            return
        self.model.returned(
            stored, outbox._numbers.counters, [each.record.key for each in self._waiting]
        )
        outbox.journal.retain_only(())
        self._waiting = []

    def _confirm(self, outbox: Outbox) -> None:
        """There is a link for a moment: the oldest rows, or some of the latest, go and arrive."""
        outbox.linked()
        waiting = {stored.row for stored in self._waiting}
        rows = [stored for stored in everything(outbox) if stored.row not in waiting]
        some = rows[-20:] if self.rng.random() < 0.3 else rows[: self.rng.randrange(1, 80)]
        outbox.journal.sent([stored.row for stored in some])
        arrived = [stored for stored in some if self.rng.random() < 0.9]
        outbox.journal.confirmed([stored.row for stored in arrived])
        # also when the card has died meanwhile: the journal lies in tmpfs, and has heard of it
        self.model.sent(some)
        self.model.confirmed([stored.record.key for stored in arrived])
        self._waiting += arrived
        self._taken = max([self._taken, *(stored.row for stored in some)])
        if self.rng.random() < 0.8:
            outbox.unlinked(self._taken)
            self._taken = 0

    def _drafts(self) -> list[Draft]:
        """A period's summaries, with a hole now and then; sometimes raw data; rarely the rest."""
        rng, now_ns, made = self.rng, self._now_ns, []
        parts = [each for each in SUMMARIES if rng.random() < 0.95] if rng.random() < 0.8 else []
        parts += [(Stream.RAW, "a")] * rng.choice([0, 0, 1, 5])
        parts += [(rng.choice(RARE), "d")] * (rng.random() < 0.2)
        for stream, source in parts:
            self._n += 1
            text = base64.b85encode(rng.randbytes(rng.choice([8, 200, 700]))).decode()
            body = {"n": self._n, "sum": rng.randrange(1 << 40), "count": 1, "text": text}
            made.append(Draft(stream, source, now_ns - PERIOD_NS, now_ns, body))
        return made


def lives(
    sqlite: ctypes.CDLL,
    root: Path,
    seeds: Sequence[int],
    deaths: int,
    lie: float = 0.0,
    pragmas: Sequence[str] = (),
) -> LifeTally:
    """Several lives, one after the other, in one folder."""
    total = LifeTally()
    for seed in seeds:
        home = root / f"life-{seed}"
        home.mkdir()
        total.add(OutboxLife(sqlite, home, seed, lie, pragmas).live(deaths))
        shutil.rmtree(home)
    return total
