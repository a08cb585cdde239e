"""The stage: what the open window has seen, appended to a file in tmpfs as it comes.

A process that is killed leaves its stage behind, and the next one reads it back: kill -9 loses
nothing that had arrived, and no flash is worn. A stage is a row of segments, one for each window.
A new segment begins with what had already arrived for the next window; its header says how many
such entries are a repetition, so that reading two segments in a row counts nothing twice.

An entry is one frame of MessagePack. A torn tail ends the reading; it is never an error.
What is in it is named as the configuration of its process named it. Who reads it may have another
one: so a segment says what its sources meant, and whether their sweeps were to be raw records, and
says so again where another process goes on in it.
"""

import errno
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, Final

import msgpack

from edge.core import GOOD, Contact, Sweep, all_good, parse_quality
from edge.durable.framedlog import AppendedFile, FrameFormat

STAGE_FRAMES: Final = FrameFormat(limit=1 << 20)  # bytes of one entry
BATCH_ITEMS: Final = 500  # items of one entry
VERSION: Final = 2  # of what is in an entry
PREFIX: Final = "stage."
ASIDE_PREFIX: Final = "set_aside."
SEGMENT_LIMIT: Final = 16 << 20  # bytes of one segment: a tmpfs is memory

Entry = list[Contact] | list[Sweep] | tuple[int, int] | tuple[str, int] | int
"""(from, to) is a gap in which nobody listened, (source, at) a line that is not watched any more,
a number a mark: somebody listened until then."""


@dataclass(frozen=True, slots=True)
class StageHeader:
    """What the entries of a process are about: its sources, and whether it keeps their sweeps."""

    sources: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # with what they mean
    raw: bool = False

    @classmethod
    def restore(cls, data: Any) -> "StageHeader":
        """Raises TypeError or ValueError for what is none."""
        sources, raw = data
        means = {str(name): tuple(map(str, meaning)) for name, meaning in dict(sources).items()}
        return cls(means, bool(raw))

    def snapshot(self) -> list[Any]:
        return [self.sources, self.raw]


@dataclass(slots=True)
class StageSegment:
    """One file that was left behind. `read` goes through it entry by entry.

    `carried` entries at its beginning repeat the end of the segment before it. `staged` is what
    the entry that was read last is about.
    """

    number: int
    start_ns: int  # of the window
    end_ns: int  # of the window, as it was planned
    path: Path
    carried: int
    at: int  # bytes up to here are whole; grows while it is read
    staged: StageHeader = field(default_factory=StageHeader)
    count: int = 0  # entries that were read

    @property
    def begun(self) -> bool:
        """All that it repeats is in it: the kill did not come while it was begun."""
        return self.count >= self.carried

    def read(self) -> Iterator[tuple[Entry, bool]]:
        """Its entries up to its end, or to a torn tail, and whether each is a repetition.

        Memory: one entry at a time.
        """
        with self.path.open("rb") as file:
            file.seek(self.at)
            for item, end in _entries(file, self.at):
                self.at = end
                if item[0] == "r":
                    self.staged = StageHeader.restore(item[1:])
                    continue
                self.count += 1
                yield _decode(item), self.count <= self.carried


