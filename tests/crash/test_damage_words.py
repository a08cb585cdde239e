"""Bits and words in any file of a gateway's folders: it starts, and confirms nothing by itself.

`CRASH_DAMAGE=all` takes a thousand damages, a number so many; otherwise each file has one or two.
"""

import os
import random
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest

from drivers.sim.sen55 import Sen55
from edge.core import Draft, Stamp, Stream
from edge.core.numbers import decode_steps
from edge.outbox import Outbox, StoredRecord
from edge.outbox.drops import nameless_notice
from tests.kit.broker import free_port
from tests.kit.clock import NONE
from tests.kit.gateway import AIR, CONFIG, LOOPS, ROOT
from tests.kit.harm import WORDS
from tests.kit.promises import everything
from tests.kit.street import LoopStreet
from tests.long import more, size

ASKED: Final = os.environ.get("CRASH_DAMAGE", "")
DAMAGES: Final = 1000 if ASKED == "all" else int(ASKED or size(12, 24))
SEED: Final = 13
OWNER: Final = "test/gw-1"
S: Final = 1_000_000_000
# SQLite takes a log up to its first wrong checksum: what followed was never written, to it
SILENT: Final = "store/outbox.db-wal"
AIR_HELD: Final = {
    "pm1_0": 5.2, "pm2_5": 9.5, "pm4_0": 12.6, "pm10": 13.3, "humidity": 45.5,
    "temperature": 23.5, "voc_index": 100.0, "nox_index": 1.0,
}  # fmt: skip

LOOKS: Final = 5  # two that fail are damage; the next one is of a new database

Place = tuple[int, str, int]  # epoch, stream, number
Said = tuple[tuple[int, str, str], int, int | None]  # a loss, as `Drops` keeps it


@dataclass(frozen=True)
class OutboxContents:
    """What was in the outbox when its process died."""

    waiting: frozenset[Place]  # and the city does not have it
    sent: frozenset[Place]
    files: tuple[str, ...]


