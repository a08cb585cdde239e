"""What memory holds while the disk does not work, once more in tmpfs: a process that is killed or
stopped then loses nothing. A power cut takes it away, and so it does memory.

A log of commits: each frame is a map in MessagePack. A torn tail is a commit that was never
acknowledged, and is ignored.
"""

import contextlib
import secrets
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any, Final

import msgpack

from edge.core import Stamp, StoredState, TimeQuality
from edge.core.numbers import Range
from edge.durable.framedlog import AppendedFile, FrameFormat
from edge.durable.readfile import is_regular_file
from edge.outbox.drops import DropRange, PendingDrops
from edge.outbox.epochs import EpochStart, PreviousStart
from edge.outbox.memoryoutbox import MemoryOutbox
from edge.outbox.rowformat import DamagedRowError, OutboxRow, StoredRecord, try_record

COMMIT_LOG_NAME: Final = "commit.log"
COMMIT_FRAMES: Final = FrameFormat(checked_length=True)
NO_ROOM: Final = "no space left for what memory holds"
READ_LIMIT: Final = 32 << 20  # bytes
COMPACT_SLACK_BYTES: Final = (
    2 << 20
)  # bytes beside twice the rows; with more the log is written anew
ABSORBED_KEY: Final = "absorbed"  # in the table `meta`: the log that is on disk already


@dataclass(frozen=True, slots=True)
class LoggedCommit:
    """One commit, or all of them together."""

    rows: Iterable[OutboxRow] = ()
    states: Mapping[str, StoredState] = field(default_factory=dict)
    out: Iterable[Range] = ()  # ids that have left
    reached: int = 0  # rows up to here may be on disk
    counters: Mapping[str, int] = field(default_factory=dict)  # those that have moved
    drops: PendingDrops = field(default_factory=PendingDrops)  # the whole table
    mark: Stamp | None = None


@dataclass(slots=True)
class RecoveredLog:
    """What a process has left that had no disk at its end. `former` is the start before it;
    `trusted_owners` are the owners that could go on from their states, None: all of them;
    `drops_unread` says that nobody had read what the disk has to declare."""

    token: int
    number: int
    epoch: int
    boot: int
    boot_id: str
    former: PreviousStart | None
    trusted_owners: frozenset[str] | None
    drops_unread: bool
    owner: str
    memory: MemoryOutbox
    counters: dict[str, int] = field(default_factory=dict)
    drops: PendingDrops = field(default_factory=PendingDrops)
    mark: Stamp | None = None
    clean: bool = False
    damaged: bool = False  # some of its commits cannot be read

    def records(self, rows: Collection[int]) -> list[StoredRecord]:
        """Of these rows those that lie here, the oldest first."""
        found = [self.memory.rows[row] for row in sorted(rows) if row in self.memory.rows]
        read = ((row.id, try_record(row)) for row in found)
        return [StoredRecord(row, record, redelivered=True) for row, record in read if record]

    def latest(self) -> PreviousStart | None:
        """The last start that numbered anything."""
        if not self.counters:
            return self.former
        last = {stream: following - 1 for stream, following in self.counters.items()}
        return PreviousStart(self.epoch, self.boot, last)


class CommitLog:
    """Writes the log. `folder` None: there is no tmpfs, and nothing is written."""

    def __init__(self, folder: Path | None) -> None:
        self._path = None if folder is None else folder / COMMIT_LOG_NAME
        self._file: AppendedFile | None = None
        self.token = secrets.randbits(62)
        self.trouble: str | None = None  # a sentence for people, while it cannot be written

    def commit(
        self,
        start: EpochStart,
        known: frozenset[str] | None,
        unread: bool,
        size: int,
        commit: LoggedCommit,
        logged: LoggedCommit,
    ) -> None:
        """Append one commit; `logged` is all that memory holds with it, for a log made anew when
        this one is much larger than `size` bytes."""
        if self._path is None:
            return
        head = _encode_head(self.token, start, known, unread)
        try:
            if self._file is None or self._file.size > 2 * size + COMPACT_SLACK_BYTES:
                self._rewrite(self._path, [head, _frame(logged)])
            else:
                self._file.append(_frame(commit))
            self.trouble = None
        except OSError as error:
            self._failed(self._path, head, logged, error)

    def mark_clean(self) -> None:
        """The process ends in the ordinary way. Nothing is written any more."""
        if self._file is not None:
            with contextlib.suppress(OSError):  # then the next start says that it did not
                self._file.append(_pack({"clean": True}))
        self._close()
        self._path = None

    def remove(self) -> None:
        """All of it is on disk."""
        self._close()
        self.token = secrets.randbits(62)
        if self._path is not None:
            with contextlib.suppress(OSError):  # the disk knows that it has this one
                self._path.unlink()

    def _failed(self, path: Path, head: bytes, logged: LoggedCommit, error: OSError) -> None:
        """No room for the rows: at least their numbers are kept, as lost if this process ends."""
        self.trouble = (
            f"{path} cannot be written: {error.strerror}. "
            "If this process ends now, what it holds in memory is lost, and declared."
        )
        drops = logged.drops.copy()
        for row in logged.rows:
            drops.add(row.epoch, row.stream, row.seq, "memory")
        few = LoggedCommit((), {}, logged.out, logged.reached, logged.counters, drops, logged.mark)
        with contextlib.suppress(OSError):
            path.unlink(missing_ok=True)
        with contextlib.suppress(OSError):
            self._rewrite(path, [head, _frame(few)])
        self._close()

    def _rewrite(self, path: Path, frames: Iterable[bytes]) -> None:
        self._close()
        self._file = AppendedFile.replace(path, path.with_suffix(".new"), frames, NO_ROOM)

    def _close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None


