"""Which UTC day a record belongs to, and what came of each day."""

import json
import re
from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from edge.core import TimeQuality
from edge.platform.receivedranges import TIMED_STREAMS
from edge.platform.receivedrecord import Key, WallTimes

UNKNOWN: Final = "unknown"  # sorts behind every date
DATE: Final = re.compile(r"(\d{4}-\d\d-\d\d)T\d\d:\d\d")


def day_of(wall: WallTimes) -> str:
    """`2026-11-26`. A record that begins before midnight belongs to the day in which it begins.

    A record without a clock belongs to a day only when both its bounds lie within it.
    """
    tq = TimeQuality.parse(wall.tq)
    if tq is None or not tq.is_guessed:
        return _date(wall.start)
    low, high = json.loads(wall.bounds) if wall.bounds is not None else (None, None)
    if low is None or high is None or _date(low) != _date(high):
        return UNKNOWN
    return _date(low)


def _date(text: str) -> str:
    found = DATE.match(text)
    return found.group(1) if found is not None else UNKNOWN


@dataclass(slots=True)
class DayCounts:
    """What came of one gateway and day. `covered` are seconds per stream and source."""

    records: int = 0
    numbers: int = 0  # records, and those that merged records cover
    covered: dict[tuple[str, str], float] = field(default_factory=dict)
    gaps: int = 0
    drops: int = 0
    proved: int = 0
    findings: int = 0

    def add(self, other: "DayCounts", sign: int = 1) -> None:
        """What another one has counted; with `sign` -1 it is taken away."""
        self.records += sign * other.records
        self.numbers += sign * other.numbers
        for place, seconds in other.covered.items():
            self.covered[place] = self.covered.get(place, 0.0) + sign * seconds
        self.gaps += sign * other.gaps
        self.drops += sign * other.drops
        self.proved += sign * other.proved

    def least(self) -> tuple[str, float] | None:
        """The source of which the fewest seconds are covered."""
        if not self.covered:
            return None
        place, seconds = min(self.covered.items(), key=lambda item: (item[1], item[0]))
        return "/".join(place), seconds


class DaysOfGateway:
    """All days of one gateway. Fed in the order of the keys."""

    def __init__(self) -> None:
        self.days: dict[str, DayCounts] = {}
        # per epoch and stream: from which number on it is which day; few, since numbers follow time
        self._marks: dict[tuple[int, str], tuple[list[int], list[str]]] = {}

    def day(self, date: str) -> DayCounts:
        return self.days.setdefault(date, DayCounts())

    def record(self, key: Key, source: str, date: str, sent: Mapping[str, Any], of: int) -> None:
        """One record that stands for `of` numbers."""
        day = self.day(date)
        day.records += 1
        day.numbers += of
        _, epoch, stream, seq = key
        self.mark((epoch, stream), seq, date)
        self._count(day, stream, source, sent)

    def _count(self, day: DayCounts, stream: str, source: str, sent: Mapping[str, Any]) -> None:
        if stream in TIMED_STREAMS:
            place = stream, source
            day.covered[place] = day.covered.get(place, 0.0) + _covered_s(sent)
        elif stream == "event":
            day.gaps += sent.get("event") == "gap"
            day.drops += sent.get("event") == "drop"

    def move(
        self, key: Key, source: str, sent: Mapping[str, Any], of: int, dates: tuple[str, str]
    ) -> None:
        """A record that was counted on the first of these days belongs to the second."""
        old, new = (self.day(date) for date in dates)
        moved = DayCounts(1, of)
        self._count(moved, key[2], source, sent)
        old.add(moved, -1)
        new.add(moved)

    def mark(self, of: tuple[int, str], seq: int, date: str) -> None:
        """From this number on it is this day, until the next mark."""
        numbers, dates = self._marks.setdefault(of, ([], []))
        if not dates or dates[-1] != date:
            numbers.append(seq)
            dates.append(date)

    def of(self, place: Key | None) -> str:
        """The day near a number, also of one that never came: that of the record before it."""
        if place is None:
            return UNKNOWN
        numbers, dates = self._marks.get(place[1:3], ([], []))
        if not dates:
            return UNKNOWN
        return dates[max(0, bisect_right(numbers, place[3]) - 1)]


def _covered_s(sent: Mapping[str, Any]) -> float:
    covered = sent.get("covered_s")
    if isinstance(covered, int | float) and not isinstance(covered, bool):
        return float(covered)
    start, end = sent["mono"]
    return float(end - start) / 1e6
