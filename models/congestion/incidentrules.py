"""Rules that others published, and the one of 0.2.0: what ours is measured beside.

- California algorithm #7 (Payne and Tignor 1978): the difference of the two occupancies, that
  difference relative to the upper one, and the lower occupancy, in intervals of a minute. For roads
  without signals.
- Standard normal deviate (Dudek, Messer and Nuckles 1974): the occupancy of a place is far above
  its mean of the minutes before, two minutes in a row.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterator, Sequence
from itertools import pairwise
from statistics import fmean, pstdev
from typing import Final, NamedTuple, Protocol

from edge.core.looptick import LoopTick
from edge.infer.blockedlane import ORDER, BlockageLimits
from edge.infer.hysteresis import FlagTurn, HysteresisFlag
from edge.infer.incident import IncidentLimits, Incidents
from edge.infer.observation import Scores, observe, ticks_by_slot
from edge.infer.sites import ApproachSite
from models.congestion.approachrows import lanes_of
from models.congestion.scenarios.simstreet import SimStreet

MINUTE_S: Final = 60.0
ALONG: Final = ("corridor", *ORDER)  # as vehicles pass the places of a link

Place = tuple[str, str]
Alarm = tuple[str, str]  # upstream, downstream: as the event says it


class IncidentRule(Protocol):
    """Gives, for the ticks of a window, the alarms that begin."""

    def step(self, ticks: Sequence[LoopTick], scores: Scores) -> list[Alarm]: ...


class BoxRule:
    """As the gateway does it."""

    def __init__(self, incidents: Incidents) -> None:
        self._incidents = incidents

    def step(self, ticks: Sequence[LoopTick], scores: Scores) -> list[Alarm]:
        turns = self._incidents.step(ticks, scores)
        return [(v.upstream, v.downstream) for v in turns if v.turn == "on"]


def shipped_rule(
    street: SimStreet,
    limits: IncidentLimits | None = None,
    blockage: BlockageLimits | None = None,
) -> BoxRule:
    sites = [ApproachSite(link.name, link.downstream, link.distance_m) for link in street.links]
    return BoxRule(Incidents(sites, lanes_of(street).values(), limits, blockage))


class PlaceMinute(NamedTuple):
    """A place in a slot."""

    occupancy: float
    flow: float


class _Places:
    """What all places of a street do, slot by slot."""

    def __init__(self, street: SimStreet) -> None:
        self._lanes = lanes_of(street)

    def slots(
        self, ticks: Sequence[LoopTick], scores: Scores
    ) -> Iterator[tuple[float, dict[Place, PlaceMinute]]]:
        for _, dt_s, slot in ticks_by_slot(ticks):
            seen = observe(slot, self._lanes, scores)
            yield (
                dt_s,
                {
                    (link, position): PlaceMinute(one.mean, one.flow)
                    for link, here in seen.items()
                    for position, one in here.items()
                },
            )


def sections(street: SimStreet) -> list[tuple[Place, Place]]:
    """Places that follow each other, within a link and from one to the next."""
    at = {
        link.name: [
            (link.name, position)
            for position in ALONG
            if any(loop.link == link.name and loop.position == position for loop in street.loops)
        ]
        for link in street.links
    }
    out = [pair for places in at.values() for pair in pairwise(places)]
    for link in street.links:
        if at[link.name] and (after := at.get(link.downstream or "")):
            out.append((at[link.name][-1], after[0]))
    return out


class FormerRule:
    """The rule of 0.2.0, between two stations of a road without signals."""

    def __init__(self, street: SimStreet) -> None:
        self._places = _Places(street)
        self._pairs = {
            (a[0], b[0]): _FormerPair() for a, b in sections(street) if a[1] == b[1] == "corridor"
        }

    def step(self, ticks: Sequence[LoopTick], scores: Scores) -> list[Alarm]:
        out = []
        for dt_s, seen in self._places.slots(ticks, scores):
            for (up, down), pair in self._pairs.items():
                upper, lower = seen.get((up, "corridor")), seen.get((down, "corridor"))
                if upper and lower and pair.step(upper, lower, dt_s) == "on":
                    out.append((up, down))
        return out


class _FormerPair:
    """Occupancies and flow smoothed over a minute, the usual flow over a quarter of an hour."""

    def __init__(self) -> None:
        self._flag = HysteresisFlag(1.0, 0.0, 120.0)
        self._values: list[float] = []
        self._high_s = 0.0

    def step(self, upper: PlaceMinute, lower: PlaceMinute, dt_s: float) -> FlagTurn | None:
        now = (upper.occupancy, lower.occupancy, lower.flow, lower.flow)
        values = self._values or list(now)
        fast, slow = (1.0 - math.exp(-dt_s / tau_s) for tau_s in (60.0, 900.0))
        shares = (fast, fast, fast, 0.0 if self._flag.raised or self._high_s else slow)
        self._values = [w + s * (n - w) for w, s, n in zip(values, shares, now, strict=True)]
        above, below, flow, usual = self._values
        jams = above - below >= 0.12 and above - below >= 0.5 * above
        self._high_s = self._high_s + dt_s if jams and flow <= 0.85 * usual else 0.0
        level = 1.0 if self._high_s >= 60.0 else 0.5 if jams else 0.0
        return self._flag.step(level, level, dt_s)


class CaliforniaRule:
    """Algorithm #7: two minutes in a row. Thresholds are shares, as chosen on training streets."""

    def __init__(self, street: SimStreet, difference: float, relative: float, lower: float) -> None:
        self._places = _Places(street)
        self._limits = difference, relative, lower
        self._pairs = {(a[0], b[0]): 0 for a, b in sections(street) if a[1] == b[1] == "corridor"}
        self._minute = _Minutes()

    def step(self, ticks: Sequence[LoopTick], scores: Scores) -> list[Alarm]:
        out = []
        for dt_s, seen in self._places.slots(ticks, scores):
            whole = self._minute.add(dt_s, seen)
            for (up, down), state in self._pairs.items() if whole else ():
                above, below = whole.get((up, "corridor")), whole.get((down, "corridor"))
                if above is None or below is None:
                    continue
                difference, relative, lower = self._limits
                steep = above > 0.0 and (above - below) / above >= relative
                begins = steep and above - below >= difference and below <= lower
                # 0: nothing, 1: suspected, 2: told, until the relative difference is gone
                after = 0 if not steep else 2 if state else int(begins)
                if after == 2 and state == 1:
                    out.append((up, down))
                self._pairs[up, down] = after
        return out


