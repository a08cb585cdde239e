"""Whatever lies in the folder of the outbox or in that of its journal: it opens, takes records."""

import contextlib
import os
import signal
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from edge.outbox import Outbox
from tests.kit.outbox import LIMIT, MARK, drafts, kill, opened
from tests.outbox.test_damage import used


@contextlib.contextmanager
def within(seconds: int) -> Iterator[None]:
    """What is wrong here is often that something never ends."""

    def over(*_: object) -> None:
        raise TimeoutError

    before = signal.signal(signal.SIGALRM, over)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


@dataclass(frozen=True)
class OutboxStart:
    damage: str | None
    in_memory: str | None
    rows: int
    made: int
    quarantined: int
    trouble: str | None


def lived(tmp_path: Path) -> OutboxStart:
    """A start, a commit, what the sender does, and a stop."""
    run = tmp_path / "run"
    run.mkdir(exist_ok=True)
    with within(20):
        outbox = Outbox.open(
            tmp_path / "outbox", limit_bytes=LIMIT, boot_id="b1", run_dir=run, ballast_bytes=1 << 16
        )
        outbox.begin()
        made = outbox.commit(drafts(1), clock=MARK)
        outbox.journal.sent([made[0].row])
        outbox.journal.confirmed([made[0].row])
        counts = outbox.counts()
        reported = OutboxStart(
            outbox.opened.damage, counts.in_memory, counts.rows, len(made), counts.quarantined,
            outbox.journal.trouble,
        )  # fmt: skip
        outbox.close()
    return reported


def folder(path: Path) -> None:
    path.mkdir()
    (path / "something").write_text("?")


def pipe(path: Path) -> None:
    os.mkfifo(path)


def loop(path: Path) -> None:
    path.symlink_to(path.name)


def zeros(path: Path) -> None:
    path.symlink_to("/dev/zero")


def full(path: Path) -> None:
    path.symlink_to("/dev/full")


def listener(path: Path) -> None:
    where = socket.socket(socket.AF_UNIX)
    home = Path.cwd()
    os.chdir(path.parent)  # the name of a socket is short
    where.bind(path.name)
    os.chdir(home)
    where.close()


def garbage(path: Path) -> None:
    path.write_bytes(bytes(range(256)) * 200)


THINGS = [folder, pipe, loop, zeros, full, listener, garbage]
Thing = Callable[[Path], None]


@pytest.mark.parametrize("thing", THINGS)
def test_instead_of_the_database(tmp_path: Path, thing: Thing) -> None:
    path = used(tmp_path)
    path.unlink()
    thing(path)
    reported = lived(tmp_path)
    assert "could not be read" in str(reported.damage)
    assert (reported.in_memory, reported.made, reported.quarantined) == (None, 2, 1)
    assert os.path.lexists(tmp_path / "outbox" / "quarantine" / "000001" / "outbox.db")
    assert lived(tmp_path).damage is None


@pytest.mark.parametrize("thing", [*THINGS[:-1]])
def test_instead_of_its_log(tmp_path: Path, thing: Thing) -> None:
    used(tmp_path)
    thing(tmp_path / "outbox" / "outbox.db-wal")
    reported = lived(tmp_path)
    assert "outbox.db-wal is" in str(reported.damage)
    assert (reported.in_memory, reported.made, reported.quarantined) == (None, 2, 1)


def test_a_log_that_is_garbage_costs_nothing_and_is_told(tmp_path: Path) -> None:
    """Nobody knows what was in it: one more row says so."""
    used(tmp_path)
    garbage(tmp_path / "outbox" / "outbox.db-wal")
    reported = lived(tmp_path)
    assert (reported.damage, reported.in_memory, reported.rows) == (None, None, 222)


@pytest.mark.parametrize("left", [None, b""])
def test_a_log_without_its_database_is_kept_for_people(tmp_path: Path, left: bytes | None) -> None:
    outbox = opened(tmp_path)
    outbox.begin()
    outbox.commit(drafts(50))
    log = (tmp_path / "outbox" / "outbox.db-wal").read_bytes()
    kill(outbox)
    (tmp_path / "outbox" / "outbox.db").unlink()
    if left is not None:
        (tmp_path / "outbox" / "outbox.db").write_bytes(left)
    (tmp_path / "outbox" / "outbox.db-wal").write_bytes(log)
    reported = lived(tmp_path)
    assert "only its log is left" in str(reported.damage)
    assert (reported.in_memory, reported.made, reported.quarantined) == (None, 2, 1)
    kept = tmp_path / "outbox" / "quarantine" / "000001" / "outbox.db-wal"
    assert kept.read_bytes() == log


@pytest.mark.parametrize("thing", THINGS)
def test_instead_of_the_epoch_file(tmp_path: Path, thing: Thing) -> None:
    used(tmp_path)
    for name in ("epochs", "epochs.new"):
        (tmp_path / "outbox" / name).unlink(missing_ok=True)
        thing(tmp_path / "outbox" / name)
    reported = lived(tmp_path)
    assert (reported.damage, reported.in_memory, reported.rows) == (None, None, 221)
    assert (tmp_path / "outbox" / "epochs").is_file()
    assert reported.quarantined == (0 if thing is garbage else 2)


@pytest.mark.parametrize("thing", THINGS)
def test_instead_of_the_quarantine(tmp_path: Path, thing: Thing) -> None:
    path = used(tmp_path)
    path.write_text("damaged")
    thing(tmp_path / "outbox" / "quarantine")
    reported = lived(tmp_path)
    assert reported.damage is not None
    assert (reported.in_memory, reported.quarantined) == (None, 1)


@pytest.mark.parametrize("thing", THINGS)
def test_instead_of_the_journal(tmp_path: Path, thing: Thing) -> None:
    used(tmp_path)
    (tmp_path / "run").mkdir()
    for name in ("delivery.journal", "delivery.new"):
        thing(tmp_path / "run" / name)
    reported = lived(tmp_path)
    assert (reported.damage, reported.in_memory, reported.rows) == (None, None, 221)
    assert (reported.trouble is None) is (thing is not folder)


@pytest.mark.parametrize("thing", THINGS)
def test_instead_of_the_folder(tmp_path: Path, thing: Thing) -> None:
    thing(tmp_path / "outbox")
    reported = lived(tmp_path)
    assert reported.made >= 1
    assert (reported.in_memory is None) is (thing is folder), "there is no disk: memory"


def test_missing_folders_are_made(tmp_path: Path) -> None:
    (tmp_path / "outbox").symlink_to(tmp_path / "a" / "b")
    reported = lived(tmp_path)
    assert reported.made >= 1, "a link to nowhere: the disk is not mounted"
    assert "memory" in str(reported.in_memory)
    (tmp_path / "outbox").unlink()
    assert lived(tmp_path).in_memory is None


def test_a_database_elsewhere_is_used_through_its_link(tmp_path: Path) -> None:
    path = used(tmp_path)
    path.rename(tmp_path / "elsewhere.db")
    path.symlink_to(tmp_path / "elsewhere.db")
    assert lived(tmp_path).rows == 221
    assert path.is_symlink()
