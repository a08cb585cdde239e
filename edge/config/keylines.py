"""Where each key of a TOML file stands, and its value: `tomllib` reads the values and does not say.

It expects a document that `tomllib` has accepted, so it checks nothing.
"""

import re
from collections.abc import Mapping
from typing import Final

from edge.core.tomltext import parse_toml

KeyPath = tuple[str | int, ...]
"""The way to a value: keys of tables, indices of arrays. `()` is the file."""

MAX_DEPTH: Final = 8  # deeper paths are not told apart; the model has four levels

_TOKEN: Final = re.compile(
    r'''
      (?P<blank> [ \t]+ | \#[^\n]* )
    | (?P<newline> \n )
    | (?P<text> """ (?: \\. | (?!""") . )* "{3,5}
              | \'\'\' (?: (?!\'\'\') . )* '{3,5}
              | " (?: \\. | [^"\\\n] )* "
              | ' [^'\n]* ' )
    | (?P<mark> [][{}=,.] )
    | (?P<word> [^][{}=,.\s\#"']+ )
    ''',
    re.VERBOSE | re.DOTALL,
)

Token = tuple[str, str, int, int]  # kind, text, line, place in the text
_END: Final[Token] = ("end", "", 0, 0)


def key_lines(text: str) -> dict[KeyPath, int]:
    """Path -> line, counted from 1, for every table, key and array element."""
    return _Reader(text.replace("\r\n", "\n")).lines


def line_of(lines: Mapping[KeyPath, int], path: KeyPath) -> int:
    """The line of a path; of a key that is missing, that of its table; 0 for the file."""
    while path and path not in lines:
        path = path[:-1]
    return lines[path] if path else 0


def value_spans(text: str) -> dict[KeyPath, tuple[int, int]]:
    """Path -> where in `text` its value begins and ends, for each `key = value`.

    Lines of `text` end with a line feed alone.
    """
    return _Reader(text).spans


class _Reader:
    """One pass over the tokens; `lines` and `spans` are the result."""

    def __init__(self, text: str) -> None:
        self.lines: dict[KeyPath, int] = {(): 1}
        self.spans: dict[KeyPath, tuple[int, int]] = {}
        self._last: dict[KeyPath, int] = {}  # index of the newest element of an array of tables
        self._tokens = _tokens(text)
        self._at = 0
        table: KeyPath = ()
        while self._peek() is not _END:
            kind, token, line, _ = self._peek()
            if kind == "newline":
                self._at += 1
            elif token == "[":
                table = self._header(line)
            else:
                self._pair(table)

    def _peek(self) -> Token:
        return self._tokens[self._at] if self._at < len(self._tokens) else _END

    def _take(self) -> Token:
        token = self._peek()
        self._at += 1
        return token

    def _note(self, path: KeyPath, line: int) -> None:
        if len(path) <= MAX_DEPTH:
            self.lines.setdefault(path, line)

    def _parts(self) -> list[tuple[str, int]]:
        """A key, dotted or not: its parts, without quotes, each with its line."""
        parts: list[tuple[str, int]] = []
        while True:
            kind, token, line, _ = self._peek()
            if kind in ("word", "text"):
                parts.append((_unquoted(token) if kind == "text" else token, line))
            elif token != ".":
                return parts
            self._at += 1

    def _header(self, line: int) -> KeyPath:
        """[table] or [[element of an array]]; returns where the keys below it belong."""
        self._take()
        array = self._peek()[1] == "["
        if array:
            self._take()
        parts = self._parts()
        self._at += 2 if array else 1
        path: KeyPath = ()
        for number, (part, _) in enumerate(parts, 1):
            path = _child_path(path, part)
            self._note(path, line)
            if array and number == len(parts):
                self._last[path] = self._last.get(path, -1) + 1
            if path in self._last:
                path = _child_path(path, self._last[path])
                self._note(path, line)
        if len(path) <= MAX_DEPTH:
            self.lines[path] = line  # its own header says more than that of a table below it
        return path

    def _pair(self, table: KeyPath) -> None:
        path = table
        for part, line in self._parts():
            path = _child_path(path, part)
            self._note(path, line)
        self._take()  # the equals sign
        start = self._peek()[3]
        self._value(path)
        if self._at and len(path) <= MAX_DEPTH:
            _, last, _, at = self._tokens[self._at - 1]
            self.spans[path] = (start, at + len(last))

    def _value(self, path: KeyPath) -> None:
        match self._peek()[1]:
            case "[":
                self._array(path)
            case "{":
                self._inline_table(path)
            case _:
                while self._peek() is not _END and self._peek()[1] not in (",", "]", "}", "\n"):
                    self._at += 1

    def _array(self, path: KeyPath) -> None:
        self._take()
        index = 0
        while self._peek()[1] not in ("]", ""):
            if self._peek()[1] in (",", "\n"):
                self._at += 1
                continue
            element = _child_path(path, index)
            self._note(element, self._peek()[2])
            self._value(element)
            index += 1
        self._take()

    def _inline_table(self, path: KeyPath) -> None:
        self._take()
        while self._peek()[1] not in ("}", ""):
            if self._peek()[1] in (",", "\n"):
                self._at += 1
            else:
                self._pair(path)
        self._take()


def _tokens(text: str) -> list[Token]:
    tokens: list[Token] = []
    line = 1
    for match in _TOKEN.finditer(text):
        kind, token = match.lastgroup or "", match.group()
        if kind != "blank":
            tokens.append((kind, token, line, match.start()))
        line += token.count("\n")
    return tokens


def _child_path(path: KeyPath, part: str | int) -> KeyPath:
    """One level down; a path that is too deep to be told apart grows no further."""
    return (*path, part) if len(path) <= MAX_DEPTH else path


def _unquoted(token: str) -> str:
    return next(iter(parse_toml(f"{token} = 0")))
