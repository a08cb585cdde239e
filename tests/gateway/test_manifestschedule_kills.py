"""Whatever is handed over, confirmed, flushed or killed: each number is sealed, and only once."""

import asyncio
import random
import shutil
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edge.core import Draft, Stamp, Stream
from edge.core.numbers import decode_steps
from edge.gateway.manifestschedule import ManifestSchedule
from edge.outbox import AsyncOutbox, Outbox, StoredRecord, asyncoutbox
from edge.uplink.manifests import MANIFEST_OWNER
from edge.uplink.timestamps import UsedMoments
from edge.wire.clockmoments import Moment
from tests.kit.clock import NONE
from tests.long import examples

LIMIT = 16 << 20
Number = tuple[int, str, int]  # epoch, stream and number


def copied(outbox: Outbox, *, old: Path, new: Path) -> None:
    """In the thread of the outbox: both folders as a kill leaves them. None of its commits comes
    between them, or the run directory would know of numbers that the outbox has not."""
    shutil.copytree(old / "outbox", new / "outbox")
    shutil.copytree(old / "run", new / "run")


class ManifestGateway:
    """A daemon that is killed now and then. Manifests stay in the outbox, and are read at the
    end."""

    def __init__(self, folder: Path, rng: random.Random) -> None:
        self.folder, self.rng = folder, rng
        self.life = 0
        self.made = 0
        self.arrived: set[Number] = set()
        self.home = folder / "0"
        (self.home / "run").mkdir(parents=True)

    async def begin(self) -> None:
        boot = f"b{self.rng.randrange(2)}"
        self.manifest_schedule = ManifestSchedule(900, None, Stamp(0, 0, NONE))
        self.writer = await AsyncOutbox.start(
            self.home / "outbox", limit_bytes=LIMIT, boot_id=boot, run_dir=self.home / "run",
            ballast_bytes=0, rider=self.manifest_schedule.manifests.riding, on_rows=self._offered,
        )  # fmt: skip
        self.queue: list[StoredRecord] = []
        self.handed: list[StoredRecord] = []
        self.tasks: list[asyncio.Task[Any]] = []
        state = await self.writer.state(MANIFEST_OWNER)
        found = self.manifest_schedule.begin(
            self.writer.epoch, state, self.writer.leftovers, UsedMoments(), Stamp(0, 0, NONE)
        )
        if self.rng.random() < 0.3:
            await self.kill()  # while it reads back
            return
        await self._commit(found)
        after = 0
        while rows := await self.writer.pending(after, 100):
            self.queue += [s for s in rows if s.record.key.stream != Stream.MANIFEST]
            after = rows[-1].row

    def _offered(self, rows: list[StoredRecord]) -> None:
        self.queue += [s for s in rows if s.record.key.stream != Stream.MANIFEST]

    async def _commit(self, drafts: list[Draft]) -> None:
        self._offered(await self.writer.commit(drafts, {}, Stamp(1, 1, NONE)))

    async def close_window(self) -> None:
        self.made += 1
        drafts = [Draft(Stream.AIR, "hut", n, n + 1, {"n": self.made}) for n in range(15)]
        drafts += self.manifest_schedule.due(Stamp(1, 0, NONE), last=self.rng.random() < 0.5)
        self.tasks.append(asyncio.create_task(self._commit(drafts)))
        if self.rng.random() < 0.5:
            await asyncio.sleep(0)  # it is in the thread, or before it

    async def hand(self) -> None:
        rows = self.queue[: self.rng.randrange(1, 25)]
        del self.queue[: len(rows)]
        for stored in rows:
            self.manifest_schedule.manifests.handed(
                stored.record, Moment(stored.record.boot, 0, 0, NONE)
            )
        self.writer.sent([stored.row for stored in rows])
        self.handed += rows

    async def arrive(self) -> None:
        self.rng.shuffle(self.handed)
        rows, self.handed = self.handed[:20], self.handed[20:]
        self.writer.confirm([stored.row for stored in rows])
        keys = [stored.record.key for stored in rows]
        self.arrived |= {(key.epoch, str(key.stream), key.seq) for key in keys}

    async def wait(self) -> None:
        await asyncio.gather(*self.tasks)
        self.tasks.clear()

    async def spoil(self) -> None:
        """A commit that fails, and with it the process; a flush may have tried it, too."""
        bad = Draft(Stream.AIR, "hut", 0, 1, {"x": object()})
        drafts = [*self.manifest_schedule.due(Stamp(1, 0, NONE), last=True), bad]
        await self.arrive()
        with pytest.raises(TypeError):
            await self.writer.commit(drafts)
        if self.rng.random() < 0.5:
            await asyncio.sleep(0.001)  # a flush comes before the end
        await self.kill()

    async def kill(self) -> None:
        self.life += 1
        old, self.home = self.home, self.folder / str(self.life)
        self.home.mkdir()
        await self.writer._call(lambda outbox: copied(outbox, old=old, new=self.home))
        await self.end()
        shutil.rmtree(old)
        await self.begin()

    async def end(self) -> None:
        await asyncio.gather(*self.tasks, return_exceptions=True)
        self.tasks.clear()
        if self.writer._flush is not None:
            await self.writer._flush
        await self.writer.close()

    async def sealed(self) -> list[Number]:
        """At a clean end, over all lives."""
        await self.wait()
        while self.queue:
            await self.hand()
        while self.handed:
            await self.arrive()
        await self._commit(self.manifest_schedule.due(Stamp(1, 0, NONE), last=True))
        found: list[Number] = []
        after = 0
        while rows := await self.writer.pending(after, 100):
            for stored in rows:
                body = stored.record.body
                if stored.record.key.stream == Stream.MANIFEST and body["count"]:
                    place = body["epoch_of"], body["stream_of"]
                    found += [(*place, number) for number in decode_steps(body["seqs"])]
            after = rows[-1].row
        return found


@settings(deadline=None, max_examples=examples(20), suppress_health_check=list(HealthCheck))
@given(st.integers(0, 1 << 30))
def test_every_number_that_was_handed_over_and_confirmed_is_sealed_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    monkeypatch.setattr(asyncoutbox, "FLUSH_ROWS", 30)

    async def lives() -> None:
        rng = random.Random(seed)
        street = ManifestGateway(Path(mkdtemp(dir=tmp_path)), rng)
        await street.begin()
        acts = [street.close_window, street.hand, street.hand, street.arrive, street.arrive]
        acts += [street.wait]
        for _ in range(60):
            chance = rng.random()
            act = street.kill if chance < 0.08 else street.spoil if chance < 0.1 else None
            await (act or rng.choice(acts))()
        found = await street.sealed()
        assert street.arrived <= set(found), "never never"
        assert len(found) == len(set(found)), "and not twice"
        await street.end()
        shutil.rmtree(street.folder)

    asyncio.run(lives())
