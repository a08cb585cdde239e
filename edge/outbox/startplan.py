"""The plan of a start: which epoch it is, what the process before it had to leave in memory, and
what the states that lie on the disk are worth.
"""

import sqlite3
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Final

from edge.outbox.commitlog import (
    ABSORBED_KEY,
    COMMIT_LOG_NAME,
    RecoveredLog,
    recover_commit_log,
)
from edge.outbox.epochs import (
    PAST,
    STALE_NOTICE,
    TORN_COMMIT_NOTICE,
    EpochFile,
    EpochStart,
    PastState,
    plan_epoch,
    read_epoch_file,
)
from edge.outbox.failover import FailoverStorage
from edge.outbox.foreignoutbox import owner_label, set_aside_commit_log
from edge.outbox.highwater import HighWaterFiles
from edge.outbox.losses import Losses
from edge.outbox.rowformat import DamagedRowError

TORN_NOTICE: Final = (
    "What the outbox had kept in memory is damaged in the run directory: some of it is lost."
)


@dataclass(frozen=True, slots=True)
class StartPlan:
    """`left` is what lies in memory still, because there is no disk; `past`: what the states on the
    disk are worth."""

    start: EpochStart
    left: RecoveredLog | None
    past: PastState


def plan_start(
    storage: FailoverStorage,
    losses: Losses,
    water: HighWaterFiles,
    boot_id: str,
    absorb: Callable[[RecoveredLog], None],
) -> StartPlan:
    """The next start, with what there is to say of the one before: notices, and what is lost.

    What it has left in memory goes to the disk with `absorb`, which does nothing without one.
    """
    start, left = _next_start(storage, losses, boot_id, absorb)
    found, doubt = _worth(storage, water, start), _left_in_doubt(storage)
    past: PastState = "older" if "older" in (found, doubt) else doubt if found == "known" else found
    opened, notices = storage.opened, storage.notices
    if opened.foreign:
        notices.add(True, opened.foreign)
    # what one that had been kept does not know lies beside it
    behind = found == "older" and not opened.newer
    damage = opened.damage or (STALE_NOTICE if behind else None)
    if damage or past == "doubtful" or (past == doubt == "older"):
        notices.add(True, damage or (TORN_COMMIT_NOTICE if past == "doubtful" else STALE_NOTICE))
    # of an outbox that was kept beside another one's the epoch file does not know
    last = start.previous_epoch or (start.former.epoch if start.former is not None else 0)
    if damage and last:
        losses.pending.lose_epoch(last)
    return StartPlan(start, left, past)


def _next_start(
    storage: FailoverStorage,
    losses: Losses,
    boot_id: str,
    absorb: Callable[[RecoveredLog], None],
) -> tuple[EpochStart, RecoveredLog | None]:
    """And what lies in memory still."""
    place, run_dir = storage.place, storage.run_dir
    left, torn = _left_in_memory(storage)
    if left is not None and storage.ask(lambda disk: disk.word(ABSORBED_KEY, 0), 0) == left.token:
        left = None  # it is on disk, and was not removed any more
    others = [] if run_dir is None else [read_epoch_file(run_dir)]
    former = None
    if left is not None:
        others.append(EpochFile(left.number, left.boot, left.boot_id, left.epoch))
        former = left.latest()
        losses.adopt(left)
        absorb(left)
    planned = partial(
        plan_epoch,
        folder=place.folder, boot_id=boot_id, others=others, former=former, owner=place.owner,
    )  # fmt: skip
    try:
        start = planned(storage.disk)
    except sqlite3.Error as error:
        storage.switch_to_memory(error)
        start = planned(None)
    if torn:
        storage.notices.add(True, TORN_NOTICE)
        if start.previous_epoch:
            losses.pending.lose_epoch(start.previous_epoch)
    if left is not None and storage.disk is None:
        storage.memory = left.memory
        return replace(start, unclean=not left.clean), left
    if left is not None or storage.disk is not None:
        storage.commit_log.remove()
    return start, None


def _left_in_memory(storage: FailoverStorage) -> tuple[RecoveredLog | None, bool]:
    """What the process before had no disk for, and whether some of it cannot be read. What is
    another owner's is put aside."""
    owner = storage.place.owner
    try:
        left = recover_commit_log(storage.run_dir, storage.new_memory())
    except DamagedRowError:
        return None, True
    if left is None or owner is None or left.owner in ("", owner):
        return left, left is not None and left.damaged
    _keep_memory_of(storage, left)
    return None, False


def _keep_memory_of(storage: FailoverStorage, left: RecoveredLog) -> None:
    """Of another owner. On the disk, if it works: a tmpfs goes with the power."""
    if storage.run_dir is None:
        return
    path = storage.run_dir / COMMIT_LOG_NAME
    text = f"{path} is {left.owner}'s, with {len(left.memory.rows)} records"
    try:
        to = storage.place.folder if storage.disk is not None else storage.run_dir
        kept = set_aside_commit_log(path, to, owner_label(left.owner))
    except OSError as error:
        storage.notices.add(True, f"{text}; it cannot be kept: {error.strerror}.")
    else:
        storage.notices.add(True, f"{text}: it is kept as {kept}.")


def _worth(storage: FailoverStorage, water: HighWaterFiles, start: EpochStart) -> PastState:
    """What the database's states are worth. Of memory's nobody doubts: they go with it."""
    if storage.disk is None or not storage.disk.used:
        return "known"
    ahead = any(reached.ahead_of(start.former) for reached in water.found)
    if start.stale or ahead or storage.opened.log == "damaged":
        return "older"
    # what was given last the run directory knows without the log
    return "doubtful" if storage.opened.log == "torn" and not water.run else "known"


def _left_in_doubt(storage: FailoverStorage) -> PastState:
    """What a start before this one found, and did not live to commit states of its own."""
    word = storage.ask(lambda disk: str(disk.meta(PAST, "")), "")
    return "older" if word == "older" else "doubtful" if word == "doubtful" else "known"
