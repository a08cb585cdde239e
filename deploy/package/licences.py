"""The licence gate: a build fails on a licence that is not on the list in licences.toml.

python -m deploy.package.licences: the locks of what others run, by what is installed here. With
--lock another lock, with --root a system that has the .deb, else the wheels that are named.

What a distribution says must be readable as SPDX and free of contradiction. Its licence files are
looked at for licences that limit use, too: there are metadata that say MIT beside one of these.
"""

import argparse
import hashlib
import os
import re
import sys
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Final

from packaging.licenses import InvalidLicenseExpression, canonicalize_license_expression
from packaging.utils import canonicalize_name

from deploy.package import lock, wheel
from deploy.package.errors import BuildError, ended
from deploy.package.target import Target

LIST: Final = Path(__file__).parent / "licences.toml"
NAMES: Final = ("box", "demo", "ml", "runtime", "web")
LOCKS: Final = tuple(lock.ROOT / f"requirements/{name}.txt" for name in NAMES)
SITES: Final = "opt/kerbstone/slots/*/lib/python*/site-packages"
# the field License, as packages write it; SPDX itself is read as it is
WORDS: Final = {
    "apache 2.0": "Apache-2.0",
    "apache license 2.0": "Apache-2.0",
    "apache license, version 2.0": "Apache-2.0",
    "mit license": "MIT",
    "the mit license": "MIT",
    "2-clause bsd license": "BSD-2-Clause",
    "bsd 2-clause license": "BSD-2-Clause",
    "3-clause bsd license": "BSD-3-Clause",
    "bsd 3-clause license": "BSD-3-Clause",
}
# a classifier names a family; where it has more than one member it settles nothing by itself
FAMILIES: Final[Mapping[str, frozenset[str]]] = {
    "Apache Software License": frozenset({"Apache-1.1", "Apache-2.0"}),
    "BSD License": frozenset({"0BSD", "BSD-2-Clause", "BSD-3-Clause"}),
    "MIT License": frozenset({"MIT"}),
    "MIT No Attribution License (MIT-0)": frozenset({"MIT-0"}),
    "Mozilla Public License 2.0 (MPL 2.0)": frozenset({"MPL-2.0"}),
    "Python Software Foundation License": frozenset({"PSF-2.0"}),
    "GNU General Public License v3 or later (GPLv3+)": frozenset({"GPL-3.0-or-later"}),
}
UNINFORMATIVE: Final = ("OSI Approved", "DFSG approved")
ONE_LINE: Final = 80  # a longer License is a licence's text, and no name of one
LIMITED: Final = {
    "business source license": "BUSL-1.1",
    "server side public license": "SSPL-1.0",
    "elastic license": "Elastic-2.0",
    "commons clause": "LicenseRef-Commons-Clause",
}
PAPER: Final = re.compile(
    r"[^/]+\.dist-info/(?:licenses/.+|(?:[^/]*licen[cs]e|copying)[^/]*)", re.IGNORECASE
)
STRANGE: Final = frozenset({"docs", "examples", "test", "tests"})  # no library owns these names


class UnclearError(Exception):
    """What a distribution says of its licence settles nothing; the message says why."""


@dataclass(frozen=True, slots=True)
class Distribution:
    """What one says of its licence, and the names that it takes in site-packages."""

    name: str
    version: str
    expression: str = ""
    licence: str = ""
    classifiers: Sequence[str] = ()
    papers: Sequence[str] = ()
    tops: frozenset[str] = frozenset()

    def __str__(self) -> str:
        return f"{self.name} {self.version}"


@dataclass(frozen=True, slots=True)
class Stated:
    """A licence that a person has looked up, for one version."""

    version: str
    licence: str
    reason: str


@dataclass(frozen=True, slots=True)
class Vendored:
    """Files of somebody else in the repository: name in `folder` -> SHA-256."""

    version: str
    licence: str
    folder: str
    purl: str
    reason: str
    files: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Policy:
    """The list."""

    allowed: Mapping[str, str]
    stated: Mapping[str, Stated]
    vendored: Mapping[str, Vendored] = field(default_factory=dict)


