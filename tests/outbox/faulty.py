"""A disk that fails where a test wants it to, and a card that is not there."""

import contextlib
import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar

from edge.outbox.diskoutbox import DiskOutbox
from edge.outbox.outboxfolder import OutboxFolder

TEXTS = {
    sqlite3.SQLITE_IOERR: "disk I/O error",
    sqlite3.SQLITE_CORRUPT: "database disk image is malformed",
    sqlite3.SQLITE_FULL: "database or disk is full",
    sqlite3.SQLITE_READONLY: "attempt to write a readonly database",
}


class FaultyDisk(DiskOutbox):
    """From the statement after `left` more on, everything fails with `code`, until it is None."""

    code: ClassVar[int | None] = None
    left: ClassVar[int] = 0
    device: ClassVar[bool] = True  # files beside the database can be written and read

    @classmethod
    def fail(cls, code: int, after: int = 0, *, device: bool = True) -> None:
        cls.code, cls.left, cls.device = code, after, device

    @classmethod
    def heal(cls) -> None:
        cls.code, cls.left, cls.device = None, 0, True

    @classmethod
    def step(cls) -> None:
        if cls.code is None:
            return
        cls.left -= 1
        if cls.left < 0:
            error = sqlite3.DatabaseError(TEXTS[cls.code])
            error.sqlite_errorcode = cls.code
            raise error

    def rows(self, statement: str, values: Sequence[object] = ()) -> list[Any]:
        self.step()
        return super().rows(statement, values)

    def change(self, statement: str, values: Sequence[object]) -> int:
        self.step()
        return super().change(statement, values)

    @contextlib.contextmanager
    def transaction(self) -> Iterator[None]:
        self.step()
        with super().transaction():
            yield
            self.step()
        self.step()  # it is on disk, and nobody is told so


class FaultyPlace(OutboxFolder):
    """Its device works when that of FaultyDisk does."""

    def probe_device(self) -> None:
        if not FaultyDisk.device:
            raise OSError(5, "Input/output error")
        super().probe_device()


def away(folder: Path) -> None:
    """The card does not answer: a file lies where the folder was."""
    folder.rename(folder.with_name("card"))
    folder.write_text("")


def back(folder: Path) -> None:
    folder.unlink()
    folder.with_name("card").rename(folder)
