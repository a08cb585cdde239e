"""Lines of keys, compared with what tomllib finds in the same text."""

import sys
import sysconfig
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.config.keylines import MAX_DEPTH, key_lines, value_spans


def paths(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Every path in a parsed document."""
    yield path
    match value:
        case dict():
            for key, inner in value.items():
                yield from paths(inner, (*path, key))
        case list():
            for index, inner in enumerate(value):
                yield from paths(inner, (*path, index))


@pytest.mark.parametrize(
    ("text", "path", "line"),
    [
        ("a = 1\nb = 2\n", ("b",), 2),
        ("[x]\n\n[x.y]\nz = 1\n", ("x", "y", "z"), 4),
        ("[x.y]\n[x]\na = 1\n", ("x",), 2),
        ('a."b.c"\t.d = 1\n', ("a", "b.c", "d"), 1),
        ("[[l]]\na=1\n[[l]]\n[l.t]\nb=1\n", ("l", 1, "t", "b"), 5),
        ("a = [\n  1,  # one\n  [2,\n 3],\n]\nb = 1\n", ("a", 1, 1), 4),
        ("a = { b = 1, c = { d = [1] } }\ne = 1\n", ("a", "c", "d", 0), 1),
        ('a = """\n[no]\nb = 1\n""""\nc = 1\n', ("c",), 5),
        ("a = '''\nx'''''\nc = 1\n", ("c",), 3),
        ('a = "]#\\"" # [x]\nb = 1\n', ("b",), 2),
        ("a = 1979-05-27 07:32:00\nb = +inf\r\nc = 1\n", ("c",), 3),
        ("'quoted key' = 1\n", ("quoted key",), 1),
        ('"\\u00e4" = 1\n', ("ä",), 1),
    ],
)
def test_a_key_is_on_its_line(text: str, path: tuple[Any, ...], line: int) -> None:
    assert key_lines(text)[path] == line


def test_every_toml_file_of_this_machine_is_read_as_tomllib_reads_it() -> None:
    folders = [Path(sysconfig.get_paths()["purelib"]), Path(__file__).parents[2] / "drivers"]
    checked = 0
    for folder in folders:
        for file in sorted(folder.rglob("*.toml")):
            text = file.read_text(encoding="utf-8")
            wanted = {p for p in paths(tomllib.loads(text)) if len(p) <= MAX_DEPTH}
            found = key_lines(text)
            assert {p for p in found if len(p) <= MAX_DEPTH} == wanted, file
            lines = text.replace("\r\n", "\n").split("\n")
            for path in wanted:
                if path and isinstance(path[-1], str) and "\\" not in lines[found[path] - 1]:
                    assert path[-1] in lines[found[path] - 1], (file, path)
            checked += 1
    assert checked > 0


KEYS = st.text(alphabet="ab .\"'\\]=#\n☃", min_size=1, max_size=4)
LEAVES = st.one_of(st.integers(), st.booleans(), st.text(alphabet="a\"'\\#[]{}=,\n\t☃", max_size=8))
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=8,
)


def written(value: Any) -> str:
    """TOML of a value; strings in one of its four forms, the value decides which."""
    match value:
        case bool():
            return "true" if value else "false"
        case str():
            return text_of(value)
        case dict():
            return "{" + ", ".join(f"{key_of(k)} = {written(v)}" for k, v in value.items()) + "}"
        case list():
            return "[\n" + "".join(f"{written(v)},  # ] x = 1\n" for v in value) + "]"
    return str(value)


def text_of(value: str) -> str:
    if "'" not in value and "\n" not in value:
        return f"'{value}'"
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    if "\n" in value:
        return f'"""{escaped}"""'
    return f'"{escaped}"'


def key_of(key: str) -> str:
    return '"' + key.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'


@given(st.dictionaries(KEYS, VALUES, min_size=1, max_size=5))
def test_any_document_gives_the_paths_of_tomllib(document: dict[str, Any]) -> None:
    text = "".join(f"{key_of(k)} = {written(v)}\n" for k, v in document.items())
    data = tomllib.loads(text)
    found = key_lines(text)
    assert {p for p in found if len(p) <= MAX_DEPTH} == {
        p for p in paths(data) if len(p) <= MAX_DEPTH
    }
    order = [found[(key,)] for key in data]
    assert order == sorted(order)


@given(st.dictionaries(KEYS, VALUES, min_size=1, max_size=5))
def test_a_span_is_the_text_of_its_value(document: dict[str, Any]) -> None:
    text = "".join(f"{key_of(k)} = {written(v)}  # a = 1\n" for k, v in document.items())
    data = tomllib.loads(text)
    spans = value_spans(text)
    for key, value in data.items():
        begin, end = spans[(key,)]
        assert tomllib.loads(f"x = {text[begin:end]}")["x"] == value


@pytest.mark.parametrize(
    ("text", "path", "value"),
    [
        ("a = 1979-05-27 07:32:00 # x\n", ("a",), "1979-05-27 07:32:00"),
        ("[t]\na.b = 1.5\n", ("t", "a", "b"), "1.5"),
        ("a = { b = 1, c = [ 2, 3 ] }\n", ("a", "c"), "[ 2, 3 ]"),
        ("a = [\n 1, # one\n]\n", ("a",), "[\n 1, # one\n]"),
        ("[[l]]\na = 1\n[[l]]\na = -2", ("l", 1, "a"), "-2"),
    ],
)
def test_a_value_is_in_its_span(text: str, path: tuple[Any, ...], value: str) -> None:
    begin, end = value_spans(text)[path]
    assert text[begin:end] == value


def test_deep_paths_do_not_grow() -> None:
    found = key_lines("a." * 500 + "a = 1\nb = 1\n")
    assert max(map(len, found)) <= MAX_DEPTH
    assert found[("b",)] == 2
    assert sys.getsizeof(found) < 5000