def policy(text: str) -> Policy:
    """The list as it is written: every line with a reason."""
    table = tomllib.loads(text)
    stated = {str(canonicalize_name(name)): Stated(**row) for name, row in table["stated"].items()}
    vendored = {name: Vendored(**row) for name, row in table.get("vendored", {}).items()}
    found = Policy(table["allowed"], stated, vendored)
    listed: tuple[tuple[str, Stated | Vendored], ...] = (*stated.items(), *vendored.items())
    for name, why in (*found.allowed.items(), *((name, each.reason) for name, each in listed)):
        if not why.strip():
            raise BuildError(f"{LIST.name}: {name} has no reason")
    return found


def spdx(text: str) -> str | None:
    """A name of a licence as SPDX writes it; None where it cannot be read."""
    plain = " ".join(text.split())
    try:
        return str(canonicalize_license_expression(WORDS.get(plain.lower(), plain)))
    except InvalidLicenseExpression:
        return None


def members(expression: str) -> set[str]:
    """The licences that an expression names."""
    return set(re.findall(r"[^\s()]+", expression)) - {"AND", "OR", "WITH"}


def licence(found: Distribution) -> str:
    """What a distribution says, as one SPDX expression. Raises UnclearError."""
    if found.expression:
        if read := spdx(found.expression):
            return read
        raise UnclearError(f"its License-Expression {found.expression!r} is not SPDX")
    declared = found.licence.strip()
    field = spdx(declared) if declared else None
    if declared and field is None and "\n" not in declared and len(declared) <= ONE_LINE:
        raise UnclearError(f"its License {declared!r} is no name that SPDX knows")
    words = [each.removeprefix("License :: ") for each in found.classifiers]
    words = [each.removeprefix("OSI Approved :: ") for each in words if each not in UNINFORMATIVE]
    families = [FAMILIES.get(each, frozenset()) for each in words]
    if field is not None:
        for word, family in zip(words, families, strict=True):
            if not family & members(field):
                raise UnclearError(f"its License is {field}, its classifier {word!r}")
        return field
    if len(families) == 1 and len(families[0]) == 1:
        return min(families[0])
    raise UnclearError(f"its classifiers {words} settle nothing" if words else "it says nothing")


def allows(expression: str, allowed: Iterable[str]) -> bool:
    """Whether what is on the list is enough: one side of each OR, both of each AND."""
    on_list, words = set(allowed), re.findall(r"[()]|[^\s()]+", expression)

    def either() -> bool:
        good = every()
        while words and words[0] == "OR":
            words.pop(0)
            good = every() or good  # read to its end in any case
        return good

    def every() -> bool:
        good = one()
        while words and words[0] == "AND":
            words.pop(0)
            good = one() and good
        return good

    def one() -> bool:
        word = words.pop(0)
        if word == "(":
            good = either()
            words.pop(0)
            return good
        if words and words[0] == "WITH":
            word = f"{word} WITH {words[1]}"
            del words[:2]
        return word in on_list

    return either()


def limits(papers: Iterable[str]) -> set[str]:
    """Licences that limit use, of those that a distribution's licence files name."""
    text = " ".join(" ".join(papers).lower().split())
    return {name for word, name in LIMITED.items() if word in text}


def problems(found: Iterable[Distribution], rules: Policy) -> list[str]:
    """A sentence for each thing for which a distribution may not go into a box."""
    wrong = []
    for each in found:
        entry = rules.stated.get(each.name)
        try:
            if entry and entry.version != each.version:
                raise UnclearError(f"the list has its licence for version {entry.version} only")
            name_found = entry.licence if entry else licence(each)
            if not allows(name_found, rules.allowed):
                wrong.append(f"{each}: {name_found} is not on the list")
        except UnclearError as why:
            wrong.append(f"{each}: {why}")
        for name in sorted(limits(each.papers) - rules.allowed.keys()):
            wrong.append(f"{each}: a licence file of it names {name}, which is not on the list")
        for top in sorted(each.tops & STRANGE):
            wrong.append(f"{each}: puts a folder {top!r} beside all packages")
    return wrong


