"""Where a write-ahead log ends, and whether it was written so.

SQLite reads its log up to the first frame whose checksum is wrong, and forgets the rest without a
word. After a power cut that is the commit that was under way. After a flipped bit it may be hours
that were sent long ago. A commit is durable before the next one begins, so a wrong frame with the
next commit behind it is damage. One in the last commit may be either.

Format: https://www.sqlite.org/fileformat2.html#the_write_ahead_log
"""

import struct
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Final, Literal, NamedTuple

HEADER: Final = struct.Struct(">8I")
FRAME: Final = struct.Struct(">6I")
MAGIC: Final = 0x377F0682  # the lowest bit: words of a checksum are big-endian
LIMIT: Final = 64 << 20  # bytes that are read; a log of ours is cut at 4 MiB
MASK: Final = 0xFFFFFFFF
UNREAD: Final = (-1, -1)  # sums that no frame says

Tail = Literal["whole", "torn", "damaged"]
Sums = tuple[int, int]


class Frame(NamedTuple):
    """One page in the log. `commit`: the last one of a transaction."""

    own: bool  # written since the log was last begun anew
    commit: bool
    sums: Sums  # over everything up to it, as it says
    found: Sums  # the same, going on from what the one before it says


def tail(path: Path) -> Tail:
    """Of the log of a database that nobody has open. Nothing to read is whole."""
    try:
        with path.open("rb") as file:
            data = file.read(LIMIT)
    except OSError:
        return "whole"
    if len(data) <= HEADER.size:
        return "whole"
    magic, _, page, _, *salts, one, two = HEADER.unpack_from(data)
    order = ">" if magic & 1 else "<"
    sound = magic & ~1 == MAGIC and _sums(data[:24], order, (0, 0)) == (one, two)
    if not sound or not 512 <= page <= 65536:
        # begun anew when the power went, or damaged: then all of it is forgotten
        return "torn"
    frames = list(_frames(data, page, order, (salts[0], salts[1]), (one, two)))
    whole = next((n for n, each in enumerate(frames) if not each.own or not _right(each)), None)
    rest = frames[whole:] if whole is not None else []
    for each, behind in pairwise(rest):
        if each.own and each.commit and behind.own and _right(behind):
            return "damaged"
    ended = frames[: len(frames) - len(rest)]
    begun = bool(ended) and not ended[-1].commit
    cut = (len(data) - HEADER.size) % (FRAME.size + page)
    partial = cut >= FRAME.size and _own(data, len(data) - cut, (salts[0], salts[1]))
    return "torn" if begun or partial or any(each.own for each in rest) else "whole"


def _right(frame: Frame) -> bool:
    return frame.sums == frame.found


def _frames(data: bytes, page: int, order: str, salts: Sums, sums: Sums) -> Iterator[Frame]:
    for at in range(HEADER.size, len(data) - FRAME.size - page + 1, FRAME.size + page):
        _, size, *_, one, two = FRAME.unpack_from(data, at)
        own, found = _own(data, at, salts), UNREAD
        if data[at + 8 : at + 16] == data[16:24]:
            found = _sums(data[at : at + 8], order, sums)
            found = _sums(data[at + FRAME.size : at + FRAME.size + page], order, found)
        sums = one, two
        yield Frame(own, size != 0, sums, found)


def _own(data: bytes, at: int, salts: Sums) -> bool:
    """One of two words is enough: the other one may be what was hit."""
    _, _, one, two, *_ = FRAME.unpack_from(data, at)
    return bool(one == salts[0] or two == salts[1])


def _sums(data: bytes, order: str, sums: Sums) -> Sums:
    one, two = sums
    words = iter(struct.unpack(f"{order}{len(data) // 4}I", data))
    for first in words:
        one = (one + first + two) & MASK
        two = (two + next(words) + one) & MASK
    return one, two
