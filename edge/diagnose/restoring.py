"""Restoring a backup: nothing of it is in its place before all of it was read and found whole.

Its files go into a folder beside their places; then one rename decides, and from there on the
restore will be, whoever finishes it (`edge.gateway.boxswap`). The site file comes last: without it
no gateway starts, and the same command brings it again.
"""

import contextlib
import errno
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Final

import msgspec

from edge.core.boxfiles import SITE_FILE_NAME
from edge.core.printable import printable
from edge.diagnose.backupfile import BackupFileError, BackupHead, BackupReader, Shown
from edge.diagnose.backupparts import CONFIG_LIMIT
from edge.diagnose.boxplaces import METERS, BackupPlaces, whose_box
from edge.diagnose.dooraccess import KIND, bring_access, check_access
from edge.diagnose.takingbackup import doubt_totals
from edge.durable.atomicwrite import replace_file, write_file, write_pieces
from edge.durable.filelock import FolderLock
from edge.durable.folders import make_private_folder, remove_tree, sync_files
from edge.durable.readfile import read_file
from edge.gateway.boxchange import BOX_OWNER, STATE_VERSION
from edge.gateway.boxswap import (
    BEGIN,
    AsideEpoch,
    SwapNote,
    commit_restore,
    finish_restore,
    read_swap_note,
)
from edge.gateway.statefiles import STAGING, SWAP_NOTE, is_carried
from edge.outbox.commitlog import COMMIT_LOG_NAME
from edge.outbox.database import DATABASE_NAME
from edge.outbox.outboxglance import OutboxGlance, glance
from edge.wire.keptstate import unpack_state
from edge.wire.records import iso_time

SPARE_BYTES: Final = 8 << 20  # that stay free on the card
ALL_CONFIG_LIMIT: Final = 8 << 20  # bytes, of all of it
DAEMON_GROUP: Final = "kerbstone"
SITE_MODE: Final = 0o640
FOLDER_MODE: Final = 0o750


class RestoreError(Exception):
    """It is refused, and nothing has changed; the text says why, and what to do."""


@dataclass(frozen=True, slots=True)
class RestoreWish:
    """`set_aside`: what this box has recorded itself under this name makes room. `by` for the city;
    `wall_ns`: now. `access`: what the label inside the door opens is brought, too."""

    set_aside: bool
    by: str
    wall_ns: int
    access: bool = True


@dataclass(slots=True)
class Restored:
    """What was done. `already`: the state had been restored before."""

    head: BackupHead
    already: bool = False
    notes: list[str] = field(default_factory=list)


def check_backup(file: IO[bytes], shown: Shown) -> BackupHead:
    """Read all of it, and write nothing. Raises OSError, BackupFileError."""
    reader = BackupReader(file)
    for part, pieces in reader.parts():
        for _ in _told(part.name, pieces, shown):
            pass
    return reader.head


def restore_backup(
    file: IO[bytes], places: BackupPlaces, wish: RestoreWish, shown: Shown
) -> Restored:
    """All or nothing of it. Raises RestoreError, BackupFileError, OSError."""
    reader = BackupReader(file)
    head = reader.head
    _is_for_this_box(head, places)
    if f"state/{DATABASE_NAME}" not in head.names():
        raise RestoreError("there is no outbox in this backup: there is nothing to go on from")
    if not places.is_this_box and not places.etc.parent.is_dir():
        raise RestoreError(
            f"{places.etc.parent} is not there: is the card's second partition mounted at "
            f"{places.root}?"
        )
    places.store.mkdir(parents=True, exist_ok=True, mode=FOLDER_MODE)
    with _locked(places):
        finish_restore(places.store, places.run)
        there = _present(places.store)
        done = Restored(head, already=_is_restored(places.store, there, head))
        if not done.already:
            aside = _aside(there, head, places, wish)
        staging = places.store / STAGING
        _room(places.store, head)
        make_private_folder(staging)
        try:
            config = _take_parts(reader, staging, shown)
            access = {name: config.pop(name) for name in [*config] if name.startswith(f"{KIND}/")}
            check_access(access)
            if not done.already:
                _prepare(staging, head, aside, wish, done.notes)
                _hand_to_daemon(staging, places.store)
                # before it is decided: what a second run of the command finds done, it leaves
                done.notes.append(bring_access(access if wish.access else {}, places))
                commit_restore(places.store)
        finally:
            if staging.exists():
                remove_tree(staging)
        finish_restore(places.store, places.run)
        _bring_config(config, places, done.notes)
    return done


