"""The hour of the day as the anomaly model takes it, and whether it is to be believed."""

from __future__ import annotations

import math
from typing import Final

UNKNOWN_HOUR: Final = -1.0
FORGET_HOURS: Final = -2.0  # what was learnt of the hours was learnt by a wrong clock
STEP_S: Final = 900.0  # a clock that jumps by less has not changed the hour of much
DAY_S: Final = 86400.0
WEEKEND: Final = 24.0


def hour_of(wall_s: float | None) -> float:
    """0..23 on Monday to Friday, 24..47 at weekends, of UTC; -1 when nobody knows."""
    if wall_s is None or not math.isfinite(wall_s):
        return UNKNOWN_HOUR
    days, rest = divmod(wall_s, DAY_S)
    weekend = (int(days) + 3) % 7 >= 5  # 1970 began on a Thursday
    return float(int(rest // 3600)) + (WEEKEND if weekend else 0.0)


class HourOfDay:
    """Notices when the clock steps: then the hours that were learnt are wrong."""

    def __init__(self) -> None:
        self._apart_s: float | None = None  # wall clock less monotonic, when it was last trusted

    def at(self, now_ns: int, wall_s: float | None) -> float:
        """As `hour_of`; -2 once after a step. `wall_s` None: the clock is not trusted."""
        if wall_s is None or not math.isfinite(wall_s):
            return UNKNOWN_HOUR
        apart_s = wall_s - now_ns / 1e9
        before, self._apart_s = self._apart_s, apart_s
        if before is not None and abs(apart_s - before) > STEP_S:
            return FORGET_HOURS
        return hour_of(wall_s)
