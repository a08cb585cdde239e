"""How sure a score is: bootstrap intervals over scenarios or series, never over single samples.

What happens within one scenario hangs together, so whole scenarios are drawn again, with repeats.
The same parts, draws and seed give the same interval.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple, TypeVar

import numpy as np

DRAWS: Final = 2000
SEED: Final = 20
LEVEL: Final = 0.95

Part = TypeVar("Part")


class Interval(NamedTuple):
    """The score of all parts, and between what it lies in 95 of 100 draws; NaN: cannot be said."""

    value: float
    low: float
    high: float

    def shown(self, digits: int = 2) -> str:
        """`0.66 (0.55 to 0.74)`, or the score alone."""
        value, low, high = (f"{v:.{digits}f}" for v in self)
        return f"{value} ({low} to {high})" if math.isfinite(self.low + self.high) else value


def bootstrap_interval(
    parts: Sequence[Part],
    score: Callable[[Sequence[Part]], float],
    *,
    draws: int = DRAWS,
    seed: int = SEED,
    level: float = LEVEL,
) -> Interval:
    """Percentile bootstrap of `score` over `parts`: one for each scenario or series.

    Draws whose score is not a number (no event in any of them) are left out. With fewer than two
    parts the limits are NaN: one scenario says nothing of others. Raises ValueError without parts.
    """
    if not parts:
        raise ValueError("nothing was scored")
    value = score(parts)
    if len(parts) < 2:
        return Interval(value, math.nan, math.nan)
    rng = np.random.default_rng(seed)
    drawn = rng.integers(0, len(parts), (draws, len(parts)))
    scores = np.asarray([score([parts[i] for i in row]) for row in drawn])
    scores = scores[np.isfinite(scores)]
    if not len(scores):
        return Interval(value, math.nan, math.nan)
    low, high = np.quantile(scores, [(1 - level) / 2, (1 + level) / 2])
    return Interval(value, float(low), float(high))
