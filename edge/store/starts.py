"""Starts of the daemon: each is an epoch, and belongs to a boot of the machine."""

import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from edge.store.disk import Disk
from edge.store.drops import Drops
from edge.store.files import Ledger, read_ledger, write_ledger
from edge.store.rows import Former

WRAP: Final = 1 << 21  # the counter of starts wraps, so that an epoch stays below 2**53


@dataclass(frozen=True, slots=True)
class Start:
    """One start. `before` is the epoch of the one before, also when its database is lost."""

    number: int
    epoch: int
    boot: int
    boot_id: str
    same_boot: bool
    former: Former | None
    unclean: bool
    before: int


def plan(disk: Disk | None, folder: Path, boot_id: str) -> Start:
    """The next start. Database and ledger both count; the higher one is right.

    Raises sqlite3.Error, and ValueError when the database holds what is no number.
    """
    ledger = read_ledger(folder)
    starts, boots, known, clean, former = ledger.starts, ledger.boots, ledger.boot_id, 1, None
    if disk is not None:
        starts = max(starts, int(disk.meta("starts")))
        if int(disk.meta("boots")) > boots:
            boots, known = int(disk.meta("boots")), str(disk.meta("boot_id", ""))
        clean = int(disk.meta("clean", 1))
        found = disk.former()
        former = None if found is None else Former(*found)
    number = (starts + 1) % WRAP
    same = boots > 0 and known == boot_id
    epoch = number << 32 | secrets.randbits(32)
    boot = boots if same else boots + 1
    return Start(number, epoch, boot, boot_id, same, former, not clean, ledger.epoch)


def keep_ledger(folder: Path, start: Start) -> None:
    """Raises OSError."""
    write_ledger(folder, Ledger(start.number, start.boot, start.boot_id, start.epoch))


def keep(disk: Disk, start: Start, confirmed: Iterable[int], drops: Drops) -> None:
    """Write the start down, what is known to be lost, and what the last process could not.

    Raises sqlite3.Error.
    """
    with disk.transaction():
        note(disk, start)
        disk.set_drops(drops)
        disk.delete(confirmed)
        if start.former is not None:
            disk.forget_before(start.former.epoch)


def note(disk: Disk, start: Start) -> None:
    """Inside a transaction: this start runs."""
    disk.set_meta(
        {"starts": start.number, "boots": start.boot, "boot_id": start.boot_id, "clean": 0}
    )
