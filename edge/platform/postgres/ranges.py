"""Numbers as PostgreSQL's `int8multirange`: its text, and back. Its ranges end before their end."""

import re
from collections.abc import Iterable, Iterator
from typing import Final

from edge.core.numbers import Range
from edge.platform.ledger import merge_ranges

RANGE: Final = re.compile(r"\[(-?\d+),(-?\d+)\)")


def multirange_of(ranges: Iterable[Range]) -> str:
    """`{[1,3),[4,5)}` of 1, 2 and 4."""
    return "{" + ",".join(f"[{first},{last + 1})" for first, last in merge_ranges(ranges)) + "}"


def ranges_in(multirange: str) -> list[Range]:
    """First and last of each range, as everywhere else in this program."""
    return [(int(first), int(end) - 1) for first, end in RANGE.findall(multirange)]


def numbers_in(multirange: str) -> Iterator[int]:
    for first, last in ranges_in(multirange):
        yield from range(first, last + 1)
