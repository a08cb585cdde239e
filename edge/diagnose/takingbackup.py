"""Taking a backup: of a gateway that runs, of one that is stopped, or of a card that is mounted.

A daemon that runs holds the file of its outbox still (the verb `backup`), and commits on in its
log. Where none runs the folders are locked, so that none can start meanwhile, and the files are
taken as they lie there: database and log, as after a power cut. What a stopped daemon has left in
memory (its card had failed) goes along from tmpfs.
"""

import contextlib
import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Final

from edge.control.handover import (
    HandOver,
    read_hand_over,
    remove_hand_over,
    write_hand_over,
)
from edge.control.protocol import NoAnswerError, UnknownVerbError, VerbError, ask_daemon
from edge.core.printable import printable
from edge.core.release import VERSION as SOFTWARE
from edge.diagnose.backupfile import (
    VERSION,
    BackupHead,
    Shown,
    write_backup,
)
from edge.diagnose.backupparts import (
    config_parts,
    proven_site_file,
    state_parts,
    with_memory,
)
from edge.diagnose.boxplaces import BackupPlaces, whose_box
from edge.durable.atomicwrite import replace_file
from edge.durable.filelock import FolderLock
from edge.gateway.boxchange import BOX_OWNER, STATE_VERSION
from edge.gateway.statefiles import COPIED, READY
from edge.outbox.epochs import read_epoch_file
from edge.outbox.highwater import HIGHWATER_NAME, UNKNOWN, HighWaterFiles, HighWaterMark
from edge.outbox.outboxglance import OutboxGlance, glance
from edge.wire.keptstate import unpack_state
from edge.wire.records import iso_time

HOLD_S: Final = 60.0  # for the daemon to bring its log into the file
Opener = Callable[[], contextlib.AbstractContextManager[IO[bytes]]]
"""Opens what a backup is written to."""


class BackupError(Exception):
    """It cannot be made; the text says why, and what to do."""


@dataclass(slots=True)
class TakenBackup:
    """What was written, and what people should know of it."""

    head: BackupHead
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class BackupWish:
    """`last`: the box does not go on with this folder. `by` for the city. `wall_ns`: now.
    `access`: with what the label inside the door opens."""

    last: bool
    by: str
    wall_ns: int
    access: bool = True


def take_backup(
    places: BackupPlaces,
    wish: BackupWish,
    out: Opener,
    shown: Shown,
) -> TakenBackup:
    """Write it to what `out` opens. Raises BackupError, BackupFileError, OSError."""
    held = None if places.run is None else _held(places.run)
    if held is not None:
        return _of_a_daemon(places, wish, held, out, shown)
    with _locked(places):
        return _of_a_folder(places, wish, out, shown)


def undo_hand_over(places: BackupPlaces) -> bool:
    """The box goes on after all; whether it had been handed over. Nobody knows what another box has
    counted meanwhile, so totals begin anew. Raises BackupError, OSError."""
    with _locked(places):
        if read_hand_over(places.store) is None:
            return False
        owner = whose_box(places)
        doubt_totals(places.store, glance(places.store), "" if owner is None else owner.owner)
        if places.run is not None:  # which would know better, in this boot
            (places.run / HIGHWATER_NAME).unlink(missing_ok=True)
        remove_hand_over(places.store)
        return True


def doubt_totals(folder: Path, seen: OutboxGlance, owner: str) -> None:
    """The next start does not count on from what lies there (decision 33). Raises OSError."""
    if seen.last is None:
        return
    water = HighWaterFiles(folder, None, seen.owner or owner)
    water.write_at_end(HighWaterMark(seen.last.epoch, UNKNOWN))
    if not any(
        each.count == UNKNOWN for each in HighWaterFiles(folder, None, seen.owner or owner).found
    ):
        raise OSError(f"{folder / HIGHWATER_NAME} cannot be written")


# -- a daemon that runs ------------------------------------------------------------------------


def _held(run: Path) -> dict[str, Any] | None:
    """What the daemon says of its outbox, which it holds still; None: none runs."""
    try:
        return ask_daemon(run, "backup", HOLD_S, act="hold")
    except UnknownVerbError:
        raise BackupError(
            "the gateway that runs is of an older version: `sudo systemctl restart kerbstone`, or "
            "stop it, and run the command again"
        ) from None
    except VerbError as error:
        raise BackupError(f"{error}; or stop it: `sudo systemctl stop kerbstone`") from error


