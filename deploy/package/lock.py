"""A lock: exact versions with hashes, of which a target takes some."""

import re
from dataclasses import dataclass
from pathlib import Path

from deploy.package.errors import BuildError
from deploy.package.target import Target

ROOT = Path(__file__).parents[2]
BOX = ROOT / "requirements/box.txt"
PIN = re.compile(r"([a-z0-9][a-z0-9._-]*)==([\w.!+]+)(?: ; ([^\\]+?))? \\")
HASH = re.compile(r"    --hash=sha256:([0-9a-f]{64})(?: \\)?")


@dataclass(frozen=True, slots=True)
class Pin:
    """One line of a lock with its hashes, one of which a wheel must have."""

    name: str
    version: str
    hashes: frozenset[str]
    marker: str = ""

    def __str__(self) -> str:
        return f"{self.name}=={self.version}"


def parsed(text: str, where: str) -> list[Pin]:
    """The pins of a lock. Anything else than pins with hashes is an error."""
    found: list[tuple[str, str, str, set[str]]] = []
    for number, line in enumerate(text.splitlines(), 1):
        if pin := PIN.fullmatch(line):
            found.append((pin[1], pin[2], pin[3] or "", set()))
        elif (digest := HASH.fullmatch(line)) and found:
            found[-1][3].add(digest[1])
        else:
            raise BuildError(
                f"{where}, line {number}: no pin and no hash. `make lock` writes it anew"
            )
    for name, version, _, hashes in found:
        if not hashes:
            raise BuildError(f"{where}: {name}=={version} has no hash. `make lock` writes it anew")
    return [
        Pin(name, version, frozenset(hashes), marker) for name, version, marker, hashes in found
    ]


def pins(lock: Path, target: Target) -> list[Pin]:
    """What a lock says for one target: each name once."""
    try:
        text = lock.read_text(encoding="ascii")
    except FileNotFoundError:
        raise BuildError(f"{lock} is not there. `make lock` writes it") from None
    taken = [pin for pin in parsed(text, str(lock)) if target.takes(pin.marker)]
    names = [pin.name for pin in taken]
    if twice := {name for name in names if names.count(name) > 1}:
        raise BuildError(f"{lock}: more than one version for {target}: {', '.join(sorted(twice))}")
    return taken


def written(taken: list[Pin]) -> str:
    """As a file for pip, without markers: pip would judge them by the Python that runs it."""
    return "".join(
        f"{pin} \\\n" + " \\\n".join(f"    --hash=sha256:{h}" for h in sorted(pin.hashes)) + "\n"
        for pin in taken
    )
