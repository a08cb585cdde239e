"""Vehicles of one lane, one after the other: plausible headways, speeds and lengths, from a seed.

Headways are exponential beyond the shortest that drivers keep; whoever catches up follows at the
speed of the vehicle in front. Shares and lengths are assumptions for a road in a city.
"""

import random
from dataclasses import dataclass
from typing import Final, NamedTuple

from drivers.sim.loops import SimVehicle

LEAST_HEADWAY_S: Final = 1.6
LEAST_GAP_S: Final = 0.7  # a loop is free for so long between two vehicles
SPEED_SPREAD: Final = 0.1
SLOWEST_KMH: Final = 5.0
MOST_PER_HOUR: Final = 2200.0  # more does not pass on one lane
JAM_KMH: Final = (6.0, 16.0)
JAM_PER_HOUR: Final = 900.0
BICYCLE_KMH: Final = 17.0
STANDING_M: Final = 2.0  # between two vehicles in a jam
# share, shortest and longest length in m
VEHICLES: Final = ((0.86, 3.8, 5.1), (0.08, 5.4, 7.2), (0.04, 7.8, 12.0), (0.02, 13.5, 18.0))
BICYCLES: Final = ((1.0, 1.6, 1.9),)
DAY: Final = (  # share of the flow of the busiest hour, hour by hour; an assumption
    0.10, 0.06, 0.05, 0.05, 0.08, 0.22, 0.55, 0.92, 0.95, 0.72, 0.66, 0.70,
    0.74, 0.74, 0.78, 0.90, 1.00, 1.00, 0.84, 0.62, 0.46, 0.36, 0.26, 0.17,
)  # fmt: skip


class LoopLayout(NamedTuple):
    """Where the loops of a lane lie, in metres: from front edge to front edge, and their length."""

    spacing_m: float
    loop_m: float


@dataclass(frozen=True, slots=True)
class Flow:
    """How much passes: vehicles an hour, at the busiest hour of the day if it follows the `day`."""

    per_hour: float = 400.0
    day: bool = False

    def at(self, hour: float) -> float:
        """Vehicles an hour at an hour of the day, such as 7.5."""
        if not self.day:
            return self.per_hour
        first, share = int(hour) % 24, hour % 1
        return self.per_hour * (DAY[first] * (1 - share) + DAY[(first + 1) % 24] * share)


class VehicleStream:
    """Vehicles of one lane. `jammed` and `empty` say how it is now; `next` makes one more."""

    def __init__(
        self, layout: LoopLayout, speed_kmh: float, seed: int, *, bicycles: bool = False
    ) -> None:
        self.layout, self.speed_kmh = layout, BICYCLE_KMH if bicycles else speed_kmh
        self._kinds = BICYCLES if bicycles else VEHICLES
        self._chance = random.Random(seed)
        self.jammed = self.empty = False
        self._before: SimVehicle | None = None

    def next(self, from_s: float, per_hour: float) -> SimVehicle:
        """The next vehicle after `from_s`, when so many an hour come. Its headway is drawn now."""
        length_m = self._length_m()
        before = self._before
        if self.jammed:
            speed_kmh = self._chance.uniform(*JAM_KMH)
            per_hour = JAM_PER_HOUR
        else:
            drawn_kmh = self._chance.gauss(self.speed_kmh, SPEED_SPREAD * self.speed_kmh)
            speed_kmh = max(SLOWEST_KMH, drawn_kmh)
        mean_s = 3600.0 / min(MOST_PER_HOUR, max(per_hour, 1e-6))
        headway_s = LEAST_HEADWAY_S
        if mean_s > LEAST_HEADWAY_S:
            headway_s += self._chance.expovariate(1 / (mean_s - LEAST_HEADWAY_S))
        made = SimVehicle(from_s + headway_s, speed_kmh, length_m)
        if before is not None:
            made = self._behind(before, made)
        self._before = made
        return made

    def _behind(self, before: SimVehicle, made: SimVehicle) -> SimVehicle:
        """It never comes to a loop before the vehicle in front has left it."""
        free_s = before.t_s + self._over_s(before, before.speed_kmh) + LEAST_GAP_S
        if self.jammed:
            free_s += STANDING_M * 3.6 / before.speed_kmh - LEAST_GAP_S
        t_s = max(made.t_s, free_s)
        last_s = free_s + self.layout.spacing_m * 3.6 / before.speed_kmh
        way_s = last_s - t_s  # that it must take from the first loop to the second
        speed_kmh = made.speed_kmh
        if way_s > 0:
            speed_kmh = min(speed_kmh, max(SLOWEST_KMH, self.layout.spacing_m * 3.6 / way_s))
        return SimVehicle(t_s, speed_kmh, made.length_m)

    def _over_s(self, vehicle: SimVehicle, speed_kmh: float) -> float:
        return (vehicle.length_m + self.layout.loop_m) * 3.6 / speed_kmh

    def _length_m(self) -> float:
        drawn = self._chance.random()
        for share, shortest_m, longest_m in self._kinds:
            drawn -= share
            if drawn < 0:
                return self._chance.uniform(shortest_m, longest_m)
        return self._chance.uniform(*self._kinds[0][1:])
