"""The folders of former versions, and what lies in them, unpacked for a test."""

import gzip
import json
import shutil
from functools import cache
from pathlib import Path
from typing import Any, Final

HERE: Final = Path(__file__).parent
MANIFEST: Final = "MANIFEST.json"
VERSIONS: Final = sorted(
    (each.parent.name for each in HERE.glob(f"*/{MANIFEST}")),
    key=lambda name: [int(part) for part in name.split(".")],
)
"""The oldest first. A new one needs nothing but its folder."""


@cache
def manifest(version: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((HERE / version / MANIFEST).read_text("utf-8"))
    return found


def unpack(version: str, part: str, folder: Path) -> Path:
    """A copy of one part, as it lay on the disk: readable by its owner only, as it has to be."""
    to = folder / part
    shutil.copytree(HERE / version / part, to, symlinks=True)
    for path in (to, *to.rglob("*")):
        if path.is_symlink():
            continue
        path.chmod(0o700 if path.is_dir() else 0o600)
        if path.suffix == ".gz":
            path.with_suffix("").write_bytes(gzip.decompress(path.read_bytes()))
            path.with_suffix("").chmod(0o600)
            path.unlink()
    return to


def listed(folder: Path) -> list[str]:
    """Its files, by their names in it."""
    return sorted(str(each.relative_to(folder)) for each in folder.rglob("*") if each.is_file())
