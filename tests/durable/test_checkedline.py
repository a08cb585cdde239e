"""A line with its checksum is the one that was written, or none."""

import zlib
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.durable.checkedline import add_checksum, remove_checksum

lines = st.text(st.characters(codec="ascii"), max_size=60)


def test_the_text_is_that_of_ever() -> None:
    """Written down anew: `epochs`, `start_history` and `highwater` outlive an update."""
    assert add_checksum("3 2 7 s/gw b") == f"3 2 7 s/gw b {zlib.crc32(b'3 2 7 s/gw b'):08x}"
    assert add_checksum("a") == "a e8b7be43"
    assert add_checksum("a", zlib.crc32(b"s/gw")) == f"a {zlib.crc32(b's/gwa'):08x}"


@given(lines, st.integers(0, (1 << 32) - 1))
def test_a_line_comes_back_and_no_damage_makes_another_one_of_it(line: str, seed: int) -> None:
    text = add_checksum(line, seed)
    assert remove_checksum(text, seed) == line
    damaged = [text[:cut] for cut in range(len(text))]
    for bit in range(7 * len(text)):
        at = bit // 7
        damaged.append(text[:at] + chr(ord(text[at]) ^ 1 << bit % 7) + text[at + 1 :])
    for each in damaged:
        with suppress(ValueError):  # the sum of a sound line may lack zeros, or be in capitals
            assert remove_checksum(each, seed) == line


@given(lines, st.integers(0, (1 << 32) - 1), st.integers(0, (1 << 32) - 1))
def test_nobody_elses_line_is_believed(line: str, mine: int, theirs: int) -> None:
    if mine != theirs:
        with pytest.raises(ValueError):
            remove_checksum(add_checksum(line, theirs), mine)


@pytest.mark.parametrize("text", ["", " ", "a", "a ", "a zz", "a -1", " e8b7be43"])
def test_what_is_no_such_line_is_none(text: str) -> None:
    with pytest.raises(ValueError):
        remove_checksum(text)
