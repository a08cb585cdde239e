"""The published rule for congestion: what is flagged when no model can be asked. No numpy.

`rule occupancy`: per loop position an aggregate over the healthy lanes, smoothed, over a threshold;
p is logistic around it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from edge.infer.seen import Seen

POSITIONS: Final = ("corridor", "advance", "mid", "stop")  # in the order in which they are trusted
STALE_S: Final = 300.0  # after so long without a healthy loop an approach is not judged
OCCUPANCY: Final = "rule occupancy"


@dataclass(frozen=True, slots=True)
class Threshold:
    """What is smoothed (mean, highest or lowest lane), how long, and where p is one half."""

    aggregate: str
    tau_s: float
    threshold: float
    slope: float


# as tuned by models/congestion/train.py; a test compares them with the bundle's manifest
THRESHOLDS: Final[Mapping[str, Threshold]] = {
    "corridor": Threshold("highest", 20.0, 0.52, 11.9046),
    "advance": Threshold("lowest", 120.0, 0.72, 3.4391),
    "mid": Threshold("lowest", 60.0, 0.68, 3.6414),
    "stop": Threshold("lowest", 120.0, 0.8, 3.0952),
}


class OccupancyRule:
    """One approach. `step` gives p (0..1), or None when no healthy loop spoke for long."""

    __slots__ = ("age_s", "smooth")

    def __init__(self) -> None:
        self.smooth = [0.0] * len(POSITIONS)
        self.age_s = [math.inf] * len(POSITIONS)

    def step(self, seen: Mapping[str, Seen], dt_s: float) -> float | None:
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
