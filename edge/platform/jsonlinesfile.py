"""An append-only file of JSON lines: what was cut at its end is cut off and counted, never read."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from edge.core import ConfigError
from edge.durable.folders import fsync_folder

LINE_LIMIT: Final = 8 << 20  # bytes; a payload of 1 MiB is 1.4 MB as base64
NEWLINE: Final = 10
RECORD_HEAD: Final = b'{"kind":"'  # of every line of ours


class JsonLinesFile:
    """With `write` a torn last line is cut off at once, else it is not looked at.

    Raises OSError; and ConfigError for a file that was not begun by this program: nothing is cut.
    """

    def __init__(self, path: Path, *, write: bool) -> None:
        self.path = path
        flags = os.O_RDWR | os.O_CREAT if write else os.O_RDONLY
        self._handle = os.open(path, flags | os.O_CLOEXEC, 0o640)
        try:
            size = os.fstat(self._handle).st_size
            self.end = _end_of_last_line(self._handle, size)
            self.torn_bytes = size - self.end
            head = os.pread(self._handle, len(RECORD_HEAD), 0)
            if not RECORD_HEAD.startswith(head):
                raise ConfigError(f"{path}: this is not a store of `receipts`; choose another name")
            if write:
                os.ftruncate(self._handle, self.end)
                os.fsync(self._handle)
                fsync_folder(path.parent)
        except BaseException:
            os.close(self._handle)
            raise
        self.damaged = 0

    def lines(self) -> Iterator[tuple[int, int, dict[str, object]]]:
        """Offset, length and content; what cannot be read is counted in `damaged` and skipped."""
        with open(self.path, "rb") as file:  # noqa: PTH123  (a second position in the file)
            offset = 0
            while offset < self.end:
                line = file.readline(LINE_LIMIT)
                length = len(line)
                if not line:
                    break
                found = _parse(line)
                if found is None:
                    self.damaged += 1
                    while line and line[-1] != NEWLINE:  # longer than any line of ours
                        line = file.readline(LINE_LIMIT)
                        length += len(line)
                else:
                    yield offset, length, found
                offset += length

    def at(self, offset: int, length: int) -> dict[str, object]:
        """One line. Raises ValueError when it cannot be read."""
        found = _parse(os.pread(self._handle, length, offset))
        if found is None:
            raise ValueError(f"{self.path}: the line at byte {offset} is damaged")
        return found

    def append(self, data: bytes) -> None:
        """On the disk when this returns; after an error the file has to be opened anew."""
        left = memoryview(data)
        at = self.end
        while left:
            written = os.pwrite(self._handle, left, at)
            left, at = left[written:], at + written
        os.fsync(self._handle)
        self.end = at

    def close(self) -> None:
        os.close(self._handle)


def json_line(content: dict[str, object]) -> bytes:
    """Compact JSON and a newline."""
    text = json.dumps(content, ensure_ascii=False, separators=(",", ":"))
    return text.encode("utf-8", "backslashreplace") + b"\n"


def _parse(line: bytes) -> dict[str, object] | None:
    if not line.endswith(b"\n"):
        return None
    try:
        found = json.loads(line.decode(), object_pairs_hook=_once)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _once(pairs: list[tuple[str, Any]]) -> dict[str, object]:
    """One program would take the first of two, and another one the last."""
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key occurs twice")
    return found


def _end_of_last_line(handle: int, size: int) -> int:
    """Where the last line that has an end ends."""
    at = size
    while at > 0:
        start = max(0, at - 65536)
        place = os.pread(handle, at - start, start).rfind(b"\n")
        if place >= 0:
            return start + place + 1
        at = start
    return 0
