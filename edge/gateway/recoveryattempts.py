"""Starts that die while they read the stage back: counted in a file, so that it is set aside."""

from pathlib import Path
from typing import Final

ATTEMPTS_FILE: Final = "recovering"  # there while a start is at it, or when it has died of it
MAX_ATTEMPTS: Final = 3  # attempts at reading a stage back


class RecoveryAttempts:
    """In the run directory, which goes with the boot, as the stage does."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / ATTEMPTS_FILE

    def begin(self) -> bool:
        """An attempt begins. False when others have died of it: then it must be set aside."""
        try:
            with self._path.open("ab") as counted:
                counted.write(b".")
            return self._path.stat().st_size <= MAX_ATTEMPTS
        except OSError:
            return True  # a full tmpfs, or a folder of that name: no reason to lose a stage

    def ended(self) -> None:
        """It was read."""
        try:
            self._path.unlink(missing_ok=True)
        except OSError:
            return
