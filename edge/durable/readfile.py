"""Reads of what anybody may have put there: bounded, and never waiting for a pipe's writer."""

import os
import stat
from pathlib import Path
from typing import Final

READ_LIMIT: Final = 1 << 20


class NotAFileError(OSError):
    """A pipe or a device where a file should be."""


def is_regular_file(path: Path) -> bool:
    """A plain file, or a link to one: a pipe or a device would make the reader wait for ever."""
    try:
        return stat.S_ISREG(path.stat().st_mode)
    except OSError:
        return False


def read_beginning(path: Path, limit: int, *, links: bool = True) -> bytes:
    """At most `limit` bytes of a regular file. Raises OSError, NotAFileError among them.

    Without `links` a symbolic link is an OSError: for a folder in which others may write.
    """
    follow = 0 if links else os.O_NOFOLLOW
    fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | follow)
    try:
        with os.fdopen(fd, "rb", closefd=False) as file:  # it refuses a folder, and leaves it open
            if not stat.S_ISREG(os.fstat(fd).st_mode):
                raise NotAFileError(f"{path} is no file")
            return file.read(limit)
    finally:
        os.close(fd)


def read_file(path: Path, limit: int = READ_LIMIT) -> bytes | None:
    """All of a regular file; None when there is none. One beyond `limit` is an OSError."""
    try:
        data = read_beginning(path, limit + 1)
    except FileNotFoundError:
        return None
    if len(data) > limit:
        raise OSError(f"{path} has more than {limit} bytes")
    return data
