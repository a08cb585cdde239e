"""Spans, sizes and shares in words, and lines that fit on a telephone's 80 columns."""

import re
import textwrap
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from edge.core.printable import printable

WIDTH: Final = 80
LABEL_WIDTH: Final = 10  # columns of a section's name
COMMAND: Final = re.compile("`[^`]{1,60}`")  # is copied, so it stays on one line
ERRNO: Final = re.compile(r"\[Errno -?\d+\] ")
NO_BREAK: Final = "\x1f"
UNKNOWN: Final = "not known"
MINUTE, HOUR, DAY, YEAR = 60.0, 3600.0, 86_400.0, 31_557_600.0


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
            bare = COMMAND.sub(lambda found: found[0].replace(" ", NO_BREAK), line.lstrip(" "))
            out += textwrap.wrap(
                bare,
                width,
                initial_indent=head + " " * indent,
                subsequent_indent=" " * (LABEL_WIDTH + indent + 2),
                break_on_hyphens=False,
            ) or [head.rstrip()]
            head = " " * LABEL_WIDTH
    return [row.replace(NO_BREAK, " ") for row in out]


def fit_line(line: str, more: str = "") -> str:
    """One line that is one line on a telephone, too; `more` is at its end whatever happens."""
    line, room = printable(line), WIDTH - len(more)
    return (line if len(line) <= room else line[: room - 3].rstrip() + "...") + more


def span_text(seconds: float | None) -> str:
    """A time in its one or two largest units, rounded down: people plan by it."""
    if seconds is None:
        return UNKNOWN
    s = max(0.0, float(seconds))
    if s < 10:
        return f"{int(s * 10) / 10:g} s"
    if s < 2 * MINUTE:
        return f"{int(s)} s"
    if s < 2 * HOUR:
        return f"{int(s // MINUTE)} min"
    if s < 2 * DAY:
        minutes = int(s % HOUR // MINUTE)
        return f"{int(s // HOUR)} h" + (f" {minutes} min" if minutes else "")
    if s < 2 * YEAR:
        return f"{int(s // DAY)} days"
    if s < 100 * YEAR:
        return f"{int(s // YEAR)} years"
    return "more than 100 years"


def megabytes_text(size: float | None) -> str:
    """In MB as the configuration means them (2**20 bytes); what is very large in GB."""
    if size is None:
        return UNKNOWN
    mb = size / (1 << 20)
    if mb >= 10_000:
        return f"{mb / 1024:.0f} GB"
    return f"{mb:.0f} MB" if mb >= 10 else f"{mb:.1f} MB" if mb >= 0.1 or not mb else "0.1 MB"


def percent_text(part: float) -> str:
    """A share; what is not nothing is not shown as nothing."""
    if part == 0 or part >= 0.1:
        return f"{part:.0%}"
    return f"{part:.1%}" if part >= 0.001 else "less than 0.1%"


def count_text(number: Any, one: str, many: str = "") -> str:
    """`1 record`, `1,234 records`, `no records`; `not known` for None."""
    many = many or f"{one}s"
    if number is None:
        return f"{many} {UNKNOWN}"
    return f"no {many}" if number == 0 else f"{number:,} {one if number == 1 else many}"


def as_mapping(value: Any) -> Mapping[str, Any]:
    """A part of an answer that should be a map: empty when it is not there."""
    return value if isinstance(value, Mapping) else {}


def without_errno(error: str) -> str:
    """An error of the system without its number."""
    return ERRNO.sub("", str(error))


def as_sentence(text: str) -> str:
    """With a capital and a full stop; names of devices are left as they are."""
    text = text.strip()
    return text if not text or text[-1] in ".!?" else f"{text}."