class DamagedGateway:
    """Its folders, and the process that starts daemons in them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        values = {"dir": folder, "url": f"mqtt://127.0.0.1:{free_port()}", "encoding": "json"}
        text = (CONFIG + LOOPS + AIR).format(**values, period_s=1)
        text = text.replace("limit_mb = 16\n", "limit_mb = 16\nballast_mb = 0\n")
        (folder / "site.toml").write_text(text)
        self._starter = subprocess.Popen(
            [sys.executable, "-m", "tests.crash.starting"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT,
        )  # fmt: skip

    def start(self, after_s: float = 0.0) -> str:
        """How a start has ended that is killed so long after it was ready."""
        starter = self._starter
        assert starter.stdin is not None
        assert starter.stdout is not None
        starter.stdin.write(f"{self.folder}\t{after_s}\n")
        starter.stdin.flush()
        return starter.stdout.readline().strip()

    @property
    def log(self) -> str:
        return (self.folder / "daemon.log").read_text(errors="replace")

    def outbox(self) -> Outbox:
        run = self.folder / "run"
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return Outbox.open(
            self.folder / "store", limit_bytes=16 << 20, boot_id=boot, run_dir=run,
            ballast_bytes=0, owner=OWNER,
        )  # fmt: skip

    def used(self) -> OutboxContents:
        """Daemons were killed here, the last one after its disk had failed: each kind of file that
        there is. Of what was sent, some was confirmed, and the database has not heard of it."""
        for _ in range(2):
            assert self.start(after_s=3.0).startswith("ready"), self.log
        outbox = self.outbox()
        outbox.begin()
        rows = list(everything(outbox))
        assert len(rows) >= 12
        outbox.journal.sent([stored.row for stored in rows[:10]])
        outbox.journal.confirmed([stored.row for stored in rows[3:6]])
        outbox.commit([draft(n) for n in range(20)], {"air": (1, b"x")}, clock=Stamp(S, S, NONE))
        kept = self.folder / "kept"  # closing the database would take its log away
        shutil.copytree(self.folder / "store", kept / "store")
        outbox._storage.switch_to_memory(OSError(5, "Input/output error"))
        outbox.commit([draft(n) for n in range(20, 60)], clock=Stamp(2 * S, 2 * S, NONE))
        places = {stored.row: place(stored.record.key) for stored in everything(outbox)}
        outbox.journal.close()
        confirmed = {place(stored.record.key) for stored in rows[3:6]}
        waiting = {place(stored.record.key) for stored in rows} | set(places.values())
        shutil.copytree(self.folder / "run", kept / "run", ignore=_sockets)
        files = [
            str(path.relative_to(kept))
            for path in sorted(kept.rglob("*"))
            if path.is_file() and path.stat().st_size
        ]
        sent = {place(stored.record.key) for stored in rows[:10]} - confirmed
        return OutboxContents(frozenset(waiting - confirmed), frozenset(sent), tuple(files))

    def restore(self) -> None:
        for name in ("store", "run"):
            shutil.rmtree(self.folder / name)
            shutil.copytree(self.folder / "kept" / name, self.folder / name)

    def close(self) -> None:
        assert self._starter.stdin is not None
        assert self._starter.stdout is not None
        self._starter.stdin.close()
        self._starter.stdout.close()
        self._starter.wait(60)


def draft(n: int) -> Draft:
    return Draft(Stream.AIR, "hut_air", n * S, (n + 1) * S, {"n": n, "text": "x" * (n % 50)})


def place(key: Any) -> Place:
    return key.epoch, str(key.stream), key.seq


def _sockets(at: str, names: list[str]) -> list[str]:
    return [name for name in names if not (Path(at, name).is_file() or Path(at, name).is_dir())]


@pytest.fixture
def box(tmp_path: Path) -> Iterator[DamagedGateway]:
    with LoopStreet(tmp_path, Sen55(AIR_HELD, powered_s=86_400)):
        one = DamagedGateway(tmp_path)
        try:
            yield one
        finally:
            one.close()


@more
@pytest.mark.timeout(7200)
def test_damage_start(box: DamagedGateway, capsys: pytest.CaptureFixture[str]) -> None:
    known = box.used()
    assert {name.partition("/")[2] for name in known.files} >= {
        "epochs", "outbox.db", "outbox.db-wal", "start_history", "delivery.journal", "commit.log",
    }  # fmt: skip
    box.restore()
    assert box.start().startswith("ready"), box.log
    assert after(box, known) == ([], [], False), "the test itself is wrong"
    numbered = intact(box.folder / "kept" / "store", frozenset())
    assert numbered & known.waiting
    rng = random.Random(SEED)
    failed: list[str] = []
    silent: list[str] = []
    unsaid: list[str] = []
    for number in range(DAMAGES):
        box.restore()
        file = known.files[number % len(known.files)]
        harm = rng.choice(sorted(WORDS))
        name = f"{number}: {harm} in {file}"
        WORDS[harm](box.folder / file, rng)
        rewritten = numbered - intact(box.folder / "store", numbered)
        ended = box.start()
        if not ended.startswith("ready"):
            failed.append(f"{name}: {ended}: {box.log[-1500:]}")
            continue
        lost, quiet, unknown = after(box, known)
        if file != SILENT:
            # who cannot read a row's own number declares the one that stands there now
            silent += [f"{name}: {row}" for row in lost if not (unknown and row in rewritten)]
        unsaid += [f"{name}: {row}" for row in quiet]
    with capsys.disabled():
        print(f"\n{DAMAGES} damages tried in {len(known.files)} files, {len(failed)} starts failed")
        print(f"rows that vanished without a word: {silent}; sent rows not marked: {unsaid}")
    assert not failed, "\n".join(failed)
    assert not silent
    assert not unsaid


def after(box: DamagedGateway, known: OutboxContents) -> tuple[list[Place], list[Place], bool]:
    """What the city does not have, and will neither get nor hear of; what was sent before and does
    not say so; and whether a loss was told of which nobody had ever heard, or without a number."""
    outbox = box.outbox()
    outbox.begin()
    there: set[Place] = set()
    quiet: list[Place] = []
    said: list[Said] = []
    reported: set[str] = set()
    for stored in (*everything(outbox), *on_disk_again(outbox)):
        key, body = stored.record.key, stored.record.body
        numbers = decode_steps(body["covers"]) if "covers" in body else [key.seq]
        there |= {(key.epoch, str(key.stream), number) for number in numbers}
        if place(key) in known.sent and not stored.redelivered:
            quiet.append(place(key))
        if body.get("event") == "drop":
            first, last = body["range"]
            said.append(((body["epoch_of"], body["stream_of"], ""), first, last))
        reported.add(str(body.get("text")))
    # what was met above and could not be read is declared now
    said += [(key, drop.first, drop.last) for key, drop in outbox._losses.pending.items()]
    reported |= {text for _, text in outbox._storage.notices.due(S)}
    outbox.journal.close()
    assert outbox._storage.disk is not None, outbox.opened
    outbox._storage.disk.close()
    left = known.waiting - there
    known_to = known.waiting | known.sent
    unknown = any(not any(_means(each, one) for one in known_to) for each in said)
    unknown = unknown or not reported.isdisjoint(map(nameless_notice, range(1, 9)))
    return sorted(one for one in left if not _declared(one, said)), quiet, unknown


def on_disk_again(outbox: Outbox) -> list[StoredRecord]:
    """Where no check of the start has found the damage and a later look has, the outbox is in
    memory, and says so; it has mended the database, or put it aside, within a few looks."""
    if outbox._storage.disk is not None:
        return []
    assert list(outbox._storage.notices.due(S)), "in memory without a word"
    for look in range(LOOKS):
        now_ns = (100 + 31 * look) * S
        outbox.commit((), clock=Stamp(now_ns, now_ns, NONE))
    return list(everything(outbox))


def intact(store: Path, otherwise: frozenset[Place]) -> frozenset[Place]:
    """Whose the rows of the database say that they are; `otherwise`, where nobody can read it."""
    with tempfile.TemporaryDirectory() as copy:
        shutil.copytree(store, copy, dirs_exist_ok=True)
        try:
            with closing(sqlite3.connect(Path(copy) / "outbox.db")) as db:
                db.text_factory = lambda data: data.decode("utf-8", "replace")
                return frozenset(db.execute("SELECT epoch, stream, seq FROM record"))
        except (sqlite3.Error, UnicodeError, MemoryError):
            return otherwise


def _declared(one: Place, said: list[Said]) -> bool:
    return any(_means(each, one) for each in said)


def _means(said: Said, one: Place) -> bool:
    """Whether a declared loss is, or may be, of this number."""
    (of, name, _), first, last = said
    epoch, stream, number = one
    if name == "*":
        return epoch <= of
    return (of, name) == (epoch, stream) and first <= number <= (number if last is None else last)
