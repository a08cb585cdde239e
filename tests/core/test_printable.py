"""A stranger's text in one line: nothing in it moves a cursor, begins a line or is too long."""

import json
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.core.printable import (
    COMBINING_MARKS,
    CUT_MARK,
    HIDDEN,
    INDENT,
    fold_line,
    json_line_text,
    printable,
)

WORST = "\u200c\u200d\u06cc\u0931\u094d"
WORST += "\x1b\x07\x08\n\r\t\v\f\x00\x7f\x85\x9b\u200b\u202e\u2028\u2029\u2066\ufeff\ud800\u3164"
ANY = st.text(st.one_of(st.characters(), st.sampled_from(WORST)), max_size=200)
UNSAFE = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}


@given(ANY, st.integers(20, 300))
def test_any_text_is_one_line_of_visible_letters(text: str, most: int) -> None:
    said = printable(text, most)
    bare = said.replace("\u200c", "").replace("\u200d", "")
    assert not {unicodedata.category(char) for char in bare} & UNSAFE
    assert len(said.splitlines()) <= 1
    assert len(said) <= most
    assert HIDDEN.search(said) is None
    assert printable(said, most) == said
    said.encode("utf-8")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "hut_air",
        "Zählerstand 4711 kWh",
        "Zähler",
        "交差点 1",
        "ถนนใหญ่",
        "a\\b",
        "π/2 – 3",
        "خیابان می\u200cرود",
        "ක්\u200dරම",
        "क्\u200dष",
    ],
)
def test_what_is_whole_stays_as_it_is(text: str) -> None:
    assert printable(text) == text


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a\n9999 records: complete", r"a\n9999 records: complete"),
        ("\x1b[2J\x9b1A", r"\x1b[2J\x9b1A"),
        ("x\r\ty\x00", r"x\r\ty\x00"),
        ("gw\u202e1\u2066\u200b", r"gw\u202e1\u2066\u200b"),
        ("a\u2028b\u2029c\x85d", r"a\u2028b\u2029c\x85d"),
        ("\ud800", r"\ud800"),
        ("a\ufe0f\u3164", r"a\ufe0f\u3164"),
        ("gw\u200c-1", r"gw\u200c-1"),
        ("ü\u200dä", r"ü\u200dä"),
        ("ی\u200c\u200cی", r"ی\u200c\u200cی"),
        ("ی\u200c", r"ی\u200c"),
        ("\u200cی", r"\u200cی"),
        ("ی\u200ca", r"ی\u200ca"),
        ("e" + "\u0301" * 4, "e" + "\u0301" * COMBINING_MARKS + r"\u0301" * (4 - COMBINING_MARKS)),
    ],
)
def test_what_is_not_is_shown_by_its_number(text: str, said: str) -> None:
    assert printable(text) == said


def test_a_long_text_loses_its_middle_and_costs_no_more_than_a_short_one() -> None:
    said = printable("head" + "x" * 10**7 + "tail", 60)
    assert said.startswith("head")
    assert said.endswith("tail")
    assert CUT_MARK in said
    assert len(said) == 60


@given(st.recursive(ANY | st.integers() | st.none() | st.binary(max_size=9), lambda inner: (
    st.lists(inner, max_size=3) | st.dictionaries(ANY, inner, max_size=3)), max_leaves=9),
    st.sampled_from([None, 2]))  # fmt: skip
def test_json_is_printable_ascii_and_says_the_same(value: object, indent: int | None) -> None:
    said = json_line_text(value, indent)
    assert said.isascii()
    assert said.replace("\n", "").isprintable()
    assert indent is not None or "\n" not in said
    assert json.loads(said) == json.loads(json.dumps(value, default=bytes.hex))


@given(ANY, st.integers(0, 90))
def test_only_the_first_row_of_a_line_begins_at_the_left(text: str, columns: int) -> None:
    line = printable(text)
    rows = list(fold_line(line, columns))
    left = line.removeprefix(rows[0])
    assert line.startswith(rows[0])
    for row in rows[1:]:  # a blank at which it is broken is not shown
        said = row.removeprefix(INDENT)
        left = left if left.startswith(said) and not left.startswith(" ") else left[1:]
        assert left.startswith(said)
        left = left[len(said) :]
    assert left.strip(" ") == ""
    assert all(row.startswith(INDENT) for row in rows[1:])
    wide = [sum(2 if unicodedata.east_asian_width(c) in "WF" else not unicodedata.combining(c)
                for c in row) for row in rows]  # fmt: skip
    assert max(wide) <= max(columns, 4 * len(INDENT))


def test_a_row_is_broken_between_words() -> None:
    line = "kerbstone read: the daemon does not run; Ctrl-C ends, and GPIO27 is watched"
    for columns in range(20, 70):
        rows = list(fold_line(line, columns))
        assert " ".join(row.strip() for row in rows) == line
        assert max(map(len, rows)) <= columns