def _of_a_daemon(
    places: BackupPlaces,
    wish: BackupWish,
    held: dict[str, Any],
    out: Opener,
    shown: Shown,
) -> TakenBackup:
    assert places.run is not None
    run = places.run
    size, word = held.get("bytes"), held.get("hold")
    try:
        if wish.last:
            raise BackupError(
                "the gateway runs: stop it first, so that it closes its open window (`sudo "
                "systemctl stop kerbstone`), and run the command again"
            )
        if not isinstance(size, int):
            raise BackupError(
                "the card of this box fails or is full, and new records are in memory: stop the "
                "gateway (`sudo systemctl stop kerbstone`) and run the command again; what it had "
                "in memory goes along"
            )
        parts, left_out = state_parts(places.store, live=True, database_bytes=size)
        parts += config_parts(places, access=wish.access)
        serial, epoch, records = held.get("serial"), held.get("epoch"), held.get("records")
        head = BackupHead(
            v=VERSION, backup=secrets.token_hex(8), software=SOFTWARE, at=iso_time(wish.wall_ns),
            site=str(held.get("site")), gateway=str(held.get("gateway")), role=_role(places),
            serial=_words(serial), epoch=epoch if isinstance(epoch, int) else None,
            records=records if isinstance(records, int) else None, last=False,
            by=printable(wish.by, 128), parts=[part.part for part in parts], left_out=left_out,
        )  # fmt: skip
        with out() as file:
            write_backup(file, head, parts, shown, lambda: _still_held(run, word))
    except BaseException:
        with contextlib.suppress(VerbError, OSError):
            ask_daemon(run, "backup", HOLD_S, act="release", hold=word)
        raise
    return TakenBackup(head, [
        *_site_notes(places),
        "a copy: the gateway goes on, and what it does from now on is not in it. Totals begin anew "
        "where it is restored. For a swap stop the gateway and use --last",
    ])  # fmt: skip


def _still_held(run: Path, word: object) -> None:
    """Raises BackupError when the copied file may have changed."""
    try:
        said = ask_daemon(run, "backup", HOLD_S, act="release", hold=word)
        kept = (said or {}).get("kept")
    except (NoAnswerError, VerbError, OSError):
        kept = False
    if kept is not True:
        raise BackupError(
            "the gateway could not keep its outbox still for so long, was restarted, or another "
            "backup began meanwhile: this copy cannot be used. Make one at a time, write it to a "
            "faster place, or stop the gateway first"
        )


# -- a folder that nobody uses -----------------------------------------------------------------


@contextlib.contextmanager
def _locked(places: BackupPlaces) -> Iterator[None]:
    """No gateway can start meanwhile. Raises BackupError."""
    folders = [
        places.store,
        *([places.run] if places.run is not None and places.run.is_dir() else []),
    ]
    if not places.store.is_dir():
        raise BackupError(f"{places.store} is not there: {_where_hint(places)}")
    with contextlib.ExitStack() as held:
        for folder in folders:
            lock = FolderLock(folder)
            if not lock.take():
                raise BackupError(
                    f"{folder} is in use by {lock.holder()}, which does not answer: wait until it "
                    "has started or ended, or `sudo systemctl stop kerbstone`"
                )
            held.callback(lock.release)
        if (places.store / READY).exists():
            raise BackupError(
                f"a restore into {places.store} is not finished: start the gateway once, or run "
                "`kerbstone restore` again"
            )
        yield


def _where_hint(places: BackupPlaces) -> str:
    if places.is_this_box:
        return "no gateway has run here, or --config names another site file"
    return f"is the card's second partition mounted at {places.root}?"