# -- what is refused ---------------------------------------------------------------------------


def _is_for_this_box(head: BackupHead, places: BackupPlaces) -> None:
    """Raises RestoreError for one of another site, gateway or role."""
    mine = whose_box(places)
    if mine is None:
        return
    for what, theirs, ours in (
        ("gateway", head.owner, mine.owner),
        ("role", head.role, mine.role),
    ):
        if theirs is not None and ours is not None and theirs != ours:
            raise RestoreError(
                f"the backup is of {what} {printable(theirs, 160)}, and this box is "
                f"{printable(ours, 160)} ({mine.told_by}): records and totals never change their "
                "gateway. For a swap the new box gets a claim for the same site, role and gateway; "
                "or send what the backup holds: `tar xzf FILE state`, then `kerbstone outbox "
                "rescue state/outbox.db`"
            )


@contextlib.contextmanager
def _locked(places: BackupPlaces) -> Iterator[None]:
    """No gateway can start meanwhile. Raises RestoreError."""
    run = [places.run] if places.run is not None and places.run.is_dir() else []
    with contextlib.ExitStack() as held:
        for folder in (places.store, *run):
            lock = FolderLock(folder)
            if not lock.take():
                raise RestoreError(
                    f"{folder} is in use by {lock.holder()}: stop the gateway first (`sudo "
                    "systemctl stop kerbstone`), and run the command again"
                )
            held.callback(lock.release)
        yield


def _present(folder: Path) -> OutboxGlance | None:
    """What lies there now; None: nothing."""
    try:
        return glance(folder, (BOX_OWNER,))
    except FileNotFoundError:
        return None


def _is_restored(folder: Path, there: OutboxGlance | None, head: BackupHead) -> bool:
    """This backup is in its place, and the gateway may have gone on from it."""
    note = read_swap_note(folder)
    if note is not None and note.backup == head.backup:
        return True
    return there is not None and _told_backup(there) == head.backup


def _waiting_restore(folder: Path, there: OutboxGlance) -> SwapNote | None:
    """The note of another backup that was restored here, and from which no gateway has gone on."""
    note = read_swap_note(folder)
    return None if note is None or note.backup == _told_backup(there) else note


def _told_backup(there: OutboxGlance) -> str | None:
    """The backup of which a gateway that worked here has told the city."""
    with contextlib.suppress(ValueError):
        state = unpack_state(there.state(BOX_OWNER), STATE_VERSION)
        found = state.get("backup") if isinstance(state, dict) else None
        return found if isinstance(found, str) else None
    return None


def _aside(
    there: OutboxGlance | None, head: BackupHead, places: BackupPlaces, wish: RestoreWish
) -> AsideEpoch | None:
    """The epoch that nothing follows, if this box has numbered any. Raises RestoreError."""
    log = None if places.run is None else places.run / COMMIT_LOG_NAME
    if log is not None and log.exists():
        raise RestoreError(
            f"{log} has records that this box could not write to its card: replace the card, or "
            f"send them first (`kerbstone outbox rescue {log}`) and remove the file"
        )
    if there is None or not there.used:
        return None
    waiting = _waiting_restore(places.store, there)
    if waiting is not None and not wish.set_aside:
        raise RestoreError(
            f"backup {waiting.backup} of {waiting.backup_at} was restored here before, and no "
            "gateway has gone on from it yet. With --set-aside it is kept beside, and this one "
            "takes its place: use that which was made last"
        )
    if waiting is not None:
        return waiting.set_aside  # what lies here another box has numbered
    if not wish.set_aside:
        count = "what it recorded" if there.damage else f"{there.rows} records that wait"
        raise RestoreError(
            f"a gateway has run on this box already, and {places.store} holds {count}: a backup is "
            "restored before the first start. With --set-aside they are kept beside it, for "
            "`kerbstone outbox rescue`, and the city is told"
        )
    if there.last is None or there.owner not in ("", head.owner):
        return None
    return AsideEpoch(epoch=there.last.epoch, last=dict(there.last.last))


