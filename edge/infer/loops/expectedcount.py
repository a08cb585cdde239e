"""How many vehicles a silent lane should have had, by what somebody else counted meanwhile.

What another lane counts shows what is due here by the share that this lane usually has of it. The
share differs by how dense the traffic is: an overtaking lane carries half by day and nothing by
night. Counts of a silence are learned only when it has ended by itself, with a vehicle: so a lane
that is dead never teaches that it is dead.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from typing import Any, Final, TypeVar

K = TypeVar("K")

# Vehicles a minute of the other: each band between two has a share of its own. In jams lanes are
# used that stand empty else, so the densest band begins where traffic slows down.
DENSE: Final = (0.5, 1.0, 2.0, 4.0, 8.0, 16.0)
BANDS: Final = len(DENSE) + 1
DENSITY_S: Final = 600.0  # over which these are counted
# Below eight a minute nobody needs an overtaking lane. What is believed of one that nothing is
# known of is this part of `prior` there: on simulated nights 160 vehicles pass beside it.
THIN: Final = 1.0 / 6.0
THIN_BANDS: Final = 5
FEWER: Final = 0.8  # of the share in denser traffic is believed, until it is learned
KNOWN: Final = 20.0  # vehicles of the other
FEWER_Z: Final = 3.0  # deviations: so many fewer are not as many
MEMORY: Final = 4000.0  # vehicles of the other that a share remembers: some hours to some days
USUAL_S: Final = 14 * 86_400.0  # how long the longest silences are remembered
MUCH: Final = 1e6


class TrafficDensity:
    """How dense a lane's traffic is lately."""

    __slots__ = ("age_s", "rate")

    def __init__(self) -> None:
        self.rate = self.age_s = 0.0  # vehicles a minute, and over how long they were counted

    def step(self, count: float, length_s: float) -> int:
        """A slot: the band of DENSE in which it lies now."""
        self.age_s = min(DENSITY_S, self.age_s + length_s)
        self.rate += (count * 60.0 - self.rate * length_s) / max(self.age_s, length_s, 1.0)
        return bisect_right(DENSE, self.rate)

    def snapshot(self) -> list[float]:
        """JSON-like."""
        return [five_digits(self.rate), five_digits(self.age_s)]

    def restore(self, saved: Sequence[Any]) -> None:
        """Raises TypeError or ValueError for what is no snapshot."""
        self.rate, self.age_s = check_amounts(saved, 2)


class ExpectedCount:
    """One source of what is due in a lane: a lane beside it or along, the green, or time itself.

    `prior` is the share that is believed before anything was learned. `due` are vehicles since
    the lane fell silent, `passed` what the other counted meanwhile, `most` the largest due of a
    silence that ended by itself lately. A `band` is that of `TrafficDensity`. `known` of the other
    count as much as what was believed before.
    """

    __slots__ = (
        "due",
        "known",
        "memory",
        "most",
        "open",
        "other",
        "own",
        "passed",
        "pending",
        "prior",
    )

    def __init__(self, prior: float, memory: float = MEMORY, known: float = KNOWN) -> None:
        self.prior, self.memory, self.known = prior, memory, known
        self.own, self.other = [0.0] * BANDS, [0.0] * BANDS
        self.pending = [0.0] * BANDS  # of the other, not learned yet
        self.open = False  # something is pending
        self.due = self.passed = self.most = 0.0

    def share(self, band: int) -> float:
        """Of the other's vehicles in such traffic; where little is known, as in denser traffic."""
        share = self.prior
        for i in range(BANDS - 1, band - 1, -1):
            if i < THIN_BANDS:
                share *= FEWER
                if i == THIN_BANDS - 1 and not any(self.other[THIN_BANDS:]):
                    share = THIN * self.prior
            share = (self.own[i] + self.known * share) / (self.other[i] + self.known)
        return share

    def wait(self, count: float, band: int) -> None:
        """A slot in which this lane was silent, and the other counted so many."""
        if count:
            self.pending[band] += count
            self.open = True
            self.passed = min(MUCH, self.passed + count)
            self.due = min(MUCH, self.due + count * self.share(band))

    def learn(self, own: float, count: float, band: int) -> None:
        """A slot in which vehicles came here."""
        self.own[band] += own
        self.other[band] += count
        if self.open:
            self.open = False
            self.other = [a + b for a, b in zip(self.other, self.pending, strict=True)]
            self.pending = [0.0] * BANDS
        if self.other[band] > self.memory:
            self.own[band] *= 0.5
            self.other[band] *= 0.5

    @property
    def lower_bound(self) -> float:
        """What is due at least: a vehicle there is no proof of more than one here."""
        return min(self.due, self.passed)

    @property
    def upper_bound(self) -> float:
        """What may be due at most, where the other has counted few by chance."""
        return self.due * (1.0 + 2.0 * math.sqrt(self.passed + 1.0) / self.passed)

    def limit(self, least: float, times: float) -> float:
        """So much must be due before it is a fault."""
        return max(least, times * self.most)

    def end(self, least: float, times: float, fade: float) -> None:
        """The silence is over. What is usual has faded since the one before, to `fade` of it.

        What was taken for a fault teaches no more than its limit.
        """
        if self.passed:
            due, limit = self.lower_bound, self.limit(least, times)
            if due > limit:
                self.pending = [each * limit / due for each in self.pending]
                due = limit
            self.most = max(self.most * fade, due)
            self.due = self.passed = 0.0
        else:
            self.most *= fade

    def snapshot(self) -> list[float]:
        """JSON-like."""
        rest = (self.due, self.passed, self.most)
        return [five_digits(v) for v in (*self.own, *self.other, *self.pending, *rest)]

    def restore(self, saved: Sequence[Any]) -> None:
        """Raises TypeError or ValueError for what is no snapshot."""
        numbers = check_amounts(saved, 3 * BANDS + 3)
        self.own, self.other = numbers[:BANDS], numbers[BANDS : 2 * BANDS]
        self.pending = numbers[2 * BANDS : 3 * BANDS]
        self.open = any(self.pending)
        self.due, self.passed, self.most = numbers[3 * BANDS :]


