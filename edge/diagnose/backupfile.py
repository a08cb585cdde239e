"""The file of a backup: a gzipped tar that is written and read as a stream, part by part.

First `backup.json`, what it is and which parts follow with how many bytes; then the parts; at last
`SHA256SUMS` of all of them, so that a file that is cut off has none. `tar xzf` unpacks it, and
`sha256sum -c SHA256SUMS` checks it by hand. What is read here may be anybody's: of tar only the
plain head of 512 bytes is known (POSIX ustar), nothing is believed that `backup.json` did not
announce, and no more than one block is in memory.
"""

import gzip
import hashlib
import io
import re
import tarfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from typing import IO, Annotated, Final

import msgspec
from msgspec import Meta

from edge.control.handover import BackupId, Words
from edge.wire.contract.terms import Count, Epoch, Time

VERSION: Final = 1
HEAD_NAME: Final = "backup.json"
SUMS_NAME: Final = "SHA256SUMS"
HEAD_LIMIT: Final = 64 << 10  # bytes, of head and sums
PARTS_LIMIT: Final = 256
PART_LIMIT: Final = 6 << 30  # bytes; what the head of a tar can say ends at 8 GiB
BLOCK: Final = 512  # bytes, of a tar
PIECE: Final = 256 << 10  # bytes that are read at one time
# a folder of ours and a plain name: what is written under it cannot lead elsewhere
PART_NAME: Final = re.compile(r"\A(state|config|meters|access)/[A-Za-z0-9_][A-Za-z0-9_.-]{0,80}\Z")
SUM_LINE: Final = re.compile(r"\A([0-9a-f]{64})  (\S{1,100})\Z")
USTAR: Final = b"ustar\x0000"

Shown = Callable[[str, int], object]
"""Is told how many bytes of which part are done."""


class BackupFileError(Exception):
    """It is no backup, or damaged, or of another version; the text says what to do."""


class BackupPart(msgspec.Struct, frozen=True):
    """A part, and its bytes."""

    name: str
    size: Annotated[int, Meta(ge=0, le=PART_LIMIT)]


class BackupHead(msgspec.Struct, frozen=True, kw_only=True):
    """What a backup is. `last`: its box does not go on; `marked`: its folder says so.

    `epoch` is that which was numbered last; None: it is not known. `records` wait for the city.
    `left_out`: what of its folder is not in it.
    """

    v: int
    backup: BackupId
    software: Words
    at: Time
    site: Words
    gateway: Words
    role: Words | None = None
    serial: Words | None = None
    epoch: Epoch | None = None
    records: Count | None = None
    last: bool
    marked: bool = False
    by: Words
    parts: Annotated[list[BackupPart], Meta(max_length=PARTS_LIMIT)]
    left_out: Annotated[list[Words], Meta(max_length=PARTS_LIMIT)] = []

    @property
    def owner(self) -> str:
        return f"{self.site}/{self.gateway}"

    @property
    def bytes(self) -> int:
        return sum(part.size for part in self.parts)

    def names(self) -> set[str]:
        return {part.name for part in self.parts}


class BackupSource(msgspec.Struct, frozen=True):
    """A part to be written: where it is read from."""

    part: BackupPart
    open: Callable[[], IO[bytes]]


def write_backup(
    out: IO[bytes],
    head: BackupHead,
    sources: Sequence[BackupSource],
    shown: Shown,
    settled: Callable[[], object],
) -> None:
    """All of it, with a block in memory. `settled` is called behind the last part: what it raises
    leaves a file without its end. Raises OSError, BackupFileError: a part has changed."""
    sums: list[str] = []
    with (
        gzip.GzipFile(fileobj=out, mode="wb", compresslevel=1, mtime=0, filename="") as packed,
        tarfile.open(fileobj=packed, mode="w|", format=tarfile.USTAR_FORMAT) as archive,
    ):

        def add(name: str, size: int, file: IO[bytes]) -> None:
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = size, 0o600
            counted = _Counted(file, name, size, shown)
            archive.addfile(entry, counted)
            sums.append(f"{counted.sum.hexdigest()}  {name}")

        data = msgspec.json.encode(head)
        add(HEAD_NAME, len(data), io.BytesIO(data))
        for source in sources:
            with source.open() as file:
                add(source.part.name, source.part.size, file)
        settled()
        listed = "".join(f"{line}\n" for line in sums).encode("ascii")
        entry = tarfile.TarInfo(SUMS_NAME)
        entry.size, entry.mode = len(listed), 0o600
        archive.addfile(entry, io.BytesIO(listed))


