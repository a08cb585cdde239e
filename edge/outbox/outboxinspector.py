"""A look into an outbox that no daemon holds: for people, changes nothing.

SQLite writes its log into the database when the last one closes it. So a process of its own looks,
and ends without closing anything, as if it were killed. (And a process that has the outbox open
would lose its lock on it by opening and closing the file once more.)
"""

import contextlib
import dataclasses
import errno
import json
import os
import subprocess
import sys
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from edge.core import Stamp
from edge.core.ownpython import own_command, own_environment
from edge.durable.sqlitefile import in_use
from edge.outbox.ballast import Ballast
from edge.outbox.clockmap import read_marks
from edge.outbox.database import (
    DATABASE_NAME,
    UNREADABLE,
    OutboxBusyError,
    UnusableOutboxError,
)
from edge.outbox.diskoutbox import DEAD_LETTER_LIMIT, DiskOutbox
from edge.outbox.drops import PendingDrops
from edge.outbox.foreignoutbox import foreign_bytes
from edge.outbox.foreignoutbox import list_foreign as others
from edge.outbox.outboxfolder import OutboxFolder, is_safe_to_open
from edge.outbox.quarantine import QUARANTINE, quarantine_usage
from edge.outbox.rowformat import RowHead

INSPECTOR_CODE: Final = "from edge.outbox.outboxinspector import inspect_main; inspect_main()"
WAL_MODE: Final = b"\x02\x02"  # bytes 18 and 19 of a database with a log
TIMEOUT_S: Final = 300.0
KEEP_OPEN: Final[list[object]] = []  # until the end: what nobody refers to is closed


FILE_LIMIT: Final = 100  # in quarantine that are listed


