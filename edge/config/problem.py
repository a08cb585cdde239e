"""What is wrong with a configuration: where it stands, and what would be right."""

import difflib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from edge.config.keylines import KeyPath
from edge.core import ConfigError
from edge.core.endpoint import without_login
from edge.core.printable import printable

PROBLEMS_SHOWN: Final = 100  # problems printed in one text; a file with more is not a configuration
VALUE_WIDTH: Final = 60  # characters of a value repeated in a text
# keys that were renamed, for the sentence that refuses the former name: it is not similar enough
RENAMED_KEYS: Final[Mapping[str, str]] = {
    "day": "billing_day",
    "supply": "modem_power_line",
    "cut": "power_off_level",
    "lamp": "status_led",
}


# what is wrong goes to the log, onto the card, to the operator's server and to the city
SECRET_KEY: Final = re.compile(r"(?i)(?:.*[_-])?(?:pass(?:word|wd|phrase)?|psk|secret|token|pin)")


@dataclass(frozen=True, slots=True)
class Problem:
    """One finding. `line` 0 means the file as a whole."""

    file: str
    line: int
    key: str
    text: str

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}" if self.line else self.file
        return f"{place}: {self.key}: {self.text}"


class Problems(ConfigError):  # noqa: N818  it is a list of findings, and reads as one
    """Everything that is wrong with one file. `str()` gives one line for each problem."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(sorted(problems, key=lambda p: (p.file, p.line, p.key)))
        lines = [printable(str(problem)) for problem in self.problems[:PROBLEMS_SHOWN]]
        if len(self.problems) > PROBLEMS_SHOWN:
            lines.append(f"and {len(self.problems) - PROBLEMS_SHOWN} more")
        self._lines = tuple(lines)
        super().__init__("\n".join(lines))

    @property
    def lines(self) -> tuple[str, ...]:
        return self._lines


def dotted_path(path: KeyPath) -> str:
    """`device.hut_air.address`, as it is written in texts."""
    parts = (
        f"[{part}]" if isinstance(part, int) else f".{printable(part, VALUE_WIDTH)}"
        for part in path
    )
    return "".join(parts).lstrip(".") or "file"


def show_value(value: Any, key: str = "") -> str:
    """A value as one would write it in the file. An `address` is written in hexadecimal, and a
    password not at all."""
    if value and SECRET_KEY.fullmatch(key):
        return "what stands there"
    match value:
        case bool():
            return "true" if value else "false"
        case int() if key == "address" and 0 <= value < 0x10000:
            return f"0x{value:02x}"
        case int() if value.bit_length() > 64:
            return "a number of more than 64 bits"
        case str():
            text = without_login(value) if "://" in value else value
            return f'"{printable(text, VALUE_WIDTH)}"'
        case dict():
            return "a table"
        case list():
            return "a list"
        case _:
            return printable(str(value), VALUE_WIDTH)


def show_option(key: str, value: Any) -> str:
    """An option as a summary shows it: `unit 1`; of a secret only that it is set."""
    return f"{key} is set" if value and SECRET_KEY.fullmatch(key) else f"{key} {value}"


def suggest(word: str, known: Iterable[str]) -> str:
    """The end of a sentence about an unknown word: a suggestion, or what is known."""
    words = sorted(known)
    if RENAMED_KEYS.get(word) in words:
        return f"did you mean {RENAMED_KEYS[word]}?"
    by_lower = {w.lower(): w for w in words}
    found = difflib.get_close_matches(word[:VALUE_WIDTH].lower(), by_lower, 1)
    if found:
        return f"did you mean {by_lower[found[0]]}?"
    return f"choose from {', '.join(words)}" if words else "there is none"
