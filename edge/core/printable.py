"""Text of strangers, made fit for one line of a terminal, a log or a file that people read.

An event's text, a name, a topic, a broker's reason, a device's identity: whoever writes it may
write escape sequences that move the cursor, newlines that begin a line of their own, and marks that
turn the order of letters around. Here all of that becomes visible, `\\x1b`, `\\n`, `\\u202e`, and
nothing becomes too long. What is whole stays as it is, in every script.
"""

import json
import re
import unicodedata
from collections.abc import Iterator
from typing import Any, Final

PRINTABLE_LIMIT: Final = 4096  # characters of one line
CUT_MARK: Final = "[...]"
PLAIN_NAME: Final = re.compile(r"[A-Za-z0-9_./:+-]{1,256}")
COMBINING_MARKS: Final = 2  # accents on one letter; more of them cover the lines above and below
JOINERS: Final = "\u200c\u200d"  # ZWNJ and ZWJ
# Letters of scripts in which a joiner between two letters is part of the spelling (UAX #31, 2.3):
# Arabic and Syriac, those of India and Sri Lanka, Burmese, Khmer, Mongolian.
JOINED: Final = re.compile(
    "[\u0600-\u077f\u08a0-\u08ff\u0900-\u0dff\u1000-\u109f\u1780-\u17ff\u1800-\u18af]"
)
INDENT: Final = "    "  # of the second row of a line, and those after it
# Invisible, though Python calls them printable: Default_Ignorable_Code_Point of Unicode's
# DerivedCoreProperties.txt without the classes Cf and Cn, and the empty Braille pattern.
HIDDEN: Final = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180d\u180f\u2800\u3164\ufe00-\ufe0f\uffa0"
    "\U000e0100-\U000e01ef]"
)


def printable(text: str, most: int = PRINTABLE_LIMIT) -> str:
    """One line of at most `most` characters; a longer one loses its middle.

    Doing it twice changes nothing. A backslash that was there is not doubled: what is shown is for
    eyes, and is not read back.
    """
    if len(text) > 2 * most:  # no more work than there is to show
        text = text[:most] + text[-most:]
    if not (text.isprintable() and (text.isascii() or not _odd(text))):
        text = "".join(_visible(text))
    if len(text) <= most:
        return text
    tail = most // 4
    first, last = text[: most - tail - len(CUT_MARK)], text[len(text) - tail :]
    return first.rstrip(JOINERS) + CUT_MARK + last.lstrip(JOINERS)


def quote_name(text: str) -> str:
    """A name that begins a line: in quotes, unless it can be nothing but a name.

    Somebody may call himself "9999 records: complete".
    """
    return text if PLAIN_NAME.fullmatch(text) else json_line_text(text[:PRINTABLE_LIMIT])


def json_line_text(value: Any, indent: int | None = None) -> str:
    """JSON of ASCII alone, without any control character; bytes become hexadecimal digits."""
    text = json.dumps(value, indent=indent, default=bytes.hex)
    return text.replace("\x7f", "\\u007f")  # the one that JSON lets stand


def fold_line(text: str, columns: int) -> Iterator[str]:
    """The rows that a line takes on a terminal, broken at blanks where there are some. Only the
    first begins at the left.

    A terminal that breaks a long line by itself begins a row with whatever stands there: blanks in
    a name would be enough to show a line that nobody has written.
    """
    room = max(columns, 4 * len(INDENT))
    row, used = "", 0
    blank = -1  # where the row may be broken: the last blank in it that stands behind a word
    for char in text:
        wide = columns_of(char)
        if used + wide > room:
            tail = row[blank + 1 :] if blank >= 0 else ""
            width = len(INDENT) + sum(map(columns_of, tail))
            if char == " " or blank < 0 or width + wide > room:  # a word that is too long is cut
                yield row
                tail, width = "", len(INDENT)
            else:
                yield row[:blank]
            row, used, blank = INDENT + tail, width, -1
            if char == " " and not tail:
                continue
        if char == " " and row.strip():
            blank = len(row)
        row += char
        used += wide
    yield row


def columns_of(char: str) -> int:
    """How many columns of a terminal a letter takes: an accent none, a Chinese character two."""
    if unicodedata.combining(char) or char in JOINERS:
        return 0
    return 2 if unicodedata.east_asian_width(char) in "WF" else 1


def fill_columns(text: str, columns: int, cut: str = "~") -> str:
    """Text of so many columns, in any script: filled with blanks, or with `cut` at its end."""
    if text.isascii():
        return f"{text if len(text) <= columns else text[: columns - len(cut)] + cut:<{columns}}"
    if sum(map(columns_of, text)) > columns:
        shown, room = "", columns - len(cut)
        for char in text:
            room -= columns_of(char)
            if room < 0:
                break
            shown += char
        text = shown + cut
    return text + " " * (columns - sum(map(columns_of, text)))


def _odd(text: str) -> bool:
    """Whether something printable in it is not to be printed."""
    return HIDDEN.search(text) is not None or any(map(unicodedata.combining, text))


def _visible(text: str) -> Iterator[str]:
    marks = 0
    before = ""  # the letter before, where it stands as it is
    for place, char in enumerate(text):
        marks = marks + 1 if unicodedata.category(char) in ("Mn", "Me") else 0
        plain = char.isprintable() and HIDDEN.match(char) is None and marks <= COMBINING_MARKS
        plain = plain or (char in JOINERS and _joins(before, text[place + 1 : place + 2]))
        before = char if plain else ""
        yield char if plain else char.encode("unicode_escape").decode("ascii")


def _joins(before: str, after: str) -> bool:
    """Whether a joiner between these belongs to a word."""
    if JOINED.match(before) is None or JOINED.match(after) is None:
        return False
    return unicodedata.category(before)[0] in "LM" and unicodedata.category(after)[0] == "L"
