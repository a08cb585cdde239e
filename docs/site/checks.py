"""What a built site must be: whole, without a request to foreign hosts, and with a search that
works from files. Each finding is a sentence. It needs nothing but Python.

Sphinx has already said which link of a page leads nowhere. What is looked at here is what a browser
gets: links that the theme has added, anchors, and everything that is loaded.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit

LOADED: Final = {
    "audio": "src", "embed": "src", "form": "action", "iframe": "src", "img": "src", "link": "href",
    "object": "data", "script": "src", "source": "src", "video": "src",
}  # fmt: skip
STYLE: Final = re.compile(r"""url\(\s*["']?([^"')]+)|@import\s+["']([^"']+)""")
FOREIGN: Final = re.compile(r"(?:[a-z]+:)?//", re.IGNORECASE)
INDEX: Final = "searchindex.js"
TEMPLATE: Final = "webpack-macros.html"  # the theme copies it beside its scripts; no page of ours
# words, as the index stems them, and a page that has each
KNOWN: Final = {"canoga": "drivers/README", "receipt": "docs/platform", "claim": "docs/card"}


@dataclass(slots=True)
class Page(HTMLParser):
    """Anchors, links, and what is loaded."""

    anchors: set[str] = field(default_factory=set)
    links: list[str] = field(default_factory=list)
    loads: list[str] = field(default_factory=list)
    _open: str = ""

    def __post_init__(self) -> None:
        HTMLParser.__init__(self)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        told = {name: value or "" for name, value in attrs}
        self.anchors.update(told[name] for name in ("id", "name") if told.get(name))
        if tag == "a" and "href" in told:
            self.links.append(told["href"])
        if tag in LOADED and told.get(LOADED[tag]):
            self.loads.append(told[LOADED[tag]])
        self.loads += [
            each.split()[0] for each in told.get("srcset", "").split(",") if each.split()
        ]
        self.loads += styles(told.get("style", ""))
        self._open = tag

    def handle_data(self, data: str) -> None:
        if self._open == "style":
            self.loads += styles(data)
        elif self._open == "script":
            self.loads += re.findall(r"""["'](https?://[^"']*)""", data)

    def handle_endtag(self, tag: str) -> None:
        self._open = ""


def styles(text: str) -> list[str]:
    """What a style loads."""
    return [first or second for first, second in STYLE.findall(text)]


def findings(site: Path) -> list[str]:
    """All that is wrong with the site in this folder."""
    pages: dict[Path, Page] = {}
    for path in sorted(site.rglob("*.html")):
        if path.name == TEMPLATE:
            continue
        pages[path] = Page()
        pages[path].feed(path.read_text(encoding="utf-8"))
    found = []
    for path, page in pages.items():
        name = path.relative_to(site).as_posix()
        found += [f"{name}: {each}" for each in _links(site, path, page, pages)]
        found += [f"{name}: {each}" for each in _loads(site, path, page.loads)]
    for path in sorted(site.rglob("*.css")):
        loads = styles(path.read_text(encoding="utf-8"))
        found += [f"{path.relative_to(site)}: {each}" for each in _loads(site, path, loads)]
    return found + list(search(site / INDEX))


def _links(site: Path, path: Path, page: Page, pages: dict[Path, Page]) -> Iterator[str]:
    for link in page.links:
        parts = urlsplit(link)
        if parts.scheme or parts.netloc:
            continue  # a reader follows it, or does not
        to = (path.parent / unquote(parts.path)).resolve() if parts.path else path
        if not to.is_file() or not to.is_relative_to(site.resolve()):
            yield f"links to {link}, and there is no such page or file"
        elif parts.fragment and to in pages and unquote(parts.fragment) not in pages[to].anchors:
            yield f"links to {link}, and that page has no such anchor"


def _loads(site: Path, path: Path, loads: list[str]) -> Iterator[str]:
    for load in loads:
        if load.startswith(("data:", "#")):
            continue
        if FOREIGN.match(load):
            yield f"loads {load}, from a foreign host"
            continue
        to = (path.parent / unquote(urlsplit(load).path)).resolve()
        if not to.is_file() or not to.is_relative_to(site.resolve()):
            yield f"loads {load}, and there is no such file"


def search(index: Path, known: dict[str, str] = KNOWN) -> Iterator[str]:
    """A script and no JSON file: so a browser may load it from a folder, too."""
    text = index.read_text(encoding="utf-8") if index.is_file() else ""
    inner = re.fullmatch(r"Search\.setIndex\((.*)\)", text.strip(), re.DOTALL)
    if inner is None:
        yield f"{index.name}: it is not there, or is no script that gives the search its index"
        return
    told = json.loads(inner[1])
    for word, page in known.items():
        # what stands in a heading of a page stands among its terms no more
        where = [*_pages(told["terms"], word), *_pages(told["titleterms"], word)]
        if page not in [told["docnames"][each] for each in where]:
            yield f"{index.name}: a search for {word} does not find {page}"


def _pages(terms: dict[str, int | list[int]], word: str) -> list[int]:
    where = terms.get(word, [])
    return [where] if isinstance(where, int) else where
