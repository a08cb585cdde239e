"""A block device of one's own: an ext4 in a file behind a loop device, so that its count of
sectors is of nobody else. Needs root."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

SECTOR: Final = 512
SIZE: Final = 640 << 20
TOOLS: Final = ("mkfs.ext4", "mount", "umount", "losetup")


@dataclass(frozen=True, slots=True)
class CountedCard:
    """`folder` lies on it. Without root it is an ordinary folder, and nothing is counted."""

    folder: Path
    device: str | None

    def written(self) -> int:
        """Bytes that went to the device since it is there: data, journal and all."""
        if self.device is None:
            return 0
        fields = Path(f"/sys/block/{self.device}/stat").read_text("ascii").split()
        return int(fields[6]) * SECTOR


@contextmanager
def card(folder: Path, options: str = "noatime") -> Iterator[CountedCard]:
    """Gone after the block."""
    folder.mkdir(parents=True, exist_ok=True)
    place = folder / "card"
    place.mkdir(exist_ok=True)
    device = _mounted(folder / "card.img", place, options)
    try:
        yield CountedCard(place, device)
    finally:
        if device is not None:
            _run("umount", "--lazy", place)
        (folder / "card.img").unlink(missing_ok=True)


def _mounted(image: Path, place: Path, options: str) -> str | None:
    if os.geteuid() != 0 or not all(shutil.which(tool) for tool in TOOLS):
        return None
    with image.open("wb") as file:
        file.truncate(SIZE)
    # no background writing of inode tables: it would be counted
    lazy = "lazy_itable_init=0,lazy_journal_init=0"
    if not _run("mkfs.ext4", "-q", "-E", lazy, image):
        return None
    if not _run("mount", "-o", f"loop,{options}", image, place):
        return None
    found = subprocess.run(
        ["losetup", "-n", "-O", "NAME", "-j", str(image)], capture_output=True, text=True,
        check=False,
    ).stdout.strip()  # fmt: skip
    return Path(found).name if found else None


def _run(*command: object) -> bool:
    done = subprocess.run([str(word) for word in command], capture_output=True, check=False)
    return done.returncode == 0
