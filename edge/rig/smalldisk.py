"""A disk that is small enough to be full: a file system in memory, in place of a folder.

Only root may mount one; else the folder is a plain one, and nobody may fill it.
"""

import os
import subprocess
from pathlib import Path
from typing import Final

PIECE: Final = 1 << 20
SMALLEST: Final = 4096


class SmallDisk:
    """Mounted at `folder` while it lives. `small` says whether it is one."""

    def __init__(self, folder: Path, size: int) -> None:
        self.folder = folder
        options = f"size={size},mode=0755"
        self.small = os.getuid() == 0 and (
            subprocess.run(
                ["mount", "-t", "tmpfs", "-o", options, "small", str(folder)],
                capture_output=True, check=False,
            ).returncode
            == 0
        )  # fmt: skip

    @property
    def _ballast(self) -> Path:
        return self.folder / "ballast"

    def fill(self) -> None:
        """Nobody can write to it any more. Not for a folder that is no disk of its own."""
        assert self.small, "this would fill the disk of the machine"
        with self._ballast.open("ab", buffering=0) as file:
            for piece in (PIECE, SMALLEST):
                try:
                    while file.write(bytes(piece)) == piece:
                        pass
                except OSError:
                    continue

    def free_bytes(self) -> int:
        """What is left."""
        found = os.statvfs(self.folder)
        return found.f_bavail * found.f_frsize

    def free(self) -> None:
        self._ballast.unlink(missing_ok=True)

    def protect(self, *, on: bool) -> None:
        """As the kernel does it to a card that fails: nothing can be written, all can be read."""
        assert self.small
        options = "remount,ro" if on else "remount,rw"
        subprocess.run(["mount", "-o", options, self.folder], check=True)

    def close(self) -> None:
        """The file system is gone, and its folder."""
        if self.small:
            subprocess.run(["umount", "--lazy", str(self.folder)], check=True)
        self.folder.rmdir()
