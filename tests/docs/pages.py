"""Pages as text: their code spans, their links and headings, their tables."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
README: Final = ROOT / "README.md"
CONTRIBUTING: Final = ROOT / "CONTRIBUTING.md"
MAP: Final = ROOT / "docs/architecture.md"
PATHS: Final = ROOT / "docs/architecture/paths.md"
STATE: Final = ROOT / "docs/architecture/state.md"
GLOSSARY: Final = ROOT / "docs/glossary.md"
COMMANDS: Final = ROOT / "docs/commands.md"
DECISIONS: Final = ROOT / "docs/decisions/README.md"
START: Final = ROOT / "docs/README.md"
TASKS: Final = tuple(ROOT / f"docs/{who}.md" for who in ("technician", "city", "rig"))
FOLDERS: Final = ("docs", "deploy", "drivers", "models")  # whose pages may link to each other

FENCE: Final = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
SPAN: Final = re.compile(r"(?<!`)`([^`\n]+)`(?!`)")
LINK: Final = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
RULE: Final = re.compile(r"\|[ :|-]+")  # between the head of a table and its rows
HEADING: Final = re.compile(r"^#+ +(.*?) *$", re.MULTILINE)


def text(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def prose(page: Path) -> str:
    """Without its code blocks."""
    return FENCE.sub("", text(page))


def spans(page_text: str) -> Iterator[str]:
    """What stands between single backquotes."""
    for found in SPAN.finditer(page_text):
        yield found[1]


def links(page: Path) -> Iterator[str]:
    """Where it links to; images are among them."""
    for found in LINK.finditer(prose(page)):
        yield found[1]


def anchors(page: Path) -> set[str]:
    """What a link may name behind `#`, as GitHub makes it of a heading."""
    found: set[str] = set()
    for heading in HEADING.findall(prose(page)):
        plain = LINK.sub(lambda link: link[0][1 : link[0].index("]")], heading)
        slug = re.sub(r"[^\w\- ]", "", plain.strip().lower()).replace(" ", "-")
        number, made = 0, slug
        while made in found:
            number += 1
            made = f"{slug}-{number}"
        found.add(made)
    return found


def rows(page: Path) -> Iterator[list[str]]:
    """The rows of all tables, cell by cell, without heads and rules."""
    lines = prose(page).splitlines()
    for line, after in zip(lines, [*lines[1:], ""], strict=True):
        if line.startswith("|") and not RULE.fullmatch(line) and not RULE.fullmatch(after):
            yield [cell.strip() for cell in line.strip().strip("|").split("|")]


def all_pages() -> list[Path]:
    """Every page that people read."""
    return sorted(
        [*ROOT.glob("*.md"), *(page for name in FOLDERS for page in (ROOT / name).rglob("*.md"))]
    )
