"""What stands where on the site: navigation.toml, read and filled in.

It needs nothing but Python, so the tests read it, too.
"""

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
FILE: Final = Path(__file__).with_name("navigation.toml")


@dataclass(frozen=True, slots=True)
class Section:
    """One word of the bar at the top: its first page, and those under it with their names."""

    title: str
    page: str
    pages: dict[str, str]  # file: name in the navigation; "" is the page's own title


@dataclass(frozen=True, slots=True)
class Navigation:
    """The start page, and the sections in their order."""

    start: str
    sections: tuple[Section, ...]

    def files(self) -> list[str]:
        """Every page, in order; a page that is listed twice is here twice."""
        listed = [self.start]
        for section in self.sections:
            listed += [section.page, *section.pages]
        return listed


def navigation() -> Navigation:
    told = tomllib.loads(FILE.read_text(encoding="utf-8"))
    sections = []
    for each in told["section"]:
        pages = dict(each.get("pages", {}))
        if folder := each.get("numbered"):
            for page in sorted((ROOT / folder).glob("[0-9]*.md")):
                pages[page.relative_to(ROOT).as_posix()] = ""
        sections.append(Section(each["title"], each["page"], pages))
    return Navigation(told["start"], tuple(sections))


def toctree(entries: dict[str, str]) -> str:
    """The directive that tells Sphinx what stands under a page; no reader sees it there."""
    lines = []
    for page, name in entries.items():
        document = "/" + page.removesuffix(".md")
        lines.append(f"{name} <{document}>" if name else document)
    return "\n```{toctree}\n:hidden:\n\n" + "\n".join(lines) + "\n```\n"
