"""A folder in memory, for tests that are about order and not about speed.

An example:

    with in_memory(tmp_path) as folder:  # tmp_path where there is no /dev/shm
        ...
"""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def in_memory(otherwise: Path) -> Iterator[Path]:
    """Where there is such a file system: who feigns cuts and kills needs no disk that syncs."""
    shared = Path("/dev/shm")
    if not shared.is_dir():
        yield otherwise
        return
    with tempfile.TemporaryDirectory(prefix="kerbstone-", dir=shared) as folder:
        yield Path(folder)
