"""Files that are whole after a kill or a power cut: the old one, or the new one."""

import os
import stat
from contextlib import suppress
from pathlib import Path
from typing import Final

NEW_SUFFIX: Final = (
    ".new"  # what is being written; whatever still has that name after a start is rubbish
)
READ_LIMIT: Final = 1 << 20


def read_file(path: Path, limit: int = READ_LIMIT) -> bytes | None:
    """All of a regular file; None when there is none. One beyond `limit` is an OSError."""
    flags = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        fd = os.open(path, flags)
    except FileNotFoundError:
        return None
    with os.fdopen(fd, "rb") as file:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            raise OSError(f"{path} is no file")
        data = file.read(limit + 1)
    if len(data) > limit:
        raise OSError(f"{path} has more than {limit} bytes")
    return data


def replace_file(path: Path, data: bytes, mode: int = 0o600) -> None:
    """Replace it; nobody ever sees a part of it."""
    new = path.with_name(path.name + NEW_SUFFIX)
    write_file(new, data, mode)
    new.rename(path)
    fsync_folder(path.parent)


def write_file(path: Path, data: bytes, mode: int = 0o600) -> None:
    """Write it where nobody looks yet. Its name is durable only when its folder is synced."""
    with suppress(FileNotFoundError):
        path.unlink()  # what is there may belong to somebody, or be a link to somewhere
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    try:
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(fd, rest) :]
        os.fsync(fd)
    finally:
        os.close(fd)


def overwrite(path: Path, data: bytes) -> None:
    """In its own place, so that what was there is gone, as far as a card forgets anything."""
    fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    try:
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(fd, rest) :]
        os.ftruncate(fd, len(data))
        os.fsync(fd)
    finally:
        os.close(fd)


def point_link(link: Path, target: str) -> None:
    """Make the symbolic link `link` lead to `target`, in one step."""
    new = link.with_name(link.name + NEW_SUFFIX)
    with suppress(FileNotFoundError):
        new.unlink()
    new.symlink_to(target)
    new.rename(link)
    fsync_folder(link.parent)


def rename(old: Path, new: Path) -> None:
    """`new` may exist if it is a file."""
    old.rename(new)
    fsync_folder(new.parent)


def make_private_folder(path: Path) -> None:
    """An empty folder that only its owner may enter."""
    if path.is_dir() and not path.is_symlink():
        remove_tree(path)
    path.mkdir(0o700)


def remove_file(path: Path) -> None:
    with suppress(FileNotFoundError):
        path.unlink()
        fsync_folder(path.parent)


def remove_tree(path: Path) -> None:
    """Remove a folder of files and folders."""
    for each in path.iterdir():
        if each.is_dir() and not each.is_symlink():
            remove_tree(each)
        else:
            each.unlink()
    path.rmdir()
    fsync_folder(path.parent)


def shred(path: Path) -> None:
    """Overwrite and remove. A card may keep a copy nevertheless; a disk does not."""
    with suppress(OSError):
        overwrite(path, bytes(path.stat().st_size))
    remove_file(path)


def fsync_folder(path: Path) -> None:
    """The names in this folder are durable."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
