"""Files that change as one: whoever reads them by their names finds the old ones or the new ones.

Each name is a symbolic link into `current`, which is one itself: it leads to a folder with all of
them, and is changed in one step. (Kubernetes changes mounted secrets in this way.)
"""

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from edge.provision import atomicfiles

CURRENT: Final = "current"
MADE_PREFIX: Final = ".made-"  # folders of which `current` leads to one
NEW_SUFFIX: Final = ".new"  # links on their way to their names


def replace_set(folder: Path, parts: Sequence[atomicfiles.PendingFile]) -> None:
    """Put `parts`, by the last word of their paths, into `folder`; what else is under its names
    stays. A kill or a power cut leaves all as it was, or all done. Raises OSError."""
    with _holding_lock(folder):
        _tidy(folder)
        names = [part.path.name for part in parts]
        if strays := [n for n in names if (folder / n).is_file() and not _is_ours(folder / n)]:
            _change(folder, {name: folder / name for name in strays}, ())  # the same bytes
        for name in names:
            if not _is_ours(folder / name):
                _point(folder / name, f"{CURRENT}/{name}")
        _change(folder, {}, parts)
        _tidy(folder)


def _change(
    folder: Path, more: Mapping[str, Path], parts: Sequence[atomicfiles.PendingFile]
) -> None:
    """A new folder with what `current` has, with copies of `more`, and with `parts`."""
    like = folder.stat()
    made = Path(tempfile.mkdtemp(dir=folder, prefix=MADE_PREFIX))
    current = folder / CURRENT
    kept = {path.name: path for path in current.iterdir()} if current.is_dir() else {}
    for name, path in {**kept, **more}.items():
        stat = path.stat()
        atomicfiles.stage_file(
            atomicfiles.PendingFile(
                made / name, path.read_bytes(), stat.st_mode & 0o777, stat.st_gid
            )
        )
    for part in parts:
        atomicfiles.stage_file(part._replace(path=made / part.path.name))
    if made.stat().st_gid != like.st_gid or (os.geteuid() == 0 and like.st_uid != 0):
        os.chown(made, like.st_uid if os.geteuid() == 0 else -1, like.st_gid)
    made.chmod(like.st_mode & 0o777)  # who may read in the one reads in the other
    atomicfiles.fsync_folder(made)
    _point(current, made.name)
    atomicfiles.fsync_folder(folder)


def _is_ours(path: Path) -> bool:
    return path.is_symlink() and str(path.readlink()) == f"{CURRENT}/{path.name}"


def _point(link: Path, target: str) -> None:
    new = link.with_name(f".{link.name}{NEW_SUFFIX}")
    new.unlink(missing_ok=True)
    new.symlink_to(target)
    new.replace(link)


def _tidy(folder: Path) -> None:
    """Away with what a killed process was about to put there, and what has been replaced."""
    current = folder / CURRENT
    used = str(current.readlink()) if current.is_symlink() else ""
    for path in folder.glob(f"{MADE_PREFIX}*"):
        if path.name != used and path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)


@contextmanager
def _holding_lock(folder: Path) -> Iterator[None]:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)
