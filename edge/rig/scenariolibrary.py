"""The scenarios that come with Kerbstone: one file each, some of which share a site file."""

from pathlib import Path
from typing import Final

LIBRARY: Final = Path(__file__).parent / "library"


def library_files() -> list[Path]:
    """All of them, by name. Their site files are in the folder `sites` beside them."""
    return sorted(LIBRARY.glob("*.toml"))
