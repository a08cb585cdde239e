"""The glossary has each word once, and what it says of the code is so."""

import re
from typing import Final

from tests.docs import source
from tests.docs.pages import GLOSSARY, LINK, rows, spans
from tests.docs.test_map import FILE, PLACE, wrong

OURS: Final = "ours, "  # how the source of a word begins that the field has not


def test_each_word_stands_once() -> None:
    words = [word for cells in rows(GLOSSARY) for word in re.split(r", (?![^(]*\))", cells[0])]
    assert len(words) > 150
    assert sorted({word for word in words if words.count(word) > 1}) == []


def test_each_word_has_its_meaning_the_fields_term_and_a_source() -> None:
    for cells in rows(GLOSSARY):
        # a fifth cell says why a word of ours is kept
        assert len(cells) == 4 or (len(cells) == 5 and cells[3].startswith(OURS)), cells
        assert all(cells), cells
        assert cells[3] != "-", cells


def test_a_word_of_ours_names_the_module_that_owns_it() -> None:
    own = [cells for cells in rows(GLOSSARY) if cells[3].startswith(OURS)]
    assert len(own) > 40
    for cells in own:
        module = next(spans(cells[3]), "")
        assert FILE.fullmatch(module), cells
        assert wrong(module) == "", cells
        assert all(target.startswith("decisions/") for target in LINK.findall(cells[3])), cells


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
