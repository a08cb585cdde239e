"""The files of the state folder, and which of them go along when another box takes its place.

`store.dir` and systemd's StateDirectory are one folder on every box. Whoever keeps a new file there
names it here: what nobody has named is not in a backup, and `kerbstone backup` says so.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from edge.control.handover import HANDED_OVER
from edge.core.boxfiles import SITE_FILE_NAME
from edge.durable.atomicwrite import NEW_SUFFIX
from edge.gateway.commissionfiles import DAMAGED_NAME, SHEETS, STATE_NAME
from edge.gateway.trialstate import TRIAL_NAME
from edge.outbox.commitlog import COMMIT_LOG_NAME
from edge.outbox.database import DATABASE_NAME
from edge.outbox.epochs import EPOCH_FILE
from edge.outbox.highwater import HIGHWATER_NAME

LOG_ENDS: Final = ("-wal", "-journal")  # of the database
CARRIED_LOG: Final = f"carried.{COMMIT_LOG_NAME}"  # of the former box, until the outbox has it
SWAP_NOTE: Final = "box_swap.json"
COPIED: Final = "copied"  # a mark: another box may send the rows that lie here, as they are now
STAGING: Final = "restore.new"  # a folder: a restore that is under way
READY: Final = "restore.ready"  # a folder: one that will be, whatever happens

CARRIED: Final = (
    DATABASE_NAME,
    *(f"{DATABASE_NAME}{end}" for end in LOG_ENDS),
    EPOCH_FILE,
    HIGHWATER_NAME,
    CARRIED_LOG,
    STATE_NAME,
)
"""What goes along."""
OWN: Final = (
    "ballast",
    "probe",
    "start_history",
    "last_good.toml",
    TRIAL_NAME,  # of configurations that ran, or did not, on this box
    HANDED_OVER,
    SWAP_NOTE,
    COPIED,
    STAGING,
    READY,
    "quarantine",
    DAMAGED_NAME,
    SHEETS,  # what was accepted is this box with its wires
    f"{DATABASE_NAME}-shm",
)
"""What is of this box alone."""
FOREIGN: Final = (
    "outbox."  # begins the name of a database that is kept for another owner or version
)


@dataclass(frozen=True, slots=True)
class StateFile:
    """A file of the state folder."""

    path: Path
    carried: bool
    known: bool


def list_state_files(folder: Path) -> Iterator[StateFile]:
    """What lies there, without what a kill has left half-written. Raises OSError."""
    for path in sorted(folder.iterdir()):
        if path.name.endswith(NEW_SUFFIX) and path.name != STAGING:
            continue
        carried = path.name in CARRIED and path.is_file() and not path.is_symlink()
        beside = path.name.startswith((FOREIGN, f"{SHEETS}."))
        known = carried or path.name in OWN or beside
        yield StateFile(path, carried, known)


def is_carried(name: str) -> bool:
    """Whether a backup may bring a file of this name into the state folder."""
    return name in CARRIED


__all__ = [
    "CARRIED_LOG",
    "COPIED",
    "HANDED_OVER",
    "READY",
    "SITE_FILE_NAME",
    "STAGING",
    "SWAP_NOTE",
    "StateFile",
    "is_carried",
    "list_state_files",
]
