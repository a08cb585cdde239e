"""When a link is congested: from density and speed on the whole link, never from a loop.

The definition is that of the older simulated days. Density and speed are means over the last
minute, or over the last cycle where a signal ends the link. Congested from where density is at
least 28 vehicles/km/lane and speed below 0.6 of the limit, until speed is above 0.7 of it; where a
signal ends the link 0.3 and 0.38. There one thing is added, for short blocks: the mean delay must
be longer than the red, because a queue that one green serves is no congestion.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from models.congestion.scenarios.simstreet import TRUTH_S, Floats, Interval

DENSE: Final = 28.0  # vehicles/km/lane
OPEN: Final = (0.6, 0.7)  # of the free speed: congested below the first, over above the second
SIGNAL: Final = (0.3, 0.38)
MINUTE_S: Final = 60.0


def congestion_speeds(free_ms: float, length_m: float, red_s: float | None) -> tuple[float, float]:
    """Speeds (m/s): congested below the first, over above the second. `red_s` None: no signal."""
    if red_s is None:
        return OPEN[0] * free_ms, OPEN[1] * free_ms
    waited = length_m / (length_m / free_ms + red_s)
    slow = min(SIGNAL[0] * free_ms, waited)
    return slow, slow * SIGNAL[1] / SIGNAL[0]


def smooth_state(
    driven: Floats, metres: Floats, lane_km: float, over_s: float
) -> tuple[Floats, Floats]:
    """Density (vehicles/km/lane) and speed (m/s, nan when empty), means over the last `over_s`.

    `driven` is vehicle-seconds and `metres` vehicle-metres of each TRUTH_S on all lanes.
    """
    count = max(1, round(over_s / TRUTH_S))
    box = np.ones(count)
    driven = np.convolve(driven, box)[: len(driven)]
    metres = np.convolve(metres, box)[: len(metres)]
    seen = np.minimum(np.arange(len(driven)) + 1, count) * TRUTH_S
    speed = np.divide(metres, driven, out=np.full(len(driven), np.nan), where=driven > 0)
    return np.asarray(driven / seen / lane_km), speed


def congested_spans(density: Floats, speed: Floats, slow: float, free: float) -> list[Interval]:
    """Spans of seconds from the end of the moment at which it was known to that of the end."""
    begins: NDArray[np.bool_] = (density >= DENSE) & (speed < slow)
    ends: NDArray[np.bool_] = ~(speed <= free)  # an empty link is over, too
    out: list[Interval] = []
    since: float | None = None
    for i in range(len(density)):
        now = float((i + 1) * TRUTH_S)
        if since is None and begins[i]:
            since = now
        elif since is not None and ends[i]:
            out.append((since, now))
            since = None
    end = float(len(density) * TRUTH_S)
    if since is not None and since < end:
        out.append((since, end))
    return out
