"""A lock for each bus, so that a second master on a line never exists."""

import contextlib
import fcntl
import os
from pathlib import Path


class BusLock:
    """Held by whoever works on a bus: the daemon, or a command while no daemon runs."""

    def __init__(self, folder: Path, bus: str) -> None:
        self._path = folder / f"bus-{bus}.lock"
        self._fd = -1

    def take(self) -> bool:
        """False when somebody else holds it."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        # read-only is enough for flock: a file left behind by root locks nobody out
        fd = os.open(self._path, os.O_RDONLY | os.O_CREAT | os.O_CLOEXEC, 0o644)
        with contextlib.suppress(PermissionError):  # somebody else's file: its mode is theirs
            os.fchmod(fd, 0o640)  # whatever the umask: the group may work on a bus, too
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(fd)
            return False
        self._fd = fd
        return True

    def release(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
