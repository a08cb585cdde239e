"""What Debian needs of the package: control, scripts, changelog, copyright."""

import re
from collections.abc import Mapping, Sequence
from email.utils import formatdate
from pathlib import Path
from time import gmtime

from deploy.package import places
from deploy.package.target import Target
from deploy.package.wheel import Wheel

MAINTAINER = "Kerbstone maintainers <kerbstone@kerbstone.invalid>"
MAINTAINER_SCRIPTS = Path(__file__).parent / "maintainer"
DEPENDS = (
    "init-system-helpers (>= 1.54)",
    "openssl",
    "passwd",
    "systemd (>= 257)",  # PrivateTmp=disconnected
    "udev",
)
RECOMMENDS = (
    *("chrony", "dnsmasq-base", "iproute2", "modemmanager", "network-manager", "nftables"),
    *("polkitd", "wpasupplicant"),
)
SUGGESTS = ("tpm2-openssl",)
DESCRIPTION = """gateway at the roadside: reads loops, air sensors, energy meters
 The software of the grey box at the roadside. It reads inductive loops, air
 sensors and energy meters over GPIO, I2C, serial lines and Modbus, judges on
 the spot, keeps all on disk until a broker has confirmed it, and enrols the
 box at its city by a claim on the boot partition.
 .
 All Python packages that it needs are in the package, in a folder of their
 own; the distribution's packages are neither used nor touched."""
LIBC = re.compile(r"manylinux_2_([0-9]{1,3})_")


def libc(wheels: Sequence[Path]) -> int:
    """The minor version of the C library that all of these are content with."""
    needs = [17]
    for wheel in wheels:
        # a wheel with several names is content with the oldest of them
        if found := LIBC.findall(wheel.name):
            needs.append(min(map(int, found)))
    return max(needs)


def control(
    version: str, target: Target, size_kb: int, wheels: Sequence[Path], libs: set[str]
) -> str:
    """The file `control`; `size_kb` is what it takes when installed."""
    major, minor = target.python
    depends = [
        f"libc6 (>= 2.{libc(wheels)})",
        f"python3 (<< {major}.{minor + 1})",
        f"python3 (>= {major}.{minor})",
        *DEPENDS,
        *(libs - {"libc6"}),
    ]
    fields = {
        "Package": "kerbstone",
        "Version": version,
        "Architecture": target.debian,
        "Maintainer": MAINTAINER,
        "Installed-Size": str(size_kb),
        "Depends": ", ".join(sorted(depends)),
        "Recommends": ", ".join(RECOMMENDS),
        "Suggests": ", ".join(SUGGESTS),
        "Section": "net",
        "Priority": "optional",
        "Description": DESCRIPTION,
    }
    return "".join(f"{name}: {value}\n" for name, value in fields.items())


def scripts(version: str, files: Mapping[str, bytes]) -> dict[str, str]:
    """The maintainer scripts, with the units that are in the package."""
    known = dict(files)
    every = [
        Path(p).name.replace("@.", "@*.")  # of a template, all its instances
        for p in known
        if p.startswith(f"{places.SYSTEM}/") and p.count("/") == 4
    ]
    words = {
        "@ENABLED@": " ".join(places.enabled(known)),
        "@STARTED@": " ".join(places.started(known)),
        # timers first, so that none starts what has just been stopped
        "@ALL@": " ".join(sorted(every, key=lambda unit: (not unit.endswith(".timer"), unit))),
        "@VERSION@": version,
    }
    found = {}
    for path in sorted(MAINTAINER_SCRIPTS.iterdir()):
        text = path.read_text(encoding="ascii")
        for word, value in words.items():
            text = text.replace(word, value)
        found[path.name] = text
    return found


def changelog(version: str, moment: int) -> str:
    """Debian's form; what is new is told in CHANGELOG.md, which lies beside it."""
    return (
        f"kerbstone ({version}) unstable; urgency=medium\n\n"
        "  * See NEWS.gz for what is new, what changed, and what to do.\n\n"
        f" -- {MAINTAINER}  {formatdate(moment).replace('-0000', '+0000')}\n"
    )


def licence(wheel: Wheel) -> str:
    """What a distribution says of its licence, in one line: an expression, else a classifier."""
    meta = wheel.metadata
    if found := meta.get("License-Expression"):
        return str(found)
    words = [c.rpartition(" :: ")[2] for c in meta.get_all("Classifier", []) if "License ::" in c]
    if words := [word for word in words if word != "OSI Approved"]:
        return " or ".join(words)
    text = str(meta.get("License") or "").strip()
    return text if text and "\n" not in text and len(text) < 80 else "see its metadata"


def copyright_(wheels: Sequence[Wheel], slot: str, moment: int) -> str:
    """The project's licence, and where those of all others lie."""
    lines = [
        f"Copyright {gmtime(moment).tm_year} the authors of Kerbstone, as its history names them.",
        "Kerbstone is licensed under the Apache License, Version 2.0. On Debian systems its text",
        "is in /usr/share/common-licenses/Apache-2.0.",
        "",
        "The package also contains the distributions below, each with its own licence. Their",
        f"copyright and licence texts are in {slot}",
        "in the folder NAME-VERSION.dist-info of each.",
        "",
    ]
    for wheel in sorted(wheels, key=lambda wheel: wheel.name):
        if wheel.name != "kerbstone":
            lines.append(f"{wheel.name} {wheel.version}: {licence(wheel)}")
    return "\n".join(lines) + "\n"
