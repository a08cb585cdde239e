"""Build the image: `python -m deploy.image`, as root, from a checkout.

The root of Debian packages is made once and kept; all else takes a few minutes. Ends with 1 when
the scan of what was built finds something, with 2 when it cannot be built.
"""

import argparse
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from deploy.image import disk, host, outputs, root, rootfs, scan

TOP = Path(__file__).parents[2]
DATA_JOURNAL, ROOT_JOURNAL = 16, 0


def build(args: argparse.Namespace) -> int:
    began = time.monotonic()
    work: Path = args.build.absolute()
    dist: Path = args.dist.absolute()
    tar, mirror = root.make(work, args.fresh)
    # never before a file of the root: Python's compiled files know the time of their source
    epoch = max(host.commit_epoch(TOP), mirror)
    if args.root_only:
        return 0
    host.need_tools()
    deb = args.deb or newest(dist)
    version = deb.name.split("_")[1] if deb else "none"
    host.report(
        f"kerbstone: {deb or 'no package in ' + str(dist) + ': an image without the program'}"
    )
    image = work / f"kerbstone-{version}-arm64.img"
    tree, boot, data = work / "tree", work / "boot", work / "data"
    with host.step("root file system"):
        rootfs.unpack(tar, tree)
        rootfs.install(tree, deb, epoch)
        rootfs.name_image(tree, version)
        rootfs.boot_files(tree, boot)
        rootfs.clean(tree)
        rootfs.data_tree(tree, data)
    found = scan.findings(tree, boot)
    host.report("\n".join([*found, f"scan: {len(found)} findings"]))
    if found:
        return 1
    if deb:
        # of what is installed: the package may be an older one, or somebody else's
        package("licences", "--root", str(tree))
    with host.step("partitions"):
        parts = partitions(work, tree, boot, data, epoch)
        disk.join(parts, image)
    raw = outputs.Weight.of(image)
    host.report(f"image: {raw.size / 1e6:.0f} MB, sha256 {raw.digest}")
    status = (tree / "var/lib/dpkg/status").read_text("utf-8")
    if not args.no_pack:
        pack(args, dist, image, version, raw, status, epoch)
    if not args.keep_tree:
        shutil.rmtree(tree)
    host.report(f"all: {(time.monotonic() - began) / 60:.1f} min")
    return 0


def newest(dist: Path) -> Path | None:
    """The package that `make deb` made last."""
    there = sorted(dist.glob("kerbstone_*_arm64.deb"), key=lambda path: path.stat().st_mtime)
    return there[-1] if there else None


def partitions(work: Path, tree: Path, boot: Path, data: Path, epoch: int) -> list[disk.Part]:
    """The three files."""
    first, second, third = work / "boot.fat", work / "root.ext4", work / "data.ext4"
    disk.fat(boot, first, epoch)
    for folder, out, label, uuid, journal in (
        (tree, second, "ROOT", disk.ROOT_UUID, ROOT_JOURNAL),
        (data, third, "DATA", disk.DATA_UUID, DATA_JOURNAL),
    ):
        packed = out.with_suffix(".tar")
        disk.pack(folder, packed, epoch)
        mib = disk.root_mib(packed.stat().st_size) if label == "ROOT" else disk.DATA_MIB
        disk.ext4(packed, out, label, uuid, mib, epoch, journal)
        packed.unlink()
    return [disk.Part(first, "c"), disk.Part(second, "83"), disk.Part(third, "83")]


def pack(
    args: argparse.Namespace,
    dist: Path,
    image: Path,
    version: str,
    raw: outputs.Weight,
    status: str,
    epoch: int,
) -> None:
    dist.mkdir(parents=True, exist_ok=True)
    packed = dist / f"{image.name}.xz"
    with host.step("compress"):
        outputs.compress(image, packed, args.level)
    weight = outputs.Weight.of(packed)
    host.report(f"{packed.name}: {weight.size / 1e6:.0f} MB")
    packages = dist / f"{image.name}.packages"
    packages.write_text(outputs.manifest(status), "utf-8")
    name = f"Kerbstone {version}"
    made = outputs.entry(name, f"{args.url}{packed.name}", args.icon, raw, weight, epoch)
    outputs.os_list(dist, made)
    if version != "none":
        # the package's own module tells what is in it, and only of a root that has it
        out = dist / f"kerbstone-image-{version}.cdx.json"
        tree = args.build.absolute() / "tree"
        package("sbom", "--root", str(tree), "--out", str(out))
    package("sums", str(dist))


def package(module: str, *words: str) -> None:
    """Run a module of deploy/package."""
    command = [sys.executable, "-m", f"deploy.package.{module}", *words]
    done = subprocess.run(command, cwd=TOP, check=False, capture_output=True, text=True)
    if done.returncode:
        raise host.BuildError(f"deploy.package.{module}: {done.stderr.strip()[-1000:]}")
    host.report(done.stdout.strip())


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m deploy.image", description=__doc__)
    add = parser.add_argument
    add("--build", type=Path, default=TOP / "build/image", help="for what is kept between builds")
    add("--dist", type=Path, default=TOP / "dist", help="for what is given away")
    add("--deb", type=Path, help="the package; default is the newest in DIST")
    add("--url", default="", help="where the image will lie, with / at its end; for os-list.json")
    add("--icon", default="", help="address of a picture, for os-list.json")
    add("--level", type=int, default=3, choices=range(10), help="of xz")
    add("--no-pack", action="store_true", help="only the raw image, for the test")
    add("--root-only", action="store_true", help="only the root of Debian packages")
    add("--fresh", action="store_true", help="make that root anew, though it is there")
    add("--keep-tree", action="store_true", help="leave the root's files in BUILD/tree")
    try:
        return build(parser.parse_args(arguments))
    except host.BuildError as error:
        print(f"make image: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
