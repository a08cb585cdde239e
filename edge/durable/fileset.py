"""Files that belong together, such as a certificate and its key, and who may read each of them.

`replace_files` puts them in place one after the other. `replace_set` changes them as one: whoever
reads them by their names finds the old ones or the new ones. Each name is a symbolic link into
`current`, which is one itself: it leads to a folder with all of them, and is changed in one step.
(Kubernetes changes mounted secrets in this way.)
"""

import os
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from edge.durable.atomicwrite import hidden_name, own_name, replace_link, write_file
from edge.durable.filelock import FolderLock
from edge.durable.folders import fsync_folder

CURRENT: Final = "current"
MADE_PREFIX: Final = ".made-"  # folders of which `current` leads to one


class PendingFile(NamedTuple):
    """A file to be, and who may read it, whatever the umask; `group` None is the writer's."""

    path: Path
    data: bytes
    mode: int = 0o644
    group: int | None = None


def replace_files(parts: Sequence[PendingFile]) -> None:
    """Replace several, in this order: what fails before the first is in place changes nothing.
    Raises OSError."""
    staged: list[tuple[Path, Path]] = []
    try:
        for part in parts:
            staged.append((own_name(part.path), part.path))
            _write(part._replace(path=staged[-1][0]))
        for new, path in staged:
            new.replace(path)
    finally:
        for new, _ in staged:
            new.unlink(missing_ok=True)
    for folder in {part.path.parent for part in parts}:
        fsync_folder(folder)


def replace_set(folder: Path, parts: Sequence[PendingFile]) -> None:
    """Put `parts`, by the last word of their paths, into `folder`; what else is under its names
    stays. A kill or a power cut leaves all as it was, or all done. Raises OSError."""
    lock = FolderLock(folder)
    lock.take(wait=True)
    try:
        _tidy(folder)
        names = [part.path.name for part in parts]
        if strays := [n for n in names if (folder / n).is_file() and not _is_ours(folder / n)]:
            _change(folder, {name: folder / name for name in strays}, ())  # the same bytes
        for name in names:
            if not _is_ours(folder / name):
                _point(folder / name, f"{CURRENT}/{name}")
        _change(folder, {}, parts)
        _tidy(folder)
    finally:
        lock.release()


def _change(folder: Path, more: Mapping[str, Path], parts: Sequence[PendingFile]) -> None:
    """A new folder with what `current` has, with copies of `more`, and with `parts`."""
    like = folder.stat()
    made = Path(tempfile.mkdtemp(dir=folder, prefix=MADE_PREFIX))
    current = folder / CURRENT
    kept = {path.name: path for path in current.iterdir()} if current.is_dir() else {}
    for name, path in {**kept, **more}.items():
        stat = path.stat()
        _write(PendingFile(made / name, path.read_bytes(), stat.st_mode & 0o777, stat.st_gid))
    for part in parts:
        _write(part._replace(path=made / part.path.name))
    if made.stat().st_gid != like.st_gid or (os.geteuid() == 0 and like.st_uid != 0):
        os.chown(made, like.st_uid if os.geteuid() == 0 else -1, like.st_gid)
    made.chmod(like.st_mode & 0o777)  # who may read in the one reads in the other
    fsync_folder(made)
    _point(current, made.name)
    fsync_folder(folder)


def _is_ours(path: Path) -> bool:
    return path.is_symlink() and str(path.readlink()) == f"{CURRENT}/{path.name}"


def _point(link: Path, target: str) -> None:
    replace_link(link, target, new=hidden_name(link), sync=False)


def _write(part: PendingFile) -> None:
    write_file(part.path, part.data, part.mode, group=part.group, exact_mode=True)


def _tidy(folder: Path) -> None:
    """Away with what a killed process was about to put there, and what has been replaced."""
    current = folder / CURRENT
    used = str(current.readlink()) if current.is_symlink() else ""
    for path in folder.glob(f"{MADE_PREFIX}*"):
        if path.name != used and path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
