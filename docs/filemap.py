"""The page of all files: what each one is, in the first sentence of its own docstring."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[1]
TREES: Final = ("edge", "drivers")
HEAD: Final = """\
# Every file, and what it is

For people who look for the one file of a concept. `make docs` makes this page from the first
sentence of each file; do not edit it.
[The map](../architecture.md) says how the parts work together, and where to change what.
"""


def file_map() -> str:
    """The whole page. Raises ValueError for a file that does not say what it is."""
    return "\n".join([HEAD, *(line for tree in TREES for line in _package(ROOT / tree))])


def _package(folder: Path) -> Iterator[str]:
    """Its files, and then those of the packages in it."""
    files = [path for path in sorted(folder.glob("*.py")) if path.stem != "__init__"]
    if files:
        name = folder.relative_to(ROOT).as_posix()
        yield f"## {name}\n\n| file | what it is |\n|---|---|"
        yield from (f"| `{path.name}` | {first_sentence(path)} |" for path in files)
        yield ""
    for inner in sorted(each for each in folder.iterdir() if (each / "__init__.py").exists()):
        yield from _package(inner)


def first_sentence(path: Path) -> str:
    """Of a module's docstring. Raises ValueError where there is none."""
    told = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
    if not told:
        raise ValueError(f"{path}: say in a docstring at its top what it is")
    first = " ".join(told.split("\n\n")[0].split())
    return re.split(r"(?<=[.])\s+(?=[A-Z])", first, maxsplit=1)[0].replace("|", "\\|")