@dataclass(frozen=True, slots=True)
class Loss:
    """Lost, and not yet declared by an event: `count` numbers of `first` to `last`. None: nobody
    knows, the database itself was lost."""

    epoch: int
    stream: str
    reason: str
    first: int
    last: int | None
    count: int | None


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A record that no broker took. `size` is the bytes of its body as it is kept."""

    row: int
    epoch: int
    stream: str
    seq: int
    source: str
    size: int
    why: str


@dataclass(frozen=True, slots=True)
class QuarantinedFile:
    """A file in quarantine; `path` from the folder of the outbox on."""

    path: str
    size: int


@dataclass(frozen=True, slots=True)
class OutboxInspection:
    """What the files say. Names are those of `OutboxCounts`; what only a running daemon knows is
    None."""

    rows: int
    streams: Mapping[str, int]
    size: int  # bytes of database, log and quarantine, which `limit` bounds
    limit: int
    oldest: tuple[int, int] | None  # boot and monotonic ns of the oldest row
    oldest_wall_ns: int | None  # Unix ns of it; None: that boot never learnt the time
    oldest_tq: str | None  # how good the clock was that dates it
    undeclared: tuple[Loss, ...]
    dead_letters: int
    letters: tuple[DeadLetter, ...]
    quarantined: int
    quarantined_files: tuple[QuarantinedFile, ...]
    foreign_files: tuple[str, ...]
    wal: int
    ballast: int
    confirmed: int | None = None
    dropped: int | None = None
    damaged: int | None = None
    downsampled: int | None = None
    commits: int | None = None
    bytes_in: int | None = None
    in_memory: str | None = None
    forecast_s: float | None = None
    forecast_downsampled_s: float | None = None


def inspect_outbox(folder: Path, limit_bytes: int, limit_s: float = TIMEOUT_S) -> OutboxInspection:
    """How full it is. Raises OutboxBusyError when a daemon holds it, FileNotFoundError,
    TimeoutError when its disk hangs, ValueError."""
    program = subprocess.Popen(
        own_command("-c", INSPECTOR_CODE, str(folder), str(limit_bytes)),
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=own_environment(),
    )  # fmt: skip
    try:
        said, complaint = program.communicate(timeout=limit_s)
    except subprocess.TimeoutExpired:
        program.kill()
        # who waits for a disk does not end before it answers: nobody may wait for him
        threading.Thread(target=program.communicate, daemon=True).start()
        why = f"no answer within {limit_s:g} s: the disk is slow or hangs"
        raise TimeoutError(errno.ETIMEDOUT, why, str(folder)) from None
    try:
        answer: dict[str, Any] = json.loads(said)
    except ValueError:
        error_text = complaint.decode("utf-8", "replace").strip()[-300:]
        raise ValueError(f"the outbox in {folder} cannot be read: {error_text}") from None
    if "missing" in answer:
        raise FileNotFoundError(errno.ENOENT, "there is no outbox", str(folder))
    if "busy" in answer:
        raise OutboxBusyError(answer["busy"])
    if "error" in answer:
        raise ValueError(f"the outbox in {folder} cannot be read: {answer['error']}")
    answer["oldest"] = tuple(answer["oldest"]) if answer["oldest"] else None
    for name, kind in (
        ("undeclared", Loss),
        ("letters", DeadLetter),
        ("quarantined_files", QuarantinedFile),
    ):
        answer[name] = tuple(kind(**each) for each in answer[name])
    answer["foreign_files"] = tuple(answer["foreign_files"])
    return OutboxInspection(**answer)


def inspect_main() -> None:
    """In a process of its own: the arguments are the folder and the limit, the answer is JSON."""
    folder, limit_bytes = Path(sys.argv[1]), int(sys.argv[2])
    try:
        there = (folder / DATABASE_NAME).exists()
        result = dataclasses.asdict(_inspect(folder, limit_bytes)) if there else {"missing": True}
    except OutboxBusyError as error:
        result = {"busy": str(error)}
    except (*UNREADABLE, UnusableOutboxError, OSError) as error:
        result = {"error": str(error)}
    sys.stdout.write(json.dumps(result))  # noqa: TID251  a pipe to the process that started us
    sys.stdout.flush()  # noqa: TID251
    os._exit(0)  # the database is not closed: its log stays as it is


def _inspect(folder: Path, limit_bytes: int) -> OutboxInspection:
    is_safe_to_open(folder)
    with (folder / DATABASE_NAME).open("rb") as file:
        head = file.read(100)
    if head[18:20] != WAL_MODE:  # SQLite would change it on opening
        raise UnusableOutboxError("it is empty, or no outbox")
    if in_use(folder / DATABASE_NAME):
        raise OutboxBusyError(f"{folder / DATABASE_NAME} is open in another process")
    kept, size = quarantine_usage(folder)
    disk = OutboxFolder(folder, limit_bytes).connect(reading=True)
    KEEP_OPEN.append(disk)
    streams, first = disk.tally(), disk.row_heads(0, 1 << 62, 1)
    mark = _nearest_mark(disk, first[0]) if first else None
    return OutboxInspection(
        rows=sum(streams.values()),
        streams=streams,
        size=size + foreign_bytes(folder) + disk.size(),
        limit=limit_bytes,
        oldest=(first[0].boot, first[0].from_ns) if first else None,
        oldest_wall_ns=None if mark is None else first[0].from_ns + mark.offset_ns,
        oldest_tq=None if mark is None else mark.tq,
        undeclared=list_losses(disk.drops()),
        dead_letters=disk.dead_letter_count(),
        letters=list_dead_letters(disk),
        quarantined=kept,
        quarantined_files=_list_quarantined(folder),
        foreign_files=tuple(str(path) for path in others(folder)),
        wal=disk.wal_size(),
        ballast=Ballast(folder, 0).size,
    )


def _nearest_mark(disk: DiskOutbox, head: RowHead) -> Stamp | None:
    """The mark nearest to a row, of those that can be trusted."""
    known = [mark for mark in read_marks(disk, head.boot) if not mark.tq.is_guessed]
    return min(known, key=lambda mark: abs(mark.mono_ns - head.from_ns), default=None)


def list_losses(drops: PendingDrops) -> tuple[Loss, ...]:
    return tuple(
        Loss(*key, drop.first, drop.last, drop.count) for key, drop in sorted(drops.items())
    )


def list_dead_letters(disk: DiskOutbox) -> tuple[DeadLetter, ...]:
    """Nothing in this table has a checksum: what cannot be is left out."""
    found = disk.rows(
        "SELECT id, epoch, stream, seq, source, length(body), why FROM dead ORDER BY id LIMIT ?",
        (DEAD_LETTER_LIMIT,),
    )
    kinds = (int, int, str, int, str, int, str)
    return tuple(
        DeadLetter(*each)
        for each in found
        if all(isinstance(value, kind) for value, kind in zip(each, kinds, strict=True))
    )


def _list_quarantined(folder: Path) -> tuple[QuarantinedFile, ...]:
    found = []
    for path in sorted((folder / QUARANTINE).rglob("*"))[:FILE_LIMIT]:
        with contextlib.suppress(OSError):
            if path.is_file() and not path.is_symlink():
                found.append(QuarantinedFile(str(path.relative_to(folder)), path.stat().st_size))
    return tuple(found)
