"""Two boxes with their folders, and a backup from one to the other."""

import contextlib
import io
from pathlib import Path

from edge.diagnose.boxplaces import BackupPlaces
from edge.diagnose.restoring import Restored, RestoreWish, restore_backup
from edge.diagnose.takingbackup import (
    BackupWish,
    TakenBackup,
    take_backup,
)
from edge.gateway.boxswap import take_over
from edge.outbox import PastState
from tests.crash.swaps import (
    WALL_NS,
    opened,
    places,
)


def backed_up(box: Path, *, last: bool = True, run: bool = True) -> tuple[bytes, TakenBackup]:
    out = io.BytesIO()
    where = places(box)
    if not run:
        where = BackupPlaces(where.root, where.store, None, where.site_file)
    wish = BackupWish(last, "anna", WALL_NS)
    taken = take_backup(where, wish, lambda: contextlib.nullcontext(out), lambda name, done: None)
    return out.getvalue(), taken


def restored(data: bytes, box: Path, *, set_aside: bool = False) -> Restored:
    wish = RestoreWish(set_aside, "ben", WALL_NS)
    return restore_backup(io.BytesIO(data), places(box), wish, lambda name, done: None)


def past_of_next_start(box: Path) -> PastState:
    take_over(box / "store", box / "run")
    outbox = opened(box, "boot-new")
    try:
        return outbox.begin().past
    finally:
        outbox.close()
