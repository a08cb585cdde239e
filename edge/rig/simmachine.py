"""The machine of the layer `sim`: what the kernel tells of the board, of the disk and of this boot.

The daemon's own readers read these files. So a run says nothing of the machine on which it is made,
and says the same on each.
"""

import random
import resource
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from edge import kernelclock
from edge.acquire import clock as systemclock
from edge.core.release import VERSION
from edge.gateway import boxversions
from edge.health import board, kernelfiles
from edge.health.board import Board, Space
from edge.infer import modelsession
from edge.kernelclock import Discipline
from edge.wire.contract.meta import BoxMeta

FILES: Final = {
    "proc/device-tree/model": "Simulated board",
    "proc/device-tree/serial-number": "10000000c0ffee00",
    "proc/meminfo": "MemTotal: 1900000 kB\nMemAvailable: 1500000 kB\n",
    "proc/loadavg": "0.20 0.20 0.20 1/100 1000\n",
    "sys/class/thermal/thermal_zone0/temp": "45000\n",
    "etc/os-release": 'PRETTY_NAME="Simulated"\n',
}
DISK: Final = Space(free=12_000_000_000, total=30_000_000_000)
VERSIONS: Final = BoxMeta(software=VERSION, board=FILES["proc/device-tree/model"])
SYNCED: Final = Discipline(synced=True, max_error_us=1000)
BOOT_ID: Final = "proc/sys/kernel/random/boot_id"


def make_machine(root: Path, seed: int) -> None:
    """Write its files below `root`."""
    drawn = f"{random.Random(seed).getrandbits(128):032x}"
    parts = drawn[:8], drawn[8:12], drawn[12:16], drawn[16:20], drawn[20:]
    for name, text in {**FILES, BOOT_ID: "-".join(parts)}.items():
        file = root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="ascii")


def machine_pairs(root: Path) -> Sequence[tuple[object, object]]:
    """What of the real machine the daemon would read -> what it reads here."""

    def read_space(folder: Path) -> Space:
        return DISK

    def discipline() -> Discipline:
        return SYNCED

    def read_versions(board: Board) -> BoxMeta:
        return VERSIONS

    def getrusage(who: int) -> resource.struct_rusage:
        return resource.struct_rusage([0] * 16)

    return (
        (boxversions.read_versions, read_versions),
        (resource.getrusage, getrusage),
        (kernelfiles.ROOT, root),
        (modelsession.STATM, root / "proc/self/statm"),
        (systemclock.BOOT_ID, root / BOOT_ID),
        (board.read_space, read_space),
        (kernelclock.discipline, discipline),
    )