def _encode_head(
    token: int, start: EpochStart, known: frozenset[str] | None, unread: bool
) -> bytes:
    former = start.former
    return _pack(
        {
            "token": token,
            "start": [start.number, start.epoch, start.boot, start.boot_id],
            "known": None if known is None else sorted(known),
            "unread": unread,
            "owner": start.owner,
            "former": None if former is None else [former.epoch, former.boot, dict(former.last)],
        }
    )


def _frame(commit: LoggedCommit) -> bytes:
    mark = commit.mark
    return _pack(
        {
            "rows": [tuple(row) for row in commit.rows],
            "states": {owner: list(state) for owner, state in commit.states.items()},
            "out": [list(each) for each in commit.out],
            "reached": commit.reached,
            "counters": dict(commit.counters),
            "drops": [[*key, d.first, d.last, d.count] for key, d in commit.drops.items()],
            "mark": None if mark is None else [mark.mono_ns, mark.wall_ns, mark.tq],
        }
    )


def _pack(content: Mapping[str, Any]) -> bytes:
    return COMMIT_FRAMES.pack(msgpack.packb(content))


def recover_commit_log(folder: Path | None, memory: MemoryOutbox) -> RecoveredLog | None:
    """What the process before has left in tmpfs, its rows in `memory`; None: nothing. Raises
    DamagedRowError when not even its beginning can be read, or it is not ours to read."""
    path = None if folder is None else folder / COMMIT_LOG_NAME
    try:
        return None if path is None or not is_regular_file(path) else read_log(path, memory)
    except OSError as error:
        raise DamagedRowError(f"{path}: {error.strerror}") from error


def read_log(path: Path, memory: MemoryOutbox) -> RecoveredLog:
    """As `recover_commit_log`, of a log wherever it lies. Raises OSError, DamagedRowError."""
    with path.open("rb") as file:
        data = file.read(READ_LIMIT + 1)
    bodies = (frame.body for frame in COMMIT_FRAMES.read(BytesIO(data)))
    frames = (None if body is None else _unpack(body) for body in bodies)
    head = next(frames, None)
    if head is None:
        raise DamagedRowError(f"{path} is neither a log of an outbox in memory nor a database")
    try:
        recovered = _recovered_from_head(head, memory)
        recovered.damaged = len(data) > READ_LIMIT
        for frame in frames:
            if frame is None:
                recovered.damaged = True
            else:
                _replay(recovered, frame)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        # its sums are right: of another version
        raise DamagedRowError(f"{path}: {error!r}") from error
    return recovered


def _unpack(body: bytes) -> Any:
    return msgpack.unpackb(body, strict_map_key=False)


def _recovered_from_head(head: Any, memory: MemoryOutbox) -> RecoveredLog:
    number, epoch, boot, boot_id = head["start"]
    known = None if head["known"] is None else frozenset(head["known"])
    former = None if head["former"] is None else PreviousStart(*head["former"])
    unread = bool(head["unread"])
    token, owner = head["token"], str(head["owner"])
    return RecoveredLog(token, number, epoch, boot, boot_id, former, known, unread, owner, memory)


def _replay(recovered: RecoveredLog, frame: Any) -> None:
    if frame.get("clean"):
        recovered.clean = True
        return
    memory = recovered.memory
    memory.reached = max(memory.reached, frame["reached"])
    for first, last in frame["out"]:
        memory.remove_range(int(first), int(last))
    rows = [OutboxRow._make(row) for row in frame["rows"]]
    recovered.drops = PendingDrops(
        {(e, s, r): DropRange(*rest) for e, s, r, *rest in frame["drops"]}
    )
    states = {owner: (version, data) for owner, (version, data) in frame["states"].items()}
    memory.write(rows, states, (), recovered.drops)
    recovered.counters.update(frame["counters"])
    if frame["mark"] is not None:
        mono_ns, wall_ns, word = frame["mark"]
        recovered.mark = Stamp(mono_ns, wall_ns, TimeQuality(word))