class DeviateRule:
    """Standard normal deviate of a place's occupancy, two minutes in a row."""

    def __init__(self, street: SimStreet, deviates: float, minutes: int = 5) -> None:
        self._places = _Places(street)
        self._deviates, self._kept = deviates, minutes
        self._after = {link.name: link.downstream for link in street.links}
        self._known: dict[Place, deque[float]] = {}
        self._high: dict[Place, int] = {}
        self._minute = _Minutes()

    def step(self, ticks: Sequence[LoopTick], scores: Scores) -> list[Alarm]:
        out = []
        for dt_s, seen in self._places.slots(ticks, scores):
            for place, now in (self._minute.add(dt_s, seen) or {}).items():
                known = self._known.setdefault(place, deque(maxlen=self._kept))
                high = False
                if len(known) == self._kept:
                    high = now - fmean(known) >= self._deviates * max(pstdev(known), 0.01)
                self._high[place] = self._high.get(place, 0) + 1 if high else 0
                if self._high[place] == 2:
                    out.append((place[0], self._after.get(place[0]) or place[0]))
                if not high:
                    known.append(now)
        return out


class _Minutes:
    """Means of occupancies over a minute."""

    def __init__(self) -> None:
        self._sums: dict[Place, float] = {}
        self._long_s = 0.0

    def add(self, dt_s: float, seen: dict[Place, PlaceMinute]) -> dict[Place, float]:
        """Those of the minute that ends with this slot; empty when none does."""
        for place, one in seen.items():
            self._sums[place] = self._sums.get(place, 0.0) + one.occupancy * dt_s
        self._long_s += dt_s
        if self._long_s < MINUTE_S - 1e-6:
            return {}
        out = {place: total / self._long_s for place, total in self._sums.items()}
        self._sums, self._long_s = {}, 0.0
        return out
