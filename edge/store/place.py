"""Where the outbox lies: opening it whatever is found there, within a limit of bytes."""

import errno
import sqlite3
import stat
from pathlib import Path
from typing import Final

from edge.store import wal
from edge.store.beside import keep, kept_bytes, of_owner, of_version, take_back
from edge.store.database import NAME, PAGE, BusyError, ForeignError, KeptError, VersionError
from edge.store.disk import Disk
from edge.store.files import prove, quarantine, quarantined, read_ledger
from edge.store.rows import Opened

SMALLEST: Final = 1 << 20  # bytes
STRANGERS: Final = 4  # stores that are put aside at one start, each in the place of the one before
LEAST: Final = 4  # one part in so many of the limit is ours whatever is kept beside it

BUSY: Final = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED})
DAMAGE: Final = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})


class OwnerError(KeptError):
    """The outbox belongs to another gateway, or to this one at another site: `SITE/GATEWAY`."""

    def __init__(self, owner: str, rows: int) -> None:
        site, _, gateway = owner.rpartition("/")
        self.rows = rows
        super().__init__(f"it belongs to gateway {gateway} of site {site}", of_owner(owner))

    def kept_as(self, path: Path) -> str:
        return (
            f"The outbox here is not this gateway's: {self}. It is kept as {path} with {self.rows} "
            "records that wait for the platform, and nothing of it goes out under this name. "
            f"`kerbstone outbox rescue {path}` sends or exports them."
        )


class Place:
    """A folder and the bytes that may be used in it: database, its log and the quarantine. `owner`
    is whose database is looked for; None: it does not matter."""

    def __init__(
        self, folder: Path, limit_bytes: int, boot_id: str = "", owner: str | None = None
    ) -> None:
        self.folder, self._boot_id, self.owner = folder, boot_id, owner
        self.limit_bytes = max(limit_bytes, SMALLEST)

    def open(self) -> tuple[Disk | None, Opened]:
        """The database, or None when the disk does not work. Raises BusyError."""
        try:
            return self._open()
        except KeptError as error:
            return self._beside(error)

    def _beside(self, error: KeptError) -> tuple[Disk | None, Opened]:
        """Our own from before, or a new one; nothing of another's goes out under our name."""
        text: list[str] = []
        newer = isinstance(error, VersionError)
        try:
            while len(text) < STRANGERS:
                text.append(error.kept_as(self.move_away(error)))
                self._take_back()
                try:
                    return self.connect(), Opened(beside=" ".join(text), newer=newer)
                except KeptError as another:  # of our version, and another's; or the other way
                    error = another
            raise error
        except (sqlite3.Error, ForeignError, OSError) as failure:
            return None, Opened(
                ram=f"The outbox goes on in memory: {error}, and it cannot be kept beside a new "
                f"one: {explain(failure)}."
            )

    def _open(self) -> tuple[Disk | None, Opened]:
        """As `open`. Raises BusyError, KeptError."""
        log = wal.Log()
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._take_back()
            fits(self.folder)
            log = wal.look(self.folder)
            return self._found(self.connect(), log)
        except KeptError:
            raise
        except (sqlite3.Error, ForeignError, OSError, ValueError) as error:
            if not failed_for_good(error):
                return None, Opened(ram=f"The outbox goes on in memory: {explain(error)}.")
            why = explain(error)
        try:
            self.prove()
            return self._found(self.connect(whole=True), log)  # it did not work for a moment
        except KeptError:
            raise
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

    def _take_back(self) -> None:
        """What was ours before somebody else was here."""
        if self.owner is not None:
            take_back(self.folder, of_owner(self.owner))
        take_back(self.folder, of_version())

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
        ledger = read_ledger(self.folder)
        if ledger.starts == 0 or self._others(ledger.owner):
            return None  # the first start of all, or of this gateway
        return "The outbox was missing: there were starts before, and nothing of them is left."

    def connect(self, *, whole: bool = False, reading: bool = False) -> Disk:
        """`reading`: make nothing new. Raises BusyError, ForeignError, sqlite3.Error, OSError, and
        KeptError, with nothing changed."""
        fits(self.folder)
        wal = min(max(self.limit_bytes // 8, 512 << 10), 4 << 20)
        _, taken = quarantined(self.folder)
        try:
            room = self.limit_bytes - wal - taken
            # what is kept beside it is not ours to delete: we go on in a part of the limit
            room = max(room - kept_bytes(self.folder), min(room, self.limit_bytes // LEAST))
            disk = Disk(self.folder, room, wal, whole=whole, reading=reading)
        except sqlite3.Error as error:
            if code_of(error) in BUSY:
                raise BusyError(f"{self.folder / NAME} is open in another process") from error
            raise
        # the table `meta` has no checksum: where its word is damaged the ledger knows
        whose = disk.owner or (read_ledger(self.folder).owner if disk.used else "")
        if self._others(whose):
            rows = sum(disk.tally().values())
            disk.close()
            raise OwnerError(whose, rows)
        return disk

    def _others(self, owner: str) -> bool:
        """Whether somebody else is known to be the owner."""
        return self.owner is not None and owner not in ("", self.owner)

    def prove(self) -> None:
        """The device works: what is written there can be read back. Raises OSError.

        After an I/O error SQLite says CORRUPT although nothing is lost (measured with dm-flakey).
        """
        prove(self.folder)

    def move_away(self, error: Exception | None = None) -> Path:
        """Into quarantine, which may take at most half of the limit; what is whole, and of another
        owner or version, to a place where nothing is ever deleted. Raises OSError."""
        if isinstance(error, KeptError):
            return keep(self.folder, error.whose)
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
        code = code_of(error)
        return code in DAMAGE or code in (None, sqlite3.SQLITE_ERROR, sqlite3.SQLITE_MISMATCH)
    return isinstance(error, (ForeignError, ValueError))


def explain(error: Exception) -> str:
    """The error in a few words."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error) or error.__class__.__name__


def code_of(error: sqlite3.Error) -> int | None:
    """SQLite's primary code, where it gave one."""
    code: int | None = getattr(error, "sqlite_errorcode", None)
    return None if code is None else code & 0xFF
