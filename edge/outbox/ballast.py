"""A file without content that holds blocks of a file system, to be given up when it is full.

SQLite cannot even delete on a full disk. The blocks of this file are then the room in which the
last records are still written down, and in which rows leave once they are confirmed. It lies
outside of the outbox's limit of bytes.
"""

import contextlib
import errno
import os
from pathlib import Path
from typing import Final

NAME: Final = "ballast"
CHUNK: Final = 1 << 16
AT_FIRST: Final = 4  # times its size is to be free, or it is not made
AGAIN: Final = 2  # the same, after it was given up
NO_FALLOCATE: Final = frozenset({errno.EOPNOTSUPP, errno.EINVAL, errno.ENOSYS, errno.ENODEV})


class Ballast:
    """`size` bytes in `folder`; 0: none. Never raises: without it a full disk comes sooner."""

    def __init__(self, folder: Path, size: int) -> None:
        self._folder, self._path = folder, folder / NAME
        self._wanted = size
        self.given_up = False
        self.missing = False  # there was no room for it, or it could not be made

    @property
    def size(self) -> int:
        """Bytes that are really set aside."""
        try:
            found = self._path.lstat()
        except OSError:
            return 0
        return min(found.st_size, found.st_blocks * 512)

    def build(self) -> bool:
        """Set it aside, if there is enough room beside it. Whether it is there now."""
        have = self.size
        if have > self._wanted or not self._path.is_file() or self._path.is_symlink():
            self._remove()
            have = 0
        times = AGAIN if self.given_up else AT_FIRST
        if have < self._wanted <= (free_bytes(self._folder) + have) // times:
            try:
                self._allocate()
                have = self._wanted
            except OSError:
                self._remove()
        self.missing = have != self._wanted
        self.given_up = self.given_up and self.missing
        return not self.missing

    def give_up(self) -> bool:
        """Its blocks are free now. Whether there were any."""
        had = self.size
        self.given_up = self.missing = True
        self._remove()
        return had > 0

    def _allocate(self) -> None:
        """Raises OSError."""
        flags = os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
        fd = os.open(self._path, flags, 0o600)
        try:
            try:
                os.posix_fallocate(fd, 0, self._wanted)
            except OSError as error:
                if error.errno not in NO_FALLOCATE:
                    raise
                write_zeros(fd, self._wanted)
            os.fsync(fd)
        finally:
            os.close(fd)

    def _remove(self) -> None:
        with contextlib.suppress(OSError):  # a folder in its place, or a disk that may not be
            self._path.unlink()  # written: then there is no ballast


def write_zeros(fd: int, size: int) -> None:
    """Real blocks where the file system cannot allocate them. Raises OSError."""
    for place in range(0, size, CHUNK):
        piece = min(CHUNK, size - place)
        if os.pwrite(fd, bytes(piece), place) != piece:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def free_bytes(folder: Path) -> int:
    """That an ordinary process may still write into the file system; 0 when it cannot be asked."""
    try:
        found = os.statvfs(folder)
    except OSError:
        return 0
    return found.f_bavail * found.f_frsize
