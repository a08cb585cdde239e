"""The window of a gauge: integers in the point's step about an origin that the record carries.

Good values make the mean. Uncertain ones are counted; the mean is of them only when there was no
good one, and then `grade` says so. Values outside the point's range, and what is no finite number,
are counted as bad. Without any value the mean is null.
"""

from collections.abc import Sequence
from math import gcd
from operator import mul
from typing import Final, NamedTuple, cast

from msgspec import UNSET

from edge.core.point import Point
from edge.core.quality import GOOD, Grade, Quality
from edge.core.reading import Value
from edge.process import qualitycounts
from edge.process.resolution import WIRE_LIMIT, Resolution, resolution_of
from edge.wire.contract.points import Gauge

GRAIN_MOST: Final = 10**3  # steps; a display in whole amperes, where the step is a thousandth
SUM_LIMIT: Final = 2**45
"""Steps beyond this are no measurement (and their sums would leave 64 bits)."""


class GaugeFigure(NamedTuple):
    """What a gauge said in a window. Nothing in it is finer than its `grain`."""

    mean: float
    n: int
    low: float
    high: float
    grain: float


class GaugeWindow:
    """One point in the open window. Nothing of it outlives the window."""

    __slots__ = (
        "_doubt", "_high", "_low", "_max", "_min", "_n", "_origin", "_quality", "_sq", "_step",
        "_sum", "_unit",
    )  # fmt: skip

    def __init__(self, point: Point) -> None:
        self._step = resolution_of(point.step)
        self._unit = point.step
        self._low = max(-SUM_LIMIT, self._step.bound(point.low))
        self._high = min(SUM_LIMIT, self._step.bound(point.high))
        self.clear()

    def clear(self) -> None:
        """The next window begins."""
        self._n = self._sum = self._sq = self._origin = self._min = self._max = 0
        self._doubt = False
        self._quality: qualitycounts.QualityCounts = {}

    def good(self, values: Sequence[Value | None], times: Sequence[int] = ()) -> None:
        """Good values in the order in which they came; when does not matter to a mean."""
        scale = self._step.scale
        try:
            # What is no number raises TypeError, and is looked at one by one.
            steps = [round(value * scale) for value in cast("Sequence[float]", values)]
        except (TypeError, ValueError, OverflowError):
            self._each(values)
            return
        low, high = min(steps), max(steps)
        if low < self._low or high > self._high:
            self._each(values)
            return
        self._add(steps, low, high, doubt=False)
        qualitycounts.add_count(self._quality, qualitycounts.GOOD_WORD, len(steps))

    def other(self, value: Value | None, quality: Quality, at_ns: int, *, late: bool) -> None:
        """One value of any quality. A late one, whose window is closed, is a doubtful one."""
        if quality.grade is Grade.BAD:
            qualitycounts.add_count(self._quality, qualitycounts.quality_word(quality))
        elif late:
            self._doubtful(value, qualitycounts.UNCERTAIN_GAP)
        elif quality == GOOD:
            self.good((value,))
        else:
            self._doubtful(value, qualitycounts.quality_word(quality))

    def missing(self, count: int) -> None:
        """So many values were expected and nothing was heard of them."""
        qualitycounts.add_count(self._quality, qualitycounts.BAD_STALE, count)

    def mark_uncertain(self) -> None:
        """A neighbour contradicts it: what was good in this window is uncertain."""
        if qualitycounts.mark_contradicted(self._quality):
            self._doubt = True

    def figure(self) -> GaugeFigure | None:
        """What its good values say so far; None without any."""
        if not self._n or self._doubt:
            return None
        step, origin = self._step, self._origin
        whole, grain = gcd(origin, self._min, self._max), 1
        while grain < GRAIN_MOST and whole % (10 * grain) == 0:  # of nothing but zeros: anything
            grain *= 10
        mean = step.value(origin) + step.value(self._sum) / self._n
        return GaugeFigure(
            mean, self._n, step.value(self._min), step.value(self._max), step.value(grain)
        )

    def body(self) -> Gauge:
        """What a record says of it."""
        sums = GaugeSums(self._n, self._sum, self._sq, self._origin, self._min, self._max)
        quality = qualitycounts.sum_counts(self._quality, {})
        return gauge_body(self._step, self._unit, sums, quality, doubtful=self._doubt)

    def _each(self, values: Sequence[Value | None]) -> None:
        for value in values:
            steps = self._steps(value)
            if steps is None:
                qualitycounts.add_count(self._quality, qualitycounts.BAD_RANGE)
            else:
                self._add((steps,), steps, steps, doubt=False)
                qualitycounts.add_count(self._quality, qualitycounts.GOOD_WORD)

    def _doubtful(self, value: Value | None, name: str) -> None:
        steps = self._steps(value)
        if steps is None:
            qualitycounts.add_count(self._quality, qualitycounts.BAD_RANGE)
            return
        qualitycounts.add_count(self._quality, name)
        if not self._n or self._doubt:
            self._add((steps,), steps, steps, doubt=True)

    def _steps(self, value: Value | None) -> int | None:
        steps = self._step.whole(value)
        return steps if steps is not None and self._low <= steps <= self._high else None

    def _add(self, steps: Sequence[int], low: int, high: int, *, doubt: bool) -> None:
        if not self._n or self._doubt is not doubt:
            # The first value, or the first good one after doubtful ones: these no longer count.
            self._n = self._sum = self._sq = 0
            self._origin, self._min, self._max, self._doubt = steps[0], low, high, doubt
        origin = self._origin
        offsets = [each - origin for each in steps]
        self._n += len(steps)
        self._sum += sum(offsets)
        self._sq += sum(map(mul, offsets, offsets))
        self._min, self._max = min(low, self._min), max(high, self._max)


