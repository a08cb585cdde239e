"""What a browser loads of this page: the files of `static` and `words`, and no others.

The list is made once, from the package; a path of a browser is only looked up in it. A file is
packed when it is first asked for, and kept packed: all of them take less than 150 kB.
"""

import gzip
import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from edge.durable.readfile import read_file

HERE: Final = Path(__file__).parent
FOLDERS: Final = ("static", "words")
FILE_LIMIT: Final = 1 << 20
TYPES: Final = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".json": "application/json",
    ".svg": "image/svg+xml",
}
"""A file with another ending is not served."""


@dataclass(frozen=True, slots=True)
class StaticFile:
    """`packed` is gzip; `etag` names its content."""

    kind: str
    packed: bytes
    etag: str

    def plain(self) -> bytes:
        return gzip.decompress(self.packed)


class StaticFiles:
    """Looked up by the path in the address, without its first /."""

    def __init__(self, here: Path = HERE) -> None:
        self._here = here
        self._paths = {
            path.relative_to(here).as_posix()
            for folder in FOLDERS
            for path in (here / folder).rglob("*")
            if path.suffix in TYPES and path.is_file()
        }
        self._read: dict[str, StaticFile] = {}

    @property
    def paths(self) -> frozenset[str]:
        return frozenset(self._paths)

    def find(self, path: str) -> StaticFile | None:
        """None for what is none of ours."""
        if path not in self._paths:
            return None
        found = self._read.get(path)
        if found is None:
            data = read_file(self._here / path, FILE_LIMIT) or b""
            found = self._read[path] = StaticFile(
                TYPES[Path(path).suffix],
                gzip.compress(data, 9, mtime=0),
                f'"{hashlib.sha256(data).hexdigest()[:24]}"',
            )
        return found
