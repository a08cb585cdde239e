"""No modules import each other in a circle: not within a function, and not for types only.

The import contracts say which packages may not meet; within a package, and for what is imported
only while types are checked, this is what holds.
"""

import ast
from collections.abc import Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

from tests.docs.pages import ROOT
from tests.docs.source import CODE, tree


def modules(root: Path) -> dict[str, Path]:
    """Each module of the code by its name."""
    found = {}
    for path in (path for part in CODE for path in (root / part).rglob("*.py")):
        *folders, name = path.relative_to(root).with_suffix("").parts
        found[".".join(folders if name == "__init__" else [*folders, name])] = path
    return found


def imported(path: Path, known: Mapping[str, Path]) -> Iterator[str]:
    """The modules of the code that this one names, wherever in it."""
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in known)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path}: a relative import"
            for alias in node.names:
                whole = f"{node.module}.{alias.name}"
                if whole in known:
                    yield whole
                elif node.module in known:
                    yield str(node.module)


def circle(root: Path) -> list[str]:
    """One circle of modules; none when there is none."""
    known = modules(root)
    graph = {name: {*imported(path, known)} - {name} for name, path in known.items()}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


def test_no_modules_import_each_other_in_a_circle() -> None:
    assert circle(ROOT) == []
    assert len(modules(ROOT)) > 400


@pytest.mark.parametrize(
    "back",
    [
        "from edge.a import one",
        "import edge.a",
        "from edge import a",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from edge.a import one",
        "def late():\n    from edge.a import one",
    ],
)
def test_a_circle_is_found_however_it_is_hidden(tmp_path: Path, back: str) -> None:
    edge = tmp_path / "edge"
    (edge / "deep").mkdir(parents=True)
    (edge / "__init__.py").touch()
    (edge / "a.py").write_text("from edge.deep.b import two\none = 1")
    (edge / "deep" / "b.py").write_text("import edge.c\ntwo = 2")
    (edge / "c.py").write_text("import edge.strange\nfrom other.edge import a")
    assert circle(tmp_path) == []
    tree.cache_clear()
    (edge / "c.py").write_text(back)
    assert {*circle(tmp_path)} == {"edge.a", "edge.deep.b", "edge.c"}
    tree.cache_clear()
