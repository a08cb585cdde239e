"""A name in any script: what is kept of it, what is refused, and how it stands beside an id."""

import re
import unicodedata

import pytest

from edge.core.displayname import DISPLAY_NAME_LIMIT, check_display_name, with_name


@pytest.mark.parametrize(
    "name",
    [
        "Ampel Süd 3 / شارع", "Nordstraße, Spur 1", "交差点 1", "ถนนใหญ่", "улица 3", "הרחוב", "7",
        "सड़क", "خیابان می\u200cرود", "ක්\u200dරම", "Đường Lê Lợi", "B 96 (alt)",
        "x" * DISPLAY_NAME_LIMIT,
    ],
)  # fmt: skip
def test_a_name_of_any_script_is_kept(name: str) -> None:
    assert check_display_name(name) == unicodedata.normalize("NFC", name)


def test_two_spellings_of_a_letter_are_one_name() -> None:
    assert check_display_name("Su\u0308d") == "Süd" == check_display_name("Süd")


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("a\x1b[2Jb", "character 2 is U+001B (a control character)"),
        ("a\nb", "character 2 is U+000A"),
        ("abc\u202edef", "character 4 is U+202E (right-to-left override), which cannot be seen"),
        ("می\u200cرود\u202e", "U+202E (right-to-left override)"),
        ("a\u200cb", "character 2 is U+200C (zero width non-joiner)"),
        ("\u2067abc", "U+2067 (right-to-left isolate)"),
        ("a\u200bb", "U+200B (zero width space)"),
        ("a\u2028b", "U+2028 (line separator)"),
        ("a\u00a0b", "U+00A0 (no-break space)"),
        ("a\u3164b", "U+3164 (hangul filler)"),
        ("\ud800", "U+D800"),
        ("e\u0301\u0302\u0303\u0304", "too many accents"),
        ("", "no letter or digit"),
        ("...", "no letter or digit"),
        ("   ", "no letter or digit"),
        (" north", "blanks at its ends"),
        ("north ", "blanks at its ends"),
        ("north  1", "two together"),
        ("x" * (DISPLAY_NAME_LIMIT + 1), "65 characters, more than 64"),
    ],
)
def test_what_cannot_be_seen_or_is_no_name_is_refused(name: str, said: str) -> None:
    with pytest.raises(ValueError, match=re.escape(said)):
        check_display_name(name)


def test_a_name_stands_beside_its_id() -> None:
    names = {"north_1": "Nordstraße", "south_1": "south_1", "west": "", "east": 7}
    assert with_name("north_1", names) == "north_1 (Nordstraße)"
    for id_ in ("south_1", "west", "east", "unknown"):
        assert with_name(id_, names) == id_


def test_a_name_from_elsewhere_moves_no_cursor_and_is_not_long() -> None:
    assert with_name("a", {"a": "\x1b[2Jx\n\u202ey"}) == r"a (\x1b[2Jx\n\u202ey)"
    assert len(with_name("a", {"a": "x" * 100_000})) < DISPLAY_NAME_LIMIT + 5
