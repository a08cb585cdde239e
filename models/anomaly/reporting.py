"""How many alarms the model raises in sound series of one-minute windows: for its manifest."""

from __future__ import annotations

from typing import Any, Final

from models.anomaly import anomalyrunner, cabinetseries, faultscores
from models.anomaly.labelledseries import DAYS, generate_series, sound_weeks

MINUTES: Final = 1440  # a day
SEED: Final = 41  # of cabinets that nothing was trained, tuned or chosen on


def false_alarms(session: Any) -> dict[str, float]:
    """Alarms per series and day after the first day.

    `courses`: a day's course and quiet nights, the hour known. `generated`: noise, waves, counts.
    The others as `cabinetseries` has them. Of seeds that nothing was trained or tuned on.
    """
    groups = {
        "courses": [s for seed in (11, 12) for s in sound_weeks(seed, MINUTES)],
        "generated": [s for seed in range(11, 31) for s in generate_series(seed) if not s.faults],
        "switched loads": list(cabinetseries.switched_loads(SEED, DAYS).series.values()),
        "clean curves": list(cabinetseries.clean_curves(SEED, DAYS).series.values()),
        "lanes": list(cabinetseries.road_lanes(SEED, DAYS).series.values())[::4],
    }
    out = {}
    for name, series in groups.items():
        at = [
            faultscores.alarm_samples(*pair) for pair in anomalyrunner.run_series(session, series)
        ]
        days = sum(len(s.values) / MINUTES - 1 for s in series)
        out[name] = round(sum(int((one >= MINUTES).sum()) for one in at) / days, 3)
    return out