def vendored_problems(rules: Policy, root: Path = lock.ROOT) -> list[str]:
    """A sentence for each file that is not as its package has it, or whose licence is not on the
    list."""
    wrong = []
    for name, each in rules.vendored.items():
        if not allows(each.licence, rules.allowed):
            wrong.append(f"{name} {each.version}: {each.licence} is not on the list")
        folder = root / each.folder
        there = {path.name for path in folder.iterdir()} if folder.is_dir() else set()
        wrong += [
            f"{each.folder}/{odd} is not on the list" for odd in sorted(there - {*each.files})
        ]
        for file, digest in each.files.items():
            if file not in there:
                wrong.append(f"{each.folder}/{file} is not there")
            elif hashlib.sha256((folder / file).read_bytes()).hexdigest() != digest:
                wrong.append(f"{each.folder}/{file} is not as {each.purl} has it")
    return wrong


def require(found: Sequence[Distribution]) -> int:
    """Raises BuildError with every problem; else how many were looked at."""
    rules = policy(LIST.read_text(encoding="utf-8"))
    if wrong := [*problems(found, rules), *vendored_problems(rules)]:
        raise BuildError(
            "\n  ".join(["these may not go into what others are given:", *wrong])
            + f"\nLeave them out, or read their licence and write it into {LIST.name} with a reason"
        )
    return len(found)


# -- where distributions are read from ----------------------------------------------------------


def of_wheel(found: wheel.Wheel) -> Distribution:
    """What a wheel says."""
    meta = found.metadata
    return Distribution(
        found.name,
        found.version,
        str(meta.get("License-Expression") or ""),
        str(meta.get("License") or ""),
        tuple(c for c in meta.get_all("Classifier", []) if c.startswith("License :: ")),
        tuple(body.decode("utf-8", "replace") for n, body in found.files.items() if PAPER.match(n)),
        frozenset(name.partition("/")[0] for name in found.files if "/" in name),
    )


def of_wheels(paths: Iterable[Path]) -> list[Distribution]:
    return [of_wheel(wheel.read(path)) for path in paths]


def of_installed(found: metadata.Distribution) -> Distribution:
    """What one says that is installed."""
    meta, files = found.metadata, found.files or []
    papers = [file for file in files if PAPER.match(file.as_posix())]
    return Distribution(
        str(canonicalize_name(meta["Name"])),
        meta["Version"],
        "".join(meta.get_all("License-Expression") or []),
        "".join(meta.get_all("License") or []),
        tuple(c for c in meta.get_all("Classifier") or [] if c.startswith("License :: ")),
        tuple(Path(str(file.locate())).read_text("utf-8", "replace") for file in papers),
        frozenset(file.parts[0] for file in files if len(file.parts) > 1),
    )


def of_root(root: Path) -> list[Distribution]:
    """All of the slots of a system."""
    sites = [str(site) for site in sorted(root.glob(SITES))]
    if not sites:
        raise BuildError(f"{root} has no slot: is kerbstone installed in it?")
    return [of_installed(each) for each in metadata.distributions(path=sites)]


def of_lock(path: Path) -> list[Distribution]:
    """What a lock names, by what is installed here in just this version."""
    target, found = Target(os.uname().machine, sys.version_info[:2]), []
    for pin in lock.pins(path, target):
        try:
            one = of_installed(metadata.distribution(pin.name))
        except metadata.PackageNotFoundError:
            raise BuildError(f"{path.name}: {pin} is not installed here. `make venv`") from None
        if one.version != pin.version:
            raise BuildError(f"{path.name}: {pin}, but {one} is installed. `make venv`")
        found.append(one)
    return found


def main() -> None:
    """One command."""
    parser = argparse.ArgumentParser(prog="python -m deploy.package.licences", description=__doc__)
    parser.add_argument("--lock", type=Path, action="append", help="may be given several times")
    parser.add_argument("--root", type=Path, help="a Debian system with the package installed")
    parser.add_argument("wheels", nargs="*", type=Path)
    options = parser.parse_args()
    if options.root:
        found = of_root(options.root)
    elif options.wheels:
        found = of_wheels(options.wheels)
    else:
        # most are in more than one lock
        every = (each for path in options.lock or LOCKS for each in of_lock(path))
        found = list({str(each): each for each in every}.values())
    print(f"licences: {require(found)} distributions, all on the list")


if __name__ == "__main__":
    sys.exit(ended(main))
