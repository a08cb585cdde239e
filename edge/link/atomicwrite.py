"""Files that are whole or not there, whatever happens to the power."""

import contextlib
import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from edge.link.profile import file_mode


def write_atomically(path: Path, data: bytes, mode: int = 0o600, *, sync: bool = True) -> None:
    """Write, fsync, rename, fsync the folder: nobody ever reads half. `sync` is for real disks."""
    new = path.with_name(f".{path.name}.new")  # NetworkManager and chrony skip hidden names
    new.unlink(missing_ok=True)
    fd = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(fd, "wb") as file:
            os.fchmod(file.fileno(), mode)
            file.write(data)
            file.flush()
            if sync:
                os.fsync(file.fileno())
        new.replace(path)
    except OSError:
        with contextlib.suppress(OSError):
            new.unlink(missing_ok=True)
        raise
    if not sync:
        return
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def make_folder(root: Path, path: Path) -> None:
    """Make it, and what is missing above it, open for all to look into: NetworkManager's and
    chrony's own are so, whoever makes them first. What is there already stays as it is."""
    if path.is_dir():
        return
    if path != root:
        make_folder(root, path.parent)
    path.mkdir(parents=True, exist_ok=True)
    path.chmod(0o755)  # whatever the unit's umask


def sync_files(root: Path, wanted: Mapping[str, str], known: Iterable[str]) -> list[str]:
    """Make the files of `known` as `wanted` says, and remove the others of them. What changed."""
    changed: list[str] = []
    for name in known:
        path, text = root / name, wanted.get(name)
        old = path.read_bytes() if path.is_file() and not path.is_symlink() else None
        if text is None:
            if old is not None or path.is_symlink():
                path.unlink()
                changed.append(name)
            continue
        data, right = text.encode(), file_mode(name)
        if old == data and path.stat().st_mode & 0o777 == right:
            continue
        make_folder(root, path.parent)
        write_atomically(path, data, right)
        changed.append(name)
    return changed
