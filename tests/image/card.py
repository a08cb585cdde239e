"""A card for one guest: a larger copy of the image, whose boot partition can be written."""

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Final

LARGER_MB: Final = 2048
SECTOR: Final = 512


class ImageCard:
    """Only what is changed takes space; `image` itself stays as it is."""

    def __init__(self, image: Path, folder: Path, larger_mb: int = LARGER_MB) -> None:
        self.path = folder / "card.img"
        self.kernel, self.initrd = folder / "vmlinuz", folder / "initrd.img"
        subprocess.run(["cp", "--sparse=always", str(image), str(self.path)], check=True)
        os.truncate(self.path, image.stat().st_size + larger_mb * 1024 * 1024)
        table = json.loads(_out("sfdisk", "--json", str(image)))["partitiontable"]
        self._at = [row["start"] * SECTOR for row in table["partitions"]]
        self.kernel.write_bytes(self.get("vmlinuz"))
        self.initrd.write_bytes(self.get("initrd.img"))
        self.cmdline = self.get("cmdline.txt").decode().strip()

    @property
    def _boot(self) -> str:
        return f"{self.path}@@{self._at[0]}"

    def put(self, name: str, data: bytes) -> None:
        """A file for the boot partition, as a technician's machine would write it."""
        command = ["mcopy", "-o", "-i", self._boot, "-", f"::/{name}"]
        subprocess.run(command, input=data, check=True, capture_output=True)

    def get(self, name: str) -> bytes:
        command = ["mtype", "-i", self._boot, f"::/{name}"]
        return subprocess.run(command, check=True, capture_output=True).stdout

    def remove(self, name: str) -> None:
        command = ["mdel", "-i", self._boot, f"::/{name}"]
        subprocess.run(command, check=True, capture_output=True)

    def names(self) -> list[str]:
        return _out("mdir", "-b", "-i", self._boot, "::/").replace("::/", "").split()

    def raw_boot(self) -> bytes:
        """All of the boot partition, also what is deleted."""
        with self.path.open("rb") as file:
            file.seek(self._at[0])
            return file.read(self._at[1] - self._at[0])

    def data_mb(self) -> float:
        """How large the table says that the data partition is."""
        rows = json.loads(_out("sfdisk", "--json", str(self.path)))["partitiontable"]["partitions"]
        return float(rows[2]["size"]) * SECTOR / 1e6

    def taken_mb(self) -> float:
        """On the disk of this machine."""
        return self.path.stat().st_blocks * SECTOR / 1e6

    def copy(self, other: Path) -> None:
        """What a thief would have."""
        shutil.copy(self.path, other)


def _out(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout
