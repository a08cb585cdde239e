"""The names that people give to a site, a lane or a device, in any script, beside its id.

An id is a level of a topic and the key of everything that is stored; a name is for eyes alone.
Sources: UAX #15 (NFC: one letter, one spelling), UAX #9 (marks that turn the order of letters).
"""

import unicodedata
from collections.abc import Mapping
from typing import Any, Final

from edge.core.printable import JOINERS, printable

DISPLAY_NAME_LIMIT: Final = 64  # characters
WORDS: Final = "LN"  # letters and digits, as the first letter of a Unicode category


def check_display_name(text: str) -> str:
    """A name as it is kept: its letters in one spelling. Raises ValueError with what is wrong.

    "ü" as one character and as "u" with two dots are the same to a reader, and not to a program
    that compares; file systems and editors write both.
    """
    name = unicodedata.normalize("NFC", text)
    if len(name) > DISPLAY_NAME_LIMIT:
        raise ValueError(f"this has {len(name)} characters, more than {DISPLAY_NAME_LIMIT}")
    if printable(name) != name:
        raise ValueError(_unseen(name))
    if not any(unicodedata.category(char)[0] in WORDS for char in name):
        raise ValueError("there is no letter or digit in it")
    if name != " ".join(name.split(" ")).strip(" ") or "  " in name:
        raise ValueError("there are blanks at its ends, or two together; leave them out")
    return name


def _unseen(name: str) -> str:
    """What of it is not to be printed: a joiner only where nothing else is, for it may be right."""
    odd = [(n, char) for n, char in enumerate(name, 1) if printable(char) != char]
    for place, char in sorted(odd, key=lambda each: each[1] in JOINERS):
        what = unicodedata.name(char, "a control character").lower()
        return (
            f"character {place} is U+{ord(char):04X} ({what}), which cannot be seen; leave it out"
        )
    return "too many accents are on one letter; leave some out"


def with_name(id_: str, names: Mapping[str, Any]) -> str:
    """An id with its display name beside it: `north_1 (Nordstraße, Spur 1)`; the id where it has
    none.

    `names` is id -> name: `edge.config.Site.names`, or `names` of a daemon's status or of `meta`.
    What comes from there is a stranger's text, and is made fit for one line.
    """
    name = names.get(id_)
    if not isinstance(name, str) or not name.strip() or name == id_:
        return id_
    return f"{id_} ({printable(name, DISPLAY_NAME_LIMIT)})"
