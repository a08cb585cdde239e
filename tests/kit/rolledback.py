"""A gateway whose database may be rolled back: what its store and its run directory know of that.

An example:

    gateway = RolledBackGateway(tmp_path)
    gateway.start()
    copy = gateway.copied()
    gateway.close_windows(3)
    gateway.kill()
    gateway.put_back(copy)
    assert gateway.start() == "older"
"""

import shutil
import struct
from collections.abc import Iterator
from pathlib import Path

from edge.core import Draft, Stamp, Stream
from edge.outbox import Outbox
from edge.outbox.epochs import PastState
from tests.kit.clock import NONE

S = 1_000_000_000
MINUTE = 60 * S


class RolledBackGateway:
    """One gateway's folders. Its state is how many windows it has closed."""

    def __init__(self, folder: Path) -> None:
        self.store, self.run = folder / "store", folder / "run"
        self.run.mkdir()
        self.boot = 1
        self.windows = 0
        self.now_ns = S
        self.past: PastState = "known"
        self.outbox: Outbox | None = None
        self._opened: list[Outbox] = []

    def start(self) -> PastState:
        self.outbox = Outbox.open(
            self.store, limit_bytes=8 << 20, boot_id=f"boot-{self.boot}", run_dir=self.run,
            ballast_bytes=0,
        )  # fmt: skip
        self._opened.append(self.outbox)
        self.past = self.outbox.begin().past
        return self.past

    def close_windows(self, count: int) -> None:
        assert self.outbox is not None
        for _ in range(count):
            self.windows += 1
            self.now_ns += MINUTE
            draft = Draft(Stream.ENERGY, "m", self.now_ns - MINUTE, self.now_ns, {"n": 1})
            state = {"engine": (1, b"%d" % self.windows)}
            self.outbox.commit([draft], state, (), Stamp(self.now_ns, 0, NONE))

    @property
    def state(self) -> int:
        assert self.outbox is not None
        found = self.outbox.state("engine")
        return 0 if found is None else int(found[1])

    def kill(self) -> None:
        """What lies on the card stays as it is: closing the connection would tidy it up."""
        assert self.outbox is not None
        kept = self.store.with_name("kept")
        shutil.copytree(self.store, kept)
        assert self.outbox._storage.disk is not None
        self.outbox._storage.disk.close()
        shutil.rmtree(self.store)
        kept.rename(self.store)

    def fall(self) -> None:
        """The disk fails, and goes on failing."""
        assert self.outbox is not None
        self.outbox._storage.switch_to_memory(OSError(5, "Input/output error"))
        self.outbox._storage.probe = lambda *_, **__: None  # type: ignore[method-assign]

    def stop(self) -> None:
        assert self.outbox is not None
        self.outbox.close()

    def let_go(self) -> None:
        """A connection that nobody closes is a warning, in whatever test comes then."""
        while self._opened:
            if (disk := self._opened.pop()._storage.disk) is not None:
                disk.close()

    def copied(self) -> Path:
        """As it lies on the card now."""
        copy = self.store.with_name("copy")
        shutil.copytree(self.store, copy)
        return copy

    def put_back(self, copy: Path) -> None:
        """The database of that copy; what lies beside it stays."""
        for name in ("outbox.db", "outbox.db-wal"):
            shutil.copy(copy / name, self.store / name)

    def reboot(self) -> None:
        """Power was cut: nothing is left of the run directory."""
        self.boot += 1
        shutil.rmtree(self.run)
        self.run.mkdir()

    @property
    def log(self) -> Path:
        return self.store / "outbox.db-wal"


def events(box: RolledBackGateway) -> list[str]:
    """What a start says of the outbox."""
    assert box.outbox is not None
    rows = box.outbox.commit([], {}, (), Stamp(box.now_ns + S, 0, NONE))
    return [row.record.body["text"] for row in rows if row.record.body["event"] == "storage"]


def frames(log: Path) -> Iterator[tuple[int, bool]]:
    """Where each begins, and whether it ends a transaction."""
    data = log.read_bytes()
    for at in range(32, len(data), 24 + 1024):
        yield at, struct.unpack_from(">I", data, at + 4)[0] != 0


def flip(path: Path, at: int) -> None:
    with path.open("r+b") as file:
        file.seek(at)
        one = file.read(1)[0]
        file.seek(at)
        file.write(bytes([one ^ 4]))


def commits(log: Path) -> list[int]:
    return [at for at, ends in frames(log) if ends]
