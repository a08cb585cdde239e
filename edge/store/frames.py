"""SQLite's write-ahead log, frame by frame: what SQLite finds in it, and what lies behind that.

The format: https://www.sqlite.org/fileformat2.html, 4.
"""

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Final, NamedTuple

HEAD: Final = 32
FRAME_HEAD: Final = 24
LITTLE: Final = 0x377F0682  # how its checksums read words; one more: as big-endian
SIZES: Final = frozenset(512 << n for n in range(8))  # of pages


class Frame(NamedTuple):
    """One page. `place` is where its image begins in the log; `whole`: SQLite reads it, and all
    before it; `commits`: it ends a transaction."""

    page: int
    place: int
    whole: bool
    commits: bool


def frames(log: BinaryIO) -> Iterator[Frame]:
    """From its beginning on. Memory: one page. What cannot be a log has none."""
    log.seek(0)
    head = log.read(HEAD)
    size = int.from_bytes(head[8:12], "big")
    if len(head) < HEAD or size not in SIZES:
        return
    magic = int.from_bytes(head[:4], "big")
    little = magic == LITTLE
    sums = summed((0, 0), head[:24], little=little)
    whole = magic in (LITTLE, LITTLE + 1) and struct.unpack(">2I", head[24:]) == sums
    place = HEAD
    while len(frame := log.read(FRAME_HEAD + size)) == FRAME_HEAD + size:
        page, commit = struct.unpack_from(">2I", frame)
        ours = frame[8:16] == head[16:24]  # else of the log before this one, or damaged
        if whole and ours:
            sums = summed(summed(sums, frame[:8], little=little), frame[FRAME_HEAD:], little=little)
        whole = whole and ours and page > 0 and struct.unpack_from(">2I", frame, 16) == sums
        yield Frame(page, place + FRAME_HEAD, whole, bool(commit) and ours)
        place += FRAME_HEAD + size


def has_commits(path: Path) -> bool:
    """Whether SQLite finds a transaction in this log. In one that has none it finds nothing, and
    removes it when it closes the database, though it was opened to be read only."""
    try:
        with path.open("rb") as log:
            for frame in frames(log):
                if not frame.whole:
                    return False
                if frame.commits:
                    return True
    except OSError:
        pass
    return False


def summed(sums: tuple[int, int], data: bytes, *, little: bool) -> tuple[int, int]:
    """The checksum of the log, going on."""
    one, two = sums
    words = struct.unpack(f"{'<' if little else '>'}{len(data) // 4}I", data)
    for first, second in zip(words[::2], words[1::2], strict=True):
        one = (one + first + two) & 0xFFFFFFFF
        two = (two + second + one) & 0xFFFFFFFF
    return one, two
