"""The fault matrix as data: which tests show each row, or why nothing can be injected here."""

import ast
import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
FILE: Final = Path(__file__).with_name("matrix.toml")


@dataclass(frozen=True, slots=True)
class FaultRow:
    """One fault. Tests are node ids without parameters, from the repository's root."""

    number: int
    fault: str
    expected: str
    injection: str
    tests: tuple[str, ...] = ()
    slow: tuple[str, ...] = ()  # not in the short version
    not_here: str = ""

    def shown_by(self, *, short: bool) -> tuple[str, ...]:
        return self.tests if short else (*self.tests, *self.slow)


@cache
def matrix() -> tuple[FaultRow, ...]:
    """All rows, in order. Raises TypeError for a key that no row has."""
    with FILE.open("rb") as file:
        found = tomllib.load(file)["row"]
    return tuple(_row(**each) for each in found)


def _row(
    tests: tuple[str, ...] = (),
    slow: tuple[str, ...] = (),
    *,
    number: int,
    fault: str,
    expected: str,
    injection: str,
    not_here: str = "",
) -> FaultRow:
    quick, others = (tuple(f"tests/{name}" for name in names) for names in (tests, slow))
    return FaultRow(number, fault, expected, injection, quick, others, not_here)


def node_ids(*, short: bool) -> list[str]:
    """Each test of the matrix once, in its order."""
    return list(dict.fromkeys(name for row in matrix() for name in row.shown_by(short=short)))


@cache
def functions(path: Path) -> dict[str, bool]:
    """The tests of a file, and whether each is known to fail; none when there is no such file."""
    if not path.is_file():
        return {}
    tree = ast.parse(path.read_text(encoding="utf-8"))
    found = (node for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))
    return {
        node.name: any("mark.xfail" in ast.unparse(mark) for mark in node.decorator_list)
        for node in found
        if node.name.startswith("test_")
    }


def exists(node_id: str) -> bool:
    """Whether there is such a test."""
    path, _, name = node_id.partition("::")
    return name in functions(ROOT / path)


def known_to_fail(node_id: str) -> bool:
    path, _, name = node_id.partition("::")
    return functions(ROOT / path).get(name, False)
