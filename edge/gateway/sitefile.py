"""The one site file of a box, replaced by root: the old bytes or the new ones, and the former kept.

Beside it lies `site.toml.before`, the file that it replaced, while the new one is on trial: the
daemon, which may not write here, runs from a copy of its own when a trial fails, and says so; then
the former file is put back, so that what lies here is what runs. Only what root has kept here can
come back: the word of the daemon chooses between two files, and gives none.
"""

import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from edge.core import ConfigError
from edge.durable.atomicwrite import replace_file
from edge.durable.filelock import FolderLock
from edge.durable.folders import remove_file
from edge.durable.readfile import read_file
from edge.gateway.applymark import apply_mark_file, pack_apply_mark
from edge.gateway.lastgood import LIMIT, file_digest
from edge.identity.configoutcome import ConfigOutcome

BEFORE_SUFFIX: Final = ".before"
MODE: Final = 0o640  # secrets are for root and the daemon's group
CHANGED_TEXT: Final = (
    "{} is another file than the one that this change was made of: somebody has changed it "
    "meanwhile (it is {:.12}, not {:.12}). Look at it, make the change again, and apply that"
)


class SiteFileChangedError(ConfigError):
    """Somebody else has replaced it in the meantime."""


class SiteFile:
    """The file at `path`. Two who replace it wait for each other."""

    def __init__(self, path: Path) -> None:
        self.path, self.before = path, path.with_name(f"{path.name}{BEFORE_SUFFIX}")

    def read(self) -> bytes:
        """Its bytes; b"" for none. Raises OSError."""
        return read_file(self.path, LIMIT) or b""

    @property
    def digest(self) -> str:
        """SHA-256 in hex, also of a file that is not there. Raises OSError."""
        return file_digest(self.read())

    def replace(
        self,
        data: bytes,
        base: str,
        *,
        keep: bool = True,
        told: bool = True,
        ready: Callable[[], object] = bool,
    ) -> None:
        """Put `data` in its place, if it is still the file with the digest `base` (or its
        beginning). `keep` False: the present file is not worth to come back, the one before it is.
        `told` False: no daemon runs, so a mark tells the next start.
        `ready` is called when nobody can come between any more; what it raises ends it.

        Raises SiteFileChangedError, OSError. Killed at any moment, there is the one or the other.
        """
        with self._held():
            present = self.read()
            digest = file_digest(present)
            if len(base) < 8 or not digest.startswith(base):
                raise SiteFileChangedError(CHANGED_TEXT.format(self.path, digest, base))
            ready()
            if present and present != data and (keep or not self.before.exists()):
                self._write(self.before, present)
            if told:
                remove_file(apply_mark_file(self.path))
            else:
                self._write(apply_mark_file(self.path), pack_apply_mark(file_digest(data)))
            if present != data:
                self._write(self.path, data)

    def settle(self, outcome: ConfigOutcome) -> bool:
        """What the daemon says of the file: put the former one back when this one was rolled back,
        and forget the former when it was confirmed. True: the file has changed. Raises OSError."""
        with self._held():
            if outcome.digest != self.digest:
                return False
            former = read_file(self.before, LIMIT) or b""
            if outcome.state == "confirmed" and former:
                remove_file(self.before)
            if outcome.state != "rolled_back" or not former or former == self.read():
                return False
            self._write(self.path, former)
            return True

    @contextmanager
    def _held(self) -> Iterator[None]:
        lock = FolderLock(self.path.parent)
        lock.take(wait=True)
        try:
            yield
        finally:
            lock.release()

    def _write(self, path: Path, data: bytes) -> None:
        """With mode and group of the site file, or of its folder where there is none yet. Who may
        not give it to that group keeps it for his own, which is the daemon's (root's unit)."""
        try:
            found = self.path.stat()
            mode, group = stat.S_IMODE(found.st_mode) & 0o664, found.st_gid
        except FileNotFoundError:
            mode, group = MODE, self.path.parent.stat().st_gid
        try:
            replace_file(path, data, mode, group=group, exact_mode=True)
        except PermissionError:
            replace_file(path, data, mode, exact_mode=True)
