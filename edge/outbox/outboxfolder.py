"""Where the outbox lies: opening it whatever is found there, within a limit of bytes.

Outboxes that are not ours to use, another gateway's or another version's, are kept beside ours.
Nothing here ever deletes one: nobody else has those records. Each finds its own again under the
name that it was kept by: a gateway whose name was changed by mistake and changed back, or the
version of this program that wrote it. `kerbstone outbox rescue` reads them.
"""

import contextlib
import errno
import os
import re
import shutil
import sqlite3
import stat
from pathlib import Path
from typing import Final

from edge.durable.folders import fsync_folder
from edge.outbox import wal
from edge.outbox.database import (
    DATABASE_NAME,
    PAGE_SIZE,
    USER_VERSION,
    ForeignOutboxError,
    OutboxBusyError,
    OutboxVersionError,
    UnusableOutboxError,
)
from edge.outbox.diskoutbox import DiskOutbox
from edge.outbox.highwater import HIGHWATER_NAME as MARK
from edge.outbox.rowformat import OpenReport
from edge.outbox.storefiles import (
    probe_device,
    quarantine,
    quarantine_usage,
    read_epoch_file,
)

COMPANION_SUFFIXES: Final = (
    "-wal",
    "-journal",
    "-shm",
    "",
)  # the database last: its name says that it is whole
FOREIGN_PATTERNS: Final = ("outbox.foreign.*.db", "outbox.v*.db")
UNSAFE_CHARACTERS: Final = re.compile(r"[^a-z0-9_-]")  # in what a file of somebody says of itself
MIN_DATABASE_BYTES: Final = 1 << 20  # bytes
FOREIGN_MAX: Final = (
    4  # outboxes that are put aside at one start, each in the place of the one before
)
MIN_SHARE: Final = 4  # one part in so many of the limit is ours whatever is kept beside it

BUSY_CODES: Final = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED})
DAMAGE_CODES: Final = frozenset({
    sqlite3.SQLITE_CORRUPT,
    sqlite3.SQLITE_NOTADB,
    sqlite3.SQLITE_TOOBIG,  # nothing that we write is as long
})  # fmt: skip


def owner_label(owner: str) -> str:
    """What a file of `SITE/GATEWAY` is called by."""
    return ".".join(
        ["foreign", *(UNSAFE_CHARACTERS.sub("_", word)[:64] for word in owner.split("/", 1))]
    )


def version_label() -> str:
    """What another version of this program calls a file of ours by."""
    return f"v{USER_VERSION}"


def foreign_name(whose: str, number: int = 1) -> str:
    """`outbox.foreign.town.gw-2.db` of gateway gw-2 at site town, `outbox.v2.db` of version 2;
    `outbox.v2.3.db` is the third one of that version."""
    return ".".join(["outbox", whose, *([str(number)] if number > 1 else []), "db"])


def set_aside(folder: Path, whose: str) -> Path:
    """Move the database there aside, with its log and the mark of its numbers. Raises OSError."""
    number = 1
    while os.path.lexists(folder / foreign_name(whose, number)):
        number += 1
    to = foreign_name(whose, number)
    _rename(folder / MARK, folder / f"{to}-{MARK}")
    _move(folder, DATABASE_NAME, to)
    return folder / foreign_name(whose, number)


def reclaim(folder: Path, whose: str) -> bool:
    """Its own, kept while another one was here, if there is no other. Raises OSError."""
    name = foreign_name(whose)
    if os.path.lexists(folder / DATABASE_NAME) or not (folder / name).is_file():
        return False
    _rename(folder / f"{name}-{MARK}", folder / MARK)
    _move(folder, name, DATABASE_NAME)
    return True


def set_aside_commit_log(log: Path, folder: Path, whose: str) -> Path:
    """As `keep`, of what a process had in memory: from the run directory, which goes with the
    power. Raises OSError."""
    number = 1
    while os.path.lexists(to := folder / f"{foreign_name(whose, number)}-{log.name}"):
        number += 1
    shutil.copyfile(log, to)
    fsync_folder(folder)
    log.unlink()
    return to


def list_foreign(folder: Path) -> list[Path]:
    """The databases that are kept there."""
    try:
        return sorted(
            p for pattern in FOREIGN_PATTERNS for p in folder.glob(pattern) if p.is_file()
        )
    except OSError:
        return []


def foreign_bytes(folder: Path) -> int:
    """What they take, with their logs and what was in memory."""
    size = 0
    with contextlib.suppress(OSError):
        for path in (path for pattern in FOREIGN_PATTERNS for path in folder.glob(f"{pattern}*")):
            size += path.lstat().st_size
    return size


