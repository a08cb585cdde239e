"""Where a folder lies: its mount, whether that is read-only now, and the whole disk below it.

Source: proc_pid_mountinfo(5); sysfs(5), `/sys/dev/block/MAJ:MIN` points to the device's folder, a
partition's lies in its disk's and holds a file `partition`. `/sys/fs/ext4/*/errors_count`:
Documentation/ABI/testing/sysfs-fs-ext4 of Linux.
"""

import re
from dataclasses import dataclass
from pathlib import Path

from edge.health.kernelfiles import ROOT, read_number, read_text


@dataclass(frozen=True, slots=True)
class Mount:
    """One mounted file system. `device` is MAJ:MIN; major 0 has no disk of its own."""

    point: str
    device: str
    kind: str
    read_only: bool


@dataclass(frozen=True, slots=True)
class MountedDisk:
    """The whole disk below a folder, as `mmcblk0`; or None, and a word that says why."""

    name: str | None
    partition: str = ""
    why: str = ""


def mount_of(folder: str, root: Path = ROOT) -> Mount | None:
    """The mount that holds an absolute path: the longest that leads to it, the latest of equals."""
    found: Mount | None = None
    for line in (read_text(root / "proc/self/mountinfo") or "").splitlines():
        mount = _mount(line)
        if mount is not None and _is_above(mount.point, folder):
            found = mount if found is None or len(mount.point) >= len(found.point) else found
    return found


def disk_of(mount: Mount | None, root: Path = ROOT) -> MountedDisk:
    """The disk whose counters have what is written below this mount."""
    if mount is None:
        return MountedDisk(None, why="unknown")
    if mount.device.startswith("0:"):
        return MountedDisk(None, why=mount.kind)
    try:
        folder = (root / "sys/dev/block" / mount.device).resolve(strict=True)
    except (OSError, RuntimeError):
        return MountedDisk(None, why="unknown")
    if folder.name.startswith("dm-"):
        return MountedDisk(None, folder.name, "device-mapper")
    whole = folder.parent if (folder / "partition").exists() else folder
    return MountedDisk(whole.name, folder.name)


def filesystem_errors(disk: MountedDisk, root: Path = ROOT) -> int | None:
    """Errors that ext4 found since the file system was checked; None for any other."""
    if not disk.partition:
        return None
    return read_number(root / "sys/fs/ext4" / disk.partition / "errors_count")


def _mount(line: str) -> Mount | None:
    """`36 35 98:0 / /mnt rw,noatime master:1 - ext3 /dev/root rw`: either `rw` may be `ro`."""
    left, _, right = line.partition(" - ")
    mine, disk = left.split(" "), right.split(" ")
    if len(mine) < 6 or len(disk) < 3 or re.fullmatch(r"\d+:\d+", mine[2], re.ASCII) is None:
        return None
    options = {*mine[5].split(","), *disk[2].split(",")}
    return Mount(_unescape(mine[4]), mine[2], disk[0], "ro" in options)


def _is_above(point: str, folder: str) -> bool:
    return point == "/" or folder == point or folder.startswith(point + "/")


def _unescape(name: str) -> str:
    r"""Blank, tab, newline and backslash stand as \040 and so on."""
    return re.sub(r"\\([0-3][0-7]{2})", lambda found: chr(int(found[1], 8)), name)
