"""Sets of numbers: ranges, so that a year costs no more than a minute; and steps, for the wire."""

from bisect import bisect_left, bisect_right
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

    def add_range(self, first: int, last: int) -> None:
        """All of first..last."""
        left = bisect_left(self._ends, first - 1)  # the first range that reaches to it
        right = bisect_right(self._starts, last + 1)  # the first range that begins beyond it
        if left < right:
            first = min(first, self._starts[left])
            last = max(last, self._ends[right - 1])
        self._starts[left:right] = [first]
        self._ends[left:right] = [last]

    def coarsen(self, most: int) -> None:
        """At most so many ranges: the oldest ones close up, as if what lies between were there."""
        while len(self._starts) > most:
            del self._starts[1], self._ends[0]

    def drop_lowest(self, most: int) -> None:
        """At most so many ranges: the lowest ones go."""
        extra = len(self._starts) - most
        if extra > 0:
            del self._starts[:extra], self._ends[:extra]

    def __contains__(self, number: object) -> bool:
        if not isinstance(number, int):
            return False
        place = bisect_right(self._starts, number)
        return place > 0 and number <= self._ends[place - 1]

    def range_end_after(self, number: int) -> int:
        """The last of the range that the number behind `number` lies in; `number` if in none."""
        place = bisect_right(self._starts, number + 1)
        inside = place > 0 and number < self._ends[place - 1]
        return self._ends[place - 1] if inside else number

    def count(self) -> int:
        """How many ranges there are."""
        return len(self._starts)

    def ranges(self) -> list[Range]:
        """All of them, in order."""
        return list(zip(self._starts, self._ends, strict=True))

    @property
    def first(self) -> int:
        return self._starts[0]

    @property
    def last(self) -> int:
        return self._ends[-1]

    def missing(self, first: int, last: int) -> Iterator[Range]:
        """The ranges between `first` and `last` that have not come."""
        place = max(0, bisect_right(self._starts, first) - 1)
        for at in range(place, len(self._starts)):  # not a copy: of many ranges one is looked at
            if self._starts[at] > last:
                break
            if self._starts[at] > first:
                yield first, self._starts[at] - 1
            first = max(first, self._ends[at] + 1)
        if first <= last:
            yield first, last


def ranges_without(ranges: Iterable[Range], taken: Iterable[Range]) -> list[Range]:
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


def count_in_ranges(ranges: Iterable[Range]) -> int:
    """How many numbers they hold."""
    return sum(last - first + 1 for first, last in ranges)


def format_numbers(ranges: list[Range]) -> str:
    """`3, 7-9` for people; at most six of them."""
    words = [str(a) if a == b else f"{a}-{b}" for a, b in ranges[:6]]
    return ", ".join(words) + (f" and {len(ranges) - 6} more ranges" if len(ranges) > 6 else "")


Step = list[int]  # [first, last, step]: first, first + step, ... last


def encode_steps(numbers: Iterable[int]) -> list[Step]:
    """A set of numbers as steps, always the same: the longest run from the smallest one on."""
    found: list[Step] = []
    for number in sorted(set(numbers)):
        last = found[-1] if found else None
        if last is None:
            found.append([number, number, 1])
        elif last[0] == last[1]:
            last[1], last[2] = number, number - last[0]
        elif number - last[1] == last[2]:
            last[1] = number
        else:
            found.append([number, number, 1])
    return found


def decode_steps(found: object, most: int = 100_000) -> list[int]:
    """The numbers of steps that came from outside. Raises ValueError for what are no steps."""
    numbers: list[int] = []
    if not isinstance(found, list | tuple):
        raise ValueError("steps are no list")
    for each in found:
        match each:
            case [int(first), int(last), int(step)] if (
                1 <= first <= last and step >= 1 and (last - first) % step == 0
            ):
                if len(numbers) + (last - first) // step >= most:
                    raise ValueError(f"more than {most} numbers")
                numbers.extend(range(first, last + 1, step))
            case _:
                raise ValueError(f"{each!r:.60} is no [first, last, step]")
    return numbers
