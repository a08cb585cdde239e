"""Checks of detectors that agencies publish, as they are published. Plain Python, no state."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

# MnDOT IRIS, detector auto-fail
CHATTER: Final = 37  # vehicles in 30 s: more cannot be
LOCKED_ON_S: Final = 120.0  # mainline
LOCKED_ON_QUEUE_S: Final = 1800.0  # queue, exit and merge lanes
NO_HITS_S: Final = {"corridor": 4 * 3600.0}
NO_HITS_QUEUE_S: Final = 12 * 3600.0  # merge and queue detectors: every loop of a signal here

# Caltrans PeMS daily tests on samples of 30 s (public rebuild by the agency), mainline
MOST_SAMPLES: Final = 1224
FEWEST: Final = 0.6  # of MOST_SAMPLES
CARD_OFF: Final = {"urban": 0.59, "rural": 0.90, "low volume": 1.0}  # share without occupancy
HIGH_OCCUPANCY: Final = 0.7
HIGH_SHARE: Final = 0.2
HANGING_SHARE: Final = 0.02  # occupied, and nobody counted
FLYING_SHARE: Final = 0.5  # counted, and never occupied
CONSTANT: Final = 1e-5  # sum of occupancy steps over 48 samples of 5 min

UNKNOWN: Final = -1.0  # TLS: a speed that cannot be determined


@dataclass(frozen=True, slots=True)
class PemsDay:
    """Counts of a day's samples of 30 s."""

    samples: int
    zero_occ: int
    high_occ: int
    zero_flow_pos_occ: int
    zero_occ_pos_flow: int


def pems_status(day: PemsDay, roads: str = "urban") -> str:
    """What the daily test says: good, no data, insufficient data, card off, high value,
    intermittent.
    """
    if not day.samples:
        return "no data"
    if day.samples < FEWEST * MOST_SAMPLES:
        return "insufficient data"
    if day.zero_occ >= CARD_OFF[roads] * day.samples:
        return "card off"
    if day.high_occ >= HIGH_SHARE * day.samples:
        return "high value"
    if (
        day.zero_flow_pos_occ >= HANGING_SHARE * day.samples
        or day.zero_occ_pos_flow >= FLYING_SHARE * day.samples
    ):
        return "intermittent"
    return "good"


@dataclass(frozen=True, slots=True)
class TlsRecord:
    """Short-time data of one lane: vehicles, trucks, cars and their speeds (UNKNOWN: none).

    `net_gap_s` is the mean time gap, `interval_s` the interval, `occupancy` in per cent, `smooth`
    the smoothed speed and `smooth_before` that of the interval before (None: not known).
    """

    vehicles: float
    trucks: float
    cars: float
    speed: float
    truck_speed: float
    car_speed: float
    net_gap_s: float
    interval_s: float
    occupancy: float
    smooth: float
    smooth_before: float | None = None


def tls_failures(
    r: TlsRecord,
    *,
    arithmetic: bool = True,
    speed_limit: float | None = None,
    occupancy_limit: float | None = None,
) -> list[int]:
    """Which of the eleven logic checks fail (DUA, SE-02.00.00.00.00-AFo-4.0 p. 94).

    Checks 2 to 4 hold for arithmetic means only; 10 needs the interval before, 11 the limits.
    """
    failed = {
        1: r.vehicles == 0 and (r.trucks != 0 or r.cars != 0),
        2: arithmetic and r.vehicles == r.trucks and (r.cars != 0 or r.car_speed != UNKNOWN),
        3: arithmetic and r.trucks == 0 and r.truck_speed != UNKNOWN,
        4: arithmetic and r.cars == 0 and r.car_speed != UNKNOWN,
        5: r.vehicles < r.trucks,
        6: r.vehicles > r.trucks and r.car_speed <= 0,
        7: r.vehicles > 0 and r.speed <= 0,
        8: r.trucks > 0 and r.truck_speed <= 0,
        9: not 0 < r.net_gap_s <= r.interval_s,
        10: r.smooth_before is not None and r.vehicles == 0 and r.smooth != r.smooth_before,
        11: speed_limit is not None
        and occupancy_limit is not None
        and r.speed > speed_limit
        and r.occupancy >= occupancy_limit,
    }
    return [number for number, fails in failed.items() if fails]
