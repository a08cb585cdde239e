"""The folder of a run in real time: held while the run lives, so that what a killed one has left is
told from one that runs.
"""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

from edge.durable.filelock import FileLock

LOCK: Final = "run.lock"
MOUNTS: Final = Path("/proc/mounts")


def hold_folder(folder: Path) -> FileLock:
    """Held until it is released, or the process ends in whatever way."""
    lock = FileLock(folder / LOCK)
    lock.take(wait=True)
    return lock


def remove_leftovers(where: Path, prefix: str) -> list[Path]:
    """Remove folders of runs that have ended without doing so, and what is mounted in them; gives
    which. Those of others, and of runs that go on, stay."""
    return [folder for folder in sorted(where.glob(f"{prefix}*")) if _removed(folder)]


def _removed(folder: Path) -> bool:
    lock = FileLock(folder / LOCK)
    try:
        if folder.is_symlink() or folder.lstat().st_uid != os.geteuid():
            return False
        if lock.path.is_symlink() or not lock.path.is_file() or not lock.take():
            return False
    except OSError:
        return False
    try:
        for place in _mounted(folder):
            subprocess.run(["umount", "--lazy", place], capture_output=True, check=False)
        if any(_mounted(folder)):
            return False
        shutil.rmtree(folder, ignore_errors=True)
        return not folder.exists()
    except OSError:
        return False
    finally:
        lock.release()


def _mounted(folder: Path) -> Iterator[str]:
    with suppress(OSError):
        for line in MOUNTS.read_text(encoding="utf-8", errors="replace").splitlines():
            place = line.split(" ")[1].replace("\\040", " ")
            if Path(place).is_relative_to(folder):
                yield place
