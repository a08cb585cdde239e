"""The sizes of the rooms: what a reviewer would count by hand, of one checkout or of several.

    python -m tests.architecture.numbers [--root CHECKOUT]... [--names] [--circles]

Counted is `edge`, and what `drivers` and `models` import of it. A name that a package passes on
(`from edge.core import Edge`) is an import of the module that defines it; the passing on itself is
none. Imports for type checking and within functions count as all others.
"""

import argparse
import ast
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from statistics import median
from typing import Final

ROOT: Final = Path(__file__).parents[2]
COUNTED: Final = "edge"
IMPORTERS: Final = ("edge", "drivers", "models")
SMALL_LINES: Final = 80
ANY: Final = re.compile(r"\bAny\b")
ANY_DICT: Final = re.compile(r"\bdict\[str, Any\]")
REACH: Final = re.compile(r"\bdaemon\.\w+\.\w+")  # what is reached through one that is handed on
ANY_MAPPING: Final = re.compile(r"\bMapping\[str, Any\]")


@dataclass(frozen=True, slots=True)
class SourceModule:
    """One file: its name with dots, its lines, what it imports and defines."""

    name: str
    package: str  # that it lies in; of an `__init__` it is itself
    is_init: bool
    text: str = field(repr=False)
    tree: ast.Module = field(repr=False)

    @property
    def lines(self) -> int:
        return self.text.count("\n")

    @property
    def classes(self) -> Iterator[str]:
        return (node.name for node in ast.walk(self.tree) if isinstance(node, ast.ClassDef))

    def imports(self) -> Iterator[tuple[str, str]]:
        """Module and name; an empty name for the module itself."""
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import):
                yield from ((alias.name, "") for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                base = self._base(node)
                yield from ((base, alias.name) for alias in node.names)

    def _base(self, node: ast.ImportFrom) -> str:
        if not node.level:
            return node.module or ""
        above = self.package.split(".")[: len(self.package.split(".")) - node.level + 1]
        return ".".join([*above, *([node.module] if node.module else [])])


class SourceTree:
    """All modules of a checkout, and who imports whom."""

    def __init__(self, root: Path) -> None:
        self.modules: dict[str, SourceModule] = {}
        for top in IMPORTERS:
            for path in sorted((root / top).rglob("*.py")):
                module = _read(root, path)
                self.modules[module.name] = module
        self.imported: dict[str, set[str]] = {
            name: set(self._targets(module)) - {name} for name, module in self.modules.items()
        }

    def _targets(self, module: SourceModule) -> Iterator[str]:
        for base, name in module.imports():
            found = self._defining(base, name)
            if found is not None:
                yield found

    def _defining(self, base: str, name: str, depth: int = 5) -> str | None:
        """The module that a name comes from, through packages that pass it on."""
        if name and f"{base}.{name}" in self.modules:
            return f"{base}.{name}"
        module = self.modules.get(base)
        if module is None:
            return None
        if module.is_init and name and depth:
            for origin, passed in module.imports():
                if passed == name:
                    return self._defining(origin, passed, depth - 1)
        return base

    @cached_property
    def counted(self) -> list[SourceModule]:
        return [each for each in self.modules.values() if each.name.split(".")[0] == COUNTED]

    @cached_property
    def packages(self) -> dict[str, list[SourceModule]]:
        found: dict[str, list[SourceModule]] = defaultdict(list)
        for module in self.counted:
            found[module.package].append(module)
        return dict(found)

    @cached_property
    def importers(self) -> dict[str, set[str]]:
        """Of each module; packages that pass names on are none."""
        found: dict[str, set[str]] = {name: set() for name in self.modules}
        for name, targets in self.imported.items():
            if not self.modules[name].is_init:
                for target in targets:
                    found[target].add(name)
        return found

    @cached_property
    def lonely(self) -> list[tuple[SourceModule, str]]:
        """Modules of which there is one importer, with it."""
        found = ((each, self.importers[each.name]) for each in self.counted if not each.is_init)
        return [(each, next(iter(who))) for each, who in found if len(who) == 1]

    @cached_property
    def circles(self) -> list[list[str]]:
        names = [each.name for each in self.counted]
        graph = {name: self.imported[name] & set(names) for name in names}
        return [sorted(each) for each in components(graph) if len(each) > 1]

    def floors(self, package: str) -> int:
        """Modules in the longest chain of imports inside; a circle is one floor."""
        names = {each.name for each in self.packages[package] if not each.is_init}
        graph = {name: self.imported[name] & names for name in names}
        heights: dict[int, int] = {}
        place: dict[str, int] = {}
        for number, group in enumerate(components(graph)):  # what is imported comes first
            place.update(dict.fromkeys(group, number))
            below = {place[to] for name in group for to in graph[name]} - {number}
            heights[number] = 1 + max((heights[each] for each in below), default=0)
        return max(heights.values(), default=0)

    def lines_with(self, pattern: re.Pattern[str]) -> int:
        texts = (each.text.splitlines() for each in self.counted)
        return sum(bool(pattern.search(_code(line))) for text in texts for line in text)

    @cached_property
    def unset(self) -> int:
        """Attributes of objects that are declared and have no value yet: `self.x: X`."""
        nodes = (node for each in self.counted for node in ast.walk(each.tree))
        return sum(
            isinstance(node, ast.AnnAssign)
            and node.value is None
            and isinstance(node.target, ast.Attribute)
            for node in nodes
        )

    @cached_property
    def named_attributes(self) -> int:
        """Calls of `getattr` with a name that is known when it is written."""
        nodes = (node for each in self.counted for node in ast.walk(each.tree))
        return sum(
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Name)
            and node.func.id == "getattr"
            and isinstance(node.args[1], ast.Constant)
            for node in nodes
        )

    @cached_property
    def class_names(self) -> dict[str, int]:
        return _recurring(name for each in self.counted for name in each.classes)

    @cached_property
    def module_names(self) -> dict[str, int]:
        return _recurring(each.name.rpartition(".")[2] for each in self.counted if not each.is_init)


