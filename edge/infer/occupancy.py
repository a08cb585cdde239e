"""The published rule for congestion: what is flagged when no model can be asked. No numpy.

`rule occupancy`: per loop position an aggregate over the healthy lanes, smoothed, over a threshold;
p is logistic around it, and the position that is surest speaks: what stands on one loop of a link
is congestion whatever the others see. The threshold follows what is usual at the site, within
BOUND: the level that busy traffic without a flag seldom exceeds.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from edge.infer.observation import POSITIONS, PositionObservation

STALE_S: Final = 300.0  # after so long without a healthy loop an approach is not judged
OCCUPANCY: Final = "rule occupancy"

# how a site's usual level is learned, here and in the model's graph, which takes them from here
HIGH: Final = 0.95  # of the slots with traffic and without a flag
TRAFFIC: Final = 0.02  # occupancy below which there is none to learn from
OFF_ODDS: Final = -0.619  # where a flag goes off: from what is above nothing is learned
QUICK: Final = 0.02  # of occupancy: a step at first
SLOW: Final = 0.0002  # and in the end
FAST: Final = 60.0  # slots after which it learns half as fast
SLOT_S: Final = 30.0
BOUND: Final = 0.15  # of occupancy: a threshold moves by no more
CEILING: Final = 0.9  # and no higher than this, which any standing queue exceeds
ODDS_LIMIT: Final = 1e5  # slots that are counted


@dataclass(frozen=True, slots=True)
class Threshold:
    """What is smoothed (mean, highest or lowest lane), how long, and where p is one half.

    The threshold is that of a site whose usual level is `usual`; of the difference at another site
    it moves by the share `follow`. Where other positions of the approach are known, too, it needs
    `beside` more odds.
    """

    aggregate: str
    tau_s: float
    threshold: float
    slope: float
    usual: float
    follow: float
    beside: float

    def moved(self, usual: float) -> float:
        """Its threshold at a site with this usual level."""
        by = max(-BOUND, min(BOUND, self.follow * (usual - self.usual)))
        return min(CEILING, self.threshold + by)


# as tuned by models/congestion/train.py; a test compares them with the bundle's manifest
THRESHOLDS: Final[Mapping[str, Threshold]] = {
    "corridor": Threshold("highest", 20.0, 0.52, 11.9038, 0.14, 0.35, 0.0),
    "advance": Threshold("lowest", 120.0, 0.72, 3.4389, 0.168, 0.0, 0.2),
    "mid": Threshold("lowest", 120.0, 0.4, 6.19, 0.09, 0.7, 0.0),
    "stop": Threshold("lowest", 120.0, 0.8, 3.095, 0.539, 0.0, 0.6),
}


class OccupancyRule:
    """One approach. `step` gives p (0..1), or None when no healthy loop spoke for long."""

    __slots__ = ("age_s", "learned", "smooth", "usual")

    def __init__(self) -> None:
        self.smooth = [0.0] * len(POSITIONS)
        self.age_s = [math.inf] * len(POSITIONS)
        self.usual = [THRESHOLDS[position].usual for position in POSITIONS]
        self.learned = [0.0] * len(POSITIONS)  # slots

    def step(self, observations: Mapping[str, PositionObservation], dt_s: float) -> float | None:
        odds: dict[str, float] = {}
        for i, position in enumerate(POSITIONS):
            rule, now = THRESHOLDS[position], observations.get(position)
            if self.age_s[i] >= STALE_S:
                self.smooth[i] = 0.0
                if now is None:  # as most sites have it: no loop there
                    self.age_s[i] += dt_s
                    continue
            threshold = rule.moved(self.usual[i])
            if now is None:
                self.age_s[i] += dt_s
            else:
                share = 1.0 - math.exp(-dt_s / rule.tau_s)
                self.smooth[i] += share * (getattr(now, rule.aggregate) - self.smooth[i])
                self.age_s[i] = 0.0
                if TRAFFIC < self.smooth[i] < threshold + OFF_ODDS / rule.slope:
                    self._learn(i, dt_s / SLOT_S)
            if self.age_s[i] < STALE_S:
                odds[position] = rule.slope * (self.smooth[i] - threshold)
        if not odds:
            return None
        if len(odds) > 1:
            odds = {position: odds[position] - THRESHOLDS[position].beside for position in odds}
        return 1.0 / (1.0 + math.exp(-max(odds.values())))

    def restore_usual(self, usual: Sequence[float], learned: Sequence[float]) -> None:
        """What a former process had learned: for each position an occupancy, and slots."""
        self.usual, self.learned = list(usual), list(learned)

    def _learn(self, i: int, slots: float) -> None:
        pace = max(QUICK / (1.0 + self.learned[i] / FAST), SLOW)
        step = slots * pace * (HIGH - (self.smooth[i] < self.usual[i]))
        self.usual[i] = max(0.0, min(1.0, self.usual[i] + step))
        self.learned[i] = min(self.learned[i] + slots, ODDS_LIMIT)
