"""Why a line is not TOML, where a person can be told by name: quotes of a word processor, and a
comma for a decimal point."""

import re
from typing import Final

from edge.config.problem import SECRET_KEY

QUOTES: Final = re.compile("[\u201c\u201d\u201e\u201f\u2018\u2019\u201a\u00ab\u00bb]")
HARMLESS: Final = re.compile(r'"(?:[^"\\]|\\.)*"|\'[^\']*\'|#.*')  # strings that end, comments
DECIMAL_COMMA: Final = re.compile(r"=\s*([-+]?\d+),(\d+)\s*(?:#.*)?$")
DASH: Final = re.compile("=\\s*[\u2012\u2013\u2014\u2212]\\s*\\d")
NO_BREAK: Final = "\u00a0"
WORD: Final = re.compile(r"=\s*([A-Za-z_/][\w./:-]*)\s*(?:#.*)?$")
BOOLS: Final = {"yes": "true", "on": "true", "no": "false", "off": "false"}


def spelling_hint(line: str) -> str:
    """What is wrong with this line, and how to write it; empty where that is not known."""
    line = HARMLESS.sub(lambda found: "" if found[0][0] == "#" else '""', line)
    if found := QUOTES.search(line):
        return f'{found[0]} is a quote of a word processor; write " instead'
    if found := DECIMAL_COMMA.search(line):
        return f"a number has a decimal point: write {found[1]}.{found[2]}"
    if DASH.search(line):
        return "the minus sign is a dash of a word processor; write - instead"
    if NO_BREAK in line:
        return "it holds a space that does not break, as a word processor writes it; type it anew"
    if found := WORD.search(line):
        word = found[1]
        if (plain := BOOLS.get(word.lower(), word.lower())) in ("true", "false", "inf", "nan"):
            return "" if plain == word else f"write {plain} instead of {word}"
        secret = SECRET_KEY.fullmatch(line.partition("=")[0].strip().rpartition(".")[2])
        return "text stands in quotes" if secret else f'text stands in quotes: write "{word}"'
    return ""
