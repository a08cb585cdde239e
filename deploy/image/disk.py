"""The image: an MBR with FAT, a read-only root and a small data partition. No loop, no mount.

All that could differ between two builds is given: identifiers, seeds, times, the order of files.
"""

import os
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from deploy.image import host

MIB = 1 << 20
BOOT_MIB = 256
DATA_MIB = 128
DISK_ID = "0x4b455242"
FAT_ID = "4b455242"
# for people who look: the same in every image, they say nothing about a box
ROOT_UUID = "6b657262-7374-6f6e-6500-000000000001"
DATA_UUID = "6b657262-7374-6f6e-6500-000000000002"


@dataclass(frozen=True, slots=True)
class Part:
    """One partition of the image, already a file."""

    path: Path
    kind: str

    @property
    def mib(self) -> int:
        return self.path.stat().st_size // MIB


def table(sizes: Sequence[tuple[int, str]]) -> str:
    """The input of sfdisk: partitions one after another from the first MiB on."""
    rows, at = ["label: dos", f"label-id: {DISK_ID}"], 1
    for number, (mib, kind) in enumerate(sizes):
        flag = ",bootable" if number == 0 else ""
        rows.append(f"start={at}MiB,size={mib}MiB,type={kind}{flag}")
        at += mib
    return "\n".join(rows) + "\n"


def root_mib(used: int) -> int:
    """Nothing is written later: a little for inodes and tables, then whole pieces of 32 MiB."""
    return -(-(used * 108 // 100 // MIB + 24) // 32) * 32


def pack(folder: Path, tar: Path, epoch: int) -> None:
    """The folder as a tar: sorted, no file younger than `epoch`."""
    # GNU's form: mke2fs stumbles over a name that is not ASCII in a posix header
    form = "--sort=name --numeric-owner --format=gnu --clamp-mtime"
    host.output(
        ["tar", *form.split(), f"--mtime=@{epoch}", "-C", str(folder), "-cf", str(tar), "."]
    )


def ext4(tar: Path, out: Path, label: str, uuid: str, mib: int, epoch: int, journal: int) -> None:
    """A file system with what is in the tar."""
    out.unlink(missing_ok=True)
    extra = f"hash_seed={uuid},lazy_itable_init=0,lazy_journal_init=0,root_owner=0:0"
    command = ["mke2fs", "-q", "-t", "ext4", "-b", "4096", "-I", "256", "-i", "16384", "-m", "0"]
    command += ["-J", f"size={journal}"] if journal else ["-O", "^has_journal"]
    command += ["-L", label, "-U", uuid, "-E", extra, "-d", str(tar), str(out), f"{mib}M"]
    _run(command, epoch)


def fat(folder: Path, out: Path, epoch: int, mib: int = BOOT_MIB) -> None:
    """The boot partition with all files of a folder."""
    out.unlink(missing_ok=True)
    with out.open("wb") as file:
        file.truncate(mib * MIB)
    _run(["mkfs.vfat", "--invariant", "-F", "32", "-n", "BOOT", "-i", FAT_ID, str(out)], epoch)
    for path in sorted(folder.rglob("*")):
        name = f"::/{path.relative_to(folder).as_posix()}"
        os.utime(path, (epoch, epoch))
        if path.is_dir():
            _run(["mmd", "-i", str(out), name], epoch)
        else:
            _run(["mcopy", "-m", "-i", str(out), str(path), name], epoch)


def join(parts: Sequence[Part], out: Path) -> None:
    """One file from all; holes stay holes."""
    out.unlink(missing_ok=True)
    total = 1 + sum(part.mib for part in parts)
    with out.open("wb") as file:
        file.truncate(total * MIB)
    text = table([(part.mib, part.kind) for part in parts])
    subprocess.run(
        ["sfdisk", "-q", str(out)], input=text, text=True, check=True, capture_output=True
    )
    at = 1
    for part in parts:
        where = ["bs=1M", f"seek={at}", "conv=notrunc,sparse", "status=none"]
        host.output(["dd", f"if={part.path}", f"of={out}", *where])
        at += part.mib


def _run(command: Sequence[str], epoch: int) -> None:
    times = {"SOURCE_DATE_EPOCH": str(epoch), "E2FSPROGS_FAKE_TIME": str(epoch), "TZ": "UTC"}
    env = {**os.environ, **times, "MTOOLS_SKIP_CHECK": "1"}
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    if done.returncode:
        raise host.BuildError(f"{' '.join(command)}: {done.stderr.strip()[-2000:]}")
