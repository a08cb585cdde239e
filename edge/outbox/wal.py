"""What SQLite does not read of a write-ahead log, and does not report: all behind the first damage.

It takes the frames of a log up to the first one whose checksum is wrong, because a power cut leaves
such an end, too. Frames of the same generation (its salts) behind that distinguish the two: a
transaction begins when the one before it is on the disk, so a cut tears the last one at most. While
the machine ran on, nothing was torn at all. And a log whose head is damaged is ignored as a whole.
Source: sqlite.org/walformat.html; `walIndexRecover` in wal.c. The format is in `walframes`.

One verdict for both who ask: damage is declared as a loss, and nobody goes on from states that lie
before it; a last transaction that is torn was under way when the power went, or it is damaged and
had been sent, so that what is counted on from there is in doubt
(`edge.outbox.epochs.PastState`).

Not seen: a log that is shorter than it was by whole transactions.
"""

from pathlib import Path
from typing import BinaryIO, Final, Literal, NamedTuple

from edge.outbox.database import DATABASE_NAME
from edge.outbox.walframes import (
    FRAME_HEADER,
    PAGE_SIZES,
    WAL_FORMAT,
    WAL_HEADER,
    WAL_MAGIC,
    WalChecksum,
    wal_checksum,
)

WAL_READ_LIMIT: Final = 32 << 20  # bytes that are looked at: a log has 4 MiB and one transaction
SECTOR: Final = 512  # bytes that are on a card together, or not
DAMAGED_NOTICE: Final = (
    "The log of the outbox is damaged: what it held behind that place is lost, and totals do not "
    "go on from it."
)

LogTail = Literal["whole", "torn", "damaged"]
"""How the write-ahead log of a database ended."""


class WalLog(NamedTuple):
    """A log as it lay there before SQLite took it. `commits` are the places of frames that end a
    transaction; `last` is the last frame of all, `whole`: whether the last commit is in one
    piece, `followed_by_part` whether the next transaction goes on from it, `ignored` whether there
    are commits that SQLite will not read, for the log's head; `without_header`, that this head is
    wrong, and nobody knows what is behind it."""

    commits: tuple[int, ...] = ()
    last: int = -1
    whole: bool = False
    followed_by_part: bool = False
    ignored: bool = False
    without_header: bool = False


def inspect_wal(folder: Path) -> WalLog:
    """Before SQLite opens it. Raises OSError."""
    try:
        with (folder / f"{DATABASE_NAME}-wal").open("rb") as file:
            data = file.read(WAL_READ_LIMIT)
    except FileNotFoundError:
        return WalLog()
    if len(data) < WAL_HEADER.size + FRAME_HEADER.size:
        return WalLog()
    magic, form, page, _, salts, *sums = WAL_HEADER.unpack_from(data)
    little = not magic & 1
    stored: WalChecksum = (sums[0], sums[1])
    if stored == wal_checksum((0, 0), data[:24], little=little) and page in PAGE_SIZES:
        if magic | 1 != WAL_MAGIC | 1 or form != WAL_FORMAT:
            return WalLog()  # of another program
        return _scan_frames(data, page, salts, stored, little=little)
    return _headless(data, folder / DATABASE_NAME, stored)


def classify_wal(log: WalLog, frames: int | None, *, same_boot: bool) -> LogTail:
    """`damaged`: transactions that were on the disk are not among the `frames` that SQLite has
    read. `torn`: the last one is not there in one piece, and perhaps never was.

    `same_boot`: no power was cut since it was written; what a kill tore then was never answered.
    `frames` None: SQLite did not say.
    """
    if log.ignored or log.without_header:
        return "damaged" if log.ignored or same_boot else "torn"
    if frames is None:
        return "whole"
    behind = [place for place in log.commits if place >= frames]
    # frames of one that was rolled back may lie there, too: they do not go on from this one
    if behind and (len(behind) > 1 or log.followed_by_part or (same_boot and log.whole)):
        return "damaged"
    return "torn" if log.last >= frames else "whole"


