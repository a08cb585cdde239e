"""Time quality: one list of its words, and the same bytes as the words themselves."""

import ast
import contextlib
import json
import re
import sqlite3
from pathlib import Path

import msgpack
import msgspec
import pytest

from edge.core import TimeQuality

EDGE = Path(__file__).parents[2] / "edge"
TABLE = [  # word, guessed, synchronised; the least trusted first
    ("none", True, False), ("floor", True, False), ("rtc", False, False), ("ntp", False, True),
    ("nts", False, True),
]  # fmt: skip
LISTED = re.compile(r"\b(none|floor|rtc|ntp|nts)\b")
# what an operator says of the time service: two of the words, and no list of qualities
OPTION = Path("config/model/gateway.py")


def test_its_words_are_in_order_and_say_what_they_are_worth() -> None:
    found = [(str(each), each.is_guessed, each.is_synchronised) for each in TimeQuality]
    assert found == TABLE
    assert [each.rank for each in TimeQuality] == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("tq", TimeQuality)
def test_it_is_packed_as_its_word(tq: TimeQuality) -> None:
    word = str(tq)
    assert word.__class__ is str
    assert msgpack.packb([tq]) == msgpack.packb([word]) == msgspec.msgpack.encode([tq])
    assert json.dumps({"tq": tq}) == json.dumps({"tq": word})
    assert msgspec.json.encode(tq) == msgspec.json.encode(word)
    assert f"{tq} {tq!s}" == f"{word} {word}"
    assert (tq == word, hash(tq) == hash(word)) == (True, True)
    with contextlib.closing(sqlite3.connect(":memory:")) as db:
        (kept,) = db.execute("SELECT ?", (tq,)).fetchone()
    assert (kept, kept.__class__) == (word, str)


@pytest.mark.parametrize("word", ["NTP", "atomic", "", 3, 3.0, None, True, b"ntp", ["ntp"], {}])
def test_what_is_none_of_its_words_is_parsed_to_nothing(word: object) -> None:
    assert TimeQuality.parse(word) is None


def test_a_word_is_parsed_to_its_quality() -> None:
    assert [TimeQuality.parse(word) for word, *_ in TABLE] == list(TimeQuality)


def test_no_other_module_lists_its_words() -> None:
    """Two of them in the texts of one module are a second list; its docstrings may explain them."""
    found = {
        path.relative_to(EDGE): words
        for path in EDGE.rglob("*.py")
        if len(words := words_in(path.read_text(encoding="utf-8"))) > 1
    }
    assert set(found) == {Path("core/clock.py"), OPTION}, found
    assert found[OPTION] == {"ntp", "nts"}


def words_in(source: str) -> set[str]:
    """Those that are a text of their own, or stand in SQL's quotes in one."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            if LISTED.fullmatch(node.value):
                found.add(node.value)
            elif node.value.lstrip().startswith("("):
                found |= set(re.findall(rf"'{LISTED.pattern}'", node.value))
    return found


@pytest.mark.parametrize(
    "source",
    [
        'A = ("ntp", "nts")',
        'A = {"none": 0, "rtc": 1}',
        "A = \"('ntp', 'nts')\"",
        'tq in {"ntp", "nts"}',
    ],
)
def test_a_second_list_is_noticed(source: str) -> None:
    assert len(words_in(source)) == 2
