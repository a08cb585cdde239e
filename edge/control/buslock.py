"""A lock on a bus: a second master on a line never exists."""

import contextlib
import os
from pathlib import Path

from edge.durable.filelock import FileLock


class BusLock(FileLock):
    """Held by whoever works on a bus: the daemon, or a command while no daemon runs."""

    def __init__(self, folder: Path, bus: str) -> None:
        super().__init__(folder / f"bus-{bus}.lock")
        self._bus = bus

    def in_use(self) -> str:
        """Why it cannot be had, and what to do: the same sentence whoever asks."""
        return (
            f"bus {self._bus} is in use by {self.holder()}; try again when that has ended, or stop "
            "it (the daemon: systemctl stop kerbstone)"
        )

    def _open(self) -> int:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        # read-only is enough in tmpfs: a file left behind by root locks nobody out
        fd = os.open(self.path, os.O_RDONLY | os.O_CREAT | os.O_CLOEXEC, 0o644)
        with contextlib.suppress(PermissionError):  # somebody else's file: its mode is theirs
            os.fchmod(fd, 0o640)  # whatever the umask: the group may work on a bus, too
        return fd
