"""What lies beside the image: its hashes, the list of packages, an entry for Imager."""

import hashlib
import json
import subprocess
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from deploy.image import host

# blocks of a fixed size: the result is the same however many cores there are
XZ = ["xz", "--keep", "--stdout", "-T2", "--block-size=32MiB"]
# names of Raspberry Pi Imager's own list; Debian's firmware and kernel know these boards
DEVICES = ["pi4-64bit", "pi3-64bit"]
DESCRIPTION = "Gateway for loops, air sensors and energy meters at the roadside; Debian 13, 64 bit"


@dataclass(frozen=True, slots=True)
class Weight:
    """Size and SHA-256 of a file."""

    size: int
    digest: str

    @classmethod
    def of(cls, path: Path) -> "Weight":
        with path.open("rb") as file:
            return cls(path.stat().st_size, hashlib.file_digest(file, "sha256").hexdigest())


def compress(image: Path, out: Path, level: int) -> None:
    """The image as .xz."""
    with out.open("wb") as sink:
        done = subprocess.run([*XZ, f"-{level}", str(image)], stdout=sink, check=False)
    if done.returncode:
        raise host.BuildError(f"xz ended with {done.returncode} for {image}")


def entry(
    name: str, url: str, icon: str, raw: Weight, packed: Weight, epoch: int
) -> dict[str, Any]:
    """One entry of os-list.json. Imager changes nothing in the image: the claim does that.

    Source: doc/json-schema/os-list-schema.json in rpi-imager's repository.
    """
    return {
        "name": name,
        "description": DESCRIPTION,
        "icon": icon,
        "url": url,
        "extract_size": raw.size,
        "extract_sha256": raw.digest,
        "image_download_size": packed.size,
        "image_download_sha256": packed.digest,
        "release_date": f"{datetime.fromtimestamp(epoch, UTC):%Y-%m-%d}",
        "devices": DEVICES,
        "init_format": "none",
    }


def manifest(status: str) -> str:
    """Package and version, a line each, from dpkg's status."""
    rows = []
    for block in status.split("\n\n"):
        fields = dict(
            line.split(": ", 1) for line in block.splitlines() if ": " in line and line[0] != " "
        )
        if fields.get("Status", "").endswith(" installed"):
            rows.append(f"{fields['Package']} {fields['Version']} {fields['Architecture']}")
    return "\n".join(sorted(rows)) + "\n"


def os_list(dist: Path, made: dict[str, Any]) -> Path:
    path = dist / "os-list.json"
    path.write_text(json.dumps({"os_list": [made]}, indent=2) + "\n", "utf-8")
    return path
