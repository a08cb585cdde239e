"""Links lead somewhere: to a file that is there, and to a heading that it has."""

import re
from pathlib import Path

import pytest

from tests.docs.pages import README, ROOT, all_pages, anchors, links

EXTERNAL = re.compile(r"[a-z]+:")


def broken(page: Path) -> list[str]:
    found = []
    for link in links(page):
        if EXTERNAL.match(link):
            continue
        name, _, anchor = link.partition("#")
        to = (page.parent / name).resolve() if name else page
        if not to.exists() or not to.is_relative_to(ROOT):
            found.append(f"{link}: no such file")
        elif anchor and (to.suffix != ".md" or anchor not in anchors(to)):
            found.append(f"{link}: no such heading")
    return found


@pytest.mark.parametrize("page", all_pages(), ids=lambda page: page.relative_to(ROOT).as_posix())
def test_every_link_of_a_page_leads_somewhere(page: Path) -> None:
    assert broken(page) == []


def test_what_leads_nowhere_is_found(tmp_path: Path) -> None:
    page = ROOT / "docs/glossary.md"
    assert "the-street" in anchors(page)
    assert "the-sea" not in anchors(page)
    beside = tmp_path / "page.md"
    beside.write_text("# A\n\n[one](gone.md) [two](#b) [three](#a) `[four](gone)`\n```\n# B\n```\n")
    assert [each.partition(":")[0] for each in broken(beside)][:2] == ["gone.md", "#b"]


def test_every_page_can_be_reached_from_the_readme() -> None:
    reached, todo = set(), [README]
    while todo:
        page = todo.pop()
        if page in reached:
            continue
        reached.add(page)
        for link in links(page):
            to = (page.parent / link.partition("#")[0]).resolve()
            if to.suffix == ".md" and to.is_file():
                todo.append(to)
    docs = {page for page in all_pages() if page.is_relative_to(ROOT / "docs")}
    assert {page.relative_to(ROOT).as_posix() for page in docs - reached} == set()
