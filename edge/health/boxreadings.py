"""One look at the box: everything that the kernel reports, read at one time, in one value."""

from dataclasses import dataclass, field
from pathlib import Path

from edge.health.board import Space, Vitals, read_space, read_vitals
from edge.health.flash import Wear, disk_bytes_written, own_written, read_wear
from edge.health.kernelfiles import ROOT
from edge.health.mounts import MountedDisk, disk_of, filesystem_errors, mount_of


@dataclass(frozen=True, slots=True)
class BoxReadings:
    """What was seen. None where the kernel does not report it."""

    vitals: Vitals = field(default_factory=Vitals)
    space: Space | None = None
    disk: MountedDisk = field(default_factory=lambda: MountedDisk(None))
    read_only: bool | None = None
    disk_written: int | None = None
    own_written: int | None = None
    wear: Wear = field(default_factory=Wear)
    filesystem_errors: int | None = None


def read_box(folder: Path, root: Path = ROOT) -> BoxReadings:
    """At the box, and at the disk below `folder`. Reads some 25 small files, never the disk."""
    mount = mount_of(str(folder.absolute()), root)
    disk = disk_of(mount, root)
    return BoxReadings(
        read_vitals(root),
        read_space(folder),
        disk,
        None if mount is None else mount.read_only,
        None if disk.name is None else disk_bytes_written(disk.name, root),
        own_written(root),
        Wear() if disk.name is None else read_wear(disk.name, root),
        filesystem_errors(disk, root),
    )