class GroupSum:
    """All lanes of a place against all of a place along: a closed lane's traffic passes beside."""

    __slots__ = ("here", "here_open", "there", "there_open")

    def __init__(self) -> None:
        self.here = self.there = 0.0
        self.here_open = self.there_open = 0.0  # of a silence that lasts

    def add(self, here: float, there: float, *, silent: bool) -> None:
        """A slot of both."""
        self.here_open += here
        self.there_open += there
        if silent:
            return
        self.here += self.here_open
        self.there += self.there_open
        self.here_open = self.there_open = 0.0
        if self.there > MEMORY:
            self.here, self.there = self.here / 2.0, self.there / 2.0

    def shortfall(self) -> float | None:
        """Vehicles that are surely missing here in this silence; None: nobody knows.

        Where the lane has never lived here should be as many as there: a lane that was closed
        before anybody watched has its vehicles beside it. Fewer there are a ramp, or what is left
        after one: that shows nothing.
        """
        if not self.there_open:
            return None
        if not self.here or not self.there:
            lack = self.there_open - self.here_open
            if lack < -FEWER_Z * math.sqrt(self.there_open + self.here_open):
                return None
            return lack - math.sqrt(self.there_open)
        expected = self.there_open * self.here / self.there
        return expected * (1.0 - 1.0 / math.sqrt(self.there)) - self.here_open

    def snapshot(self) -> list[float]:
        """JSON-like."""
        return [five_digits(v) for v in (self.here, self.there, self.here_open, self.there_open)]

    def restore(self, saved: Sequence[Any]) -> None:
        """Raises TypeError or ValueError for what is no snapshot."""
        self.here, self.there, self.here_open, self.there_open = check_amounts(saved, 4)


def five_digits(value: float) -> float:
    """Five digits are enough to be kept."""
    return float(f"{value:.5g}")


def check_amounts(values: Sequence[Any], size: int) -> list[float]:
    """So many finite numbers that are not below 0. Raises TypeError or ValueError."""
    out = [float(value) for value in values]
    if len(out) != size or not all(0.0 <= v <= 1e12 for v in out):
        raise ValueError(f"not {size} amounts: {values!r:.80}")
    return out


def check_named_amounts(
    saved: Mapping[str, Any], names: Mapping[K, str], size: int
) -> dict[K, list[float]]:
    """The amounts of all that have been kept, by what they are of. Raises as `check_amounts`."""
    return {key: check_amounts(saved[name], size) for key, name in names.items() if name in saved}
