"""One process holds a lock, until it gives it back or ends, however it ends."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from edge.durable.filelock import FileLock, FolderLock

HOLD = """
import sys
from pathlib import Path
from edge.durable.filelock import FileLock, FolderLock
lock = {"file": FileLock, "folder": FolderLock}[sys.argv[1]](Path(sys.argv[2]))
print(lock.take(), flush=True)
sys.stdin.read()
"""
KINDS = {"file": FileLock, "folder": FolderLock}
kinds = pytest.mark.parametrize("kind", KINDS)


@pytest.fixture
def place(tmp_path: Path) -> Callable[[str], Path]:
    def made(kind: str) -> Path:
        if kind == "file":
            return tmp_path / "store.db.lock"
        (tmp_path / "folder").mkdir(exist_ok=True)
        return tmp_path / "folder"

    return made


def descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


@kinds
def test_the_second_one_gets_none_and_keeps_nothing_open(
    place: Callable[[str], Path], kind: str
) -> None:
    mine, yours = KINDS[kind](place(kind)), KINDS[kind](place(kind))
    before = descriptors()
    assert mine.take()
    for _ in range(3):
        assert not yours.take()
    assert descriptors() == before + 1
    assert yours.holder() == f"process {os.getpid()}"
    mine.release()
    mine.release()
    assert descriptors() == before
    assert yours.take()
    yours.release()


@kinds
def test_a_lock_goes_with_its_process(place: Callable[[str], Path], kind: str) -> None:
    path = place(kind)
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, kind, str(path)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    ) as other:  # fmt: skip
        assert other.stdout is not None
        assert other.stdout.readline() == "True\n"
        lock = KINDS[kind](path)
        assert not lock.take()
        assert lock.holder() == f"process {other.pid}"
        other.send_signal(signal.SIGKILL)
        other.wait(10)
        assert lock.take()
        lock.release()


@kinds
def test_who_waits_gets_it_when_it_is_given_back(place: Callable[[str], Path], kind: str) -> None:
    mine, yours, got = KINDS[kind](place(kind)), KINDS[kind](place(kind)), threading.Event()
    assert mine.take()

    def wait() -> None:
        assert yours.take(wait=True)
        got.set()

    waiting = threading.Thread(target=wait)
    waiting.start()
    assert not got.wait(0.2)
    mine.release()
    waiting.join(10)
    assert got.is_set()
    yours.release()


def test_a_file_is_for_its_owner_and_group_and_outlives_the_lock(tmp_path: Path) -> None:
    for umask, mode in ((0o000, 0o640), (0o077, 0o600)):
        path = tmp_path / f"{umask}.lock"
        old = os.umask(umask)
        try:
            lock = FileLock(path)
            assert lock.take()
        finally:
            os.umask(old)
        lock.release()
        assert (path.stat().st_mode & 0o777, path.read_bytes()) == (mode, b"")


def test_a_folder_is_locked_as_it_is(tmp_path: Path) -> None:
    """Nothing is made in it: it may lie on a card that cannot be written."""
    lock = FolderLock(tmp_path)
    assert lock.take()
    assert list(tmp_path.iterdir()) == []
    lock.release()
    (tmp_path / "file").touch()
    for other in ("file", "nowhere"):
        with pytest.raises(OSError):
            FolderLock(tmp_path / other).take()


def test_who_holds_it_is_said_as_far_as_the_kernel_lets_us_see(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock = FileLock(tmp_path / "lock")
    assert lock.holder() == "another process", "there is no such file"
    assert lock.take()
    monkeypatch.setattr("edge.durable.filelock.LOCKS", tmp_path / "none")
    assert lock.holder() == "another process"
    found = lock.path.stat()
    device = f"{os.major(found.st_dev):02x}:{os.minor(found.st_dev):02x}:{found.st_ino}"
    for line, said in (
        (f"1: FLOCK  ADVISORY  WRITE 77 {device} 0 EOF", "process 77"),
        (f"1: FLOCK  ADVISORY  WRITE 0 {device} 0 EOF", "another process"),  # of another container
        (f"1: POSIX  ADVISORY  WRITE 77 {device} 0 EOF", "another process"),
        (f"1: FLOCK  ADVISORY  READ 77 {device} 0 EOF", "another process"),
        (f"1: FLOCK  ADVISORY  WRITE 77 {device}1 0 EOF", "another process"),
    ):
        (tmp_path / "locks").write_text(f"nonsense\n{line}\n")
        monkeypatch.setattr("edge.durable.filelock.LOCKS", tmp_path / "locks")
        assert lock.holder() == said
    lock.release()


@kinds
def test_that_it_is_held_is_seen_without_touching_it(
    place: Callable[[str], Path], kind: str
) -> None:
    path = place(kind)
    mine, other = KINDS[kind](path), KINDS[kind](path)
    assert not other.is_held()
    assert mine.take()
    assert other.is_held()
    mine.release()
    assert not other.is_held()
    assert not FileLock(path / "nothing").is_held()
