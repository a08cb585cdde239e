"""The quarantine: what cannot be read is kept in a folder beside the database, within limits."""

import contextlib
import os
import shutil
import stat
from pathlib import Path
from typing import Final

from edge.durable.folders import fsync_folder
from edge.durable.readfile import is_regular_file
from edge.durable.sqlitefile import Access, open_sqlite
from edge.outbox.database import DATABASE_NAME, UNREADABLE

QUARANTINE: Final = "quarantine"
QUARANTINE_KEEP: Final = 2  # quarantined databases


def quarantine(folder: Path, database: str, limit_bytes: int) -> Path:
    """Move a database that cannot be used out of the way, keep two of them. Raises OSError.

    One that is larger than `limit_bytes` is cut: bounded storage comes before evidence.
    """
    place = _next_place(folder)
    for name in (database, f"{database}-wal", f"{database}-shm", f"{database}-journal"):
        if os.path.lexists(folder / name):
            (folder / name).rename(place / name)
    fsync_folder(folder)
    home = place.parent
    kept = _eviction_order(home)
    while len(kept) > QUARANTINE_KEEP or (len(kept) > 1 and _bytes(home) > limit_bytes):
        _remove(kept.pop(0))
    if _bytes(home) > limit_bytes:
        for path in kept[-1].iterdir():
            if (
                not path.is_symlink()
                and is_regular_file(path)
                and path.stat().st_size > limit_bytes // 2
            ):
                os.truncate(path, limit_bytes // 2)
    return place


def _eviction_order(home: Path) -> list[Path]:
    """What goes first: a database without records never pushes out one that has some."""
    return sorted(_quarantined_folders(home), key=lambda path: (not _is_empty(path), path.name))


def _is_empty(place: Path) -> bool:
    """Whether it is certain that there is no record in it. What cannot be read may have some."""
    path = place / DATABASE_NAME
    try:
        if not any(os.path.lexists(place / f"{DATABASE_NAME}{end}") for end in ("", "-wal")):
            return True
        if any(each.lstat().st_size for each in place.iterdir() if each != path):
            return False  # a log, or something else
        if path.lstat().st_size == 0:
            return True
        if not is_regular_file(path):
            return False
        with contextlib.closing(open_sqlite(path, Access.IMMUTABLE)) as opened:
            return opened.execute("SELECT 1 FROM record LIMIT 1").fetchone() is None
    except (OSError, *UNREADABLE):
        return False


def _next_place(folder: Path) -> Path:
    """An empty folder in quarantine. What is in the way of it goes into it. Raises OSError."""
    home = folder / QUARANTINE
    aside = folder / f"{QUARANTINE}.aside"
    if os.path.lexists(home) and not home.is_dir():
        home.rename(aside)
    home.mkdir(exist_ok=True)
    for path in _quarantined_folders(home):
        with contextlib.suppress(OSError):
            path.rmdir()  # empty: the process that made it was killed before it moved anything
    number = 1 + max((int(path.name) for path in _quarantined_folders(home)), default=0)
    place = home / f"{number:06}"
    place.mkdir()
    if os.path.lexists(aside):
        aside.rename(place / QUARANTINE)
    return place


def quarantine_obstacle(path: Path, folder: Path) -> None:
    """Something that is no file where one should be: kept like a damaged database."""
    path.rename(_next_place(folder) / path.name)
    for old in _eviction_order(folder / QUARANTINE)[:-QUARANTINE_KEEP]:
        _remove(old)


def _remove(path: Path) -> None:
    """As far as it goes: what cannot be removed still counts."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with contextlib.suppress(OSError):
            path.unlink()


def quarantine_usage(folder: Path) -> tuple[int, int]:
    """How many databases are in quarantine, and their bytes."""
    home = folder / QUARANTINE
    return len(_quarantined_folders(home)), _bytes(home)


def _quarantined_folders(home: Path) -> list[Path]:
    try:
        return sorted(path for path in home.iterdir() if path.name.isdecimal())
    except OSError:
        return []


def _bytes(home: Path) -> int:
    try:
        found = [path.lstat() for path in home.rglob("*")]
    except OSError:  # somebody clears it up at this moment, or the disk does not answer
        return 0
    return sum(each.st_size for each in found if stat.S_ISREG(each.st_mode))
