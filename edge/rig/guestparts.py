"""What a guest of the layer `qemu` is made of, in one folder.

| name | what |
|---|---|
| vmlinuz, busybox | a kernel of Debian, and a shell that needs no library |
| first/ | modules that the kernel needs to read a disk, named in the order of loading |
| root.img | a file system with Python 3, kmod, udev and e2fsprogs; it is not changed |
| modules/ | gpio-sim.ko and kerbstone_i2c.ko of this kernel |
| packages/ | what `requirements/runtime.txt` names, for the Python of that file system |

`make rig-qemu` makes such a folder from packages of Debian, and says where.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from edge.rig.layer import LayerError

FILES: Final = ("vmlinuz", "busybox", "root.img", "modules/gpio-sim.ko", "modules/kerbstone_i2c.ko")
FOLDERS: Final = ("first", "modules", "packages")


@dataclass(frozen=True, slots=True)
class GuestParts:
    """Paths of what is in the folder."""

    folder: Path

    @property
    def kernel(self) -> Path:
        return self.folder / "vmlinuz"

    @property
    def busybox(self) -> Path:
        return self.folder / "busybox"

    @property
    def root(self) -> Path:
        return self.folder / "root.img"

    @property
    def modules(self) -> Path:
        return self.folder / "modules"

    @property
    def packages(self) -> Path:
        return self.folder / "packages"

    @property
    def first_modules(self) -> list[Path]:
        """In the order of loading."""
        return sorted((self.folder / "first").iterdir())


def guest_parts(folder: Path) -> GuestParts:
    """Raises LayerError for a folder in which something is missing."""
    missing = [name for name in FILES if not (folder / name).is_file()]
    missing += [f"{name}/" for name in FOLDERS if not (folder / name).is_dir()]
    if missing:
        raise LayerError(
            f"--guest {folder}: it has no {', '.join(missing)}; `make rig-qemu` in a checkout "
            "makes such a folder, and says where"
        )
    return GuestParts(folder)
