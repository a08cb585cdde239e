"""SQLite's write-ahead log, frame by frame: what SQLite finds in it, and what lies behind that.

The format: https://www.sqlite.org/fileformat2.html, 4. What an end means that is not whole: `wal`.
"""

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Final, NamedTuple

HEAD: Final = struct.Struct(">IIII8sII")  # magic, format, page size, sequence, salts, checksum
FRAME: Final = struct.Struct(">II8sII")  # page, pages after a commit or 0, salts, checksum
MAGIC: Final = 0x377F0682  # checksums read words as little-endian; one more: as big-endian
FORMAT: Final = 3_007_000
SIZES: Final = frozenset(512 << n for n in range(8))  # of pages

Sums = tuple[int, int]


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
    head = log.read(HEAD.size)
    if len(head) < HEAD.size:
        return
    magic, _, size, _, salts, *stored_sums = HEAD.unpack(head)
    if size not in SIZES:
        return
    little = magic == MAGIC
    sums = summed((0, 0), head[:24], little=little)
    whole = magic in (MAGIC, MAGIC + 1) and tuple(stored_sums) == sums
    place = HEAD.size
    while len(frame := log.read(FRAME.size + size)) == FRAME.size + size:
        page, commit, of, *stored_sums = FRAME.unpack_from(frame)
        ours = of == salts  # else of the log before this one, or damaged
        if whole and ours:
            sums = summed(sums, frame[:8] + frame[FRAME.size :], little=little)
        whole = whole and ours and page > 0 and tuple(stored_sums) == sums
        yield Frame(page, place + FRAME.size, whole, bool(commit) and ours)
        place += FRAME.size + size


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


def summed(sums: Sums, data: bytes, *, little: bool) -> Sums:
    """The checksum of the log, going on."""
    one, two = sums
    words = struct.unpack(f"{'<' if little else '>'}{len(data) // 4}I", data)
    for first, second in zip(words[::2], words[1::2], strict=True):
        one = (one + first + two) & 0xFFFFFFFF
        two = (two + second + one) & 0xFFFFFFFF
    return one, two