class GaugeSums(NamedTuple):
    """Whole steps about `origin`; `sq` is None when it is not known any more."""

    n: int
    total: int
    sq: int | None
    origin: int
    low: int
    high: int


def gauge_body(
    step: Resolution,
    unit: float,
    sums: GaugeSums,
    quality: qualitycounts.QualityCounts,
    *,
    doubtful: bool,
) -> Gauge:
    """The record's form. A `sq` beyond 64 bits is null: better none than a wrong one."""
    n, total, sq, origin, low, high = sums
    return Gauge(
        mean=step.mean(origin * n + total, n) if n else None,
        n=n,
        min=step.value(low) if n else None,
        max=step.value(high) if n else None,
        sum=total,
        sq=sq if sq is not None and sq < WIRE_LIMIT else None,
        origin=origin,
        step=unit,
        quality=quality,
        grade="uncertain" if doubtful else UNSET,
    )


def merge_gauges(a: Gauge, b: Gauge) -> Gauge:
    """Two bodies as one, the earlier first. Good values outweigh uncertain ones, as in a window.

    Associative bit for bit. Raises ValueError when the steps differ.
    """
    if a.step != b.step:
        raise ValueError("two steps in one point")
    step = resolution_of(a.step)
    better, rest = (a, b) if a.n else (b, a)
    counts = rest.n > 0
    if a.n and b.n and a.grade != b.grade:
        better, rest = (b, a) if a.grade else (a, b)
        counts = False
    n, total, sq, origin, low, high = _sums(step, better)
    if counts:
        shift, more = rest.origin - origin, _sums(step, rest)
        if sq is not None and more.sq is not None:
            sq += more.sq + 2 * shift * more.total + more.n * shift * shift
        else:
            sq = None
        n += more.n
        total += more.total + more.n * shift
        low, high = min(low, more.low), max(high, more.high)
    sums = GaugeSums(n, total, sq, origin, low, high)
    quality = qualitycounts.sum_counts(a.quality, b.quality)
    return gauge_body(step, a.step, sums, quality, doubtful=bool(better.grade))


def _sums(step: Resolution, body: Gauge) -> GaugeSums:
    low, high = (step.steps(value) if value is not None else 0 for value in (body.min, body.max))
    return GaugeSums(body.n, body.sum, body.sq, body.origin, low, high)