class Stage:
    """Writes one segment after the other. Used from the main loop; a write costs microseconds.

    `number` is that of the segment, and `sweeps` are in it, so that raw rows can say how far they
    reach; `overflow` entries found no room.
    """

    def __init__(
        self, folder: Path, boot: str, owner: str = "", staged: StageHeader = StageHeader()
    ) -> None:
        self._folder, self._boot, self.owner, self._staged = folder, boot, owner, staged
        self._file: AppendedFile | None = None  # none: nothing more is written to this segment
        self.number = self.sweeps = self.overflow = 0

    def rotate(
        self, start_ns: int, end_ns: int, contacts: Sequence[Contact], sweeps: Sequence[Sweep]
    ) -> int:
        """Begin the segment of the window [start, end); it carries over what came early for it."""
        self.close()
        self.number += 1
        while os.path.lexists(path := self._path(self.number)) and not path.is_file():
            self.number += 1  # something of another kind lies there
        self.sweeps = 0
        try:  # what is there is of another boot, or of root, who has run it by hand
            self._file = AppendedFile.create(path)
        except OSError as error:  # without room the window goes on in memory, as below
            if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                raise
        carried = sum(-(-len(batch) // BATCH_ITEMS) for batch in (contacts, sweeps))
        self._append(
            {
                "v": VERSION,
                "boot": self._boot,
                "owner": self.owner,
                "window": [start_ns, end_ns],
                "carried": carried,
                "staged": self._staged.snapshot(),
            }
        )
        self.add_contacts(contacts)
        self.add_sweeps(sweeps)
        return self.number

    def describe(self, staged: StageHeader) -> None:
        """What the entries are about from the next segment on."""
        self._staged = staged

    def resume(self, segment: StageSegment, sweeps: int) -> None:
        """Go on in a segment that has just been read, behind its last whole entry."""
        self.close()
        self.number, self.sweeps = segment.number, sweeps
        self._file = AppendedFile.resume(segment.path, segment.at)
        if segment.staged != self._staged:
            self._append(["r", *self._staged.snapshot()])

    def add_contacts(self, batch: Sequence[Contact]) -> None:
        for part in _parts(batch):
            self._append(["c", [[c.source, c.on, c.mono_ns, c.lost, c.initial] for c in part]])

    def add_sweeps(self, batch: Sequence[Sweep]) -> None:
        self.sweeps += len(batch)
        for part in _parts(batch):
            self._append(["s", [[s.source, s.mono_ns, s.values, _grades(s)] for s in part]])

    def gap(self, from_ns: int, to_ns: int) -> None:
        """Nobody was listening in between."""
        self._append(["g", from_ns, to_ns])

    def unwatched(self, source: str, at_ns: int) -> None:
        """This line is closed from here on."""
        self._append(["x", source, at_ns])

    def mark(self, until_ns: int) -> None:
        """The daemon was listening until then."""
        self._append(["m", until_ns])

    def read_ended(self, number: int) -> bytes:
        """All of a segment that has ended, before `drop_others` takes it. Raises OSError."""
        return self._path(number).read_bytes()

    def drop_others(self) -> None:
        """Forget every other segment: its window is in the outbox, or its boot is over."""
        for path in _files(self._folder, PREFIX):
            if path != self._path(self.number):
                path.unlink(missing_ok=True)

    def set_aside(self, segments: Sequence[StageSegment]) -> None:
        """Keep what could not be read back, for people; the next that is set aside replaces it."""
        for old in _files(self._folder, ASIDE_PREFIX):
            old.unlink(missing_ok=True)
        for segment in segments:
            to = self._folder / f"{ASIDE_PREFIX}{segment.path.name}"
            while to.exists():  # something of another kind lies there
                to = to.with_name(f"{to.name}_")
            segment.path.rename(to)

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def _append(self, entry: Any) -> None:
        if self._file is None or self._file.size > SEGMENT_LIMIT:
            self.overflow += 1
            return
        try:
            self._file.append(STAGE_FRAMES.pack(msgpack.packb(entry)))
        except OSError:
            # tmpfs is full: the window goes on in memory. Nothing more is written to this segment,
            # not even a mark: what a kill would lose has to lie in the gap that begins at the last.
            self.overflow += 1
            self.close()

    def _path(self, number: int) -> Path:
        return self._folder / f"{PREFIX}{number:08d}"


def find_segments(folder: Path, boot: str, since: int = 0, owner: str = "") -> list[StageSegment]:
    """The segments of this boot and this version from number `since` on, oldest first.

    Those of another boot speak in another boot's time. When the first is not number `since`, what
    the outbox refers to is gone.
    """
    segments = (segment for whose, segment in _headed(folder, boot) if whose == owner)
    return [segment for segment in segments if segment.number >= since]


def find_foreign_segments(folder: Path, boot: str, owner: str) -> list[StageSegment]:
    """The segments of this boot that another gateway has staged here."""
    return [segment for whose, segment in _headed(folder, boot) if whose != owner]


def _headed(folder: Path, boot: str) -> Iterator[tuple[str, StageSegment]]:
    """Each segment of a boot, with its owner."""
    for path in sorted(_files(folder, PREFIX), key=_number):
        try:
            opened = _opened(path)
        except PermissionError:  # whoever left it is somebody else
            continue
        if opened is not None and opened[0] == boot:
            yield opened[1:]


def _files(folder: Path, prefix: str) -> list[Path]:
    """Those of such a name; of what else may have it a pipe would make its reader wait for ever."""
    return [path for path in folder.glob(f"{prefix}*") if path.is_file()]


def open_segment(path: Path) -> StageSegment | None:
    """A segment wherever it lies, of whatever boot; None: it is none of this version."""
    opened = _opened(path)
    return None if opened is None else opened[2]


def _opened(path: Path) -> tuple[str, str, StageSegment] | None:
    """Its boot, its owner and the segment, as its header has them."""
    with path.open("rb") as file:
        try:
            header, at = next(_entries(file, 0))
            if header["v"] != VERSION:
                return None
            start_ns, end_ns = map(int, header["window"])
            carried, staged = int(header["carried"]), StageHeader.restore(header["staged"])
            segment = StageSegment(_number(path), start_ns, end_ns, path, carried, at, staged)
            return str(header["boot"]), str(header["owner"]), segment
        except (StopIteration, KeyError, TypeError, ValueError, OverflowError):
            return None


def _entries(file: BinaryIO, at: int) -> Iterator[tuple[Any, int]]:
    """Entry by entry, each with the offset of its end; stops at the first that is not whole."""
    for body, end in STAGE_FRAMES.read(file, at):
        if body is None:
            return
        yield msgpack.unpackb(body), end


def _decode(item: Any) -> Entry:
    kind, content, *rest = item
    if kind == "c":
        return [Contact(*row) for row in content]
    if kind == "m":
        return int(content)
    if kind == "g":
        return int(content), int(rest[0])
    if kind == "x":
        return str(content), int(rest[0])
    return [
        Sweep(
            source,
            mono_ns,
            tuple(values),
            all_good(len(values))
            if grades is None
            else tuple(parse_quality(word) if word else GOOD for word in grades),
        )
        for source, mono_ns, values, grades in content
    ]


def _grades(sweep: Sweep) -> list[str] | None:
    """None when all is good, which is the usual case and free; else a word each, "" for good."""
    if sweep.qualities is all_good(len(sweep.qualities)):
        return None
    return ["" if quality is GOOD else str(quality) for quality in sweep.qualities]


def _parts(batch: Sequence[Any]) -> Iterator[Sequence[Any]]:
    return (batch[at : at + BATCH_ITEMS] for at in range(0, len(batch), BATCH_ITEMS))


def _number(path: Path) -> int:
    digits = path.name.removeprefix(PREFIX)
    return int(digits) if digits.isdecimal() else 0
