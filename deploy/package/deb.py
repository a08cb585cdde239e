"""The .deb for a running Debian 13 or Raspberry Pi OS.

python -m deploy.package.deb: dist/kerbstone_VERSION_arm64.deb from this checkout. Same inputs, same
bytes: all times are those of the last commit (SOURCE_DATE_EPOCH).
"""

import argparse
import gzip
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from deploy.package import (
    completion,
    control,
    elf,
    manpages,
    places,
    project,
    sbom,
    slot,
    wheel,
)
from deploy.package.errors import BuildError, ended, report
from deploy.package.lock import ROOT

DOC = Path("usr/share/doc/kerbstone")
DIST = ROOT / "dist"


def documents(version: str, moment: int) -> dict[Path, bytes]:
    """What a person reads: below /usr/share/doc."""
    news = (ROOT / "CHANGELOG.md").read_bytes()
    return {
        DOC / "changelog.gz": gzip.compress(
            control.changelog(version, moment).encode(), 9, mtime=0
        ),
        DOC / "NEWS.gz": gzip.compress(news, 9, mtime=0),
        DOC / "README.md": (ROOT / "README.md").read_bytes(),
        DOC / "examples/site.toml": (ROOT / "deploy/site.example.toml").read_bytes(),
        DOC / "examples/cabinet.toml": (ROOT / "deploy/cabinet.example.toml").read_bytes(),
        Path("usr/share/lintian/overrides/kerbstone"): (
            Path(__file__).parent / "lintian-overrides"
        ).read_bytes(),
    }


def help_files(version: str, moment: int) -> dict[Path, bytes]:
    """Manual pages, and what completes words in a shell."""
    found = {}
    for name, text in manpages.pages(version, moment).items():
        goal = manpages.MAN / f"man{name[-1]}" / f"{name}.gz"
        found[goal] = gzip.compress(text.encode(), 9, mtime=0)
    return found | {path: text.encode() for path, text in completion.scripts().items()}


def sums(tree: Path) -> str:
    """DEBIAN/md5sums, which `dpkg --verify` reads."""
    lines = []
    for path in sorted(tree.rglob("*")):
        if path.is_file() and not path.is_symlink():
            with path.open("rb") as file:
                digest = hashlib.file_digest(file, "md5").hexdigest()
            lines.append(f"{digest}  {path.relative_to(tree)}\n")
    return "".join(lines)


def size_kb(tree: Path) -> int:
    """As Debian counts: each file in whole KiB, one for all else."""
    total = 0
    for path in tree.rglob("*"):
        plain = path.is_file() and not path.is_symlink()
        total += -(-path.stat().st_size // 1024) if plain else 1
    return total


def packed(tree: Path, out: Path, moment: int) -> None:
    """dpkg-deb, which clamps times and sorts names."""
    if shutil.which("dpkg-deb") is None:
        raise BuildError("dpkg-deb is not here. A Debian machine has it; elsewhere install dpkg")
    out.parent.mkdir(parents=True, exist_ok=True)
    part = out.with_name(out.name + ".part")
    done = subprocess.run(
        ["dpkg-deb", "--root-owner-group", "-Zxz", "--build", str(tree), str(part)],
        env={**os.environ, "SOURCE_DATE_EPOCH": str(moment)},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        part.unlink(missing_ok=True)
        raise BuildError(f"dpkg-deb failed: {(done.stdout + done.stderr).strip()}")
    part.replace(out)


def build(options: argparse.Namespace, tree: Path) -> Path:
    """The package, by way of `tree`, which is its content."""
    moment = project.epoch()
    target = slot.aimed(options.arch)
    version = project.debian(project.version())
    place, wheels = slot.made(options, tree, moment)
    opened = [wheel.read(path) for path in wheels]
    units = places.placed()
    files = {Path(goal): body for goal, body in units.items()}
    files[Path(places.PRESET)] = places.preset(units)
    files |= documents(version, moment)
    files |= help_files(project.version(), moment)
    site = f"/{slot.BASE}/slots/{project.version()}/lib/python{target.dotted}/site-packages"
    files[DOC / "copyright"] = control.copyright_(opened, site, moment).encode()
    files[sbom.INSTALLED] = sbom.of_slot(wheels, opened, target, moment).encode()
    for path, body in sorted(files.items()):
        slot.put(tree / path, body)
    (tree / "usr/bin").mkdir()
    for command in sorted((place / "bin").glob("kerbstone*")):
        (tree / "usr/bin" / command.name).symlink_to(f"/{slot.BASE}/venv/bin/{command.name}")
    libraries = elf.packages(place, target.machine)
    control_text = control.control(version, target, size_kb(tree), wheels, libraries)
    md5 = sums(tree)
    for name, text in control.scripts(project.version(), units).items():
        slot.put(tree / "DEBIAN" / name, text.encode(), 0o755)
    slot.put(tree / "DEBIAN/control", control_text.encode())
    slot.put(tree / "DEBIAN/md5sums", md5.encode())
    slot.settled(tree, moment)
    out: Path = options.out / f"kerbstone_{version}_{target.debian}.deb"
    report("packing (a minute or two)")
    packed(tree, out, moment)
    return out


def main() -> None:
    """One command."""
    parser = argparse.ArgumentParser(prog="python -m deploy.package.deb", description=__doc__)
    parser.add_argument("--out", type=Path, default=DIST, help="default: %(default)s")
    options = slot.arguments(parser).parse_args()
    with tempfile.TemporaryDirectory(prefix="kerbstone-deb-") as place:
        tree = Path(place) / "tree"
        tree.mkdir(mode=0o755)
        out = build(options, tree)
    print(f"{out}: {out.stat().st_size / 1e6:.0f} MB")


if __name__ == "__main__":
    sys.exit(ended(main))
