"""The checks of a built site find what they are for; what they look at is made here, by hand."""

import json
from pathlib import Path

import pytest

from docs.site.checks import KNOWN, findings, search

WHOLE = '<h1 id="top">A</h1><a href="b/c.html#here">c</a><img src="p.png"><a href="#top">up</a>'
OTHER = '<h1 id="here">C</h1><a href="../a.html">a</a><a href="https://semver.org">elsewhere</a>'


@pytest.fixture
def site(tmp_path: Path) -> Path:
    (tmp_path / "b").mkdir()
    (tmp_path / "a.html").write_text(WHOLE)
    (tmp_path / "b/c.html").write_text(OTHER)
    (tmp_path / "p.png").write_bytes(b"")
    (tmp_path / "searchindex.js").write_text(index(sorted(set(KNOWN.values())), KNOWN))
    return tmp_path


def index(documents: list[str], words: dict[str, str]) -> str:
    terms = {word: documents.index(page) for word, page in words.items()}
    stated = {"docnames": documents, "terms": terms, "titleterms": {}}
    return f"Search.setIndex({json.dumps(stated)})\n"


def test_a_site_that_is_whole_is_left_in_peace(site: Path) -> None:
    assert findings(site) == []


@pytest.mark.parametrize(
    ("page", "says"),
    [
        ('<a href="gone.html">', "d.html: links to gone.html, and there is no such page or file"),
        ('<a href="b/">', "d.html: links to b/, and there is no such page or file"),
        (
            '<a href="b/c.html#no">',
            "d.html: links to b/c.html#no, and that page has no such anchor",
        ),
        ('<a href="#no">', "d.html: links to #no, and that page has no such anchor"),
        ('<img src="gone.png">', "d.html: loads gone.png, and there is no such file"),
        ('<img src="../p.png">', "d.html: loads ../p.png, and there is no such file"),
        ('<script src="https://cdn.example/x.js">', "d.html: loads https://cdn.example/x.js, "),
        ('<script src="//cdn.example/x.js">', "d.html: loads //cdn.example/x.js, from a foreign"),
        ('<link href="https://fonts.example/css">', "d.html: loads https://fonts.example/css, "),
        ("<script>load('https://cdn.example/y.js')</script>", "d.html: loads https://cdn.exampl"),
        ("<style>@import 'https://f.example/a';</style>", "d.html: loads https://f.example/a, fr"),
        ('<p style="background: url(//f.example/b)">', "d.html: loads //f.example/b, from a fore"),
        ('<img srcset="p.png 1x, //f.example/2 2x">', "d.html: loads //f.example/2, from a forei"),
    ],
)
def test_what_is_wrong_with_a_page_is_said_with_page_and_link(
    site: Path, page: str, says: str
) -> None:
    (site / "d.html").write_text(page)
    found = findings(site)
    assert len(found) == 1
    assert found[0].startswith(says)


def test_a_style_sheet_loads_from_no_foreign_host(site: Path) -> None:
    (site / "x.css").write_text("@font-face { src: url('https://f.example/w.woff2'), url(p.png) }")
    assert findings(site) == ["x.css: loads https://f.example/w.woff2, from a foreign host"]


def test_a_search_without_a_known_word_is_no_search(tmp_path: Path) -> None:
    path = tmp_path / "searchindex.js"
    path.write_text(index(["a", "b"], {"canoga": "b"}))
    assert list(search(path, {"canoga": "b"})) == []
    assert list(search(path, {"canoga": "a", "dog": "b"})) == [
        "searchindex.js: a search for canoga does not find a",
        "searchindex.js: a search for dog does not find b",
    ]
    path.write_text('{"docnames": []}')
    assert "is no script" in next(search(path))
    path.unlink()
    assert "is not there" in next(search(path))
