"""Which time of a source has come: stretches on the monotonic clock of each boot."""

from bisect import bisect_left
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

SLACK_US: Final = 1000  # a gap event may be rounded

RowPlace = tuple[int, int]  # epoch and number of a record


@dataclass(slots=True)
class Stretch:
    """Records without a gap between them; `head` and `tail` are the first and the last of them."""

    from_us: int
    to_us: int
    head: RowPlace
    tail: RowPlace


class Timeline:
    """One source in one epoch, or in one boot."""

    def __init__(self) -> None:
        self.stretches: list[Stretch] = []

    def add(self, from_us: int, to_us: int, head: RowPlace, tail: RowPlace | None = None) -> bool:
        """False when this time, or a part of it, has come before from another record. Several
        records that follow each other have a `tail`, too."""
        tail = tail or head
        found = self.stretches
        at = bisect_left(found, from_us, key=lambda stretch: stretch.from_us)
        left = found[at - 1] if at else None
        right = found[at] if at < len(found) else None
        if left is not None and left.to_us > from_us:
            return False
        if right is not None and right.from_us < to_us:
            return False
        new = Stretch(from_us, to_us, head, tail)
        if left is not None and left.to_us == from_us:
            left.to_us, left.tail, new = to_us, tail, left
        else:
            found.insert(at, new)
            at += 1
        if right is not None and right.from_us == to_us:
            new.to_us, new.tail = right.to_us, right.tail
            del found[at]
        return True

    def holes(self) -> Iterator[tuple[Stretch, Stretch]]:
        """Neighbours with time between them."""
        yield from zip(self.stretches, self.stretches[1:], strict=False)


def uncovered(from_us: int, to_us: int, gaps: Iterable[tuple[int, int]]) -> int:
    """Microseconds of a hole that no gap event names; rounding is forgiven."""
    left = from_us
    missing = 0
    for start, end in sorted(gaps):
        if end <= left:
            continue
        if start >= to_us:
            break
        missing += max(0, start - left)
        left = max(left, end)
    missing += max(0, to_us - left)
    return missing if missing > SLACK_US else 0
