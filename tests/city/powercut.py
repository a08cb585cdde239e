"""Power lost under PostgreSQL: its processes end at once, and its disk drops what was not flushed.

    disk = DroppingDisk(folder)
    server.start(**disk.environment(server.data))
    dropped = disk.cut(server)
    server.start()

`dropping.c`, which the server loads, notes what each write replaces and what each fsync keeps.
After the cut, what was written and not flushed is put back to what stood there: of the log always,
of each other file by chance, so that files are of different times. Names are kept: a new file is
there and may be empty, as on a file system with a journal.
"""

import contextlib
import os
import random
import shutil
import signal
import struct
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

from tests.kit.postgres import PostgresServer

SOURCE: Final = Path(__file__).parent / "dropping.c"
HEAD: Final = struct.Struct("=8sIIQQQ")
MAGIC: Final = b"DROPPING"


def missing() -> str:
    """Why no power can be lost here; empty if it can."""
    return "" if shutil.which("cc") else "no C compiler: apt install gcc libc6-dev"


class _Write(NamedTuple):
    place: int  # in the journal
    offset: int
    size: int  # of the file, before
    old: bytes


class DroppingDisk:
    """`folder` is new; the server's user has to reach it."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        folder.chmod(0o777)
        self._library, self._journal = folder / "dropping.so", folder / "journal"
        options = ["-shared", "-fPIC", "-O2", "-o", str(self._library)]
        subprocess.run(["cc", *options, str(SOURCE)], check=True)

    def environment(self, data: Path) -> dict[str, str]:
        """For the server whose files are in `data`."""
        self._journal.write_bytes(b"")
        self._journal.chmod(0o666)
        return {
            "LD_PRELOAD": str(self._library),
            "DROPPING_JOURNAL": str(self._journal),
            "DROPPING_FOLDER": f"{data}/",
        }

    def cut(self, server: PostgresServer, seed: int = 1) -> int:
        """How many writes are lost."""
        _end(server)
        chance, lost = random.Random(seed), 0
        for name, writes in sorted(self._unflushed().items()):
            path = Path(name)
            if path.exists() and ("/pg_wal/" in name or chance.random() < 0.5):
                lost += len(writes)
                with path.open("r+b") as file:
                    for each in reversed(writes):
                        file.seek(each.offset)
                        file.write(each.old)
                        file.truncate(each.size)
        return lost

    def _unflushed(self) -> dict[str, list[_Write]]:
        found: dict[str, list[_Write]] = {}
        for place, flushed, path, offset, size, old in _entries(self._journal.read_bytes()):
            if flushed:
                found[path] = [each for each in found.get(path, []) if each.place >= offset]
            else:
                found.setdefault(path, []).append(_Write(place, offset, size, old))
        return found


def _entries(data: bytes) -> Iterator[tuple[int, bool, str, int, int, bytes]]:
    place = data.find(MAGIC)
    while place >= 0:
        if place + HEAD.size > len(data):
            return
        _, flushed, named, offset, size, length = HEAD.unpack_from(data, place)
        end = place + HEAD.size + named + length
        if end <= len(data) and data[end : end + 8] in (MAGIC, b""):
            path = data[place + HEAD.size : end - length].decode()
            yield place, bool(flushed), path, offset, size, data[end - length : end]
            place = end if end < len(data) else -1
        else:  # who wrote it was killed before it wrote to the file
            place = data.find(MAGIC, place + 1)


def _end(server: PostgresServer) -> None:
    """All its processes; none of them sees another one die before it dies itself."""
    pid = server.pid
    os.kill(pid, signal.SIGSTOP)
    children = _children(pid)
    for each in children:
        with contextlib.suppress(ProcessLookupError):
            os.kill(each, signal.SIGKILL)
    server.kill()
    end = time.monotonic() + 30
    while any(map(_runs, children)):
        assert time.monotonic() < end, "a session of PostgreSQL does not end"
        time.sleep(0.01)


def _stat(pid: int) -> list[str]:
    """Its state, its parent and so on; empty when it has ended."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()
    except OSError:
        return []


def _children(pid: int) -> list[int]:
    found = (int(path.name) for path in Path("/proc").glob("[0-9]*"))
    return [each for each in found if _stat(each)[1:2] == [str(pid)]]


def _runs(pid: int) -> bool:
    return _stat(pid)[:1] not in ([], ["Z"])
