"""The files of `tests/vectors`: each says where its facts come from; tests read no others."""

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

from tests.kit.vectors import FOLDER, everything, frame

ROOT = Path(__file__).parents[2]
FILES = sorted(FOLDER.glob("*/*.toml"))
GROUPS = {"air", "meters", "modbus", "protocol", "traffic"}
KNOWN = {
    "id", "group", "device", "direction", "meter", "request_id", "raw_hex", "raw_text", "inputs",
    "decoded", "expected", "float_tolerance", "notes", "source", "provenance",
}  # fmt: skip
MOST_LINES = 200


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_a_file_is_short_and_names_its_sources(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= MOST_LINES
    stated: dict[str, Any] = tomllib.loads(text)
    assert len(stated["title"]) > 10
    assert all(re.fullmatch(r"https://\S+", each) for each in stated.get("addresses", ()))
    if path.parent.name == "meters":
        assert stated["meter"]["sources"]
        assert stated.get("register") or stated.get("point")


def test_every_vector_has_its_source_and_says_how_it_came_about() -> None:
    assert {path.parent.name for path in FILES} == GROUPS
    names = [each["id"] for each in everything()]
    assert len(set(names)) == len(names)
    for each in everything():
        assert each.keys() <= KNOWN, each["id"]
        assert each["source"], each["id"]
        assert all(len(line) > 8 and line != "as above" for line in each["source"]), each["id"]
        assert each["provenance"], each["id"]
        assert ("direction" in each) == ("raw_hex" in each), each["id"]
        if "raw_hex" in each:
            assert each["direction"] in ("rx", "tx")
            assert frame(each["id"])
        else:
            assert each["expected"], each["id"]


def test_no_test_reads_facts_that_lie_outside_of_the_repository() -> None:
    outside = "../" + "shared"
    code = [ROOT / "conftest.py", *(ROOT / "tests").rglob("*.py")]
    assert [path.name for path in code if outside in path.read_text(encoding="utf-8")] == []
