"""Stores that another gateway has left in this folder: kept beside ours, under its name.

Nothing here ever deletes one: nobody else has those records. Each gateway finds its own again, so a
name that was changed by mistake and changed back loses nothing. `kerbstone outbox rescue` reads it.
"""

import contextlib
import os
import re
import shutil
from pathlib import Path
from typing import Final

from edge.store.database import NAME
from edge.store.files import sync

ENDS: Final = ("-wal", "-journal", "-shm", "")  # the database last: its name says that it is whole
PATTERN: Final = "outbox.of.*.db"
STRANGE: Final = re.compile(r"[^a-z0-9_-]")  # in what a file of somebody says of itself


def name_of(owner: str, number: int = 1) -> str:
    """`outbox.of.town.gw-2.db` of gateway gw-2 at site town; `outbox.of.town.gw-2.3.db` is its
    third one."""
    words = [STRANGE.sub("_", word)[:64] for word in owner.split("/", 1)]
    return ".".join(["outbox.of", *words, *([str(number)] if number > 1 else []), "db"])


def keep(folder: Path, owner: str) -> Path:
    """Move the database there aside, with its log. Raises OSError."""
    number = 1
    while os.path.lexists(folder / name_of(owner, number)):
        number += 1
    _move(folder, NAME, name_of(owner, number))
    return folder / name_of(owner, number)


def take_back(folder: Path, owner: str) -> bool:
    """Its own, kept while another one was here, if there is no other. Raises OSError."""
    name = name_of(owner)
    if os.path.lexists(folder / NAME) or not (folder / name).is_file():
        return False
    _move(folder, name, NAME)
    return True


def keep_memory(log: Path, folder: Path, owner: str) -> Path:
    """As `keep`, of what a process had in memory: from the run directory, which goes with the
    power. Raises OSError."""
    number = 1
    while os.path.lexists(to := folder / f"{name_of(owner, number)}-{log.name}"):
        number += 1
    shutil.copyfile(log, to)
    sync(folder)
    log.unlink()
    return to


def kept_bytes(folder: Path) -> int:
    """What they take, with their logs."""
    size = 0
    with contextlib.suppress(OSError):
        for path in folder.glob(f"{PATTERN}*"):
            size += path.lstat().st_size
    return size


def _move(folder: Path, name: str, to: str) -> None:
    for end in ENDS:
        if os.path.lexists(folder / f"{name}{end}"):
            (folder / f"{name}{end}").rename(folder / f"{to}{end}")
    sync(folder)
