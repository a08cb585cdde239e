"""Who begins at the start page gets to every page: by task first, and with what runs where."""

import re
from pathlib import Path

from docs.site.navigation import navigation
from tests.docs.pages import COMMANDS, ROOT, START, TASKS, all_pages, links, rows, spans, text


def led_to(page: Path) -> list[Path]:
    """The pages that it links to, in their order."""
    found = [(page.parent / link.partition("#")[0]).resolve() for link in links(page)]
    return [to for to in found if to.suffix == ".md" and to.is_file()]


def docs() -> set[Path]:
    return {page for page in all_pages() if page.is_relative_to(ROOT / "docs")}


def names(pages: set[Path]) -> list[str]:
    return sorted(page.relative_to(ROOT).as_posix() for page in pages)


def test_every_page_can_be_reached_from_the_start_page() -> None:
    reached: set[Path] = set()
    todo = [START]
    while todo:
        page = todo.pop()
        if page not in reached and page in docs():  # no way leads round by a page elsewhere
            reached.add(page)
            todo += led_to(page)
    assert names(docs() - reached) == []


def test_pages_by_task_come_before_pages_by_part() -> None:
    ordered = [page for page in led_to(START) if page != COMMANDS and page.name != "README.md"]
    assert ordered[: len(TASKS)] == list(TASKS)
    heads = [section.page for section in navigation().sections]
    assert heads[: len(TASKS)] == [page.relative_to(ROOT).as_posix() for page in TASKS]


def test_the_start_page_says_of_each_command_where_it_runs() -> None:
    stated: dict[str, set[str]] = {}
    for where, runs in (cells for cells in rows(START) if len(cells) == 2):
        for span in spans(runs):
            if verb := re.fullmatch(r"kerbstone ([\w-]+)", span):
                stated.setdefault(verb[1], set()).add(where)
    known: dict[str, set[str]] = {}
    for command, where, *_ in rows(COMMANDS):
        known[command.strip("`").removeprefix("kerbstone ")] = set(where.split(", "))
    assert stated == known


def test_the_navigation_has_every_page_once() -> None:
    files = navigation().files()
    assert sorted({name for name in files if files.count(name) > 1}) == []
    assert [name for name in files if not (ROOT / name).is_file()] == []
    assert names(set(all_pages()) - {ROOT / name for name in files}) == []


def test_pages_hold_nothing_that_only_the_site_understands() -> None:
    """No directive, role or anchor of the generator: a code host would show it as it stands."""
    found = [page for page in all_pages() if re.search(r"^(```\{|:::|\(\w+\)=)", text(page), re.M)]
    assert names(set(found)) == []
