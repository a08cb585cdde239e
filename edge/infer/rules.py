"""The published rules: what is flagged when no model can be asked. Plain Python, no numpy.

Congestion (`rule occupancy`): per loop position an aggregate over the healthy lanes, smoothed, over
a threshold; p is logistic around it. Anomaly (`rule robust z`): a value further than six robust
deviations from the mean of the series, or repeated exactly for far longer than it is used to.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

POSITIONS: Final = ("corridor", "advance", "mid", "stop")  # in the order in which they are trusted
STALE_S: Final = 300.0  # after so long without a healthy loop an approach is not judged
OCCUPANCY: Final = "rule occupancy"
ROBUST_Z: Final = "rule robust z"


@dataclass(frozen=True, slots=True)
class Threshold:
    """What is smoothed (mean, highest or lowest lane), how long, and where p is one half."""

    aggregate: str
    tau_s: float
    threshold: float
    slope: float


@dataclass(frozen=True, slots=True)
class Occupancy:
    """One position of one approach in one window, over its healthy lanes; 0..1."""

    mean: float
    highest: float
    lowest: float


# as tuned by models/congestion/train.py; a test compares them with the bundle's manifest
THRESHOLDS: Final[Mapping[str, Threshold]] = {
    "corridor": Threshold("highest", 20.0, 0.48, 12.8967),
    "advance": Threshold("highest", 300.0, 0.54, 11.4637),
    "mid": Threshold("lowest", 300.0, 0.16, 38.6900),
    "stop": Threshold("highest", 30.0, 0.92, 6.7287),
}


class OccupancyRule:
    """One approach. `step` gives p (0..1), or None when no healthy loop spoke for long."""

    __slots__ = ("age_s", "smooth")

    def __init__(self) -> None:
        self.smooth = [0.0] * len(POSITIONS)
        self.age_s = [math.inf] * len(POSITIONS)

    def step(self, seen: Mapping[str, Occupancy], dt_s: float) -> float | None:
        answer: float | None = None
        for i, position in enumerate(POSITIONS):
            rule, now = THRESHOLDS[position], seen.get(position)
            if self.age_s[i] >= STALE_S:
                self.smooth[i] = 0.0
            if now is None:
                self.age_s[i] += dt_s
            else:
                share = 1.0 - math.exp(-dt_s / rule.tau_s)
                self.smooth[i] += share * (getattr(now, rule.aggregate) - self.smooth[i])
                self.age_s[i] = 0.0
            if answer is None and self.age_s[i] < STALE_S:
                odds = rule.slope * (self.smooth[i] - rule.threshold)
                answer = 1.0 / (1.0 + math.exp(-odds))
        return answer


WARM: Final = 30  # samples before the first onset
FAR: Final = 6.0  # robust deviations
RATE: Final = 0.01
SLOW: Final = 0.05  # how much of the rate is left while something is odd


@dataclass(frozen=True, slots=True)
class Odd:
    """What a judge of a series says: both 0..1, and why."""

    onset: float
    level: float
    cause: str | None


class RobustZRule:
    """One series. Row n depends on rows up to n only."""

    __slots__ = ("count", "last", "level", "longest", "mean", "run", "same", "scale")

    def __init__(self) -> None:
        self.count = self.same = 0  # samples, and those equal to the one before
        self.last = self.mean = self.scale = self.level = 0.0
        self.run, self.longest = 0, 2.0

    def kept(self) -> tuple[float, ...]:
        """All that it remembers."""
        return tuple(float(getattr(self, name)) for name in self.__slots__)

    @classmethod
    def revived(cls, kept: Sequence[float]) -> RobustZRule:
        """Back from `kept`. Raises ValueError for numbers that it cannot have kept."""
        rule = cls()
        for name, value in zip(cls.__slots__, kept, strict=True):
            setattr(rule, name, value)
        if rule.count < 1 or min(rule.longest, rule.scale, rule.run, rule.same, rule.level) < 0:
            raise ValueError(f"no rule remembers {list(kept)}")
        return rule

    def step(self, value: float | None, quantum: float = 0.0) -> Odd | None:
        """Judge one sample; None for a missing one, which changes nothing."""
        if value is None or not math.isfinite(value):
            return None
        value = max(-1e30, min(1e30, value))
        self.count += 1
        if self.count == 1:
            self.last = self.mean = value
            return Odd(0.0, 0.0, None)
        away = value - self.mean
        scale = max(self.scale, 0.3 * quantum, 1e-9)
        z = min(abs(away) / scale / FAR, 10.0)
        repeats = self.run + 1 if value == self.last else 0
        stuck = repeats / (3.0 * self.longest + 10.0)
        self.same += repeats > 0
        if self.same > 0.9 * self.count:  # what hardly ever moves is not called stuck
            stuck = 0.0
        ratio = max(z, stuck) if self.count > WARM else 0.0
        onset = ratio**4 / (1.0 + ratio**4)
        self.level = max(onset, 0.9 * self.level + 0.1 * onset)
        pace = SLOW if ratio > 1.0 else 1.0
        rate = max(1.0 / self.count, RATE) * pace
        self.mean += rate * away
        bounded = min(abs(away), 4.0 * scale) if self.count > 10 else abs(away)
        self.scale += rate * (1.25 * bounded - self.scale)
        if not repeats and stuck <= 1.0:
            self.longest = max(self.longest * 0.998, float(self.run))
        self.run, self.last = repeats, value
        cause = None
        if self.level > 0.05:
            cause = "stuck" if stuck > z else "dropout" if value == 0.0 else "spike"
        return Odd(onset, self.level, cause)
