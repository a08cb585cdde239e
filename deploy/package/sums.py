"""SHA256SUMS: python -m deploy.package.sums [FOLDER] writes it for what was built into dist."""

import argparse
import hashlib
import sys
from collections.abc import Mapping
from pathlib import Path

from deploy.package import fetch
from deploy.package.errors import BuildError, ended
from deploy.package.lock import ROOT

NAME = "SHA256SUMS"


def listed(hashes: Mapping[str, str]) -> str:
    """As sha256sum reads it."""
    return "".join(f"{digest}  {name}\n" for name, digest in sorted(hashes.items()))


def of(files: Mapping[str, bytes | Path]) -> str:
    """The list of these files."""
    return listed(
        {
            name: hashlib.sha256(body).hexdigest()
            if isinstance(body, bytes)
            else fetch.sha256(body)
            for name, body in files.items()
        }
    )


def main() -> None:
    """One command."""
    parser = argparse.ArgumentParser(prog="python -m deploy.package.sums", description=__doc__)
    parser.add_argument("folder", nargs="?", type=Path, default=ROOT / "dist")
    folder: Path = parser.parse_args().folder
    files = {
        path.name: path
        for path in folder.glob("kerbstone*")
        if path.is_file() and not path.name.endswith(".part")
    }
    if not files:
        raise BuildError(f"nothing of kerbstone is in {folder}. `make deb` builds a package")
    (folder / NAME).write_text(of(files), encoding="utf-8")
    print(f"{folder / NAME}: {len(files)} files")


if __name__ == "__main__":
    sys.exit(ended(main))
