"""Cards that turn read-only as the kernel makes them: by a remount, or a fault of ext4. As root."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

TOOLS = ("mount", "umount", "mkfs.ext4", "losetup")


def run(*command: object) -> bool:
    words = [str(word) for word in command]
    return subprocess.run(words, capture_output=True, check=False).returncode == 0


class MountedCard:
    """`folder` is where it is mounted."""

    def __init__(self, folder: Path, fault: Path | None = None) -> None:
        self.folder, self._fault = folder, fault

    def read_only(self) -> None:
        """Nobody has a file open there that he may write."""
        assert run("mount", "-o", "remount,ro", self.folder)

    def writable(self) -> None:
        assert run("mount", "-o", "remount,rw", self.folder)

    def fail(self) -> None:
        """While files are open: ext4 finds a fault in itself, and takes nothing any more."""
        assert self._fault is not None
        self._fault.write_text("1")


@contextmanager
def card(folder: Path, *, ext4: bool = False) -> Iterator[MountedCard]:
    if os.geteuid() != 0 or not all(map(shutil.which, TOOLS)):
        pytest.skip("needs root, to mount")
    place, image = folder / "card", folder / "card.img"
    place.mkdir()
    if ext4:
        with image.open("wb") as file:
            file.truncate(64 << 20)
        done = run("mkfs.ext4", "-q", image)
        done = done and run("mount", "-o", "loop,errors=remount-ro", image, place)
    else:
        done = run("mount", "-t", "tmpfs", "-o", "size=64m", "card", place)
    if not done:
        pytest.skip("nothing can be mounted here")
    try:
        yield MountedCard(place, _fault(image) if ext4 else None)
    finally:
        run("umount", "--lazy", place)


def _fault(image: Path) -> Path:
    name = subprocess.run(
        ["losetup", "-n", "-O", "NAME", "-j", str(image)], capture_output=True, text=True,
        check=False,
    ).stdout.strip()  # fmt: skip
    path = Path("/sys/fs/ext4") / Path(name).name / "trigger_fs_error"
    if not path.exists():
        run("umount", "--lazy", image.with_suffix(""))
        pytest.skip("this kernel gives ext4 no fault on demand")
    return path
