"""Why a line is not TOML, where a person can be told by name: quotes of a word processor, a comma
for a decimal point, marks of other languages, letters that nobody sees."""

import re
import unicodedata
from typing import Final

from edge.config.problem import SECRET_KEY

QUOTES: Final = re.compile("[\u201c\u201d\u201e\u201f\u2018\u2019\u201a\u00ab\u00bb]")
HARMLESS: Final = re.compile(r'"(?:[^"\\]|\\.)*"|\'[^\']*\'|#.*')  # strings that end, comments
DECIMAL_COMMA: Final = re.compile(r"=\s*([-+]?\d+),(\d+)\s*(?:#.*)?$")
DASH: Final = re.compile("=\\s*[\u2012\u2013\u2014\u2212]\\s*\\d")
NO_BREAK: Final = "\u00a0"
WORD: Final = re.compile(r"=\s*([A-Za-z_/][\w./:-]*)\s*(?:#.*)?$")
# what belongs to other languages, or to people; and what to write
HABITS: Final = (
    (re.compile(r"^\s*(?:;|//|--)"), "a remark begins with #"),
    (re.compile(r"=.*\s//"), "a remark begins with #"),
    (re.compile(r"=\s*[^;]+;\s*$"), "a line ends without ;"),
    (re.compile(r"^[^\[{]*=\s*[^,\[{]+,\s*$"), "a line ends without a comma"),
    (re.compile(r"^\s*[\w.-]+\s*:=?\s*\S"), "write = between key and value"),
    (re.compile(r"=="), "write one = between key and value"),
    (re.compile(r"=\s*$"), "the value is missing"),
    (
        re.compile(r"^\s*\w[\w.-]*(?:\s+\w[\w.-]*)+\s*="),
        "a key is one word: write _ in place of a space",
    ),
    (re.compile(r"=\s*[-+]?\d[\d.]*\s*[^\W\d_]+\s*$"), "a number stands without its unit"),
)
LEADING_ZERO: Final = re.compile(r"=\s*([-+]?)0+(\d+(?:\.\d+)?)\s*$")
SHORT_DATE: Final = re.compile(r"=\s*(\d{4})-(\d{1,2})-(\d{1,2})\s*$")
LOCAL_DATE: Final = re.compile(r"=\s*(\d{1,2})\.(\d{1,2})\.(\d{4})\s*$")
TWICE: Final = (("Cannot overwrite", "this key"), ("Cannot declare", "this table"))
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
    if letter := _hidden(line):
        name = unicodedata.name(letter, "a letter").lower()
        return f"it holds U+{ord(letter):04X} ({name}), which nobody sees; type the line anew"
    if NO_BREAK in line:
        return "it holds a space that does not break, as a word processor writes it; type it anew"
    if found := WORD.search(line):
        word = found[1]
        if (plain := BOOLS.get(word.lower(), word.lower())) in ("true", "false", "inf", "nan"):
            return "" if plain == word else f"write {plain} instead of {word}"
        secret = SECRET_KEY.fullmatch(line.partition("=")[0].strip().rpartition(".")[2])
        return "text stands in quotes" if secret else f'text stands in quotes: write "{word}"'
    if found := LEADING_ZERO.search(line):
        return f"a number does not begin with 0: write {found[1]}{found[2]}"
    if found := SHORT_DATE.search(line):
        return f"a date has two digits each: write {_date(found[1], found[2], found[3])}"
    if found := LOCAL_DATE.search(line):
        return f"a date begins with the year: write {_date(found[3], found[2], found[1])}"
    return next((text for habit, text in HABITS if habit.search(line)), "")


def named_error(text: str) -> str:
    """What `tomllib` says, where it is not said for a person."""
    for begin, what in TWICE:
        if text.startswith(begin):
            return f"{what} stands in the file twice; write all into one"
    return text


def _hidden(line: str) -> str:
    """The first letter that shows nothing."""
    return next((letter for letter in line if unicodedata.category(letter) == "Cf"), "")


def _date(year: str, month: str, day: str) -> str:
    return f"{year}-{month:0>2}-{day:0>2}"
