"""Which line of a table each of its keys stands on: `tomllib` reads the values and does not say.

For a document that `tomllib` has accepted, and flat as tables of meters are: what stands inside a
row or a list is on the line of the key before it.
"""

import re
from typing import Final

_PART: Final = r"""(?:[A-Za-z0-9_-]+|"[^"\n]*"|'[^'\n]*')"""
_KEY: Final = rf"{_PART}(?:[ \t]*\.[ \t]*{_PART})*"
_HEADER: Final = re.compile(rf"[ \t]*\[[ \t]*({_KEY})[ \t]*\]")
_PAIR: Final = re.compile(rf"[ \t]*({_KEY})[ \t]*=")
_PARTS: Final = re.compile(_PART)

Key = tuple[str, ...]


def key_lines(text: str) -> dict[Key, int]:
    """Key -> line, counted from 1; `points.power` is ("points", "power")."""
    found: dict[Key, int] = {}
    section: Key = ()
    for number, line in enumerate(text.split("\n"), 1):
        if match := _HEADER.match(line):
            section = _key(match[1])
            found.setdefault(section, number)
        elif match := _PAIR.match(line):
            key = (*section, *_key(match[1]))
            for depth in range(1, len(key) + 1):
                found.setdefault(key[:depth], number)
    return found


def line_of_key(found: dict[Key, int], key: Key) -> int:
    """The line of a key; of one that is missing, that of its row or section; 0 for the file."""
    while key and key not in found:
        key = key[:-1]
    return found.get(key, 0)


def _key(text: str) -> Key:
    return tuple(part.strip("\"'") for part in _PARTS.findall(text))
