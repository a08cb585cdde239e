"""Where the outbox lies: opening it whatever is found there, within a limit of bytes."""

import errno
import sqlite3
import stat
from pathlib import Path
from typing import Final

from edge.store import wal
from edge.store.database import NAME, PAGE, BusyError, ForeignError
from edge.store.disk import Disk
from edge.store.files import prove, quarantine, quarantined, read_ledger
from edge.store.rows import Opened

SMALLEST: Final = 1 << 20  # bytes

BUSY: Final = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED})
DAMAGE: Final = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})


class Place:
    """A folder and the bytes that may be used in it: database, its log and the quarantine."""

    def __init__(self, folder: Path, limit_bytes: int, boot_id: str = "") -> None:
        self.folder, self._boot_id = folder, boot_id
        self.limit_bytes = max(limit_bytes, SMALLEST)

    def open(self) -> tuple[Disk | None, Opened]:
        """The database, or None when the disk does not work. Raises BusyError."""
        log = wal.Log()
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            fits(self.folder)
            log = wal.look(self.folder)
            return self._found(self.connect(), log)
        except (sqlite3.Error, ForeignError, OSError, ValueError) as error:
            if not failed_for_good(error):
                return None, Opened(ram=f"The outbox goes on in memory: {explain(error)}.")
            why = explain(error)
        try:
            self.prove()
            return self._found(self.connect(whole=True), log)  # it did not work for a moment
        except OSError as error:
            return None, Opened(ram=f"The outbox goes on in memory: {explain(error)}.")
        except (sqlite3.Error, ForeignError, ValueError) as error:
            if not failed_for_good(error):
                return None, Opened(ram=f"The outbox goes on in memory: {explain(error)}.")
        try:
            moved = self.move_away()
            return self.connect(), Opened(
                damage=f"The outbox could not be read and was put aside: {why}.", quarantined=moved
            )
        except (sqlite3.Error, ForeignError, OSError) as error:
            return None, Opened(
                damage=f"The outbox could not be read: {why}.",
                ram=f"The outbox goes on in memory: {explain(error)}.",
            )

    def _found(self, disk: Disk, log: wal.Log) -> tuple[Disk, Opened]:
        same_boot = bool(self._boot_id) and read_ledger(self.folder).boot_id == self._boot_id
        # after a goodbye there is no log; a start that only the log knew is known to the ledger
        left_so = same_boot and disk.word("clean", 1) == 0
        tail = wal.judge(log, disk.frames, same_boot=left_so)
        if tail == "damaged":
            return disk, Opened(damage=wal.DAMAGED, log=tail)
        return disk, Opened(damage=None if disk.used else self._missing(), log=tail)

    def _missing(self) -> str | None:
        """Of a new database: whether there must have been another one."""
        if read_ledger(self.folder).starts == 0:
            return None  # the first start of all
        return "The outbox was missing: there were starts before, and nothing of them is left."

    def connect(self, *, whole: bool = False, reading: bool = False) -> Disk:
        """`reading`: make nothing new. Raises BusyError, ForeignError, sqlite3.Error, OSError."""
        fits(self.folder)
        wal = min(max(self.limit_bytes // 8, 512 << 10), 4 << 20)
        _, taken = quarantined(self.folder)
        try:
            room = self.limit_bytes - wal - taken
            return Disk(self.folder, room, wal, whole=whole, reading=reading)
        except sqlite3.Error as error:
            if _code(error) in BUSY:
                raise BusyError(f"{self.folder / NAME} is open in another process") from error
            raise

    def prove(self) -> None:
        """The device works: what is written there can be read back. Raises OSError.

        After an I/O error SQLite says CORRUPT although nothing is lost (measured with dm-flakey).
        """
        prove(self.folder)

    def move_away(self) -> Path:
        """Into quarantine, which may take at most half of the limit. Raises OSError."""
        return quarantine(self.folder, NAME, self.limit_bytes // 2 // PAGE * PAGE)


def fits(folder: Path) -> None:
    """Whether SQLite may be let loose on what lies in the folder.

    Raises ForeignError when something else is where a file should be, or a log lies there without
    its database: SQLite would remove that. Raises OSError when the disk does not answer.
    """
    sizes: dict[str, int] = {}
    for end in ("", "-wal", "-journal"):
        try:
            found = (folder / f"{NAME}{end}").stat()
        except FileNotFoundError:
            continue
        except OSError as error:
            if error.errno != errno.ELOOP:
                raise
            raise ForeignError(f"{NAME}{end} is a link to itself") from error
        if not stat.S_ISREG(found.st_mode):
            raise ForeignError(f"{NAME}{end} is no file")
        sizes[end] = found.st_size
    if sizes.get("-wal") and not sizes.get(""):
        raise ForeignError("only its log is left")


def failed_for_good(error: Exception) -> bool:
    """Whether the file itself is wrong. A disk that does not answer is another matter."""
    if isinstance(error, sqlite3.Error):
        # without a code it is a complaint about the schema or about what a column holds
        code = _code(error)
        return code in DAMAGE or code in (None, sqlite3.SQLITE_ERROR, sqlite3.SQLITE_MISMATCH)
    return isinstance(error, (ForeignError, ValueError))


def explain(error: Exception) -> str:
    """The error in a few words."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error) or error.__class__.__name__


def _code(error: sqlite3.Error) -> int | None:
    code: int | None = getattr(error, "sqlite_errorcode", None)
    return None if code is None else code & 0xFF
