"""One box goes on for another: what lies in the state folder meanwhile, and how it is put in place.

A backup that is its box's last act leaves a mark (`edge.control.handover`): no daemon uses that
folder again, or energy would be counted on two boxes. A restore writes all of its files into a
folder of its own and renames it to `restore.ready`; from then on it will be, whatever happens:
whoever comes next, the restore itself, another one or the daemon, moves the files to their places
(`finish_restore`). The note `box_swap.json` stays until an event has told the city.
"""

import logging
import os
from pathlib import Path
from typing import Final, Literal

import msgspec

from edge.control.handover import HANDED_OVER, BackupId, Words, read_hand_over
from edge.durable.atomicwrite import replace_file
from edge.durable.folders import fsync_folder, remove_file, rename
from edge.durable.readfile import read_file
from edge.gateway.commissionfiles import SHEETS
from edge.gateway.statefiles import CARRIED_LOG, READY, STAGING, SWAP_NOTE
from edge.outbox.commitlog import COMMIT_LOG_NAME
from edge.outbox.commitlog import READ_LIMIT as LOG_LIMIT
from edge.outbox.database import DATABASE_NAME
from edge.outbox.deliveryjournal import JOURNAL_NAME
from edge.outbox.epochs import EPOCH_FILE
from edge.outbox.foreignoutbox import set_aside
from edge.outbox.highwater import HIGHWATER_NAME
from edge.wire.contract.boxevent import PreviousEpoch
from edge.wire.contract.terms import Count, Epoch, Time

LOG = logging.getLogger("kerbstone")
BEGIN: Final = "begin"  # in READY: what was there before has not gone yet
BEFORE: Final = "before.restore"  # how a store is called whose place another one takes
NOTE_LIMIT: Final = 64 << 10  # bytes
RUN_FILES: Final = (HIGHWATER_NAME, EPOCH_FILE, JOURNAL_NAME)  # in tmpfs, of the store before


class AsideEpoch(msgspec.Struct, frozen=True, kw_only=True):
    """The last epoch of a store whose place a backup takes, and its last numbers."""

    epoch: Epoch
    last: dict[str, Count]

    def told(self) -> PreviousEpoch:
        return PreviousEpoch(epoch=self.epoch, last=dict(self.last))


class SwapNote(msgspec.Struct, frozen=True, kw_only=True):
    """What is told of a restore. `last`: the backup was the last act of the former box."""

    v: Literal[1] = 1
    backup: BackupId
    backup_at: Time
    last: bool
    serial_before: Words | None = None
    restored_at: Time
    by: Words
    set_aside: AsideEpoch | None = None


class HandedOverError(Exception):
    """Another box has what lies in this folder."""


def refuse_handed_over(folder: Path) -> None:
    """Raises HandedOverError for a folder that no gateway may use any more."""
    try:
        mark = read_hand_over(folder)
    except OSError:  # a card that does not answer: the outbox says so
        return
    if mark is not None:
        raise HandedOverError(
            f"{folder} was handed over to another box (backup {mark.backup}, {mark.at}, by "
            f"{mark.by}): both would count the same meters. What this card still holds: `kerbstone "
            f"outbox rescue {folder / DATABASE_NAME}`. If that backup was never restored anywhere: "
            "`sudo kerbstone backup --undo`"
        )


def read_swap_note(folder: Path) -> SwapNote | None:
    """What is to be told of a restore; None: nothing, or it cannot be read."""
    try:
        data = read_file(folder / SWAP_NOTE, NOTE_LIMIT)
        return None if data is None else msgspec.json.decode(data, type=SwapNote)
    except (OSError, ValueError) as error:
        LOG.error("%s cannot be read: %s", folder / SWAP_NOTE, error)
        return None


def commit_restore(folder: Path) -> None:
    """All is in STAGING and synced: from here on it will be. Durable on return. Raises OSError."""
    rename(folder / STAGING, folder / READY)


def finish_restore(folder: Path, run_dir: Path | None) -> bool:
    """Move what a restore has left to its places, however often it was killed on the way; whether
    there was any. The caller has the folder's lock. Raises OSError."""
    ready = folder / READY
    if not ready.is_dir():
        return False
    if (ready / BEGIN).exists():
        if (folder / DATABASE_NAME).exists():
            set_aside(folder, BEFORE)
        _set_sheets_aside(folder)
        for name in (EPOCH_FILE, HIGHWATER_NAME, HANDED_OVER, SWAP_NOTE, CARRIED_LOG):
            (folder / name).unlink(missing_ok=True)
        for name in RUN_FILES if run_dir is not None else ():
            assert run_dir is not None
            (run_dir / name).unlink(missing_ok=True)
        fsync_folder(folder)
        remove_file(ready / BEGIN)
    for path in sorted(ready.iterdir(), key=lambda each: (each.name == DATABASE_NAME, each.name)):
        rename(path, folder / path.name)
    fsync_folder(ready)
    ready.rmdir()
    fsync_folder(folder)
    return True


def _set_sheets_aside(folder: Path) -> None:
    """What this box has signed: other numbers come with the restore. Raises OSError."""
    to, number = folder / f"{SHEETS}.{BEFORE}", 1
    while to.exists():
        number += 1
        to = folder / f"{SHEETS}.{BEFORE}-{number}"
    if (folder / SHEETS).is_dir():
        rename(folder / SHEETS, to)


def lend_carried_log(folder: Path, run_dir: Path) -> None:
    """What the former box had in memory lies where a start looks for it. Raises OSError."""
    carried, place = folder / CARRIED_LOG, run_dir / COMMIT_LOG_NAME
    if os.path.lexists(place) or not carried.is_file():
        return
    replace_file(place, read_file(carried, LOG_LIMIT) or b"", sync=False)


def forget_carried_log(folder: Path) -> None:
    """The outbox has all of it on the disk. Raises OSError."""
    remove_file(folder / CARRIED_LOG)


def take_over(folder: Path, run_dir: Path) -> None:
    """What was restored here and is not in its place yet; and whether a gateway may work here.
    Raises HandedOverError."""
    try:
        finish_restore(folder, run_dir)
        lend_carried_log(folder, run_dir)
    except OSError as error:  # a card that does not work: the outbox says so
        LOG.error("what was restored in %s is not in its place yet: %s", folder, error)
    refuse_handed_over(folder)
