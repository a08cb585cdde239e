"""A short look into an outbox that nobody has open: whose it is, how far it came, what waits.

Reads it as it lies there, with its log, and changes nothing. For `kerbstone backup` and `restore`.
"""

import contextlib
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from edge.core import StoredState
from edge.outbox.database import (
    DATABASE_NAME,
    UNREADABLE,
    OutboxVersionError,
    UnusableOutboxError,
)
from edge.outbox.diskoutbox import DiskOutbox
from edge.outbox.epochs import PreviousStart
from edge.outbox.outboxfolder import OutboxFolder
from edge.outbox.rowformat import DamagedRowError, unpack_state

NO_LIMIT: Final = 1 << 40  # bytes


@dataclass(frozen=True, slots=True)
class OutboxGlance:
    """What a database says of itself. `damage` is a sentence, or None: then some of it is wrong.
    `used`: a daemon has worked with it. `other_version`: it is sound, and of a version of its
    format that this program does not read."""

    owner: str = ""
    last: PreviousStart | None = None
    rows: int = 0
    used: bool = False
    damage: str | None = None
    other_version: int | None = None
    states: tuple[tuple[str, StoredState], ...] = ()

    def state(self, owner: str) -> StoredState | None:
        return dict(self.states).get(owner)


def glance(folder: Path, owners: tuple[str, ...] = (), *, check: bool = False) -> OutboxGlance:
    """With the states of these owners; `check`: look at each page. Of one that cannot be read only
    `damage` says anything. Raises FileNotFoundError when there is none."""
    if not (folder / DATABASE_NAME).exists():
        raise FileNotFoundError(2, "there is no outbox", str(folder / DATABASE_NAME))
    try:
        disk = OutboxFolder(folder, NO_LIMIT).connect(reading=True)
    except OutboxVersionError as error:
        return OutboxGlance(damage=str(error), used=True, other_version=error.version)
    except (*UNREADABLE, UnusableOutboxError, OSError) as error:
        return OutboxGlance(damage=str(error) or "it cannot be read", used=True)
    with contextlib.closing(disk):
        return _read(disk, owners, check)


def _read(disk: DiskOutbox, owners: tuple[str, ...], check: bool) -> OutboxGlance:
    damage = None
    try:
        if check:
            verdict = disk.one("PRAGMA quick_check(1)")
            damage = None if verdict == "ok" else f"{verdict!s:.200}"
        former = disk.former()
        last = None if former is None else PreviousStart(*former)
        states = [
            (owner, (kept[0], unpack_state(owner, *kept)))
            for owner in owners
            if (kept := disk.state(owner)) is not None
        ]
        rows = sum(disk.tally().values())
    except (*UNREADABLE, DamagedRowError) as error:
        return OutboxGlance(owner=disk.owner, used=disk.used, damage=str(error))
    return OutboxGlance(disk.owner, last, rows, disk.used, damage, states=tuple(states))
