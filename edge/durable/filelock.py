"""Locks that go with their process, also when it is killed."""

import fcntl
import os
from pathlib import Path
from typing import Final

LOCKS: Final = Path("/proc/locks")


class FileLock:
    """On a file of its own beside what it guards; held until `release` or the end of the process.

    It is opened to be written: a network file system locks no other one.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._fd = -1

    def take(self, *, wait: bool = False) -> bool:
        """False when somebody else holds it, except with `wait`. Raises OSError."""
        fd = self._open()
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
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
        pid = self._holding_pid()
        return f"process {pid}" if pid else "another process"

    def is_held(self) -> bool:
        """Whether anybody holds it, as far as the kernel says so. It is not touched: who takes it
        at this moment gets it."""
        return self._holding_pid() is not None

    def _holding_pid(self) -> int | None:
        """0 for a process that cannot be seen from here; None for none."""
        try:
            found = self.path.stat()
            locks = LOCKS.read_text(encoding="ascii", errors="replace").splitlines()
        except OSError:
            return None
        device = f"{os.major(found.st_dev):02x}:{os.minor(found.st_dev):02x}"
        for line in locks:
            match line.split():
                case [_, "FLOCK", _, "WRITE", pid, place, *_] if (
                    place == f"{device}:{found.st_ino}"
                ):
                    return int(pid) if pid.isdecimal() else 0
        return None

    def release(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def _open(self) -> int:
        return os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)


class FolderLock(FileLock):
    """On a folder itself: it works on a card that cannot be written, and nobody removes a file that
    is the lock."""

    def _open(self) -> int:
        return os.open(self.path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
