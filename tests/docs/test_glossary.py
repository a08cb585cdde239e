"""The glossary has each word once, and what it says of the code is so."""

import re

from tests.docs import source
from tests.docs.pages import GLOSSARY, rows, spans
from tests.docs.test_map import FILE, PLACE, wrong


def test_each_word_stands_once() -> None:
    words = [word for cells in rows(GLOSSARY) for word in re.split(r", (?![^(]*\))", cells[0])]
    assert len(words) > 150
    assert sorted({word for word in words if words.count(word) > 1}) == []


def test_each_word_has_its_meaning_and_the_fields_term() -> None:
    for cells in rows(GLOSSARY):
        assert len(cells) == 4, cells
        assert all(cells[:3]), cells


def test_what_it_names_in_the_code_is_there() -> None:
    gone = []
    for cells in rows(GLOSSARY):
        for span in spans(cells[1]):
            if FILE.fullmatch(span) or PLACE.fullmatch(span):
                why = wrong(span)
            else:
                unknown = [w for w in source.WORD.findall(span) if w not in source.words()]
                why = f"unknown: {unknown}" if unknown else ""
            if why:
                gone.append((cells[0], span, why))
    assert gone == []
