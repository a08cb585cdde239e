"""A slot: one version of the program with all that it needs, below /opt/kerbstone/slots.

python -m deploy.package.slot DEST: the tree to copy to /. It has the form of a virtual environment,
is never changed once it is there, and uses the distribution's own Python.
"""

import argparse
import configparser
import os
import re
import sys
from collections.abc import Iterable
from pathlib import Path

from deploy.package import compiled, fetch, licences, lock, project, wheel
from deploy.package.errors import BuildError, ended, report
from deploy.package.target import DEBIAN, GLIBC, Target

BASE = Path("opt/kerbstone")
WHEELS = lock.ROOT / "build/wheels"
ENTRY = re.compile(r"([A-Za-z_][\w.]*):([A-Za-z_]\w*)")
SCRIPT = """#!{python}
import sys

from {module} import {function}

if __name__ == "__main__":
    sys.exit({function}())
"""


def scripts(entry_points: str, python: str) -> dict[str, str]:
    """Name to text of each command that a distribution has."""
    parser = configparser.ConfigParser(delimiters=("=",), interpolation=None)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read_string(entry_points)
    found = {}
    for name, value in parser["console_scripts"].items() if "console_scripts" in parser else ():
        entry = ENTRY.fullmatch(value.strip())
        if entry is None or "/" in name:
            raise BuildError(f"the command {name!r} = {value!r} is not module:function")
        found[name] = SCRIPT.format(python=python, module=entry[1], function=entry[2])
    return found


def settings(version: str, target: Target) -> str:
    """pyvenv.cfg: which Python, and that it sees nothing of the system's packages."""
    return (
        "home = /usr/bin\n"
        "include-system-site-packages = false\n"
        f"version = {target.dotted}\n"
        f"prompt = kerbstone {version}\n"
    )


def put(path: Path, data: bytes, mode: int = 0o644) -> None:
    """A new file, whatever the umask."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("xb") as file:
        file.write(data)
    path.chmod(mode)


def unpacked(found: wheel.Wheel, site: Path, bin_: Path | None, python: str) -> None:
    """One distribution; its commands too where `bin_` is given."""
    more = {f"{found.info}/INSTALLER": b"kerbstone\n"}
    commands = scripts(found.scripts, python) if bin_ else {}
    for name, body in {**found.files, **more}.items():
        if (site / name).exists():
            raise BuildError(f"{found.name} {found.version} brings {name}, which is there already")
        put(site / name, body)
    for name, text in commands.items():
        assert bin_ is not None
        put(bin_ / name, text.encode(), 0o755)
        more[os.path.relpath(bin_ / name, site)] = text.encode()
    put(site / found.info / "RECORD", wheel.record(found, more))


def build(
    stage: Path, version: str, target: Target, wheels: Iterable[Path], bytecode: bool = True
) -> Path:
    """Makes the slot and its symlink below `stage`, from wheels of which the last is our own."""
    slot = BASE / "slots" / version
    place = stage / slot
    if place.exists():
        raise BuildError(f"{place} is there already; a slot is never changed. Delete it first")
    site = place / "lib" / f"python{target.dotted}" / "site-packages"
    bin_ = place / "bin"
    bin_.mkdir(parents=True)
    (bin_ / "python3").symlink_to("/usr/bin/python3")
    for name in ("python", f"python{target.dotted}"):
        (bin_ / name).symlink_to("python3")
    put(place / "pyvenv.cfg", settings(version, target).encode())
    for path in wheels:
        found = wheel.read(path)
        # commands of others (f2py, a serial terminal) are nothing for a box
        own = found.name == "kerbstone"
        unpacked(found, site, bin_ if own else None, f"/{slot}/bin/python")
        if found.left_out:
            report(f"{found.name}: {len(found.left_out)} programs and papers are left out")
    if bytecode:
        compiled.compiled(site, stage, target)
    link = stage / BASE / "venv"
    link.unlink(missing_ok=True)
    link.symlink_to(f"slots/{version}")
    return place


def settled(tree: Path, moment: int) -> None:
    """Gives all of it one time and plain modes, whatever the umask: same content, same archive."""
    for path in (*sorted(tree.rglob("*"), reverse=True), tree):
        if not path.is_symlink():
            executable = path.is_dir() or path.stat().st_mode & 0o100
            path.chmod(0o755 if executable else 0o644)
        os.utime(path, (moment, moment), follow_symlinks=False)


def arguments(parser: argparse.ArgumentParser) -> argparse.ArgumentParser:
    """The options that building a slot has, alone or as a part of more."""
    parser.add_argument("--arch", choices=sorted(DEBIAN.values()), default="arm64")
    parser.add_argument("--wheels", type=Path, default=WHEELS, help="where wheels are kept")
    parser.add_argument("--lock", type=Path, default=lock.BOX, help="default: %(default)s")
    parser.add_argument("--no-bytecode", action="store_true", help="modules without .pyc")
    return parser


def aimed(arch: str, python: tuple[int, int] = max(GLIBC)) -> Target:
    return Target(next(machine for machine, name in DEBIAN.items() if name == arch), python)


def collected(options: argparse.Namespace, target: Target, moment: int) -> list[Path]:
    """All wheels of this checkout for a target, our own last."""
    pins = lock.pins(options.lock, target)
    wheels = fetch.wheels(pins, target, options.wheels)
    return [*wheels.values(), project.wheel(options.wheels / "own", moment)]


def made(options: argparse.Namespace, stage: Path, moment: int) -> tuple[Path, list[Path]]:
    """The slot of this checkout below `stage`, and its wheels."""
    target = aimed(options.arch)
    wheels = collected(options, target, moment)
    licences.require(licences.of_wheels(wheels))
    report(f"unpacking {len(wheels)} wheels")
    place = build(stage, project.version(), target, wheels, not options.no_bytecode)
    settled(stage, moment)
    return place, wheels


def main() -> None:
    """One command."""
    parser = argparse.ArgumentParser(prog="python -m deploy.package.slot", description=__doc__)
    parser.add_argument("dest", type=Path, help="an empty folder")
    options = arguments(parser).parse_args()
    if options.dest.exists() and any(options.dest.iterdir()):
        raise BuildError(f"{options.dest} is not empty; a slot is made in an empty folder")
    options.dest.mkdir(parents=True, exist_ok=True)
    place, _ = made(options, options.dest.resolve(), project.epoch())
    size = sum(path.lstat().st_size for path in place.rglob("*") if not path.is_dir())
    print(f"{place}: {size / 1e6:.0f} MB")


if __name__ == "__main__":
    sys.exit(ended(main))
