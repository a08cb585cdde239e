"""How far this gateway has come with its numbers, kept outside of its database.

A database may be older than what was sent from it: its log lost its end to a flipped bit, or a copy
of last week was put in its place. What its owners count on from is then of the past, and growth
would be counted twice. So the numbers that were given are kept in two more places: in the run
directory with each commit, which wears no card; and beside the database, at the first commit of a
start, each quarter of an hour and at a goodbye, in place, which is one block of 4 KiB each time.
Each says no more than what was durable when it was written. Its checksum begins with the owner, so
what another gateway says there of its own numbers is not read.
"""

import contextlib
import os
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from edge.durable.checkedline import add_checksum, remove_checksum
from edge.outbox.epochs import PreviousStart, later_count

HIGHWATER_NAME: Final = "highwater"
EVERY_NS: Final = 900_000_000_000
BLOCK_BYTES: Final = 64
UNKNOWN: Final = (1 << 53) - 1  # numbers: the outbox is in memory, and the card hears no more of it


@dataclass(frozen=True, slots=True)
class HighWaterMark:
    """A start, by its epoch, and how many numbers it has given, of all streams together."""

    epoch: int
    count: int

    def ahead_of(self, former: PreviousStart | None) -> bool:
        """Whether a database that knows this of its last start is older than that."""
        if former is None:
            return self.count > 0
        if former.epoch == self.epoch:
            return self.count > sum(former.last.values())
        start, known = self.epoch >> 32, former.epoch >> 32
        return self.count > 0 and later_count(start, known) == start

    def packed(self, owner: str = "") -> bytes:
        line = f"{self.epoch} {self.count}"
        return add_checksum(line, _seed(owner)).ljust(BLOCK_BYTES - 1).encode() + b"\n"

    @classmethod
    def parse(cls, data: bytes, owner: str = "") -> "HighWaterMark | None":
        """None for what is not whole, or another owner's."""
        try:
            line = remove_checksum(data.decode("ascii").rstrip(), _seed(owner))
            epoch, count = line.split(" ")
            return cls(int(epoch), int(count))
        except ValueError:
            return None


class HighWaterFiles:
    """Both places. Belongs to the thread of the outbox. Raises nothing: one that cannot be written
    has an earlier moment, and what it does not have is not doubted."""

    def __init__(self, folder: Path, run_dir: Path | None, owner: str = "") -> None:
        self._owner = owner
        self._card, self._run = (
            folder / HIGHWATER_NAME,
            None if run_dir is None else run_dir / HIGHWATER_NAME,
        )
        self._card_ns: int | None = None  # when it was last written on the card
        self._unknown = False  # the card has the mark that nothing more is written there
        self.high_water_unsaved = False  # that mark is due, and could not be written
        self.run = None if self._run is None else _read_mark(self._run, owner)
        card = _read_mark(self._card, owner)
        # of one start the run directory knows the last word
        known = self.run is not None and card is not None and card.epoch == self.run.epoch
        self.found = [each for each in (self.run, None if known else card) if each is not None]

    def commit(self, high_water: HighWaterMark, mono_ns: int, *, on_disk: bool) -> None:
        """So many numbers have been given, and are durable. `on_disk`: in the database, and not
        only in memory, of which a power cut leaves nothing."""
        if self._run is not None:
            self._write(self._run, high_water)
        card_ns = self._card_ns
        due = card_ns is None or not 0 <= mono_ns - card_ns < EVERY_NS
        if on_disk and (self._unknown or due):
            self._card_ns, self._unknown = mono_ns, False
            self._write(self._card, high_water, durable=True)
        elif not on_disk and not self._unknown:
            # a card that fails may not take even this: asked again with the next commit
            self._unknown = self._write(
                self._card, HighWaterMark(high_water.epoch, UNKNOWN), durable=True
            )
        self.high_water_unsaved = not on_disk and not self._unknown

    def write_at_end(self, high_water: HighWaterMark) -> None:
        """The last word, of a database that is on disk."""
        self._write(self._card, high_water, durable=True)

    def _write(self, path: Path, high_water: HighWaterMark, *, durable: bool = False) -> bool:
        return _write(path, high_water.packed(self._owner), durable=durable)


def _seed(owner: str) -> int:
    return zlib.crc32(owner.encode())


def _read_mark(path: Path, owner: str) -> HighWaterMark | None:
    with contextlib.suppress(OSError):
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            return HighWaterMark.parse(os.read(fd, BLOCK_BYTES), owner)
        finally:
            os.close(fd)
    return None


def _write(path: Path, block: bytes, *, durable: bool = False) -> bool:
    """In place: nothing but the block itself changes, and a sector is whole or as it was. Whether
    it is there."""
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    with contextlib.suppress(OSError):
        fd = os.open(path, flags, 0o600)
        try:
            os.pwrite(fd, block, 0)
            if durable:
                os.fdatasync(fd)
            return True
        finally:
            os.close(fd)
    return False
