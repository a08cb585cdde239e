"""One look at the box: everything that the kernel tells, read at one time, in one value."""

from dataclasses import dataclass, field
from pathlib import Path

from edge.health.board import Space, Vitals, space, vitals
from edge.health.flash import Wear, own_written, wear, written
from edge.health.kernel import ROOT
from edge.health.mounts import Disk, disk_of, filesystem_errors, mount_of


@dataclass(frozen=True, slots=True)
class Look:
    """What was seen. None where the kernel does not tell."""

    vitals: Vitals = field(default_factory=Vitals)
    space: Space | None = None
    disk: Disk = field(default_factory=lambda: Disk(None))
    read_only: bool | None = None
    disk_written: int | None = None
    own_written: int | None = None
    wear: Wear = field(default_factory=Wear)
    filesystem_errors: int | None = None


def look(folder: Path, root: Path = ROOT) -> Look:
    """At the box, and at the disk below `folder`. Reads some 25 small files, never the disk."""
    mount = mount_of(str(folder.absolute()), root)
    disk = disk_of(mount, root)
    return Look(
        vitals(root),
        space(folder),
        disk,
        None if mount is None else mount.read_only,
        None if disk.name is None else written(disk.name, root),
        own_written(root),
        Wear() if disk.name is None else wear(disk.name, root),
        filesystem_errors(disk, root),
    )