def _room(folder: Path, head: BackupHead) -> None:
    """Raises OSError."""
    found = os.statvfs(folder)
    free, needed = found.f_bavail * found.f_frsize, head.bytes + SPARE_BYTES
    if free < needed:
        raise OSError(
            errno.ENOSPC,
            f"the backup needs {-(-needed >> 20)} MB, and {free >> 20} MB are free",
            str(folder),
        )


# -- bringing it -------------------------------------------------------------------------------


def _take_parts(reader: BackupReader, staging: Path, shown: Shown) -> dict[str, bytes]:
    """State goes into `staging`, synced; the rest comes back. Raises OSError, BackupFileError."""
    config: dict[str, bytes] = {}
    for part, pieces in reader.parts():
        kind, _, name = part.name.partition("/")
        if kind != "state":
            if part.size > CONFIG_LIMIT or sum(map(len, config.values())) > ALL_CONFIG_LIMIT:
                raise BackupFileError(f"it is damaged: {part.name} is too large")
            config[part.name] = b"".join(pieces)
            continue
        if not is_carried(name):
            raise BackupFileError(
                f"it has a part {name} that this version does not know: update Kerbstone on this "
                "box first"
            )
        write_pieces(staging / name, _told(part.name, pieces, shown))
    return config


def _told(name: str, pieces: Iterable[bytes], shown: Shown) -> Iterator[bytes]:
    done = 0
    for piece in pieces:
        yield piece
        done += len(piece)
        shown(name, done)


def _prepare(
    staging: Path, head: BackupHead, aside: AsideEpoch | None, wish: RestoreWish, notes: list[str]
) -> None:
    """What the daemon finds beside the files. Raises RestoreError, OSError."""
    seen = glance(staging, check=True)
    if seen.other_version is not None:
        raise RestoreError(
            f"the outbox in it has version {seen.other_version} of its format, which this version "
            "of Kerbstone does not read, and totals would begin anew: install version "
            f"{printable(head.software, 40)}, which made the backup, on this box first"
        )
    if seen.damage is not None:
        notes.append(
            f"the outbox in it is damaged ({seen.damage}): the gateway sets it aside when it "
            "starts, and says so; `kerbstone outbox rescue` sends what can be read of it"
        )
    if seen.owner not in ("", head.owner):
        raise RestoreError(f"the outbox in it is of {printable(seen.owner, 160)}, not {head.owner}")
    if not head.last:
        doubt_totals(staging, seen, head.owner)
    note = SwapNote(
        backup=head.backup, backup_at=head.at, last=head.last, serial_before=head.serial,
        restored_at=iso_time(wish.wall_ns), by=printable(wish.by, 128), set_aside=aside,
    )  # fmt: skip
    write_file(staging / SWAP_NOTE, msgspec.json.encode(note))
    write_file(staging / BEGIN, b"")


def _hand_to_daemon(staging: Path, folder: Path) -> None:
    """Its user owns what lies in its folder. Raises OSError."""
    owner = folder.stat()
    for path in (staging, *staging.iterdir()) if os.geteuid() == 0 else ():
        os.chown(path, owner.st_uid, owner.st_gid)
    sync_files(staging)


def _group_there(places: BackupPlaces) -> int:
    """Of the daemon, by the system on that card: it may never have started, and nobody has made
    its folder. Root's, if there is none."""
    with contextlib.suppress(OSError, ValueError, IndexError):
        text = (read_file(places.etc.parent / "group") or b"").decode()
        rows = (line.split(":") for line in text.splitlines())
        return next((int(row[2]) for row in rows if row[0] == DAEMON_GROUP), 0)
    return 0


def _bring_config(config: dict[str, bytes], places: BackupPlaces, notes: list[str]) -> None:
    """What is not there yet; what is, is kept. Raises OSError."""
    group = places.store.stat().st_gid or _group_there(places)
    for name, data in sorted(config.items()):
        kind, _, file = name.partition("/")
        if kind == METERS:
            path = places.etc / METERS / file
        elif file == SITE_FILE_NAME:
            path = places.own_site_file if places.is_signed else places.site_file
        else:
            continue  # a signed one: enrolment brings it
        there = read_file(path)
        if there is not None and there.strip():
            if there != data:
                notes.append(f"{path} is kept as it is: the backup has another one ({name})")
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        replace_file(path, data, SITE_MODE, exact_mode=True)
        if os.geteuid() == 0:
            os.chown(path, -1, group)
        notes.append(f"{path} is restored")
