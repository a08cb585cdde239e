"""A number that is lost is declared once, though the disk fails while it is written down."""

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from edge.core import Draft, Stamp, Stream
from edge.outbox import Outbox, StoredRecord
from edge.outbox.diskoutbox import DiskOutbox
from tests.kit.asread import as_read
from tests.kit.clock import NONE

S = 1_000_000_000
SECONDS = iter(range(1, 10_000))


def opened(folder: Path) -> Outbox:
    (folder / "run").mkdir(exist_ok=True)
    return Outbox.open(
        folder / "disk", limit_bytes=1 << 20, boot_id="b", run_dir=folder / "run", ballast_bytes=0
    )


def kill(outbox: Outbox) -> None:
    """As the kernel does it: the files are closed, nothing is said."""
    if outbox._storage.disk is not None:
        outbox._storage.disk.close()
    outbox.journal.close()


def commit(outbox: Outbox, bytes_: int = 10, confirmed: tuple[int, ...] = ()) -> list[StoredRecord]:
    second = next(SECONDS)
    draft = Draft(Stream.AIR, "hut", second * S, (second + 1) * S, {"text": "x" * bytes_})
    return outbox.commit([draft], {}, confirmed, Stamp(second * S, second * S, NONE))


@contextlib.contextmanager
def failing(monkeypatch: pytest.MonkeyPatch, name: str) -> Iterator[None]:
    """From now on this statement of the disk fails."""

    def fail(*_: Any) -> None:
        raise sqlite3.OperationalError("disk I/O error")

    with monkeypatch.context() as trouble:
        trouble.setattr(DiskOutbox, name, fail)
        yield


def declared(outbox: Outbox) -> dict[str, int]:
    """How many numbers of each stream: by events that wait, and by those to come."""
    counts: dict[str, int] = {}
    bodies = [stored.record.body for stored in outbox.pending(limit=5000)]
    bodies += [as_read(draft) for draft in outbox._losses.pending.event_drafts(1)]
    for body in bodies:
        if body.get("event") == "drop":
            counts[body["stream_of"]] = counts.get(body["stream_of"], 0) + body["count"]
    return counts


def test_a_loss_that_was_declared_from_memory_is_not_declared_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The event lies in memory, the disk still has the loss in its table; then it is killed."""
    outbox = opened(tmp_path)
    outbox.begin()
    commit(outbox)
    outbox.dead_letter(outbox.pending()[0].row, "nobody takes it")
    with failing(monkeypatch, "insert"):
        commit(outbox, confirmed=(1,))  # somebody listens: the loss becomes an event
    kill(outbox)
    outbox = opened(tmp_path)
    outbox.begin()
    assert declared(outbox) == {"air": 1}
    outbox.close()


def test_rows_that_could_not_be_dropped_are_not_dropped_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Declared they were, and lie on the disk still: they leave it when it works again."""
    outbox = opened(tmp_path)
    epoch = outbox.begin()
    while not outbox._losses.pending:  # it fills
        commit(outbox, 2000)
    with failing(monkeypatch, "set_drops"):
        while outbox.counts().in_memory is None:
            commit(outbox, 2000)
    kill(outbox)
    outbox = opened(tmp_path)
    outbox.begin()
    there = [
        s.record.key.seq
        for s in outbox.pending(limit=5000)
        if (s.record.key.epoch, s.record.key.stream) == (epoch.epoch, "air")
    ]
    gone = set(range(1, max(there) + 1)) - set(there)
    assert declared(outbox) == {"air": len(gone)}
    outbox.close()
