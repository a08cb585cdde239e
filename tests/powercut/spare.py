"""A disk for the boot of the machine that is kept: of the size of the others, and never mounted."""

import random
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from edge.rig.nbdserver import NbdServer
from edge.rig.volatiledisk import DISKS, VolatileDisk
from tests.powercut.diskrun import DISK_MB


@contextmanager
def spare_disk(folder: Path) -> Iterator[Path]:
    """Its socket."""
    disk = VolatileDisk(bytearray(DISK_MB << 20), DISKS["honest"], random.Random(0))
    server = NbdServer(folder / "spare.sock", disk)
    server.start()
    try:
        yield server.path
    finally:
        server.stop()
