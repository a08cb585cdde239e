"""Which files of a slot belong to a distribution, by the lists that these brought."""

import os
from pathlib import Path

from deploy.package import wheel


def strangers(place: Path) -> set[str]:
    """Files that are neither the environment's own, nor on a list with the hash that it names."""
    (site,) = place.glob("lib/python*/site-packages")
    python = site.parent.name
    known = {place / "pyvenv.cfg"}
    known |= {place / "bin" / name for name in ("python", "python3", python)}
    tag = "cpython-" + python.removeprefix("python").replace(".", "")
    for record in site.glob("*.dist-info/RECORD"):
        for name, digest in wheel.listed(record.read_text()).items():
            path = Path(os.path.normpath(site / name))
            if digest and wheel.digest(path.read_bytes()) != digest:
                continue
            known.add(path)
            if path.suffix == ".py":
                known.add(path.parent / "__pycache__" / f"{path.stem}.{tag}.pyc")
    there = {path for path in place.rglob("*") if path.is_symlink() or not path.is_dir()}
    return {str(path.relative_to(place)) for path in there - known}
