"""SQLite's unix VFS with a card below it, in the very library that Python's sqlite3 uses.

The structures are those of sqlite3.h (sqlite3_vfs version 3, sqlite3_io_methods version 3), which
SQLite promises never to change. A file is the unix VFS's own; only the methods that change
something are replaced. Its locks, reads and the rest stay C.
"""

import contextlib
import ctypes
import random
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from tests.crash.card import File, PowerCutCard

OK: Final = 0
IOERR_WRITE, IOERR_FSYNC, IOERR_TRUNCATE, IOERR_DELETE = 778, 1034, 1546, 2570
CANTOPEN: Final = 14
OPEN_CREATE: Final = 0x4
OPEN_JOURNALS: Final = 0x800 | 0x4000 | 0x80000  # main journal, super journal, WAL

Pointer = ctypes.c_void_p
OPEN = ctypes.CFUNCTYPE(ctypes.c_int, Pointer, Pointer, Pointer, ctypes.c_int, Pointer)
DELETE = ctypes.CFUNCTYPE(ctypes.c_int, Pointer, Pointer, ctypes.c_int)
CLOSE = ctypes.CFUNCTYPE(ctypes.c_int, Pointer)
WRITE = ctypes.CFUNCTYPE(ctypes.c_int, Pointer, Pointer, ctypes.c_int, ctypes.c_int64)
TRUNCATE = ctypes.CFUNCTYPE(ctypes.c_int, Pointer, ctypes.c_int64)
SYNC = ctypes.CFUNCTYPE(ctypes.c_int, Pointer, ctypes.c_int)


class Vfs(ctypes.Structure):
    _fields_ = (
        ("version", ctypes.c_int), ("file_size", ctypes.c_int), ("path_size", ctypes.c_int),
        ("next", Pointer), ("name", ctypes.c_char_p), ("data", Pointer),
        ("open", Pointer), ("delete", Pointer), ("rest", Pointer * 15),
    )  # fmt: skip


class Methods(ctypes.Structure):
    _fields_ = (
        ("version", ctypes.c_int), ("close", Pointer), ("read", Pointer), ("write", Pointer),
        ("truncate", Pointer), ("sync", Pointer), ("rest", Pointer * 13),
    )  # fmt: skip


def library() -> ctypes.CDLL | None:
    """The library that `sqlite3` runs on; None when it is linked in and cannot be reached."""
    import _sqlite3

    with contextlib.suppress(OSError):
        for line in Path("/proc/self/maps").read_text().splitlines():
            if "libsqlite3" in line:
                return ctypes.CDLL(line.split(maxsplit=5)[5])
    for name in (getattr(_sqlite3, "__file__", None), None):
        with contextlib.suppress(OSError, AttributeError):
            found = ctypes.CDLL(name)
            found.sqlite3_vfs_find  # noqa: B018 - is it exported?
            return found
    return None


class Opened:
    """One open file of the unix VFS."""

    def __init__(self, file: File, path: str, methods: Methods, journal: bool) -> None:
        self.file, self.path, self.new_journal = file, path, journal
        self.close = CLOSE(methods.close)
        self.write = WRITE(methods.write)
        self.truncate = TRUNCATE(methods.truncate)


