"""A TOML file that a person wrote, read within bounds: its text and its data, or what is wrong."""

import re
from pathlib import Path
from typing import Any, Final

from edge.config.problem import Problem, Problems
from edge.config.spelling import named_error, spelling_hint
from edge.core.tomltext import TomlError, parse_toml
from edge.durable.readfile import NotAFileError, read_beginning

FILE_LIMIT: Final = 128 * 1024  # bytes; a site with 64 lanes and 100 devices has 20 kB
LINE_LIMIT: Final = 1000  # characters
_PLACE: Final = re.compile(r" \(at (?:line (\d+), column (\d+)|end of document)\)$")


def read_toml_file(path: Path, what: str) -> tuple[str, dict[str, Any]]:
    """The text and its data. `what` it should be is told of a file that cannot be that. Raises
    Problems."""
    name = str(path)
    text = _text(path, name, what)
    return text, _parse(text, name)


def _text(path: Path, name: str, what: str) -> str:
    """The file's text, as long as it can be one that somebody wrote."""
    try:
        data = read_beginning(path, FILE_LIMIT + 1)
    except NotAFileError as error:
        raise _whole_file_problem(name, "is not a file") from error
    except OSError as error:
        raise _whole_file_problem(name, f"cannot be read: {error.strerror}") from error
    if len(data) > FILE_LIMIT:
        raise _whole_file_problem(name, f"has more than {FILE_LIMIT // 1024} kB; this is no {what}")
    try:
        text = data.decode("utf-8-sig")  # some editors put a mark before the first line
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise Problems([Problem(name, line, "file", "this line is not UTF-8 text")]) from error
    for number, line_text in enumerate(text.split("\n"), 1):
        if len(line_text) > LINE_LIMIT:
            problem = f"this line has more than {LINE_LIMIT} characters; split it"
            raise Problems([Problem(name, number, "file", problem)])
    return text


def _parse(text: str, name: str) -> dict[str, Any]:
    try:
        return parse_toml(text)
    except TomlError as error:
        found = _PLACE.search(str(error))
        line = int(found[1]) if found and found[1] else text.rstrip().count("\n") + 1
        column = f" (column {found[2]})" if found and found[2] else ""
        wrong = text.split("\n")[line - 1]
        hint = spelling_hint(wrong) or f"{named_error(_PLACE.sub('', str(error)))}{column}"
        problem = f"this is not TOML: {hint}; the rest is not checked"
        raise Problems([Problem(name, line, "file", problem)]) from error


def _whole_file_problem(name: str, text: str) -> Problems:
    return Problems([Problem(name, 0, "file", text)])
