"""What a file held is gone, as far as a card forgets anything; a disk does."""

import os
from contextlib import suppress
from pathlib import Path

from edge.durable.atomicwrite import write_all
from edge.durable.folders import remove_file


def overwrite(path: Path, data: bytes) -> None:
    """In its own place, on the disk. Raises OSError."""
    fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    try:
        write_all(fd, data)
        os.ftruncate(fd, len(data))
        os.fsync(fd)
    finally:
        os.close(fd)


def shred(path: Path) -> None:
    """Overwrite and remove. Raises OSError when it cannot be removed."""
    with suppress(OSError):
        overwrite(path, bytes(path.stat().st_size))
    remove_file(path)
