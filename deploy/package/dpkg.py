"""What a Debian system says of itself: its packages, its name."""

import re
from dataclasses import dataclass

from deploy.package.errors import BuildError

RELEASE = re.compile(r'^(ID|VERSION_ID)="?([a-z0-9._-]+)"?$', re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Package:
    """One that is installed."""

    name: str
    version: str
    arch: str
    source: str
    maintainer: str


def installed(status: str) -> list[Package]:
    """From dpkg's file `status`: those that are installed, in order."""
    found = []
    for paragraph in status.split("\n\n"):
        fields = {}
        for line in paragraph.splitlines():
            name, colon, value = line.partition(":")
            if colon and not line.startswith((" ", "\t")):
                fields[name] = value.strip()
        if fields.get("Status", "").split()[-1:] != ["installed"]:
            continue
        try:
            name, version, arch = (fields[key] for key in ("Package", "Version", "Architecture"))
        except KeyError as error:
            raise BuildError(
                f"dpkg's status has a package without {error}: {paragraph[:80]}"
            ) from None
        source = fields.get("Source", name)
        found.append(Package(name, version, arch, source, fields.get("Maintainer", "unknown")))
    return sorted(found, key=lambda package: (package.name, package.arch))


def distribution(release: str) -> str:
    """From os-release: `debian-13`."""
    fields = dict(RELEASE.findall(release))
    if "ID" not in fields:
        raise BuildError("os-release has no ID: that is no system whose packages have a name")
    return "-".join(filter(None, (fields["ID"], fields.get("VERSION_ID", ""))))
