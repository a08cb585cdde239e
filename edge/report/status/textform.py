"""Lines that fit on a telephone's 80 columns."""

import re
import textwrap
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from edge.core.printable import printable

WIDTH: Final = 80
LABEL_WIDTH: Final = 10  # columns of a section's name
COMMAND: Final = re.compile("`[^`]{1,60}`")  # is copied, so it stays on one line
NO_BREAK: Final = "\x1f"
SECOND: Final = "\x1e"  # the other column of a wide letter, while lines are broken


@dataclass(frozen=True, slots=True)
class Section:
    """One part of the status text: its name, and its lines, each wrapped by itself.

    A line that begins with blanks keeps them.
    """

    name: str
    lines: tuple[str, ...]


def render_sections(sections: Iterable[Section], width: int = WIDTH) -> list[str]:
    """The status text: names at the left, everything else beside them."""
    out: list[str] = []
    for section in sections:
        head = f"{section.name:<{LABEL_WIDTH}}"
        for line in map(printable, section.lines or ("-",)):
            indent = len(line) - len(line.lstrip(" "))
            bare = _keep_commands(line.lstrip(" "), width - LABEL_WIDTH - indent - 2)
            bare = "".join(map(_columns, bare))
            out += textwrap.wrap(
                bare,
                width - (SECOND in bare),  # a word that is too long may be cut within a letter
                initial_indent=head + " " * indent,
                subsequent_indent=" " * (LABEL_WIDTH + indent + 2),
                break_on_hyphens=False,
            ) or [head.rstrip()]
            head = " " * LABEL_WIDTH
    return [row.replace(NO_BREAK, " ").replace(SECOND, "") for row in out]


def fit_line(line: str, more: str = "", width: int = WIDTH) -> str:
    """One line that is one line on a telephone, too; `more` is at its end whatever happens."""
    line, room = "".join(map(_columns, printable(line))), width - len(more)
    if len(line) > room:
        cut = room - 3 - (line[room - 3] == SECOND)
        line = line[:cut].rstrip() + "..."
    return line.replace(SECOND, "") + more


def _keep_commands(line: str, room: int) -> str:
    """Without a place to break a command that fits into a row."""

    def kept(found: re.Match[str]) -> str:
        return found[0].replace(" ", NO_BREAK) if len(found[0]) <= room else found[0]

    return COMMAND.sub(kept, line)


def _columns(char: str) -> str:
    """As many characters as it takes columns: Chinese and Japanese letters take two."""
    return char + SECOND if unicodedata.east_asian_width(char) in "WF" else char


def as_mapping(value: Any) -> Mapping[str, Any]:
    """A part of an answer that should be a map: empty when it is not there."""
    return value if isinstance(value, Mapping) else {}
