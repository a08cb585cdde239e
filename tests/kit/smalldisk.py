"""A disk that is small enough to be full: for a database, say.

disk = SmallDisk(folder, 256 << 20)
disk.fill()
disk.free()
disk.close()
"""

import os
import subprocess
from pathlib import Path
from typing import Final

PIECE: Final = 1 << 20


class SmallDisk:
    """A file system in memory at `folder`, where this user may mount one; else a plain folder."""

    def __init__(self, folder: Path, size: int) -> None:
        self.folder = folder
        options = f"size={size},mode=0755"
        self.small = os.getuid() == 0 and (
            subprocess.run(
                ["mount", "-t", "tmpfs", "-o", options, "small", folder], capture_output=True
            ).returncode
            == 0
        )

    @property
    def _ballast(self) -> Path:
        return self.folder / "ballast"

    def fill(self) -> None:
        """Nobody can write to it any more."""
        assert self.small, "this would fill the disk of the machine"
        with self._ballast.open("ab", buffering=0) as file:
            for piece in (PIECE, 4096):
                try:
                    while file.write(bytes(piece)) == piece:
                        pass
                except OSError:
                    continue

    def free(self) -> None:
        self._ballast.unlink()

    def protect(self, *, on: bool) -> None:
        """As the kernel does it to a card that fails: nothing can be written, all can be read."""
        assert self.small
        options = "remount,ro" if on else "remount,rw"
        subprocess.run(["mount", "-o", options, self.folder], check=True)

    def close(self) -> None:
        if self.small:
            subprocess.run(["umount", "--lazy", self.folder], check=True)
        self.folder.rmdir()
