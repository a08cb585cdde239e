"""Names in folders: what was made, renamed or removed there stays so after a power cut."""

import os
from contextlib import suppress
from pathlib import Path


def fsync_folder(path: Path) -> None:
    """The names in this folder are on the disk. Raises OSError."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def sync_files(folder: Path) -> None:
    """All files of this folder, who owns them and their names are on the disk. Raises OSError."""
    for path in folder.iterdir():
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)
    fsync_folder(folder)


def rename(old: Path, new: Path) -> None:
    """`new` may exist if it is a file. Raises OSError."""
    old.replace(new)
    fsync_folder(new.parent)


def make_private_folder(path: Path) -> None:
    """An empty folder that only its owner may enter; what was in it is gone. Raises OSError."""
    if path.is_dir() and not path.is_symlink():
        remove_tree(path)
    path.mkdir(0o700)


def remove_file(path: Path) -> None:
    """If it is there. Raises OSError."""
    with suppress(FileNotFoundError):
        path.unlink()
        fsync_folder(path.parent)


def remove_tree(path: Path) -> None:
    """A folder of files and folders. Raises OSError."""
    for each in path.iterdir():
        if each.is_dir() and not each.is_symlink():
            remove_tree(each)
        else:
            each.unlink()
    path.rmdir()
    fsync_folder(path.parent)
