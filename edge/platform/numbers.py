"""Which numbers of a stream have come: ranges, so that a year costs no more than a minute."""

from bisect import bisect_right
from collections.abc import Iterable, Iterator

Range = tuple[int, int]  # both ends belong to it


class Numbers:
    """A set of whole numbers, kept as ranges that do not touch."""

    def __init__(self) -> None:
        self._starts: list[int] = []
        self._ends: list[int] = []

    def add(self, number: int) -> bool:
        """Whether it is new."""
        place = bisect_right(self._starts, number)
        if place and number <= self._ends[place - 1]:
            return False
        joins_left = place > 0 and self._ends[place - 1] == number - 1
        joins_right = place < len(self._starts) and self._starts[place] == number + 1
        if joins_left and joins_right:
            self._ends[place - 1] = self._ends.pop(place)
            self._starts.pop(place)
        elif joins_left:
            self._ends[place - 1] = number
        elif joins_right:
            self._starts[place] = number
        else:
            self._starts.insert(place, number)
            self._ends.insert(place, number)
        return True

    @property
    def first(self) -> int:
        return self._starts[0]

    @property
    def last(self) -> int:
        return self._ends[-1]

    def missing(self, first: int, last: int) -> Iterator[Range]:
        """The ranges between `first` and `last` that have not come."""
        place = max(0, bisect_right(self._starts, first) - 1)
        for start, end in zip(self._starts[place:], self._ends[place:], strict=True):
            if start > last:
                break
            if start > first:
                yield first, start - 1
            first = max(first, end + 1)
        if first <= last:
            yield first, last


def without(ranges: Iterable[Range], taken: Iterable[Range]) -> list[Range]:
    """What is left of `ranges` outside of `taken`."""
    left = list(ranges)
    for first, last in taken:
        cut: list[Range] = []
        for start, end in left:
            if end < first or last < start:
                cut.append((start, end))
                continue
            if start < first:
                cut.append((start, first - 1))
            if end > last:
                cut.append((last + 1, end))
        left = cut
    return left


def size(ranges: Iterable[Range]) -> int:
    """How many numbers they hold."""
    return sum(last - first + 1 for first, last in ranges)


def said(ranges: list[Range]) -> str:
    """`3, 7-9` for people; at most six of them."""
    words = [str(a) if a == b else f"{a}-{b}" for a, b in ranges[:6]]
    return ", ".join(words) + (f" and {len(ranges) - 6} more ranges" if len(ranges) > 6 else "")
