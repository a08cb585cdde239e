"""The congestion model as a formula: one step for all approaches, state in and out.

Per loop position the occupancy of its lanes (mean, highest or lowest of them) is smoothed with that
position's time constant and compared with that position's threshold. The best position that has
been seen lately speaks for the approach: corridor, then advance, then mid-block, then stop line.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

POSITIONS: Final = ("corridor", "advance", "mid", "stop")  # in the order in which they are trusted
AGGREGATES: Final = ("mean", "highest", "lowest")  # over the healthy lanes of a position
STATE: Final = 2 * len(POSITIONS)  # smoothed occupancy, and seconds since it was seen
NEVER_S: Final = 1e6
STALE_S: Final = 300.0  # after so long without a healthy loop an approach is not judged


@dataclass(frozen=True, slots=True)
class Rule:
    """One position: which aggregate, its time constant, the threshold where p is 0.5, the slope."""

    aggregate: str
    tau_s: float
    threshold: float
    slope: float


def step(
    o: Any, x: Any, present: Any, dt: Any, state: Any, rules: Sequence[Rule]
) -> tuple[Any, ...]:
    """One window of every approach: (p, known, state_out).

    `x` [A, 12] holds mean, highest and lowest occupancy (0..1), four positions each; `present`
    [A, 4] is 1 where a healthy loop spoke; `dt` [A, 1] is the window's length in seconds.
    """
    count = len(POSITIONS)
    parts = o.split(x, [count] * len(AGGREGATES))
    chosen: Any = 0.0
    for i, name in enumerate(AGGREGATES):
        chosen = chosen + parts[i] * o.const([[float(r.aggregate == name) for r in rules]])
    smooth, age = o.split(state, [count, count])
    smooth = o.where(age >= STALE_S, 0.0 * smooth, smooth)  # too old to build on: start anew
    share = 1.0 - o.exp(dt * o.const([[-1.0 / r.tau_s for r in rules]]))
    smooth = smooth + present * share * (chosen - smooth)
    age = o.minimum((age + dt) * (1.0 - present), NEVER_S)
    odds = (smooth - o.const([[r.threshold for r in rules]])) * o.const([[r.slope for r in rules]])
    fresh = o.number(age < STALE_S)
    p: Any = 0.0
    left: Any = 1.0
    for chance, known in zip(
        o.split(o.sigmoid(odds), [1] * count), o.split(fresh, [1] * count), strict=True
    ):
        p = p + left * known * chance
        left = left * (1.0 - known)
    return p, 1.0 - left, o.join([smooth, age])


def start() -> list[float]:
    """The state of an approach of which nothing is known."""
    return [0.0] * len(POSITIONS) + [NEVER_S] * len(POSITIONS)
