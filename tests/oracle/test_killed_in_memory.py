"""A kill while the outbox goes on in memory: what was numbered, counted and sent is known after it.

Found by `make oracle`: a daemon that was killed while the disk was full took the energy of the
windows since the last commit to disk once more, and named last numbers that were exceeded.
"""

import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edge.core import Draft, Stamp, Stream
from edge.outbox import Outbox
from edge.outbox.diskoutbox import DiskOutbox
from tests.kit.clock import NONE

S = 1_000_000_000
LIMIT = 8 << 20


def opened(folder: Path) -> Outbox:
    run = folder / "run"
    run.mkdir(exist_ok=True)
    return Outbox.open(folder / "disk", limit_bytes=LIMIT, boot_id="b", run_dir=run,
                       ballast_bytes=0)  # fmt: skip


def window(second: int) -> Draft:
    return Draft(Stream.ENERGY, "m1", (second - 1) * S, second * S, {"covered_s": 1.0})


def full(monkeypatch: pytest.MonkeyPatch) -> None:
    def insert(*_: Any) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    monkeypatch.setattr(DiskOutbox, "insert", insert)


def kill(outbox: Outbox) -> None:
    """As the kernel does it: the files are closed, nothing is said."""
    disk = outbox._storage.disk
    if disk is not None:
        disk.close()
    outbox.journal.close()


def commit(outbox: Outbox, second: int) -> None:
    mark = Stamp(second * S, second * S, NONE)
    outbox.commit([window(second)], {"engine": (1, b"%d" % second)}, clock=mark)


def test_a_kill_in_memory_loses_neither_state_nor_numbers_nor_records(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    outbox = opened(tmp_path)
    outbox.begin()
    commit(outbox, 1)
    with monkeypatch.context() as trouble:
        full(trouble)
        commit(outbox, 2)
        commit(outbox, 3)
    kill(outbox)
    outbox = opened(tmp_path)
    epoch = outbox.begin()
    assert outbox.state("engine") == (1, b"3"), "totals would count two windows again"
    assert epoch.former is not None
    assert epoch.former.last["energy"] == 3
    assert seqs(outbox) == [1, 2, 3]
    outbox.close()


def test_a_kill_in_memory_and_a_start_on_a_disk_that_is_still_full(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    outbox = opened(tmp_path)
    outbox.begin()
    commit(outbox, 1)
    with monkeypatch.context() as trouble:
        full(trouble)
        commit(outbox, 2)
        kill(outbox)
        outbox = opened(tmp_path)
        epoch = outbox.begin()
        assert outbox.state("engine") == (1, b"2")
        assert epoch.former is not None
        assert epoch.former.last["energy"] == 2
        commit(outbox, 3)
        kill(outbox)
    outbox = opened(tmp_path)
    epoch = outbox.begin()
    assert outbox.state("engine") == (1, b"3")
    assert epoch.former is not None
    assert epoch.former.last["energy"] == 1, "of the second epoch"
    assert seqs(outbox) == [1, 2, 1]
    outbox.close()


def seqs(outbox: Outbox) -> list[int]:
    keep: Callable[[Any], bool] = lambda stored: stored.record.key.stream is Stream.ENERGY  # noqa: E731
    return [stored.record.key.seq for stored in filter(keep, outbox.pending(limit=1000))]
