"""Histograms with fixed bins: what can be merged exactly, and what is derived from them.

The values are integers in a step. A record carries only the filled stretch of the counts, from
bin `first` on; bin number `bins` holds everything beyond.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

PACE_TO_KMH: Final = 3_600_000_000
"""A pace of one nanosecond a metre is this many km/h."""


@dataclass(frozen=True, slots=True)
class Bins:
    """A scale: `count` bins of `width` steps; a step is `1 / per_unit` of the unit."""

    unit: str
    width: int
    count: int
    per_unit: int
    paced: bool = False  # carries the sum of paces, for the harmonic (space) mean


SPEED_BINS: Final = Bins("km/h", width=50, count=40, per_unit=10, paced=True)
LENGTH_BINS: Final = Bins("m", width=50, count=60, per_unit=100)
TIME_BINS: Final = Bins("s", width=500, count=60, per_unit=1000)


class HistogramCounts:
    """The counts of one open window."""

    __slots__ = ("bins", "counts", "pace", "total")

    def __init__(self, bins: Bins) -> None:
        self.bins = bins
        self.counts = [0] * (bins.count + 1)
        self.total = 0
        self.pace = 0

    def add(self, value: int, pace: int = 0) -> None:
        """One value in steps, not negative; `pace` is its time for a metre in ns."""
        bins = self.bins
        index = value // bins.width
        self.counts[index if index < bins.count else bins.count] += 1
        self.total += value
        self.pace += pace

    def body(self) -> dict[str, Any]:
        """What a record says of it."""
        return histogram_body(self.bins, self.counts, self.total, self.pace)

    def clear(self) -> None:
        """Begin again."""
        self.counts = [0] * (self.bins.count + 1)
        self.total = self.pace = 0


def histogram_body(bins: Bins, counts: Sequence[int], total: int, pace: int) -> dict[str, Any]:
    """The record's form; all but counts and sums is derived, so equal sums are equal bytes.

    Of speeds, `mean` is the arithmetic mean over vehicles at one place: the time mean. `harmonic`
    is the harmonic one, from the sum of paces: the space mean, which is what flow is density times.
    """
    n = sum(counts)
    filled = [i for i, each in enumerate(counts) if each]
    first = filled[0] if filled else 0
    body: dict[str, Any] = {
        "unit": bins.unit,
        "width": _plain(bins.width / bins.per_unit),
        "bins": bins.count,
        "first": first,
        "counts": list(counts[first : filled[-1] + 1]) if filled else [],
        "n": n,
        "step": 1 / bins.per_unit,
        "sum": total,
        "mean": round(total / (n * bins.per_unit), 2) if n else None,
    }
    if bins.paced:
        body["isum"] = pace
        body["harmonic"] = round(n * PACE_TO_KMH / pace, 2) if pace else None
    for name, percent in (("p15", 15), ("p50", 50), ("p85", 85)):
        body[name] = percentile(bins, counts, percent)
    return body


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


def merge_histograms(bins: Bins, a: Mapping[str, Any], b: Mapping[str, Any]) -> dict[str, Any]:
    """Two bodies of this scale as one. Raises ValueError when one is of another scale."""
    counts = [0] * (bins.count + 1)
    for each in (a, b):
        if each["unit"] != bins.unit or each["bins"] != bins.count:
            raise ValueError(f"not a histogram of {bins.unit} with {bins.count} bins")
        for index, filled in enumerate(each["counts"], each["first"]):
            counts[index] += filled
    pace = a["isum"] + b["isum"] if bins.paced else 0
    return histogram_body(bins, counts, a["sum"] + b["sum"], pace)


def _plain(value: float) -> float:
    return int(value) if value == int(value) else value
