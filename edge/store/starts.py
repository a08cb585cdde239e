"""Starts of the daemon: each is an epoch, and belongs to a boot of the machine."""

import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from edge.store.clockmap import forget_before
from edge.store.disk import Disk
from edge.store.drops import Drops
from edge.store.files import Ledger, read_ledger, write_ledger
from edge.store.rows import Former, Stored, readable

WRAP: Final = 1 << 21  # the counter of starts wraps, so that an epoch stays below 2**53

HANDED: Final = 20_000  # rows that are read back before they go
HANDED_BYTES: Final = 8 << 20  # of their bodies
BEHIND: Final = (
    "The outbox does not know of the last start: its log was lost, or that start ran in memory. "
    "What it had not delivered is lost."
)


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
    behind: bool = False  # the database does not know of the start before


def plan(disk: Disk | None, folder: Path, boot_id: str) -> Start:
    """The next start. Database and ledger both count; the higher one is right.

    Raises sqlite3.Error.
    """
    ledger = read_ledger(folder)
    starts, boots, known, clean, former = ledger.starts, ledger.boots, ledger.boot_id, 1, None
    behind = False
    if disk is not None:
        # the ledger is written behind the database: one that is ahead has seen a start whose log
        # is lost, or that ran in memory
        behind = 0 < disk.word("starts", 0) < starts
        starts = max(starts, disk.word("starts", 0))
        if disk.word("boots", 0) > boots:
            boots, known = disk.word("boots", 0), str(disk.meta("boot_id", ""))
        clean = disk.word("clean", 1)
        found = disk.former()
        former = None if found is None else Former(*found)
    number = (starts + 1) % WRAP
    same = boots > 0 and known == boot_id
    epoch = number << 32 | secrets.randbits(32)
    boot = boots if same else boots + 1
    unclean = behind or not clean
    return Start(number, epoch, boot, boot_id, same, former, unclean, ledger.epoch, behind)


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
        boots = [start.boot]
        if start.former is not None:
            disk.forget_counters(start.former.epoch)
            boots.append(start.former.boot)
        oldest = disk.oldest_boot()
        if oldest is not None:
            boots.append(oldest)
        forget_before(disk, min(boots))


def handed_over(disk: Disk, confirmed: Iterable[int]) -> list[Stored]:
    """Rows that were confirmed and are still there: bounded, the oldest first.

    Raises sqlite3.Error.
    """
    found: list[Stored] = []
    size = 0
    for number in sorted(confirmed)[-HANDED:]:
        row = disk.row(number)
        record = None if row is None else readable(row)
        if row is not None and record is not None:
            size += len(row.body)
            if size > HANDED_BYTES:
                break
            found.append(Stored(row.id, record, again=True))
    return found


def note(disk: Disk, start: Start) -> None:
    """Inside a transaction: this start runs."""
    disk.set_meta(
        {"starts": start.number, "boots": start.boot, "boot_id": start.boot_id, "clean": 0}
    )
