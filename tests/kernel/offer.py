"""What apt offers for the guest: a kernel, its headers, its source, and where they come from.

No version and no address is written down here: the newest that this machine's apt would install
is taken, from the places of Debian that it knows.
"""

import platform
import re
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

RUNS: Final = {"qemu-system-x86_64": "qemu-system-x86"}  # program -> its package
MAKES: Final = {
    "mmdebstrap": "mmdebstrap",
    "mke2fs": "e2fsprogs",
    "make": "make",
    "dpkg-deb": "dpkg",
    "xz": "xz-utils",
}


class Unavailable(Exception):  # noqa: N818  not an error: the tests are skipped, and this says why
    """The guest cannot be made here; the text says what to do about it."""


@dataclass(frozen=True, slots=True)
class Offer:
    """A kernel: `release` is what uname says, `version` that of the packages."""

    release: str
    version: str
    source: str  # packages
    headers: tuple[str, ...]
    compiler: str
    sources: str  # lines of a sources.list
    suite: str


def check_machine() -> None:
    """Whether a guest can run here, and its modules be built. Raises Unavailable."""
    if platform.machine() != "x86_64":
        raise Unavailable("the guest is x86-64, and its modules are built on x86-64 only")
    _check_tools(RUNS)


def offer() -> Offer:
    """What apt would install now. Raises Unavailable."""
    if shutil.which("apt-get") is None:
        raise Unavailable("the guest is made of Debian packages, and there is no apt here")
    _check_tools(MAKES)
    version, image = _newest("linux-image-amd64", r"linux-image-(\S+-amd64)$")
    headers = _newest("linux-headers-amd64", r"linux-headers-(\S+-amd64)$")
    source = _newest("linux-source", r"(linux-source-\S+)$")
    if headers != (version, image) or source[0] != version:
        raise Unavailable(
            f"apt offers kernel {version}, headers {headers[0]} and source {source[0]}: they must"
            " be one version. Try again when the mirror has settled, or after apt-get update"
        )
    package = f"linux-headers-{image}"
    needs = _depends(package)[1]
    compiler = next((name for name in needs if re.fullmatch(r"gcc-\d+", name)), "gcc")
    if shutil.which(compiler) is None:
        raise Unavailable(f"this kernel's modules need {compiler}: apt-get install {compiler}")
    others = [n for n in needs if n.startswith(("linux-headers-", "linux-kbuild-"))]
    return Offer(image, version, source[1], (package, *others), compiler, _sources(), _codename())


def _check_tools(tools: Mapping[str, str]) -> None:
    missing = sorted({package for tool, package in tools.items() if shutil.which(tool) is None})
    if missing:
        raise Unavailable(f"apt-get install {' '.join(missing)}")


def _newest(package: str, wanted: str) -> tuple[str, str]:
    """Version of a package that follows the kernel, and what it stands for."""
    version, needs = _depends(package)
    for need in needs:
        if found := re.match(wanted, need):
            return version, found[1]
    raise Unavailable(f"apt knows no {package}: apt-get update, with a source for Debian's main")


def _depends(package: str) -> tuple[str, list[str]]:
    command = ["apt-cache", "show", "--no-all-versions", package]
    shown = subprocess.run(command, capture_output=True, text=True, check=False).stdout
    fields = dict(line.split(": ", 1) for line in shown.splitlines() if ": " in line[1:])
    needs = re.split(r"[,|]", fields.get("Depends", ""))
    return fields.get("Version", ""), [need.split("(")[0].strip() for need in needs]


def _sources() -> str:
    """The places of Debian that apt knows; a machine's other sources do not matter to a guest."""
    line = "deb [signed-by=$(SIGNED_BY)] $(REPO_URI) $(RELEASE) $(COMPONENT)"
    command = ["apt-get", "indextargets", "--format", line, "Created-By: Packages"]
    found = subprocess.run(
        [*command, "Origin: Debian"], capture_output=True, text=True, check=False
    ).stdout.replace("[signed-by=] ", "")
    if not found.strip():
        raise Unavailable("apt has no lists of Debian: apt-get update")
    return found


def _codename() -> str:
    text = Path("/etc/os-release").read_text(encoding="utf-8")
    found = re.search(r"^VERSION_CODENAME=\"?(\w+)", text, re.MULTILINE)
    if found is None:
        raise Unavailable("/etc/os-release names no Debian")
    return found[1]
