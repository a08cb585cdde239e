"""What a docstring or a comment names in backticks exists: a name, a key, a word of ours or a file.

A rename that leaves an old word behind in a sentence is found here. Names of others (of Linux,
Python, a standard) stand in `EXTERNAL`, each with its source.
"""

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Final

from tests.docs import source
from tests.docs.pages import ROOT

FOLDERS: Final = ("edge", "drivers", "models", "deploy")
SPAN: Final = re.compile(r"(?<!`)`([^`\n]+)`(?!`)")
NAMING: Final = re.compile(r"#.*`")  # perhaps a comment that names something
NAME: Final = re.compile(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*(?:\(\))?")
PLACE: Final = re.compile(r"(?:[\w.*-]+/)+[\w.*-]*|[\w*-]+\.(?:py|toml|json|db|log|service|timer)")
TEXT: Final = frozenset({".toml", ".json", ".service", ".timer", ".md", ".sh", ".conf", ".txt", ""})
EXTERNAL: Final[dict[str, str]] = {
    "__kernel_long_t": "Linux, asm-generic/posix_types.h",
    "mmcblk0": "Linux, names of block devices: the card of a Raspberry Pi",
    "opset_import": "onnx.proto, message ModelProto",
    "s17/gw-17": "an example of a site and a gateway",
    "walIndexRecover": "SQLite, wal.c",
    "when_changed": "gpiozero, class Pin",
    "Ki": "Python, module struct: a format",
    "nab/sweeper.py": "numenta/NAB, a file of its repository",
    "RangeAUC_volume_opt": "TheDatumOrg/VUS, a function",
}


def texts(path: Path) -> Iterator[tuple[int, str]]:
    """Docstrings and comments with their lines."""
    nodes: list[ast.AST] = [source.tree(path)]
    for node in nodes:
        if isinstance(
            node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
        ) and (text := ast.get_docstring(node, clean=False)):
            yield node.body[0].lineno, text
        nodes += (each for each in ast.iter_child_nodes(node) if not isinstance(each, ast.expr))
    code = path.read_text(encoding="utf-8")
    if NAMING.search(code):
        for token in tokenize.generate_tokens(io.StringIO(code).readline):
            if token.type == tokenize.COMMENT:
                yield token.start[0], token.string


def named(text: str) -> Iterator[str]:
    """What looks like an identifier, a dotted name or a file."""
    for span in SPAN.findall(text):
        if NAME.fullmatch(span) or PLACE.fullmatch(span):
            yield span.removesuffix("()")


def _names(tree: ast.Module) -> Iterator[tuple[str, bool]]:
    """Identifiers and words of strings; of a variable or parameter also that it is of this file."""
    prose: set[int] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr):
            prose.add(id(node.value))
        elif isinstance(node, ast.Constant):
            if isinstance(node.value, str) and id(node) not in prose:
                yield from ((word, False) for word in source.WORD.findall(node.value))
        elif type(node) in source.NAMES:
            name = getattr(node, source.NAMES[type(node)]) or ""
            yield from ((part, isinstance(node, ast.arg | ast.Name)) for part in name.split("."))
        if isinstance(node, ast.ImportFrom):
            yield from ((part, False) for part in (node.module or "").split("."))
        if isinstance(node, ast.Module | ast.ClassDef):
            yield from ((name, False) for each in node.body for name in _assigned(each))


def _assigned(node: ast.stmt) -> Iterator[str]:
    targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
    yield from (target.id for target in targets if isinstance(target, ast.Name))


@cache
def own(path: Path) -> frozenset[str]:
    """All names of one file."""
    return frozenset(name for name, _ in names(path))


@cache
def names(path: Path) -> frozenset[tuple[str, bool]]:
    """As `_names` of a file."""
    return frozenset(_names(source.tree(path)))


@cache
def known() -> frozenset[str]:
    """What a name may be of another file: a definition, an attribute, a key, a module, a word in a
    unit, a table or the Makefile. Parameters and variables of other files are not among them."""
    found: set[str] = set()
    for path in source.files(*FOLDERS, "tests"):
        found.update(path.relative_to(ROOT).with_suffix("").parts)
    for path in source.files(*FOLDERS):
        found.update(name for name, local in names(path) if not local)
    for folder in ("systemd", *FOLDERS):
        for path in sorted((ROOT / folder).rglob("*")):
            if path.suffix in TEXT and path.is_file():
                found.update(source.WORD.findall(path.read_text(encoding="utf-8", errors="ignore")))
    found.update(source.WORD.findall(source.elsewhere()))
    return frozenset(found)


def exists(span: str, path: Path) -> bool:
    """Whether there is such a thing, seen from a file."""
    words = set(source.WORD.findall(span))
    if span in EXTERNAL or words <= known() or words <= known() | own(path):
        return True
    return any(
        list(place.glob(span.rstrip("/"))) if "*" in span else (place / span).exists()
        for place in (ROOT, path.parent)
    )


def test_what_docstrings_and_comments_name_is_there() -> None:
    gone = [
        f"{path.relative_to(ROOT)}:{line}: {span}"
        for path in source.files(*FOLDERS)
        for line, text in texts(path)
        for span in named(text)
        if not exists(span, path)
    ]
    assert gone == []


def test_it_finds_a_name_that_is_gone(tmp_path: Path) -> None:
    file = tmp_path / "module.py"
    file.write_text('"""Belongs to `NoSuchClassAnywhere`."""\n# see `edge/outbox/nosuchfile.py`\n')
    found = [span for _, text in texts(file) for span in named(text)]
    assert found == ["NoSuchClassAnywhere", "edge/outbox/nosuchfile.py"]
    assert not any(exists(span, file) for span in found)
    assert exists("edge/outbox/outbox.py", file)
    assert exists("WindowCommitter", file)


def test_names_of_others_are_not_ours_and_have_a_source() -> None:
    for name, origin in EXTERNAL.items():
        assert origin, name
        assert not known().issuperset(source.WORD.findall(name)), f"{name} needs no entry"
