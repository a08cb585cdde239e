"""The folder that `kerbstone rig run --layer qemu --guest FOLDER` needs, of links into the cache.

By itself it makes the guest, and prints the folder: python -m tests.kernel.rigguest
"""

import shutil
import sys
from pathlib import Path

from tests.kernel.build import Built, build, cache
from tests.kernel.offer import Unavailable


def rig_guest(built: Built) -> Path:
    """Anew each time: links cost nothing."""
    folder = cache() / "rig"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    places = {
        "vmlinuz": built.kernel, "busybox": built.busybox, "root.img": built.image,
        "first": built.folder / "first", "modules": built.modules, "packages": built.site,
    }  # fmt: skip
    for name, target in places.items():
        (folder / name).symlink_to(target.resolve())
    return folder


if __name__ == "__main__":
    try:
        print(rig_guest(build()))
    except Unavailable as reason:
        sys.exit(f"no guest: {reason}")
