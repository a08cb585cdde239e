"""The wheels of a lock for a target: those that are here already, and the rest through pip."""

import hashlib
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from packaging.tags import Tag
from packaging.utils import InvalidWheelFilename, canonicalize_name, parse_wheel_filename

from deploy.package.errors import BuildError, report
from deploy.package.lock import Pin, written
from deploy.package.target import Target

NETWORK = re.compile(
    r"connection broken|NewConnectionError|ConnectTimeout|Temporary failure in name resolution"
    r"|ProxyError|Max retries exceeded|Read timed out",
    re.IGNORECASE,
)
NOTHING = re.compile(r"No matching distribution found for (\S+)")


def sha256(path: Path) -> str:
    """The hash of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def rank(path: Path, pin: Pin, order: dict[Tag, int]) -> int | None:
    """How well a file is what the pin names, by its name and its bytes; 0 is best."""
    try:
        name, version, _, tags = parse_wheel_filename(path.name)
    except InvalidWheelFilename:
        return None
    if canonicalize_name(pin.name) != name or str(version) != pin.version:
        return None
    ranks = [order[tag] for tag in tags if tag in order]
    return min(ranks) if ranks and sha256(path) in pin.hashes else None


def here(pins: list[Pin], target: Target, folder: Path) -> dict[str, Path]:
    """Name of a package to its wheel, for those in the folder: the one that pip would take."""
    order = {tag: number for number, tag in reversed(list(enumerate(target.tags())))}
    wheels = sorted(folder.glob("*.whl"))
    found = {}
    for pin in pins:
        fitting = [(r, path) for path in wheels if (r := rank(path, pin, order)) is not None]
        if fitting:
            found[pin.name] = min(fitting)[1]
    return found


def reason(output: str, target: Target) -> str:
    """Why pip failed, and what to do."""
    if NETWORK.search(output):
        return (
            "pip cannot reach its package index. Configure it for pip itself (pip config,"
            " PIP_INDEX_URL, a proxy), or put the wheels into the folder for them (--wheels)"
        )
    if "DO NOT MATCH THE HASHES" in output:
        return (
            "the index gave other bytes than the lock names. Do not use them; ask who changed them"
        )
    found = NOTHING.search(output)
    if found and "(from versions: none)" in output:
        return (
            f"pip sees no wheel of {found[1]} for {target}. If its index can be reached, lock a"
            " version that has one (`make lock`); nothing is compiled here"
        )
    if found:
        return (
            f"the index has no wheel of {found[1]} for {target}. Lock a version that has one"
            " (`make lock`); nothing is compiled here"
        )
    return "pip failed; its own words are above"


def download(pins: list[Pin], target: Target, folder: Path) -> None:
    """Lets pip fetch these; it checks the hashes, too."""
    with tempfile.TemporaryDirectory() as place:
        wanted = Path(place) / "wanted.txt"
        wanted.write_text(written(pins), encoding="ascii")
        command = [sys.executable, "-m", "pip", "download", "--disable-pip-version-check"]
        command += ["--no-input", "--no-deps", "--require-hashes", "--only-binary", ":all:"]
        command += ["--implementation", "cp", "--python-version", target.dotted]
        command += ["--abi", "cp{}{}".format(*target.python), "--abi", "abi3", "--abi", "none"]
        for platform in target.platforms():
            command += ["--platform", platform]
        command += ["--dest", str(folder), "--requirement", str(wanted)]
        done = subprocess.run(
            command,
            stdout=sys.stderr,
            stderr=subprocess.PIPE,
            stdin=subprocess.DEVNULL,
            text=True,
            check=False,
        )
    if done.returncode:
        report(done.stderr.rstrip())
        raise BuildError(reason(done.stderr, target))


def wheels(pins: list[Pin], target: Target, folder: Path) -> dict[str, Path]:
    """Name of a package to its wheel, for all of them. Nothing is fetched that is here."""
    folder.mkdir(parents=True, exist_ok=True)
    found = here(pins, target, folder)
    if missing := [pin for pin in pins if pin.name not in found]:
        report(f"fetching {len(missing)} of {len(pins)} wheels for {target}")
        download(missing, target, folder)
        found = here(pins, target, folder)
    for pin in pins:
        if pin.name not in found:
            raise BuildError(
                f"{folder} still has no wheel of {pin} for {target}. Empty it, try again"
            )
    return {pin.name: found[pin.name] for pin in pins}
