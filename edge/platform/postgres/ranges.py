"""Numbers as PostgreSQL's `int8multirange`: its text, and back. Its ranges end before their end."""

import re
from collections.abc import Iterable, Iterator
from typing import Final

from edge.core.numbers import Range

RANGE: Final = re.compile(r"\[(-?\d+),(-?\d+)\)")


def multirange_of(numbers: Iterable[int]) -> str:
    """`{[1,3),[4,5)}` of 1, 2 and 4."""
    ranges: list[Range] = []
    for number in sorted(numbers):
        if ranges and number <= ranges[-1][1] + 1:
            ranges[-1] = ranges[-1][0], number
        else:
            ranges.append((number, number))
    return "{" + ",".join(f"[{first},{last + 1})" for first, last in ranges) + "}"


def ranges_in(multirange: str) -> list[Range]:
    """First and last of each range, as everywhere else in this program."""
    return [(int(first), int(end) - 1) for first, end in RANGE.findall(multirange)]


def numbers_in(multirange: str) -> Iterator[int]:
    for first, last in ranges_in(multirange):
        yield from range(first, last + 1)
