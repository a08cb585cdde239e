"""Files in which the kernel describes itself: small, there or not, and never worth an exception.

`root` is "/" on a board; a test hands in a recorded tree.
"""

import re
from pathlib import Path
from typing import Final

ROOT: Final = Path("/")
DECIMAL: Final = re.compile("-?[0-9]{1,20}")
HEX: Final = re.compile("(0x)?[0-9a-fA-F]{1,20}")
LIMIT: Final = 64 * 1024  # bytes of one file; what is longer is cut


def read_bytes(path: Path) -> bytes | None:
    """The bytes of a file, None when it is not there or cannot be read."""
    try:
        with path.open("rb") as file:
            return file.read(LIMIT)
    except (OSError, ValueError):  # ValueError: a NUL in a name that came from another file
        return None


def read_text(path: Path) -> str | None:
    """The text of a file without its end; what is no UTF-8 in it is replaced."""
    found = read_bytes(path)
    return None if found is None else found.decode("utf-8", "replace").strip("\0\n ")


def read_number(path: Path, radix: int = 10) -> int | None:
    """The one whole number in a file."""
    return parse_number(read_text(path), radix)


def parse_number(word: str | None, radix: int = 10) -> int | None:
    """A whole number of at most 20 digits, None for anything else."""
    if word is None or (HEX if radix == 16 else DECIMAL).fullmatch(word) is None:
        return None
    return int(word, radix)


def read_table(path: Path, *names: str) -> dict[str, int]:
    """The named lines of a file with lines `name number` or `name: number unit`."""
    found: dict[str, int] = {}
    for line in (read_text(path) or "").splitlines():
        if line.startswith(names):
            words = line.replace(":", " ").split()
            value = parse_number(words[1]) if len(words) > 1 and words[0] in names else None
            if value is not None:
                found[words[0]] = value
    return found


def matching_files(root: Path, pattern: str) -> list[Path]:
    """Files that match, in order of their names; none when the folder cannot be listed."""
    try:
        return sorted(root.glob(pattern))
    except OSError:
        return []
