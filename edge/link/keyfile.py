"""The text of a NetworkManager keyfile. A value can never become a line, a key or a section.

Source: nm-settings-keyfile(5) and GLib's key files: one `key=value` a line, `\\s \\n \\t \\r \\\\`
are escapes, blanks at the start of a value are dropped.
"""

import unicodedata
from collections.abc import Mapping, Sequence
from typing import Final

ESCAPES: Final = {"\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t"}

Sections = Mapping[str, Mapping[str, str]]


def escape_text(value: str) -> str:
    """A value as one line. Raises ValueError for what no key file can hold."""
    for char in value:
        if char not in ESCAPES and unicodedata.category(char) in ("Cc", "Cs"):
            raise ValueError(f"{char!r} cannot stand in a NetworkManager profile")
    bare = value.strip(" ")
    if not bare:
        return "\\s" * len(value)
    before, _, after = value.partition(bare)
    inner = "".join(ESCAPES.get(char, char) for char in bare)
    return "\\s" * len(before) + inner + "\\s" * len(after)


def ssid_octets(value: str) -> str:
    """An SSID: it is bytes, not text, and as a list of numbers it needs no escapes."""
    return "".join(f"{byte};" for byte in value.encode())


def join_list(values: Sequence[str]) -> str:
    """Addresses; none of them holds a semicolon."""
    return "".join(f"{value};" for value in values)


def render_keyfile(sections: Sections) -> str:
    """The file. Values come through `escape_text`, `ssid_octets` or `join_list`, or are ours."""
    lines = ["# Made from the claim at each boot; a change here is lost."]
    for name, pairs in sections.items():
        lines += ["", f"[{name}]", *(f"{key}={value}" for key, value in pairs.items())]
    return "\n".join(lines) + "\n"
