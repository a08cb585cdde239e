"""A look into an outbox that no daemon holds: for people, changes nothing."""

import sqlite3
from pathlib import Path

from edge.store.disk import NAME, ForeignError
from edge.store.files import quarantined
from edge.store.place import Place
from edge.store.rows import Counts


def look(folder: Path, limit_bytes: int) -> Counts:
    """How full it is. Raises BusyError when a daemon holds it, FileNotFoundError, ValueError."""
    if not (folder / NAME).exists():
        raise FileNotFoundError(2, "there is no outbox", str(folder))
    kept, size = quarantined(folder)
    try:
        disk = Place(folder, limit_bytes).connect()
    except (sqlite3.Error, ForeignError, IsADirectoryError) as error:
        raise ValueError(f"the outbox in {folder} cannot be read: {error}") from error
    try:
        streams, first = disk.tally(), disk.after(0, 1)
        return Counts(
            rows=sum(streams.values()),
            streams=streams,
            size=size + disk.size(),
            limit=limit_bytes,
            oldest=(first[0].boot, first[0].from_ns) if first else None,
            dead=disk.dead(),
            quarantined=kept,
        )
    except sqlite3.Error as error:
        raise ValueError(f"the outbox in {folder} cannot be read: {error}") from error
    finally:
        disk.close()
