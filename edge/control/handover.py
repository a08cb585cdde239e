"""The mark of a folder whose role another box has, and what is said where no daemon answers.

A backup that is its box's last act (`kerbstone backup --last`) leaves it: no daemon starts there
again. Whoever would say "start it" looks for it first. It holds no secret, and the group of its
folder may read it: the daemon, the page and technicians.
"""

import contextlib
import os
from functools import partial
from pathlib import Path
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta

from edge.durable.atomicwrite import replace_file
from edge.durable.folders import remove_file
from edge.durable.readfile import read_file
from edge.durable.timelimit import GLANCE_S, within
from edge.wire.contract.terms import Time

HANDED_OVER: Final = "handed_over.json"
MARK_LIMIT: Final = 64 << 10  # bytes
MARK_MODE: Final = 0o640
GONE_ON_TEXT: Final = "another box has gone on in its place"
HANDED_OVER_TEXT: Final = (
    f"{GONE_ON_TEXT} (backup {{}}, made by {{}} at {{}}): there is nothing to start here. If that "
    "backup was restored nowhere: `sudo kerbstone backup --undo`"
)

BackupId = Annotated[str, Meta(pattern=r"\A[0-9a-f]{16}\Z")]
Words = Annotated[str, Meta(max_length=128)]


class HandOver(msgspec.Struct, frozen=True, kw_only=True):
    """The mark of a folder whose records and totals another box has."""

    v: Literal[1] = 1
    backup: BackupId
    at: Time
    by: Words


UNREADABLE: Final = HandOver(backup="0" * 16, at="1970-01-01T00:00:00.000Z", by="unknown")


def read_hand_over(folder: Path) -> HandOver | None:
    """The mark of this folder. One that is damaged, or closed to us, still is one. Raises
    OSError."""
    path = folder / HANDED_OVER
    try:
        data = read_file(path, MARK_LIMIT)
    except PermissionError:
        if not os.path.lexists(path):
            raise  # the folder is closed
        return UNREADABLE
    if data is None:
        return None
    try:
        return msgspec.json.decode(data, type=HandOver)
    except ValueError:
        return UNREADABLE


def write_hand_over(folder: Path, mark: HandOver) -> None:
    """Durable on return. Raises OSError."""
    group = folder.stat().st_gid if os.geteuid() == 0 else None  # the daemon's, who writes or not
    data = msgspec.json.encode(mark)
    replace_file(folder / HANDED_OVER, data, MARK_MODE, group=group, exact_mode=True)


def remove_hand_over(folder: Path) -> None:
    """Durable on return. Raises OSError."""
    remove_file(folder / HANDED_OVER)


def find_hand_over(folder: Path) -> HandOver | None:
    """Whether another box has gone on; None also where that cannot be seen within GLANCE_S: a disk
    may hang."""
    with contextlib.suppress(OSError):
        return within(GLANCE_S, partial(read_hand_over, folder))
    return None


def why_stopped(folder: Path, stopped: str) -> str:
    """What to say where no daemon answers; `stopped` unless the box has handed over `folder`."""
    mark = find_hand_over(folder)
    return stopped if mark is None else HANDED_OVER_TEXT.format(mark.backup, mark.by, mark.at)
