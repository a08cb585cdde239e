"""A look into an outbox that no daemon holds: for people, changes nothing.

SQLite writes its log into the database when the last one closes it. So a process of its own looks,
and ends without closing anything, as if it were killed. (And a process that has the outbox open
would lose its lock on it by opening and closing the file once more.)
"""

import dataclasses
import json
import os
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

from edge.store.ballast import Ballast
from edge.store.database import NAME, BusyError, ForeignError
from edge.store.files import quarantined
from edge.store.place import Place, fits
from edge.store.rows import Counts

LOOKER: Final = "from edge.store.look import tell; tell()"
WAL_MODE: Final = b"\x02\x02"  # bytes 18 and 19 of a database with a log
TIMEOUT_S: Final = 300.0
OPEN: Final[list[object]] = []  # until the end: what nobody refers to is closed


def look(folder: Path, limit_bytes: int) -> Counts:
    """How full it is. Raises BusyError when a daemon holds it, FileNotFoundError, ValueError."""
    path = folder / NAME
    if not path.exists():
        raise FileNotFoundError(2, "there is no outbox", str(folder))
    places = os.pathsep.join(place for place in sys.path if place)
    done = subprocess.run(
        [sys.executable, "-c", LOOKER, str(folder), str(limit_bytes)],
        capture_output=True,
        check=False,
        timeout=TIMEOUT_S,
        env={**os.environ, "PYTHONPATH": places},
    )
    try:
        told: dict[str, Any] = json.loads(done.stdout)
    except ValueError:
        said = done.stderr.decode("utf-8", "replace").strip()[-300:]
        raise ValueError(f"the outbox in {folder} cannot be read: {said}") from None
    if "busy" in told:
        raise BusyError(told["busy"])
    if "error" in told:
        raise ValueError(f"the outbox in {folder} cannot be read: {told['error']}")
    oldest = told.pop("oldest")
    return Counts(**told, oldest=tuple(oldest) if oldest else None)


def tell() -> None:
    """In a process of its own: the arguments are the folder and the limit, the answer is JSON."""
    folder, limit_bytes = Path(sys.argv[1]), int(sys.argv[2])
    try:
        told = _counts(folder, limit_bytes)
    except BusyError as error:
        told = {"busy": str(error)}
    except (sqlite3.Error, ForeignError, OSError) as error:
        told = {"error": str(error)}
    sys.stdout.write(json.dumps(told))
    sys.stdout.flush()
    os._exit(0)  # the database is not closed: its log stays as it is


def _counts(folder: Path, limit_bytes: int) -> dict[str, Any]:
    fits(folder)
    with (folder / NAME).open("rb") as file:
        head = file.read(100)
    if head[18:20] != WAL_MODE:  # SQLite would change it on opening
        raise ForeignError("it is empty, or no outbox")
    kept, size = quarantined(folder)
    disk = Place(folder, limit_bytes).connect(reading=True)
    OPEN.append(disk)
    streams, first = disk.tally(), disk.heads(0, 1 << 62, 1)
    return dataclasses.asdict(
        Counts(
            rows=sum(streams.values()),
            streams=streams,
            size=size + disk.size(),
            limit=limit_bytes,
            oldest=(first[0].boot, first[0].from_ns) if first else None,
            dead=disk.dead(),
            quarantined=kept,
            wal=disk.wal_size(),
            ballast=Ballast(folder, 0).size,
        )
    )