def _scan_frames(
    data: bytes, page: int, salts: bytes, start: WalChecksum, *, little: bool
) -> WalLog:
    """The frames of this generation, whether SQLite reads them or not."""
    size = FRAME_HEADER.size + page
    pages_of: dict[int, int] = {}  # of frames that say that they end a transaction
    last = -1
    for place, at in enumerate(range(WAL_HEADER.size, len(data) - FRAME_HEADER.size + 1, size)):
        _, pages, of, *_ = FRAME_HEADER.unpack_from(data, at)
        if _is_this_generation(of, salts):
            last = place
            if pages and at + size <= len(data):
                pages_of[place] = pages
    sound = {n for n in pages_of if _follows(data, n, page, start, little=little)}
    sizes = [pages_of[n] for n in sound]

    def believed(place: int) -> bool:
        """A frame that is torn may say so by chance, or by what lay in its first sector before."""
        at = (WAL_HEADER.size + place * size) % SECTOR
        possible = bool(sizes) and min(sizes) <= pages_of[place] <= max(sizes)
        return place in sound or (possible and at + 16 <= SECTOR)

    commits = tuple(filter(believed, pages_of))
    if not commits:
        return WalLog(last=last)
    place = commits[-1] + 1
    followed = place <= last and _follows(data, place, page, start, little=little)
    return WalLog(commits, last, commits[-1] in sound, followed)


def _is_this_generation(of: bytes, salts: bytes) -> bool:
    """One of the two words is enough: the other one may be what was hit."""
    return of[:4] == salts[:4] or of[4:] == salts[4:]


def _follows(data: bytes, place: int, page: int, start: WalChecksum, *, little: bool) -> bool:
    """Whether a frame is in one piece, by what the one before it says of itself."""
    at = WAL_HEADER.size + place * (FRAME_HEADER.size + page)
    if len(data) < at + FRAME_HEADER.size + page:
        return False
    if place:
        _, _, _, *before = FRAME_HEADER.unpack_from(data, at - FRAME_HEADER.size - page)
        start = before[0], before[1]
    _, _, _, one, two = FRAME_HEADER.unpack_from(data, at)
    body = data[at : at + 8] + data[at + FRAME_HEADER.size : at + FRAME_HEADER.size + page]
    return wal_checksum(start, body, little=little) == (one, two)


def _headless(data: bytes, database: Path, stored: WalChecksum) -> WalLog:
    """A log whose head is wrong. Its frames count if the head was theirs: one that was just being
    written anew has frames behind it that the database has already."""
    with database.open("rb") as file:
        size = int.from_bytes(file.read(18)[16:])
        page = 65536 if size == 1 else size
        if page not in PAGE_SIZES or len(data) < WAL_HEADER.size + FRAME_HEADER.size + page:
            return WalLog(without_header=True)
        salts = FRAME_HEADER.unpack_from(data, WAL_HEADER.size)[2]
        for little in (True, False):
            for start in (stored, wal_checksum((0, 0), data[:24], little=little)):
                if _follows(data, 0, page, start, little=little):
                    found = _scan_frames(data, page, salts, start, little=little)
                    latest = dict(_images(data, page, salts, found))
                    news = any(_page(file, number, page) != it for number, it in latest.items())
                    return found._replace(ignored=True) if news else WalLog()
    return WalLog(without_header=True)


def _images(data: bytes, page: int, salts: bytes, found: WalLog) -> list[tuple[int, bytes]]:
    """Pages that are committed there, by their numbers, in order."""
    size, images = FRAME_HEADER.size + page, []
    for place in range(found.commits[-1] + 1 if found.commits else 0):
        at = WAL_HEADER.size + place * size
        number, _, of, *_ = FRAME_HEADER.unpack_from(data, at)
        if _is_this_generation(of, salts):
            images.append((number, data[at + FRAME_HEADER.size : at + size]))
    return images


def _page(file: BinaryIO, number: int, page: int) -> bytes:
    file.seek((number - 1) * page)
    return file.read(page)
