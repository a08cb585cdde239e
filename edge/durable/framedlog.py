"""A log of frames in tmpfs: each is appended with one write, and is whole or counts as not there.

Nothing is synced: a kill leaves what the kernel has taken, and a power cut takes tmpfs anyway. What
is in a frame is its writer's matter.
"""

import contextlib
import errno
import os
import struct
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO, Final, NamedTuple

from edge.durable.atomicwrite import open_new

LONGEST: Final = (1 << 32) - 1  # bytes: what the length of a frame can say
NO_ROOM: Final = "no space left"


class Frame(NamedTuple):
    """One frame of a log; `end` is the offset behind it. None: it is damaged."""

    body: bytes | None
    end: int


class FrameFormat:
    """`length u32, crc32 u32, body`, little endian; a longer one than `limit` bytes is damage.

    `checked_length` puts the length's own CRC-32 behind it: then a body that is damaged hides no
    frame behind it. Without it nobody knows where the next one begins.
    """

    def __init__(self, *, limit: int = LONGEST, checked_length: bool = False) -> None:
        self._limit, self._checked_length = limit, checked_length
        self._head = struct.Struct("<III" if checked_length else "<II")

    def pack(self, body: bytes) -> bytes:
        length = len(body)
        if self._checked_length:
            return self._head.pack(length, _length_checksum(length), zlib.crc32(body)) + body
        return self._head.pack(length, zlib.crc32(body)) + body

    def read(self, file: BinaryIO, at: int = 0) -> Iterator[Frame]:
        """Frame by frame, one in memory at a time; `file` stands at offset `at`.

        A torn tail ends the reading: whoever wrote it has not been told that it is there. Nothing
        is read behind a length that cannot be right.
        """
        while len(head := file.read(self._head.size)) == self._head.size:
            length, *sums = self._head.unpack(head)
            right = not self._checked_length or sums[0] == _length_checksum(length)
            if not right or not 0 < length <= self._limit:
                yield Frame(None, at)
                return
            body = file.read(length)
            if len(body) < length:
                return
            at += self._head.size + length
            whole = zlib.crc32(body) == sums[-1]
            yield Frame(body if whole else None, at)
            if not whole and not self._checked_length:
                return


def _length_checksum(length: int) -> int:
    return zlib.crc32(struct.pack("<I", length))


class AppendedFile:
    """A file that grows by whole pieces. Each method raises OSError; after an error of `append` its
    end is torn, and it takes no more."""

    def __init__(self, fd: int, size: int, full: str = NO_ROOM) -> None:
        self._fd, self.size, self._full = fd, size, full

    @classmethod
    def create(cls, path: Path, full: str = NO_ROOM) -> "AppendedFile":
        """A new one, in place of whatever is there. `full`: what is said when there is no room."""
        return cls(open_new(path, flags=os.O_APPEND), 0, full)

    @classmethod
    def resume(cls, path: Path, size: int) -> "AppendedFile":
        """Go on behind the first `size` bytes; the rest is cut off."""
        os.truncate(path, size)
        return cls(os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC), size)

    @classmethod
    def replace(
        cls, path: Path, new: Path, pieces: Iterable[bytes], full: str = NO_ROOM
    ) -> "AppendedFile":
        """Begun with `pieces` under the name `new`, then put in place, and open to go on."""
        made = cls.create(new, full)
        try:
            for piece in pieces:
                made.append(piece)
            new.replace(path)
        except OSError:
            made.close()
            with contextlib.suppress(OSError):
                new.unlink()
            raise
        return made

    def append(self, data: bytes) -> None:
        if os.write(self._fd, data) != len(data):
            raise OSError(errno.ENOSPC, self._full)
        self.size += len(data)

    def close(self) -> None:
        """May be called again."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
