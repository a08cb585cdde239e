"""The offline bundle: all wheels, their locks, and a script that makes a slot of them.

python -m deploy.package.bundle: dist/kerbstone-VERSION-wheels-aarch64.tar, for a machine without a
network whose Python is 3.11, 3.12 or 3.13.
"""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from deploy.package import fetch, licences, lock, project, slot, sums, tar
from deploy.package.errors import ended
from deploy.package.target import GLIBC, Target

SCRIPT = Path(__file__).parent / "install.sh"
PIP = Path(__file__).parent / "pip.txt"  # a machine may have Python without pip


def script(version: str, machine: str, pythons: Sequence[str]) -> str:
    """install.sh for this bundle."""
    text = SCRIPT.read_text(encoding="ascii")
    words = {"@VERSION@": version, "@MACHINE@": machine, "@PYTHONS@": " ".join(pythons)}
    for word, value in words.items():
        text = text.replace(word, value)
    return text


def narrowed(pins: Sequence[lock.Pin], wheels: dict[str, Path]) -> list[lock.Pin]:
    """The same pins with the one hash of the wheel that is in the bundle."""
    return [replace(pin, hashes=frozenset({fetch.sha256(wheels[pin.name])})) for pin in pins]


def content(
    options: argparse.Namespace, targets: Sequence[Target], moment: int
) -> dict[str, Path | bytes]:
    """All files of the bundle by their path in it."""
    own = project.wheel(options.wheels / "own", moment)
    version = project.version()
    ours = lock.Pin("kerbstone", version, frozenset({fetch.sha256(own)}))
    files: dict[str, Path | bytes] = {f"wheels/{own.name}": own}
    for target in targets:
        pins = lock.pins(options.lock, target)
        wheels = fetch.wheels(pins, target, options.wheels)
        tools = fetch.wheels(lock.pins(PIP, target), target, options.wheels)
        licences.require(licences.of_wheels((own, *wheels.values(), *tools.values())))
        text = lock.written([*narrowed(pins, wheels), ours])
        files[f"locks/{target.dotted}.txt"] = text.encode()
        files |= {f"wheels/{path.name}": path for path in (*wheels.values(), *tools.values())}
    pythons = [target.dotted for target in targets]
    files["install.sh"] = script(version, targets[0].machine, pythons).encode()
    return files | {sums.NAME: sums.of(files).encode()}


def main() -> None:
    """One command."""
    parser = argparse.ArgumentParser(prog="python -m deploy.package.bundle", description=__doc__)
    parser.add_argument("--out", type=Path, default=lock.ROOT / "dist")
    options = slot.arguments(parser).parse_args()
    targets = [slot.aimed(options.arch, python) for python in GLIBC]
    moment = project.epoch()
    name = f"kerbstone-{project.version()}-wheels-{targets[0].machine}"
    out: Path = options.out / f"{name}.tar"
    tar.write(out, name, content(options, targets, moment), moment)
    print(f"{out}: {out.stat().st_size / 1e6:.0f} MB")


if __name__ == "__main__":
    sys.exit(ended(main))
