"""A start without its card, and the way back from memory."""

import sqlite3
from pathlib import Path

from edge.core import Stamp
from edge.outbox import Outbox
from edge.outbox.database import DATABASE_NAME
from tests.kit.clock import NONE
from tests.kit.outbox import S, opened
from tests.outbox.faulty import away, back

IOERR, CORRUPT = sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CORRUPT


def at(second: int) -> Stamp:
    return Stamp(second * S, second * S, NONE)


def rows_in(folder: Path) -> int:
    """In all databases of a folder, those put aside among them."""
    found = 0
    for path in folder.rglob(DATABASE_NAME):
        other = sqlite3.connect(path)
        found += other.execute("SELECT count(*) FROM record").fetchone()[0]
        other.close()
    return found


def blind(folder: Path) -> Outbox:
    """A start that finds no card, and it comes back once the outbox has begun."""
    away(folder / "outbox")
    outbox = opened(folder, boot="blind")
    outbox.begin()
    return outbox


def returned(folder: Path, outbox: Outbox) -> None:
    back(folder / "outbox")
    outbox.commit([], clock=at(200))
    outbox.commit([], clock=at(300))
    assert outbox.counts().in_memory is None
