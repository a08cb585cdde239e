"""The figures of a small tree, counted by hand."""

from pathlib import Path

import pytest

from tests.architecture.numbers import SourceTree, components, figures, report

FILES = {
    "edge/__init__.py": "",
    "edge/core/__init__.py": "from edge.core.point import Point\n",
    "edge/core/point.py": "class Point:\n    pass\n",
    "edge/a/__init__.py": "",
    "edge/a/top.py": """
from edge.a import middle
from edge.core import Point


class Point:
    pass
""",
    "edge/a/middle.py": """
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from edge.a.low import Low


def f(x: dict[str, Any]) -> Any: ...
""",
    "edge/a/low.py": "from .middle import f\n\n\nclass Low:\n    pass\n",
    "drivers/__init__.py": "from edge.core import Point\n",
    "models/one.py": "",
}


@pytest.fixture
def tree(tmp_path: Path) -> SourceTree:
    for name, text in FILES.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return SourceTree(tmp_path)


def test_who_imports_whom_is_seen_through_packages_that_pass_names_on(tree: SourceTree) -> None:
    assert tree.importers["edge.core.point"] == {"edge.a.top"}
    assert tree.importers["edge.a.middle"] == {"edge.a.top", "edge.a.low"}


def test_a_circle_for_type_checking_is_one(tree: SourceTree) -> None:
    assert tree.circles == [["edge.a.low", "edge.a.middle"]]
    assert tree.floors("edge.a") == 2


def test_figures(tree: SourceTree) -> None:
    found = figures(tree)
    assert found["files"] == "7"
    assert found["modules with one importer"] == "2"  # point and low
    assert found["lines with Any"] == "1"
    assert found["lines with dict[str, Any]"] == "1"
    assert tree.class_names == {"Point": 2}
    assert "| edge.a | 4 | 20 | 7 | 2 |" in list(report({"x": tree}, names=True, circles=True))


def test_components_come_from_the_bottom() -> None:
    graph = {"a": ["b"], "b": ["c"], "c": ["b"], "d": []}
    assert components(graph) == [{"b", "c"}, {"a"}, {"d"}]