def _of_a_folder(
    places: BackupPlaces,
    wish: BackupWish,
    out: Opener,
    shown: Shown,
) -> TakenBackup:
    try:
        seen = glance(places.store, (BOX_OWNER,))
    except FileNotFoundError:
        raise BackupError(f"there is no outbox in {places.store}: {_where_hint(places)}") from None
    notes = _site_notes(places)
    if seen.damage is not None:
        notes.append(
            f"the outbox is damaged ({seen.damage}): the box that gets it sets it aside when it "
            "starts; `kerbstone outbox rescue` sends what can be read of it"
        )
    site, gateway = _owner(places, seen)
    backup, at, by = secrets.token_hex(8), iso_time(wish.wall_ns), printable(wish.by, 128)
    mark = HandOver(backup=backup, at=at, by=by)
    before = read_hand_over(places.store)
    marked = before is not None
    if wish.last and before is None:
        marked, why = _takes_mark(places.store, mark)
        if not marked:
            notes.append(
                f"this card cannot be marked ({why}): do not start a box with it again, or both "
                "boxes count the same meters. `kerbstone outbox rescue` only reads it"
            )
    last = wish.last or marked

    def settled() -> None:
        """All but the end is written: killed before, the box is as it was; and no backup is whole
        without the mark."""
        if wish.last and marked:
            write_hand_over(places.store, mark)

    if not last and not _mark_copied(places.store):
        notes.append(
            "this card cannot be marked: if a gateway starts on it again, it may merge records "
            "that lie in the copy as they are now, and the city finds a conflict where both send"
        )
    try:
        parts, left_out = state_parts(places.store, live=False)
        parts = with_memory(parts, places, f"{site}/{gateway}") + config_parts(
            places, access=wish.access
        )
        epoch = seen.last.epoch if seen.last else read_epoch_file(places.store).epoch or None
        head = BackupHead(
            v=VERSION, backup=backup, software=SOFTWARE, at=at, site=site, gateway=gateway,
            role=_role(places), serial=_serial(seen), epoch=epoch,
            records=None if seen.damage else seen.rows, last=last, marked=marked, by=by,
            parts=[part.part for part in parts], left_out=left_out,
        )  # fmt: skip
        with out() as file:
            write_backup(file, head, parts, shown, settled)
    except BaseException:
        if wish.last and marked and before is None:  # nobody has a whole backup
            with contextlib.suppress(OSError):
                remove_hand_over(places.store)
        raise
    if not last:
        notes.append(
            "a copy: if the gateway is started again here, totals begin anew where this is "
            "restored. For a swap use --last"
        )
    return TakenBackup(head, notes)


def _site_notes(places: BackupPlaces) -> list[str]:
    if proven_site_file(places) == places.site_file:
        return []
    return [
        f"{places.site_file} is on trial, or was rolled back: the last good configuration is in "
        "the backup in its place. Apply the other one on the new box, if you want it"
    ]


def _takes_mark(folder: Path, mark: HandOver) -> tuple[bool, str]:
    """Whether the mark can be written there, or why not; it is not left there."""
    try:
        write_hand_over(folder, mark)
        remove_hand_over(folder)
    except OSError as error:
        return False, error.strerror or str(error)
    return True, ""


def _mark_copied(folder: Path) -> bool:
    """The next start merges none of the rows: who has the copy may send them."""
    with contextlib.suppress(OSError):
        replace_file(folder / COPIED, b"")
        return True
    return False


def _owner(places: BackupPlaces, seen: OutboxGlance) -> tuple[str, str]:
    """Site and gateway whose records these are. Raises BackupError."""
    owner = seen.owner or read_epoch_file(places.store).owner
    named = whose_box(places)
    site, _, gateway = (owner or (named.owner if named is not None else "")).partition("/")
    if not site or not gateway:
        raise BackupError(
            f"{places.store} does not say whose it is, and neither does {places.site_file}: name "
            "the site file with --config"
        )
    return site, gateway


def _serial(seen: OutboxGlance) -> str | None:
    """Of the board with which the outbox was used last."""
    with contextlib.suppress(ValueError):
        state = unpack_state(seen.state(BOX_OWNER), STATE_VERSION)
        return _words(state.get("serial")) if isinstance(state, dict) else None
    return None


def _words(text: object) -> str | None:
    return printable(text, 128) if isinstance(text, str) and text else None


def _role(places: BackupPlaces) -> str | None:
    named = whose_box(places)
    return None if named is None else named.role