class _Counted(io.RawIOBase):
    """What is read of a part goes into its sum; a file that has become shorter is an error."""

    def __init__(self, file: IO[bytes], name: str, size: int, shown: Shown) -> None:
        self._file, self._name, self._left, self._shown = file, name, size, shown
        self._done = 0
        self.sum = hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        wanted = self._left if size < 0 else min(size, self._left)
        data = self._file.read(wanted)
        if len(data) < wanted:
            raise BackupFileError(
                f"{self._name} became shorter while it was read: run the command again"
            )
        self._left -= len(data)
        self._done += len(data)
        self.sum.update(data)
        self._shown(self._name, self._done)
        return data


class BackupReader:
    """One that is read once, from the first byte to the last: `head`, then `parts`."""

    def __init__(self, file: IO[bytes]) -> None:
        """Reads the head. Raises OSError, BackupFileError."""
        self._file = gzip.GzipFile(fileobj=file, mode="rb")
        self._sums: dict[str, str] = {}
        name, size = self._entry()
        if name != HEAD_NAME or size > HEAD_LIMIT:
            raise BackupFileError("it is no backup of Kerbstone: it begins with another file")
        data = b"".join(self._pieces(name, size))
        self.head = _parse_head(data)

    def parts(self) -> Iterator[tuple[BackupPart, Iterator[bytes]]]:
        """Each part and its bytes, which are taken before the next. At the end all sums have been
        compared. Raises OSError, BackupFileError."""
        for part in self.head.parts:
            name, size = self._entry()
            if (name, size) != (part.name, part.size):
                raise BackupFileError(
                    f"it is damaged: where {part.name} should be there is {name!r:.80}"
                )
            yield part, self._pieces(name, size)
        name, size = self._entry()
        if name != SUMS_NAME or size > HEAD_LIMIT:
            raise BackupFileError("it is damaged: it does not end with its sums")
        self._compare(b"".join(self._pieces(name, size)))

    def _compare(self, data: bytes) -> None:
        found = [SUM_LINE.match(line) for line in data.decode("ascii", "replace").splitlines()]
        stated = {match[2]: match[1] for match in found if match is not None}
        del self._sums[SUMS_NAME]
        wrong = sorted(name for name, each in self._sums.items() if stated.get(name) != each)
        if wrong or len(stated) != len(found) or stated.keys() != self._sums.keys():
            raise BackupFileError(
                f"it is damaged: the sum of {wrong[0] if wrong else SUMS_NAME} is wrong; copy the "
                "file again, or make the backup again"
            )

    def _entry(self) -> tuple[str, int]:
        """Name and bytes of the next one."""
        head = self._read(BLOCK)
        if len(head) < BLOCK or not any(head):
            raise BackupFileError(
                "it is not whole: its end is missing; copy the file again, or make it again"
            )
        try:
            checksum = int(head[148:156].strip(b"\0 "), 8)
            size = int(head[124:136].strip(b"\0 "), 8)
            name = head[:100].rstrip(b"\0").decode("ascii")
        except ValueError:
            raise BackupFileError("it is damaged, or no backup of Kerbstone") from None
        whole = sum(head[:148]) + 8 * 0x20 + sum(head[156:]) == checksum
        if not whole or head[257:265] != USTAR or head[156:157] not in b"0\0" or any(head[345:500]):
            raise BackupFileError("it is damaged, or no backup of Kerbstone")
        return name, size

    def _pieces(self, name: str, size: int) -> Iterator[bytes]:
        digest, left = hashlib.sha256(), size
        while left:
            data = self._read(min(left, PIECE))
            if not data:
                raise BackupFileError(
                    f"it is not whole: {name} is cut off; copy the file again, or make it again"
                )
            left -= len(data)
            digest.update(data)
            yield data
        self._read(-size % BLOCK)
        self._sums[name] = digest.hexdigest()

    def _read(self, size: int) -> bytes:
        """So many bytes, less only at the end."""
        found = bytearray()
        try:
            while len(found) < size and (data := self._file.read(size - len(found))):
                found += data
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise BackupFileError(f"it is damaged, or no backup of Kerbstone: {error}") from error
        return bytes(found)


def _parse_head(data: bytes) -> BackupHead:
    try:
        version = msgspec.json.decode(data).get("v")
        if version != VERSION:
            raise BackupFileError(
                f"it has version {version!r:.20}, and this program knows {VERSION}: restore it "
                "with the version of Kerbstone that wrote it, or a later one"
            )
        head = msgspec.json.decode(data, type=BackupHead)
    except (ValueError, AttributeError, RecursionError) as error:
        raise BackupFileError(f"it is damaged: {HEAD_NAME}: {error}") from error
    names = [part.name for part in head.parts]
    strange = [name for name in names if not PART_NAME.match(name)]
    if strange or len(set(names)) < len(names):
        raise BackupFileError(f"it is damaged: it has a part {(strange or names)[0]!r:.80}")
    return head
