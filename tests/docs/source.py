"""What there is in the code, by name: files, symbols, threads, targets, contracts."""

import ast
import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Final

from tests.docs.pages import ROOT

CODE: Final = ("edge", "drivers")
WORD: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
NAMES: Final[dict[type[ast.AST], str]] = {
    ast.Name: "id", ast.Attribute: "attr", ast.arg: "arg", ast.keyword: "arg", ast.alias: "name",
    ast.FunctionDef: "name", ast.AsyncFunctionDef: "name", ast.ClassDef: "name",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Module:
    """Its functions, classes with their members, and constants."""

    names: dict[str, set[str]] = field(default_factory=dict)  # members; of a function none

    def has(self, name: str, member: str = "") -> bool:
        return name in self.names and (not member or member in self.names[name])


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


@cache
def module(path: Path) -> Module:
    """The names that stand at the head of a module."""
    found = Module()
    for node in tree(path).body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            found.names[node.name] = set()
        elif isinstance(node, ast.ClassDef):
            found.names[node.name] = set(_members(node))
        else:
            for name in _assigned(node):
                found.names[name] = set()
    return found


def _members(made: ast.ClassDef) -> Iterator[str]:
    for node in ast.walk(made):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node.name
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            yield node.attr
        else:
            yield from _assigned(node)


def _assigned(node: ast.AST) -> Iterator[str]:
    targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
    for target in targets if isinstance(node, ast.Assign | ast.AnnAssign) else ():
        if isinstance(target, ast.Name):
            yield target.id


@cache
def files(*folders: str) -> tuple[Path, ...]:
    """Their modules."""
    return tuple(path for folder in folders for path in sorted((ROOT / folder).rglob("*.py")))


@cache
def symbols() -> dict[str, set[str]]:
    """Every name of the code with the members of all classes that are called so."""
    found: dict[str, set[str]] = {}
    for path in files(*CODE):
        for name, members in module(path).names.items():
            found.setdefault(name, set()).update(members)
    return found


@cache
def words() -> frozenset[str]:
    """Every identifier, every word in a string that is no docstring, every module's name."""
    found: set[str] = set()
    for path in files(*CODE):
        found.update(path.relative_to(ROOT).with_suffix("").parts)
        prose: set[int] = set()  # docstrings; they are met after what they belong to
        for node in ast.walk(tree(path)):
            kind = type(node)
            if kind is ast.Constant:
                if isinstance(node.value, str) and id(node) not in prose:  # type: ignore[attr-defined]
                    found.update(WORD.findall(node.value))  # type: ignore[attr-defined]
            elif kind is ast.Expr:
                prose.add(id(node.value))  # type: ignore[attr-defined]
            elif kind in NAMES:
                stated = getattr(node, NAMES[kind])
                if stated is not None:
                    found.add(stated)
    return frozenset(found)


@cache
def _units() -> list[Path]:
    """Units and their drop-ins."""
    return sorted(path for path in (ROOT / "systemd").rglob("*") if path.is_file())


def elsewhere() -> str:
    """What is no module: units, rules, SQL, the Makefile, what a checker reads."""
    places = [ROOT / "Makefile", ROOT / "pyproject.toml", *_units()]
    places += sorted((ROOT / "edge").rglob("*.sql"))
    return "\n".join(path.read_text(encoding="utf-8") for path in places)


@cache
def packages() -> frozenset[str]:
    """Folders with an `__init__`, and modules that stand beside them, of edge and drivers."""
    found: set[str] = {"drivers/__init__.py"}
    for top in ("edge", "drivers"):
        for path in (ROOT / top).rglob("__init__.py"):
            if path.parent != ROOT / top:
                found.add(path.parent.relative_to(ROOT).as_posix())
        for path in (ROOT / top).glob("[!_]*.py"):
            found.add(path.relative_to(ROOT).as_posix())
    return frozenset(found)


@cache
def threads() -> frozenset[str]:
    """The names of threads of the daemon and of what runs beside it; of a made name its head."""
    found: set[str] = set()
    for path in files("edge", "drivers/buses"):
        for node in ast.walk(tree(path)):
            if isinstance(node, ast.Call):
                found.update(_thread(node))
    return frozenset(found)


def _thread(call: ast.Call) -> Iterator[str]:
    made = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
    key = {"Thread": "name", "ThreadPoolExecutor": "thread_name_prefix"}.get(made)
    stated = [each.value for each in call.keywords if each.arg == key] if key else []
    if made == "BlockingCalls":  # runs blocking work in threads that it names
        stated = call.args[:1]
    for value in stated:
        if isinstance(value, ast.JoinedStr):
            value = value.values[0]
        if isinstance(value, ast.Constant) and isinstance(value.value, str):
            yield value.value


@cache
def targets() -> frozenset[str]:
    """What make can be asked for."""
    found: set[str] = set()
    for line in (ROOT / "Makefile").read_text(encoding="utf-8").splitlines():
        head = re.match(r"([a-z][a-z -]*):(?!=)", line)
        if head:
            found.update(head[1].split())
    return frozenset(found)


@cache
def contracts() -> tuple[str, ...]:
    """The names of the import rules."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    return tuple(each["name"] for each in project["tool"]["importlinter"]["contracts"])
