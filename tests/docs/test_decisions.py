"""Every decision stands in the index, under its own title, and what changes what is told twice."""

import re
from pathlib import Path
from typing import Final

from tests.docs.pages import DECISIONS, HEADING, LINK, rows, text

TITLE: Final = re.compile(r"(?:0*)(\d+)[.:]? +(.*)")
NUMBERED: Final = 5  # cells of a row of the index


def pages() -> dict[int, Path]:
    found = {}
    for page in sorted(DECISIONS.parent.glob("[0-9]*.md")):
        found[int(page.name[:4])] = page
    return found


def index() -> dict[int, list[str]]:
    stated = [cells for cells in rows(DECISIONS) if len(cells) == NUMBERED and cells[0].isdecimal()]
    assert len(stated) == len({cells[0] for cells in stated})
    return {int(cells[0]): cells for cells in stated}


def numbers(cell: str) -> set[int]:
    return {int(each) for each in re.findall(r"\d+", cell)}


def test_every_decision_stands_in_the_index() -> None:
    assert sorted(pages()) == sorted(index())


def test_each_under_its_own_number_and_title() -> None:
    for number, page in pages().items():
        head = TITLE.fullmatch(HEADING.findall(text(page))[0])
        assert head is not None, page
        title, link = index()[number][1][1:].partition("](")[0], LINK.search(index()[number][1])
        assert link is not None
        assert (int(head[1]), head[2], link[1]) == (number, title, page.name)


def test_what_changes_what_is_told_at_both() -> None:
    stated = index()
    changes = {(n, old) for n, cells in stated.items() for old in numbers(cells[4])}
    changed = {(new, n) for n, cells in stated.items() for new in numbers(cells[3])}
    assert changes == changed
    assert all(new > old for new, old in changes)


def test_a_page_that_says_what_it_replaces_is_believed() -> None:
    stated = index()
    seen = 0
    for number, page in pages().items():
        for said in re.findall(r"^Replaces .*?\n\n", text(page), re.MULTILINE | re.DOTALL):
            plain = re.sub(r"\]\([^)]*\)", "]", said)
            named = {int(n) for n in re.findall(r"decisions? (\d+)", plain)}
            seen += 1
            assert named <= numbers(stated[number][4]), (number, said)
    assert seen >= 2
