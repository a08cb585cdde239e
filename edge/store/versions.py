"""Stores that another version of this program has written: kept beside ours until it comes back.

Each version finds its own again under the name it was kept by. Nothing here ever deletes one: its
records are not in our way, only in a form that we do not know. `kerbstone outbox rescue` reads it.
"""

import contextlib
import os
from pathlib import Path
from typing import Final

from edge.store.database import NAME, VERSION
from edge.store.files import sync

ENDS: Final = ("-wal", "-journal", "-shm", "")  # the database last: its name says that it is whole
PATTERN: Final = "outbox.v*.db"


def name_of(version: int, number: int = 1) -> str:
    """`outbox.v2.db`; `outbox.v2.3.db` is the third of that version."""
    return f"outbox.v{version}{f'.{number}' if number > 1 else ''}.db"


def keep(folder: Path, version: int) -> Path:
    """Move the database there aside, with its log. Raises OSError."""
    number = 1
    while os.path.lexists(folder / name_of(version, number)):
        number += 1
    _move(folder, NAME, name_of(version, number))
    return folder / name_of(version, number)


def take_back(folder: Path) -> bool:
    """Our own, kept by another version, if there is one and no other. Raises OSError."""
    name = name_of(VERSION)
    if os.path.lexists(folder / NAME) or not (folder / name).is_file():
        return False
    _move(folder, name, NAME)
    return True


def kept(folder: Path) -> list[Path]:
    """The databases of other versions there."""
    try:
        return sorted(path for path in folder.glob(PATTERN) if path.is_file())
    except OSError:
        return []


def kept_bytes(folder: Path) -> int:
    """What they take, with their logs."""
    size = 0
    for path in kept(folder):
        for end in ENDS:
            with contextlib.suppress(OSError):
                size += Path(f"{path}{end}").stat().st_size
    return size


def sentence(version: int, path: Path) -> str:
    """For people."""
    return (
        f"The outbox was written by version {version} of its format, and this program knows "
        f"version {VERSION}: it is kept as {path} with all its records. Install the program that "
        f"wrote it again, or let `kerbstone outbox rescue {path}` send what it holds."
    )


def _move(folder: Path, name: str, to: str) -> None:
    for end in ENDS:
        if os.path.lexists(folder / f"{name}{end}"):
            (folder / f"{name}{end}").rename(folder / f"{to}{end}")
    sync(folder)
