"""Locks that go with their process, also when it is killed: a second master on a line, and a second
daemon in a folder, never exist."""

import contextlib
import fcntl
import os
from pathlib import Path
from typing import Final

LOCKS: Final = Path("/proc/locks")


class _Lock:
    """On a file or a folder, held until `release` or the end of the process."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._fd = -1

    def take(self) -> bool:
        """False when somebody else holds it. Raises OSError."""
        fd = self._open()
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(fd)
            return False
        except BaseException:
            os.close(fd)
            raise
        self._fd = fd
        return True

    def holder(self) -> str:
        """Who else holds it, for people: the kernel knows its process, if it lets us see it."""
        try:
            found = self._path.stat()
            locks = LOCKS.read_text(encoding="ascii", errors="replace").splitlines()
        except OSError:
            return "another process"
        device = f"{os.major(found.st_dev):02x}:{os.minor(found.st_dev):02x}"
        for line in locks:
            match line.split():
                case [_, "FLOCK", _, "WRITE", pid, place, *_] if (
                    place == f"{device}:{found.st_ino}" and pid.isdecimal() and pid != "0"
                ):
                    return f"process {pid}"
        return "another process"

    def release(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def _open(self) -> int:
        raise NotImplementedError


class BusLock(_Lock):
    """Held by whoever works on a bus: the daemon, or a command while no daemon runs."""

    def __init__(self, folder: Path, bus: str) -> None:
        super().__init__(folder / f"bus-{bus}.lock")

    def _open(self) -> int:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        # read-only is enough for flock: a file left behind by root locks nobody out
        fd = os.open(self._path, os.O_RDONLY | os.O_CREAT | os.O_CLOEXEC, 0o644)
        with contextlib.suppress(PermissionError):  # somebody else's file: its mode is theirs
            os.fchmod(fd, 0o640)  # whatever the umask: the group may work on a bus, too
        return fd


class FolderLock(_Lock):
    """Held by the daemon whose outbox or stage lies in the folder. On the folder itself: it works
    on a card that cannot be written, and nobody removes a file that is the lock."""

    def _open(self) -> int:
        return os.open(self._path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
