"""Where records wait: on a disk that is kept, of a size that a card has."""

from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Final

from edge.config.problem import Problem
from edge.config.site import Site

RUN: Final = tuple(map(PurePosixPath, ("/run", "/var/run")))
# what lies deeper there is somebody's for a moment: a test's, a simulation's
FOR_A_MOMENT: Final = tuple(map(PurePosixPath, ("/tmp", "/dev/shm")))
# not /home and /root: a desk lies there, and wears no card
ON_DISK: Final = tuple(map(PurePosixPath, ("/var", "/opt", "/srv", "/etc")))
LARGE_MB: Final = 16_384  # half of a card of 32 GB
CARDS_GB: Final = (8.0, 16.0, 32.0)  # more may be what an SSD can take


def store_warnings(site: Site) -> Iterator[Problem]:
    """All remarks about [store]."""
    store = site.store
    folder, run_folder = PurePosixPath(store.dir), PurePosixPath(store.run_dir)
    if _within(folder, RUN) or folder.parent in FOR_A_MOMENT:
        yield site.remark(
            ("store", "dir"),
            f"{store.dir} is in memory: a power cut loses all records that wait; it belongs "
            "on disk, such as /var/lib/kerbstone",
        )
    if _within(run_folder, ON_DISK) and not _within(run_folder, RUN):
        yield site.remark(
            ("store", "run_dir"),
            f"{store.run_dir} is on disk, and wears the card with each reading; it belongs in "
            "memory, such as /run/kerbstone",
        )
    if store.limit_mb > LARGE_MB:
        yield site.remark(
            ("store", "limit_mb"),
            f"{store.limit_mb} MB are {store.limit_mb / 1000:.0f} GB, more than half of a card of "
            "32 GB; 256 MB hold weeks of most boxes",
        )
    if store.card_tb in CARDS_GB:
        yield site.remark(
            ("store", "card_tb"),
            f"{store.card_tb:g} looks like the card's size in GB; this is how many TB can be "
            "written to it before it is worn out, 0.4 to 1 for consumer cards",
        )


def _within(folder: PurePosixPath, places: tuple[PurePosixPath, ...]) -> bool:
    return any(each == folder or each in folder.parents for each in places)
