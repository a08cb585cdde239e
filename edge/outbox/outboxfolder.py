"""Where the outbox lies: opening it whatever is found there, within a limit of bytes.

What cannot be read goes into `quarantine`; what belongs to another gateway or version is kept
beside ours (`foreignoutbox`).
"""

import contextlib
import errno
import os
import sqlite3
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from edge.outbox import wal
from edge.outbox.database import (
    DATABASE_NAME,
    PAGE_SIZE,
    ForeignOutboxError,
    OutboxBusyError,
    OutboxVersionError,
    UnusableOutboxError,
)
from edge.outbox.diskoutbox import DiskOutbox
from edge.outbox.epochs import read_epoch_file
from edge.outbox.foreignoutbox import (
    OutboxOwnerError,
    foreign_bytes,
    owner_label,
    reclaim,
    set_aside,
    version_label,
)
from edge.outbox.quarantine import quarantine, quarantine_usage
from edge.outbox.wal import LogTail

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
PROBE_NAME: Final = "probe"
PROBE_BYTES: Final = 16 << 10


def probe_device(folder: Path) -> None:
    """The device takes what is written, and gives it back. Raises OSError."""
    path = folder / PROBE_NAME
    data = os.urandom(PROBE_BYTES)
    flags = os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
    try:
        fd = os.open(path, flags, 0o600)
        try:
            whole = os.write(fd, data) == len(data)
            os.fsync(fd)
            os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)  # from the device, not from memory
            if not whole or os.pread(fd, len(data), 0) != data:
                raise OSError(errno.EIO, "the device does not give back what was written")
        finally:
            os.close(fd)
    finally:
        with contextlib.suppress(OSError):
            path.unlink()


@dataclass(frozen=True, slots=True)
class OpenReport:
    """What was found at opening. `damage`, `in_memory` and `foreign` are sentences for people, or
    None: what is `foreign` belongs to another gateway or version, and is kept; `newer`: it is ours,
    and has numbered after what is used now. `log`: how the write-ahead log ended; `torn` may have
    been never acknowledged, or damaged since."""

    damage: str | None = None
    quarantined: Path | None = None
    in_memory: str | None = None
    foreign: str | None = None
    newer: bool = False
    log: LogTail = "whole"


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
