"""The published rule for series: what is flagged when no model can answer. Plain Python, no numpy.

`rule robust z`: a value further than six robust deviations from the mean of the series, or repeated
exactly for far longer than it is used to.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from edge.wire.contract.event import Cause

ROBUST_Z: Final = "rule robust z"
WARMUP_SAMPLES: Final = 30  # samples before the first onset
Z_THRESHOLD: Final = 6.0  # robust deviations
RATE: Final = 0.01
SLOW: Final = 0.05  # how much of the rate is left while something is odd


@dataclass(frozen=True, slots=True)
class Oddity:
    """What a judge of a series says: both 0..1, and why."""

    onset: float
    level: float
    cause: Cause | None


class RobustZRule:
    """One series. Row n depends on rows up to n only."""

    __slots__ = ("count", "last", "level", "longest", "mean", "run", "same", "scale")

    def __init__(self) -> None:
        self.count = self.same = 0  # samples, and those equal to the one before
        self.last = self.mean = self.scale = self.level = 0.0
        self.run, self.longest = 0, 2.0

    def snapshot(self) -> tuple[float, ...]:
        """All that it remembers."""
        return tuple(float(getattr(self, name)) for name in self.__slots__)

    @classmethod
    def restore(cls, kept: Sequence[float]) -> RobustZRule:
        """Back from `snapshot`. Raises ValueError for numbers that it cannot have kept."""
        rule = cls()
        for name, value in zip(cls.__slots__, kept, strict=True):
            setattr(rule, name, value)
        if rule.count < 1 or min(rule.longest, rule.scale, rule.run, rule.same, rule.level) < 0:
            raise ValueError(f"no rule remembers {list(kept)}")
        return rule

    def step(self, value: float | None, quantum: float = 0.0) -> Oddity | None:
        """Judge one sample; None for a missing one, which changes nothing."""
        if value is None or not math.isfinite(value):
            return None
        value = max(-1e30, min(1e30, value))
        self.count += 1
        if self.count == 1:
            self.last = self.mean = value
            return Oddity(0.0, 0.0, None)
        away = value - self.mean
        scale = max(self.scale, 0.3 * quantum, 1e-9)
        z = min(abs(away) / scale / Z_THRESHOLD, 10.0)
        repeats = self.run + 1 if value == self.last else 0
        stuck = repeats / (3.0 * self.longest + 10.0)
        self.same += repeats > 0
        if self.same > 0.9 * self.count:  # what hardly ever moves is not called stuck
            stuck = 0.0
        ratio = max(z, stuck) if self.count > WARMUP_SAMPLES else 0.0
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
        cause: Cause | None = None
        if self.level > 0.05:
            cause = "stuck" if stuck > z else "dropout" if value == 0.0 else "spike"
        return Oddity(onset, self.level, cause)
