"""Outboxes that are not ours to use, another gateway's or another version's: kept beside ours.

Nothing here ever deletes one: nobody else has those records. Each finds its own again under the
name that it was kept by: a gateway whose name was changed by mistake and changed back, or the
version of this program that wrote it. `kerbstone outbox rescue` reads them.
"""

import contextlib
import os
import re
import shutil
from pathlib import Path
from typing import Final

from edge.durable.folders import fsync_folder
from edge.outbox.database import DATABASE_NAME, USER_VERSION, ForeignOutboxError
from edge.outbox.highwater import HIGHWATER_NAME as MARK

COMPANION_SUFFIXES: Final = (
    "-wal",
    "-journal",
    "-shm",
    "",
)  # the database last: its name says that it is whole
FOREIGN_PATTERNS: Final = ("outbox.foreign.*.db", "outbox.v*.db", "outbox.before.*.db")
UNSAFE_CHARACTERS: Final = re.compile(r"[^a-z0-9_-]")  # in what a file of somebody says of itself


def owner_label(owner: str) -> str:
    """What a file of `SITE/GATEWAY` is called by."""
    return ".".join(
        ["foreign", *(UNSAFE_CHARACTERS.sub("_", word)[:64] for word in owner.split("/", 1))]
    )


def version_label() -> str:
    """What another version of this program calls a file of ours by."""
    return f"v{USER_VERSION}"


def foreign_name(whose: str, number: int = 1) -> str:
    """`outbox.foreign.town.gw-2.db` of gateway gw-2 at site town, `outbox.v2.db` of version 2;
    `outbox.v2.3.db` is the third one of that version."""
    return ".".join(["outbox", whose, *([str(number)] if number > 1 else []), "db"])


def set_aside(folder: Path, whose: str) -> Path:
    """Move the database there aside, with its log and the mark of its numbers. Raises OSError."""
    number = 1
    while os.path.lexists(folder / foreign_name(whose, number)):
        number += 1
    to = foreign_name(whose, number)
    _rename(folder / MARK, folder / f"{to}-{MARK}")
    _move(folder, DATABASE_NAME, to)
    return folder / foreign_name(whose, number)


def reclaim(folder: Path, whose: str) -> bool:
    """Its own, kept while another one was here, if there is no other. Raises OSError."""
    name = foreign_name(whose)
    if os.path.lexists(folder / DATABASE_NAME) or not (folder / name).is_file():
        return False
    _rename(folder / f"{name}-{MARK}", folder / MARK)
    _move(folder, name, DATABASE_NAME)
    return True


def set_aside_commit_log(log: Path, folder: Path, whose: str) -> Path:
    """As `set_aside`, of what a process had in memory: from the run directory, which goes with the
    power. Raises OSError."""
    number = 1
    while os.path.lexists(to := folder / f"{foreign_name(whose, number)}-{log.name}"):
        number += 1
    shutil.copyfile(log, to)
    fsync_folder(folder)
    log.unlink()
    return to


def list_foreign(folder: Path) -> list[Path]:
    """The databases that are kept there."""
    try:
        return sorted(
            p for pattern in FOREIGN_PATTERNS for p in folder.glob(pattern) if p.is_file()
        )
    except OSError:
        return []


def foreign_bytes(folder: Path) -> int:
    """What they take, with their logs and what was in memory."""
    size = 0
    with contextlib.suppress(OSError):
        for path in (path for pattern in FOREIGN_PATTERNS for path in folder.glob(f"{pattern}*")):
            size += path.lstat().st_size
    return size


def _move(folder: Path, name: str, to: str) -> None:
    for end in COMPANION_SUFFIXES:
        _rename(folder / f"{name}{end}", folder / f"{to}{end}")
    fsync_folder(folder)


def _rename(path: Path, to: Path) -> None:
    if os.path.lexists(path):
        path.rename(to)


class OutboxOwnerError(ForeignOutboxError):
    """The outbox belongs to another gateway, or to this one at another site: `SITE/GATEWAY`."""

    def __init__(self, owner: str, rows: int) -> None:
        site, _, gateway = owner.rpartition("/")
        self.rows = rows
        super().__init__(f"it belongs to gateway {gateway} of site {site}", owner_label(owner))

    def kept_as(self, path: Path) -> str:
        return (
            f"The outbox here is not this gateway's: {self}. It is kept as {path} with {self.rows} "
            "records that wait for the platform, and nothing of it goes out under this name. "
            f"`kerbstone outbox rescue {path}` sends or exports them."
        )
