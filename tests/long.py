"""How much of a test is tried: a part of it each time, with `LONG=1` (`make long`) the whole.

What is drawn by chance is drawn from the same seed each time, so a part is the same part: to try it
again finds what a change has broken, and the whole is for before a change goes in. Nothing is left
out altogether; a kind of case that has no room in a part is marked `long` by itself.
"""

import os
from collections.abc import Callable
from typing import Final, TypeVar

import pytest

T = TypeVar("T")
Test = TypeVar("Test", bound=Callable[..., object])

LONG: Final = bool(os.environ.get("LONG"))
PART: Final = 4  # one of so many examples of a property is tried each time


def size(short: T, long: T) -> T:
    """How much to try; a test that asks has the mark `more`."""
    return long if LONG else short


def examples(count: int) -> int:
    """Of a property, for `hypothesis.settings`; it needs no mark."""
    return count if LONG else max(3, count // PART)


def more(test: Test) -> Test:
    """Marks a test that tries more in `make long`: it is run there, too."""
    return pytest.mark.long(test) if LONG else test


def one_in(count: int) -> Callable[[Test], Test]:
    """Of the cases of a test one in so many is tried each time, in `make long` all.

    Which ones: those on the diagonal of a table with so many columns, so that of two parameters
    each value has its turn.
    """
    return pytest.mark.one_in(count)


def is_spared(place: int, count: int) -> bool:
    """Whether the case at this place (from 0) has no turn each time."""
    row, column = divmod(place, count)
    return column != row % count