class CardVfs:
    """Made for one card. It is the default from `installed` on."""

    def __init__(self, sqlite: ctypes.CDLL, card: PowerCutCard) -> None:
        self._sqlite, self._card = sqlite, card
        sqlite.sqlite3_vfs_find.restype = Pointer
        sqlite.sqlite3_vfs_find.argtypes = [ctypes.c_char_p]
        sqlite.sqlite3_vfs_register.argtypes = [Pointer, ctypes.c_int]
        sqlite.sqlite3_vfs_unregister.argtypes = [Pointer]
        self._unix: int = sqlite.sqlite3_vfs_find(b"unix")
        unix = Vfs.from_address(self._unix)
        self._vfs = Vfs.from_buffer_copy(unix)
        self._vfs.name = b"card"
        self._unix_open, self._unix_delete = OPEN(unix.open), DELETE(unix.delete)
        self._opened: dict[int, Opened] = {}
        self._kept: list[Any] = []  # what C points to
        self._methods: dict[int, Methods] = {}
        self._vfs.open = self._pointer(OPEN(self._open))
        self._vfs.delete = self._pointer(DELETE(self._delete))
        self._new = {
            "close": self._pointer(CLOSE(self._close)),
            "write": self._pointer(WRITE(self._write)),
            "truncate": self._pointer(TRUNCATE(self._truncate)),
            "sync": self._pointer(SYNC(self._sync)),
        }
        self._connections: list[sqlite3.Connection] = []

    @classmethod
    def reaches(cls, sqlite: ctypes.CDLL, folder: Path) -> bool:
        """Whether `sqlite3` runs on that library, and not on another copy of it."""
        card = PowerCutCard(folder / "trial", random.Random(0))
        vfs = cls(sqlite, card)
        with vfs.installed():
            sqlite3.connect(card.folder / "trial.db").execute("CREATE TABLE t (x)")
        card.close()
        return card.operations > 0

    def _pointer(self, function: Any) -> int | None:
        self._kept.append(function)
        return ctypes.cast(function, Pointer).value

    @contextlib.contextmanager
    def installed(self, *pragmas: str) -> Iterator[None]:
        """Every connection that is opened meanwhile and lies on the card goes through it.

        `pragmas`: as if SQLite had been built so.
        """
        real = sqlite3.connect

        def connect(*values: Any, **words: Any) -> sqlite3.Connection:
            self._connections.append(real(*values, **words))
            for each in pragmas:
                self._connections[-1].execute(f"PRAGMA {each}")
            return self._connections[-1]

        sqlite3.connect = connect  # type: ignore[assignment]
        self._sqlite.sqlite3_vfs_register(ctypes.addressof(self._vfs), 1)
        try:
            yield
        finally:
            self.close()
            self._sqlite.sqlite3_vfs_unregister(ctypes.addressof(self._vfs))
            self._sqlite.sqlite3_vfs_register(self._unix, 1)
            sqlite3.connect = real

    def close(self) -> None:
        """Whoever has died leaves no connection open. What it could still write is not written."""
        dead, self._card.dead = self._card.dead, True
        for connection in self._connections:
            connection.close()
        self._connections.clear()
        self._card.dead = dead

    # -- called by SQLite: nothing may be raised ---------------------------------------------------

    def _open(self, vfs: int, name: int | None, at: int, flags: int, out: int | None) -> int:
        path = ctypes.string_at(name).decode() if name else ""
        mine = self._card.mine(path)
        new = mine and bool(flags & OPEN_CREATE) and not Path(path).exists()
        if new and not self._card.works():
            return CANTOPEN
        code = int(self._unix_open(self._unix, name, at, flags, out))
        if code or not mine:
            return code
        first = Pointer.from_address(at)  # sqlite3_file begins with its methods
        methods = Methods.from_address(first.value or 0)
        journal = new and bool(flags & OPEN_JOURNALS)
        self._opened[at] = Opened(self._card.file(path), path, methods, journal)
        first.value = ctypes.addressof(self._replaced(first.value or 0, methods))
        return OK

    def _replaced(self, address: int, methods: Methods) -> Methods:
        if address not in self._methods:
            new = Methods.from_buffer_copy(methods)
            for name, pointer in self._new.items():
                setattr(new, name, pointer)
            self._methods[address] = new
        return self._methods[address]

    def _delete(self, vfs: int, name: int, sync_folder: int) -> int:
        path = ctypes.string_at(name).decode()
        if not self._card.mine(path):
            return int(self._unix_delete(self._unix, name, sync_folder))
        if not Path(path).exists():
            return int(self._unix_delete(self._unix, name, 0))
        if not self._card.works():
            return IOERR_DELETE
        code = int(self._unix_delete(self._unix, name, 0))
        self._card.look()
        if sync_folder:
            self._card.sync(str(Path(path).parent))
        return code

    def _close(self, at: int) -> int:
        return int(self._opened.pop(at).close(at))

    def _write(self, at: int, data: int, size: int, offset: int) -> int:
        if not self._card.works():
            return IOERR_WRITE
        opened = self._opened[at]
        code = int(opened.write(at, data, size, offset))
        opened.file.written(offset, size)
        return code

    def _truncate(self, at: int, size: int) -> int:
        if not self._card.works():
            return IOERR_TRUNCATE
        opened = self._opened[at]
        code = int(opened.truncate(at, size))
        opened.file.sized()
        return code

    def _sync(self, at: int, flags: int) -> int:
        if not self._card.works():
            return IOERR_FSYNC
        opened = self._opened[at]
        if self._card.honest():
            opened.file.settle()
        if opened.new_journal:  # as the unix VFS does it, once
            self._card.sync(str(Path(opened.path).parent))
            opened.new_journal = False
        return OK
