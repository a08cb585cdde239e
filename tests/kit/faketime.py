"""A process whose wall clock the test sets, while its monotonic clocks are the real ones.

wall = FakeWall(tmp_path)  # libfaketime
subprocess.Popen([*wall.command, "program"])
wall.set("+20y")
"""

from pathlib import Path
from typing import Final

import pytest

from edge.rig.boxprocess import faketime

LIBRARY: Final = faketime()
needs_faketime: Final = pytest.mark.skipif(
    LIBRARY is None, reason="libfaketime is not here: apt install libfaketime"
)


class FakeWall:
    """It stands where a file in `folder` says; at first it is right."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "wall"
        self.set("+0")

    @property
    def command(self) -> tuple[str, ...]:
        """Before a program and its arguments: it becomes that program."""
        return (
            "env", f"LD_PRELOAD={LIBRARY}", f"FAKETIME_TIMESTAMP_FILE={self._file}",
            "FAKETIME_NO_CACHE=1", "FAKETIME_DONT_FAKE_MONOTONIC=1",
        )  # fmt: skip

    def set(self, shift: str) -> None:
        """`+20y`, `-3600s`: beside the true time."""
        new = self._file.with_name("wall.new")
        new.write_text(f"{shift}\n")
        new.replace(self._file)
