"""What a lane usually counts in each hour of the week, learned over weeks by a trusted clock."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from edge.infer.hourofday import STEP_S
from edge.infer.loops.expectedcount import check_amounts

WEEK: Final = 168
HOUR_S: Final = 3600.0
WATCHED_S: Final = 2700.0  # of an hour: a shorter time tells nothing of it
RATE: Final = 0.25  # of a new week: a month is remembered
WEEKS: Final = 2  # in which an hour must have been seen before anybody is accused by it


class HourMean(NamedTuple):
    """How many vehicles usually come in a slot; `sure`: by more than one week."""

    due: float
    sure: bool


class WeekHours:
    """168 means of UTC. An hour without a vehicle is learned when the silence has ended."""

    __slots__ = ("_apart_s", "_count", "_hour", "_seen_s", "_waiting", "mean", "weeks")

    def __init__(self) -> None:
        self.mean = [0.0] * WEEK  # vehicles
        self.weeks = [0] * WEEK  # seen, up to a few
        self._hour, self._count, self._seen_s = -1, 0.0, 0.0  # the open one
        self._waiting: list[int] = []  # hours without a vehicle, of a silence that lasts
        self._apart_s: float | None = None  # wall clock less monotonic, when it was last trusted

    def step(
        self, now_ns: int, wall_s: float | None, count: float, seen_s: float
    ) -> HourMean | None:
        """A slot that ended at `now_ns`: what is usually due in it; None: nobody knows.

        `wall_s` None: the clock is not trusted. When it has stepped, what was learned by it is
        of wrong hours, and is forgotten.
        """
        if wall_s is None or not 0.0 <= wall_s < 1e11:
            self._leave()
            return None
        apart_s = wall_s - now_ns / 1e9
        before, self._apart_s = self._apart_s, apart_s
        if before is not None and abs(apart_s - before) > STEP_S:
            self._forget()
        hour = int(wall_s // HOUR_S + 72) % WEEK  # 1970 began on a Thursday
        if hour != self._hour:
            self._close()
            self._hour, self._count, self._seen_s = hour, 0.0, 0.0
        self._count += count
        self._seen_s += seen_s
        if not self.weeks[hour]:
            return None
        return HourMean(self.mean[hour] * seen_s / HOUR_S, self.weeks[hour] >= WEEKS)

    def end(self, *, by_itself: bool) -> None:
        """A silence is over; `by_itself`: it was no fault, and its empty hours are usual."""
        if by_itself:
            for hour in self._waiting:
                self._learn(hour, 0.0)
        self._waiting = []

    def _close(self) -> None:
        if self._hour >= 0 and self._seen_s >= WATCHED_S:
            if self._count:
                self._learn(self._hour, self._count * HOUR_S / self._seen_s)
            elif len(self._waiting) < WEEK:
                self._waiting.append(self._hour)

    def _learn(self, hour: int, count: float) -> None:
        self.weeks[hour] = min(self.weeks[hour] + 1, round(1 / RATE))
        self.mean[hour] += (count - self.mean[hour]) / self.weeks[hour]

    def _leave(self) -> None:
        self._hour, self._count, self._seen_s = -1, 0.0, 0.0

    def _forget(self) -> None:
        self._leave()
        self._waiting = []
        self.mean, self.weeks = [0.0] * WEEK, [0] * WEEK

    def snapshot(self) -> list[list[float]]:
        """JSON-like; some 600 bytes."""
        return [[float(f"{v:.3g}") for v in self.mean], [*self.weeks], [*self._waiting]]

    def restore(self, saved: Sequence[Any]) -> None:
        """Raises TypeError or ValueError for what is no snapshot."""
        mean, weeks, waiting = saved
        numbers = check_amounts(mean, WEEK)
        seen = [int(v) for v in check_amounts(weeks, WEEK)]
        empty = [int(hour) for hour in waiting]
        if len(empty) > WEEK or not all(0 <= hour < WEEK for hour in empty):
            raise ValueError(f"not hours of a week: {waiting!r:.80}")
        if max(seen) > round(1 / RATE):
            raise ValueError("not the weeks in which an hour was seen")
        self.mean, self.weeks, self._waiting = numbers, seen, empty