def components(graph: Mapping[str, Iterable[str]]) -> list[set[str]]:
    """What imports each other, in an order in which the imported come first (Tarjan)."""
    order: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    found: list[set[str]] = []

    def visit(name: str) -> None:
        order[name] = low[name] = len(order)
        stack.append(name)
        for to in sorted(graph[name]):
            if to not in order:
                visit(to)
                low[name] = min(low[name], low[to])
            elif to in stack:
                low[name] = min(low[name], order[to])
        if low[name] == order[name]:
            group: set[str] = set()
            while name not in group:
                group.add(stack.pop())
            found.append(group)

    for name in sorted(graph):
        if name not in order:
            visit(name)
    return found


def _read(root: Path, path: Path) -> SourceModule:
    parts = path.relative_to(root).with_suffix("").parts
    is_init = parts[-1] == "__init__"
    name = ".".join(parts[:-1] if is_init else parts)
    package = name if is_init else ".".join(parts[:-1])
    text = path.read_text(encoding="utf-8")
    return SourceModule(name, package, is_init, text, ast.parse(text))


def _code(line: str) -> str:
    """Without its comment, and not that which imports the word."""
    return "" if line.lstrip().startswith(("from ", "import ")) else line.partition("  # ")[0]


def _recurring(names: Iterable[str]) -> dict[str, int]:
    return {name: count for name, count in Counter(names).most_common() if count > 1}


def figures(tree: SourceTree) -> dict[str, str]:
    """All but the packages, one figure a line."""
    lines = [each.lines for each in tree.counted]
    near = [
        each for each, who in tree.lonely
        if each.lines < SMALL_LINES and tree.modules[who].package == each.package
    ]  # fmt: skip
    full = [each.lines for each in tree.counted if not each.is_init]
    return {
        "files": str(len(lines)),
        "lines": str(sum(lines)),
        "median lines of a file": f"{median(full):.0f}",
        "files of 100 to 400 lines": str(sum(100 <= each <= 400 for each in full)),
        "files of less than 100 lines": str(sum(each < 100 for each in full)),
        "modules with one importer": str(len(tree.lonely)),
        f"of these below {SMALL_LINES} lines and in the same package": str(len(near)),
        "circles of imports, type checking included": _circles(tree),
        "lines with Any": str(tree.lines_with(ANY)),
        "lines with dict[str, Any]": str(tree.lines_with(ANY_DICT)),
        "lines with Mapping[str, Any]": str(tree.lines_with(ANY_MAPPING)),
        "lines that reach through the daemon": str(tree.lines_with(REACH)),
        "attributes that are declared without a value": str(tree.unset),
        "getattr with a name that is known": str(tree.named_attributes),
        "class names that recur": str(len(tree.class_names)),
        "module names that recur": str(len(tree.module_names)),
    }


def _circles(tree: SourceTree) -> str:
    sizes = ", ".join(str(len(each)) for each in tree.circles)
    return f"{len(tree.circles)} (of {sizes} files)" if sizes else "0"


def table(head: list[str], rows: Iterable[list[str]]) -> Iterator[str]:
    yield f"| {' | '.join(head)} |"
    yield f"|{'---|' * len(head)}"
    yield from (f"| {' | '.join(row)} |" for row in rows)


def report(trees: Mapping[str, SourceTree], *, names: bool, circles: bool) -> Iterator[str]:
    columns = {label: figures(tree) for label, tree in trees.items()}
    keys = next(iter(columns.values()))
    rows = ([key, *(each[key] for each in columns.values())] for key in keys)
    yield from table([COUNTED, *columns], rows)
    for label, tree in trees.items():
        yield f"\n{label}: packages\n"
        yield from table(
            ["package", "files", "lines", "median", "floors"],
            (
                [
                    package,
                    str(len(modules)),
                    str(sum(each.lines for each in modules)),
                    f"{median(e.lines for e in modules if not e.is_init or len(modules) == 1):.0f}",
                    str(tree.floors(package)),
                ]
                for package, modules in sorted(tree.packages.items())
            ),
        )
        if circles:
            yield from (f"\n{label}: circle {' '.join(each)}" for each in tree.circles)
        if names:
            for what, found in (("classes", tree.class_names), ("modules", tree.module_names)):
                listed = ", ".join(f"{name} {count}" for name, count in found.items())
                yield f"\n{label}: {what} that recur: {listed or 'none'}"


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m tests.architecture.numbers", description=__doc__
    )
    parser.add_argument("--root", type=Path, action="append", help="a checkout; this one")
    parser.add_argument("--names", action="store_true", help="list those that recur")
    parser.add_argument("--circles", action="store_true", help="list the circles")
    args = parser.parse_args()
    roots = [root.resolve() for root in args.root or [ROOT]]
    trees = {root.name: SourceTree(root) for root in roots}
    print("\n".join(report(trees, names=args.names, circles=args.circles)))


if __name__ == "__main__":
    main()