def _move(folder: Path, name: str, to: str) -> None:
    for end in COMPANION_SUFFIXES:
        _rename(folder / f"{name}{end}", folder / f"{to}{end}")
    fsync_folder(folder)


def _rename(path: Path, to: Path) -> None:
    if os.path.lexists(path):
        path.rename(to)


class OutboxOwnerError(ForeignOutboxError):
    """The outbox belongs to another gateway, or to this one at another site: `SITE/GATEWAY`."""

    def __init__(self, owner: str, rows: int) -> None:
        site, _, gateway = owner.rpartition("/")
        self.rows = rows
        super().__init__(f"it belongs to gateway {gateway} of site {site}", owner_label(owner))

    def kept_as(self, path: Path) -> str:
        return (
            f"The outbox here is not this gateway's: {self}. It is kept as {path} with {self.rows} "
            "records that wait for the platform, and nothing of it goes out under this name. "
            f"`kerbstone outbox rescue {path}` sends or exports them."
        )


class OutboxFolder:
    """A folder and the bytes that may be used in it: database, its log and the quarantine. `owner`
    is whose database is looked for; None: it does not matter."""

    def __init__(
        self, folder: Path, limit_bytes: int, boot_id: str = "", owner: str | None = None
    ) -> None:
        self.folder, self._boot_id, self.owner = folder, boot_id, owner
        self.limit_bytes = max(limit_bytes, MIN_DATABASE_BYTES)

    def open(self) -> tuple[DiskOutbox | None, OpenReport]:
        """The database, or None when the disk does not work. Raises OutboxBusyError."""
        try:
            return self._open()
        except ForeignOutboxError as error:
            return self._set_aside(error)

    def _set_aside(self, error: ForeignOutboxError) -> tuple[DiskOutbox | None, OpenReport]:
        """Our own from before, or a new one; nothing of another's goes out under our name."""
        text: list[str] = []
        newer = isinstance(error, OutboxVersionError)
        try:
            while len(text) < FOREIGN_MAX:
                text.append(error.kept_as(self.quarantine(error)))
                self._take_back()
                try:
                    return self.connect(), OpenReport(foreign=" ".join(text), newer=newer)
                except (
                    ForeignOutboxError
                ) as another:  # of our version, and another's; or the other way
                    error = another
            raise error
        except (sqlite3.Error, UnusableOutboxError, OSError) as failure:
            return None, OpenReport(
                in_memory="The outbox goes on in memory: "
                f"{error}, and it cannot be kept beside a new "
                f"one: {describe_error(failure)}."
            )

    def _open(self) -> tuple[DiskOutbox | None, OpenReport]:
        """As `open`. Raises OutboxBusyError, ForeignOutboxError."""
        log = wal.WalLog()
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._take_back()
            is_safe_to_open(self.folder)
            log = wal.inspect_wal(self.folder)
            return self._found(self.connect(), log)
        except ForeignOutboxError:
            raise
        except (sqlite3.Error, UnusableOutboxError, OSError, ValueError) as error:
            if not is_permanent(error):
                return None, OpenReport(
                    in_memory=f"The outbox goes on in memory: {describe_error(error)}."
                )
            why = describe_error(error)
        try:
            self.probe_device()
            return self._found(self.connect(whole=True), log)  # it did not work for a moment
        except ForeignOutboxError:
            raise
        except OSError as error:
            return None, OpenReport(
                in_memory=f"The outbox goes on in memory: {describe_error(error)}."
            )
        except (sqlite3.Error, UnusableOutboxError, ValueError) as error:
            if not is_permanent(error):
                return None, OpenReport(
                    in_memory=f"The outbox goes on in memory: {describe_error(error)}."
                )
        try:
            moved = self.quarantine()
            return self.connect(), OpenReport(
                damage=f"The outbox could not be read and was put aside: {why}.", quarantined=moved
            )
        except (sqlite3.Error, UnusableOutboxError, OSError) as error:
            return None, OpenReport(
                damage=f"The outbox could not be read: {why}.",
                in_memory=f"The outbox goes on in memory: {describe_error(error)}.",
            )

    def _take_back(self) -> None:
        """What was ours before somebody else was here."""
        if self.owner is not None:
            reclaim(self.folder, owner_label(self.owner))
        reclaim(self.folder, version_label())

    def _found(self, disk: DiskOutbox, log: wal.WalLog) -> tuple[DiskOutbox, OpenReport]:
        same_boot = bool(self._boot_id) and read_epoch_file(self.folder).boot_id == self._boot_id
        # after a goodbye there is no log; a start that only the log knew is known to the epoch file
        left_so = same_boot and disk.word("clean", 1) == 0
        tail = wal.classify_wal(log, disk.frames, same_boot=left_so)
        if tail == "damaged":
            return disk, OpenReport(damage=wal.DAMAGED_NOTICE, log=tail)
        return disk, OpenReport(damage=None if disk.used else self._missing(), log=tail)

    def _missing(self) -> str | None:
        """Of a new database: whether there must have been another one."""
        epoch_file = read_epoch_file(self.folder)
        if epoch_file.starts == 0 or self._others(epoch_file.owner):
            return None  # the first start of all, or of this gateway
        return "The outbox was missing: there were starts before, and nothing of them is left."

    def connect(self, *, whole: bool = False, reading: bool = False) -> DiskOutbox:
        """`reading`: make nothing new. Raises OutboxBusyError, UnusableOutboxError, sqlite3.Error,
        OSError, and ForeignOutboxError, with nothing changed."""
        is_safe_to_open(self.folder)
        wal = min(max(self.limit_bytes // 8, 512 << 10), 4 << 20)
        _, taken = quarantine_usage(self.folder)
        try:
            room = self.limit_bytes - wal - taken
            # what is kept beside it is not ours to delete: we go on in a part of the limit
            room = max(room - foreign_bytes(self.folder), min(room, self.limit_bytes // MIN_SHARE))
            disk = DiskOutbox(self.folder, room, wal, whole=whole, reading=reading)
        except sqlite3.Error as error:
            if primary_code(error) in BUSY_CODES:
                raise OutboxBusyError(
                    f"{self.folder / DATABASE_NAME} is open in another process"
                ) from error
            raise
        # the table `meta` has no checksum: where its word is damaged the epoch file knows
        whose = disk.owner or (read_epoch_file(self.folder).owner if disk.used else "")
        if self._others(whose):
            rows = sum(disk.tally().values())
            disk.close()
            raise OutboxOwnerError(whose, rows)
        return disk

    def _others(self, owner: str) -> bool:
        """Whether somebody else is known to be the owner."""
        return self.owner is not None and owner not in ("", self.owner)

    def probe_device(self) -> None:
        """The device works: what is written there can be read back. Raises OSError.

        After an I/O error SQLite says CORRUPT although nothing is lost (measured with dm-flakey).
        """
        probe_device(self.folder)

    def quarantine(self, error: Exception | None = None) -> Path:
        """Into quarantine, which may take at most half of the limit; what is whole, and of another
        owner or version, to a place where nothing is ever deleted. Raises OSError."""
        if isinstance(error, ForeignOutboxError):
            return set_aside(self.folder, error.whose)
        return quarantine(
            self.folder, DATABASE_NAME, self.limit_bytes // 2 // PAGE_SIZE * PAGE_SIZE
        )


def is_safe_to_open(folder: Path) -> None:
    """Whether SQLite may be let loose on what lies in the folder.

    Raises UnusableOutboxError when something else is where a file should be, or a log lies there
    without its database: SQLite would remove that. Raises OSError when the disk does not answer.
    """
    sizes: dict[str, int] = {}
    for end in ("", "-wal", "-journal"):
        try:
            found = (folder / f"{DATABASE_NAME}{end}").stat()
        except FileNotFoundError:
            continue
        except OSError as error:
            if error.errno != errno.ELOOP:
                raise
            raise UnusableOutboxError(f"{DATABASE_NAME}{end} is a link to itself") from error
        if not stat.S_ISREG(found.st_mode):
            raise UnusableOutboxError(f"{DATABASE_NAME}{end} is no file")
        sizes[end] = found.st_size
    if sizes.get("-wal") and not sizes.get(""):
        raise UnusableOutboxError("only its log is left")


def is_permanent(error: Exception) -> bool:
    """Whether the file itself is wrong. A disk that does not answer is another matter."""
    if isinstance(error, sqlite3.Error):
        # without a code it is a complaint about the schema or about what a column holds
        code = primary_code(error)
        return code in DAMAGE_CODES or code in (None, sqlite3.SQLITE_ERROR, sqlite3.SQLITE_MISMATCH)
    return isinstance(error, (UnusableOutboxError, ValueError))


def describe_error(error: Exception) -> str:
    """The error in a few words."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error) or error.__class__.__name__


def primary_code(error: sqlite3.Error) -> int | None:
    """SQLite's primary code, where it gave one."""
    code: int | None = getattr(error, "sqlite_errorcode", None)
    return None if code is None else code & 0xFF
