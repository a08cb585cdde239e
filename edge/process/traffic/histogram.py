"""Histograms with fixed bins: what can be merged exactly, and what is derived from them.

The values are integers in a step. A record carries only the filled stretch of the counts, from
bin `first` on; bin number `bins` holds everything beyond.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, TypeVar

from msgspec import UNSET

from edge.wire.contract.histogram import Distribution, Histogram, Speeds

Form = TypeVar("Form", bound=Distribution)

PACE_TO_KMH: Final = 3_600_000_000
"""A pace of one nanosecond a metre is this many km/h."""


@dataclass(frozen=True, slots=True)
class Bins:
    """A scale: `count` bins of `width` steps; a step is `1 / per_unit` of the unit."""

    unit: str
    width: int
    count: int
    per_unit: int


SPEED_BINS: Final = Bins("km/h", width=50, count=40, per_unit=10)
LENGTH_BINS: Final = Bins("m", width=50, count=60, per_unit=100)
TIME_BINS: Final = Bins("s", width=500, count=60, per_unit=1000)


class HistogramCounts:
    """The counts of one open window."""

    __slots__ = ("bins", "counts", "estimated", "pace", "total")

    def __init__(self, bins: Bins) -> None:
        self.bins = bins
        self.counts = [0] * (bins.count + 1)
        self.total = 0
        self.pace = 0
        self.estimated = 0  # of all values

    def add(self, value: int, pace: int = 0) -> None:
        """One value in steps, not negative; `pace` is its time for a metre in ns."""
        bins = self.bins
        index = value // bins.width
        self.counts[index if index < bins.count else bins.count] += 1
        self.total += value
        self.pace += pace

    def speeds(self) -> Speeds:
        """What a record says of them, when they are speeds.

        `mean` is the arithmetic mean over vehicles at one place: the time mean. `harmonic` is the
        harmonic one, from the sum of paces: the space mean, which is what flow is density times.
        """
        bins, n, pace = self.bins, sum(self.counts), self.pace
        first, filled = self._filled()
        return Speeds(
            unit="km/h",
            width=_plain(bins.width / bins.per_unit),
            bins=bins.count,
            first=first,
            counts=filled,
            n=n,
            step=1 / bins.per_unit,
            sum=self.total,
            mean=self._mean(n),
            isum=pace,
            harmonic=round(n * PACE_TO_KMH / pace, 2) if pace else None,
            p15=percentile(bins, self.counts, 15),
            p50=percentile(bins, self.counts, 50),
            p85=percentile(bins, self.counts, 85),
            estimated=self.estimated or UNSET,
        )

    def form(self, kind: type[Form]) -> Form:
        """The same of anything else. All but counts and sums is derived, so equal sums are equal
        bytes."""
        bins, n = self.bins, sum(self.counts)
        first, filled = self._filled()
        return kind(
            unit=bins.unit,
            width=_plain(bins.width / bins.per_unit),
            bins=bins.count,
            first=first,
            counts=filled,
            n=n,
            step=1 / bins.per_unit,
            sum=self.total,
            mean=self._mean(n),
            p15=percentile(bins, self.counts, 15),
            p50=percentile(bins, self.counts, 50),
            p85=percentile(bins, self.counts, 85),
        )

    def clear(self) -> None:
        """Begin again."""
        self.counts = [0] * (self.bins.count + 1)
        self.total = self.pace = self.estimated = 0

    def _filled(self) -> tuple[int, list[int]]:
        """The first bin that is filled, and the counts from there to the last."""
        filled = [index for index, each in enumerate(self.counts) if each]
        return (filled[0], self.counts[filled[0] : filled[-1] + 1]) if filled else (0, [])

    def _mean(self, n: int) -> float | None:
        return round(self.total / (n * self.bins.per_unit), 2) if n else None


def percentile(bins: Bins, counts: Sequence[int], percent: int) -> float | None:
    """By interpolation within a bin, in the unit; beyond the last bin it is the last bin's end."""
    rank = sum(counts) * percent  # in hundredths of a value
    if not rank:
        return None
    below = 0
    for index, each in enumerate(counts[: bins.count]):
        if each and 100 * (below + each) >= rank:
            part = (rank - 100 * below) / (100 * each)
            return round((index + part) * bins.width / bins.per_unit, 2)
        below += each
    return _plain(bins.count * bins.width / bins.per_unit)


def summed(bins: Bins, parts: Iterable[Histogram]) -> HistogramCounts:
    """The counts of histograms of this scale as one. Raises ValueError for another scale."""
    whole = HistogramCounts(bins)
    for each in parts:
        if each.unit != bins.unit or each.bins != bins.count:
            raise ValueError(f"not a histogram of {bins.unit} with {bins.count} bins")
        for index, filled in enumerate(each.counts, each.first):
            whole.counts[index] += filled
        whole.total += each.sum
        if isinstance(each, Speeds):
            whole.pace += each.isum
            whole.estimated += each.estimated or 0
    return whole


def _plain(value: float) -> float:
    return int(value) if value == int(value) else value
