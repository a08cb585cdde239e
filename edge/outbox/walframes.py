"""SQLite's write-ahead log, frame by frame: what SQLite finds in it, and what lies behind that.

The format: https://www.sqlite.org/fileformat2.html, 4. What an end means that is not whole: `wal`.
"""

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Final, NamedTuple

WAL_HEADER: Final = struct.Struct(
    ">IIII8sII"
)  # magic, format, page size, sequence, salts, checksum
FRAME_HEADER: Final = struct.Struct(">II8sII")  # page, pages after a commit or 0, salts, checksum
WAL_MAGIC: Final = 0x377F0682  # checksums read words as little-endian; one more: as big-endian
WAL_FORMAT: Final = 3_007_000
PAGE_SIZES: Final = frozenset(512 << n for n in range(8))  # of pages

WalChecksum = tuple[int, int]


class WalFrame(NamedTuple):
    """One page. `place` is where its image begins in the log; `whole`: SQLite reads it, and all
    before it; `commits`: it ends a transaction."""

    page: int
    place: int
    whole: bool
    commits: bool


def wal_frames(log: BinaryIO) -> Iterator[WalFrame]:
    """From its beginning on. Memory: one page. What cannot be a log has none."""
    log.seek(0)
    head = log.read(WAL_HEADER.size)
    if len(head) < WAL_HEADER.size:
        return
    magic, _, size, _, salts, *stored_sums = WAL_HEADER.unpack(head)
    if size not in PAGE_SIZES:
        return
    little = magic == WAL_MAGIC
    sums = wal_checksum((0, 0), head[:24], little=little)
    whole = magic in (WAL_MAGIC, WAL_MAGIC + 1) and tuple(stored_sums) == sums
    place = WAL_HEADER.size
    while len(frame := log.read(FRAME_HEADER.size + size)) == FRAME_HEADER.size + size:
        page, commit, of, *stored_sums = FRAME_HEADER.unpack_from(frame)
        ours = of == salts  # else of the log before this one, or damaged
        if whole and ours:
            sums = wal_checksum(sums, frame[:8] + frame[FRAME_HEADER.size :], little=little)
        whole = whole and ours and page > 0 and tuple(stored_sums) == sums
        yield WalFrame(page, place + FRAME_HEADER.size, whole, bool(commit) and ours)
        place += FRAME_HEADER.size + size


def has_commits(path: Path) -> bool:
    """Whether SQLite finds a transaction in this log. In one that has none it finds nothing, and
    removes it when it closes the database, though it was opened to be read only."""
    try:
        with path.open("rb") as log:
            for frame in wal_frames(log):
                if not frame.whole:
                    return False
                if frame.commits:
                    return True
    except OSError:
        pass
    return False


def wal_checksum(sums: WalChecksum, data: bytes, *, little: bool) -> WalChecksum:
    """The checksum of the log, going on."""
    one, two = sums
    words = struct.unpack(f"{'<' if little else '>'}{len(data) // 4}I", data)
    for first, second in zip(words[::2], words[1::2], strict=True):
        one = (one + first + two) & 0xFFFFFFFF
        two = (two + second + one) & 0xFFFFFFFF
    return one, two
