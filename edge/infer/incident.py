"""Suspects incidents: between two stations of a road without signals, and on approaches with them.

Between two stations after the McMaster algorithm (Gall and Hall 1989): the upper one is congested,
the lower one is not, and carries less than a bottleneck lets through. Where more arrive than a road
carries, the lower station is full of vehicles that accelerate: 25 to 45 a minute in each lane.
Approaches with signals are judged by `blockedlane`.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from edge.core.looptick import LoopTick
from edge.infer.blockedlane import (
    ORDER,
    BlockageLimits,
    SignalApproach,
    at_signal,
    restored_approach,
)
from edge.infer.hysteresis import FlagTurn, HysteresisFlag
from edge.infer.lanetraffic import Place, PlaceTraffic, read_lanes
from edge.infer.observation import PositionObservation, Scores, observe, ticks_by_slot
from edge.infer.sites import ApproachSite, LaneSite

BY: Final = "rule incident"
POSITION: Final = "corridor"
STALE_S: Final = 300.0  # after so long without one of the stations nothing is known
TAU_S: Final = 90.0  # of occupancies and of the flow
USUAL_S: Final = 900.0  # of the flow that is called usual
OVER: Final = 1.4  # times the limit: the lower station carries again what a bottleneck lets through
VALUES: Final = ("upper", "lower", "flow", "usual")


@dataclass(frozen=True, slots=True)
class IncidentLimits:
    """When two stations are suspicious, and for how long they must be."""

    congested: float = 0.3  # occupancy of the upper station at least
    relative: float = 0.5  # the lower one's is less by so much of it at least
    flow: float = 16 / 60  # vehicles a second at the lower station at most, for each lane of the
    # station that has fewer: those are what a bottleneck has
    persist_s: float = 90.0
    clear_s: float = 120.0


@dataclass(frozen=True, slots=True)
class IncidentVerdict:
    """The flag of a pair of stations has turned; `reason` says in words what was seen."""

    upstream: str
    downstream: str
    turn: FlagTurn
    reason: str
    by: str = BY


class StationPair:
    """Two stations, one after the other."""

    __slots__ = ("_limits", "age_s", "flag", "flow_limit", "high_s", "values")

    def __init__(self, limits: IncidentLimits, upper_lanes: int = 1, lower_lanes: int = 1) -> None:
        self._limits = limits
        self.flow_limit = limits.flow * min(upper_lanes, lower_lanes) / lower_lanes  # a lower lane
        self.flag = HysteresisFlag(1.0, 0.0, limits.clear_s)
        self.forget()

    def forget(self) -> None:
        self.values: list[float] = []
        self.age_s = self.high_s = 0.0

    def step(
        self, upper: PositionObservation | None, lower: PositionObservation | None, dt_s: float
    ) -> FlagTurn | None:
        """One slot of `dt_s` seconds."""
        if upper is None or lower is None:
            self.age_s += dt_s
            if self.age_s < STALE_S:
                return None
            self.forget()
            return self.flag.drop()
        self.age_s = 0.0
        now = (upper.mean, lower.mean, lower.flow, lower.flow)
        if not self.values:
            self.values = list(now)
        suspicious = self._suspicious(now, dt_s)
        self.high_s = self.high_s + dt_s if suspicious else 0.0
        level = 1.0 if self.high_s >= self._limits.persist_s else 0.5 if self._lasts() else 0.0
        return self.flag.step(level, level, dt_s)

    def _suspicious(self, now: Sequence[float], dt_s: float) -> bool:
        fast, slow = (1.0 - math.exp(-dt_s / tau_s) for tau_s in (TAU_S, USUAL_S))
        shares = (fast, fast, fast, 0.0 if self.flag.raised or self.high_s else slow)
        self.values = [
            was + share * (new - was)
            for was, new, share in zip(self.values, now, shares, strict=True)
        ]
        return self._jams() and self.values[2] <= self.flow_limit

    def _lasts(self) -> bool:
        return self._jams() and self.values[2] <= OVER * self.flow_limit

    def _jams(self) -> bool:
        upper, lower, _, _ = self.values
        return upper >= self._limits.congested and upper - lower >= self._limits.relative * upper


class Incidents:
    """All of a site. Give it the ticks of every window, and the scores of the loops."""

    def __init__(
        self,
        sites: Iterable[ApproachSite],
        lanes: Iterable[LaneSite],
        limits: IncidentLimits | None = None,
        blockage: BlockageLimits | None = None,
    ) -> None:
        every, ways = tuple(lanes), tuple(sites)
        self._stations = {lane.name: lane for lane in every if lane.position == POSITION}
        stations = Counter(lane.approach for lane in self._stations.values())
        limits = limits or IncidentLimits()
        self._pairs = {
            (up, down): StationPair(limits, stations[up], stations[down])
            for up, down in ((site.name, site.downstream) for site in ways)
            if down is not None and stations[up] and stations[down]
        }
        self._signals = {lane.name: lane for lane in every if at_signal(lane)}
        self._places: dict[Place, PlaceTraffic] = {}
        self._approaches = _signal_approaches(
            ways, self._signals.values(), self._places, blockage or BlockageLimits()
        )

    def step(self, ticks: Sequence[LoopTick], scores: Scores) -> list[IncidentVerdict]:
        """What has turned in the slots that ended with a window; `ticks` are in order of time."""
        out: list[IncidentVerdict] = []
        if not self._pairs and not self._approaches:
            return out
        for _, dt_s, slot in ticks_by_slot(ticks):
            if self._pairs:
                out += self._between_stations(slot, dt_s, scores)
            if self._approaches:
                out += self._at_signals(slot, dt_s, scores)
        return out

    def _between_stations(
        self, slot: Sequence[LoopTick], dt_s: float, scores: Scores
    ) -> Iterator[IncidentVerdict]:
        seen = observe(slot, self._stations, scores)
        for (upstream, downstream), pair in self._pairs.items():
            upper = seen.get(upstream, {}).get(POSITION)
            lower = seen.get(downstream, {}).get(POSITION)
            turn = pair.step(upper, lower, dt_s)
            if turn:
                yield IncidentVerdict(upstream, downstream, turn, _reason(pair))

    def _at_signals(
        self, slot: Sequence[LoopTick], dt_s: float, scores: Scores
    ) -> Iterator[IncidentVerdict]:
        seen = read_lanes(slot, self._signals, scores)
        for (name, position), place in self._places.items():
            learn = self._approaches[name].learns
            place.step(seen.get((name, position), {}), dt_s, learn=learn)
        for approach in self._approaches.values():
            for (upstream, downstream), turn, reason in approach.step(dt_s):
                yield IncidentVerdict(upstream, downstream, turn, reason)

    def missing(self, gap_s: float) -> None:
        """Nobody watched for `gap_s` seconds: flags stay as they are until it is known anew."""
        for pair in self._pairs.values():
            pair.age_s += gap_s
            if pair.age_s >= STALE_S:
                pair.forget()
        for approach in self._approaches.values():
            approach.missing(gap_s)

    @property
    def raised(self) -> list[tuple[str, str]]:
        """The pairs of approaches whose flag is up."""
        pairs = [pair for pair, one in self._pairs.items() if one.flag.raised]
        return pairs + [pair for each in self._approaches.values() for pair in each.raised]

    def snapshot(self) -> list[dict[str, object]]:
        """What is remembered, JSON-like, to be kept with each window.

        Of each pair of stations 150 bytes, of each approach with signals 60 a lane.
        """
        pairs: list[dict[str, object]] = [
            {
                "pair": list(names), "values": list(pair.values), "age_s": pair.age_s,
                "high_s": pair.high_s, "raised": pair.flag.raised, "low_s": pair.flag.low_s,
            }
            for names, pair in self._pairs.items()
        ]  # fmt: skip
        return pairs + [approach.snapshot() for approach in self._approaches.values()]

    def restore(self, saved: Iterable[Mapping[str, Any]]) -> list[tuple[str, str]]:
        """Take up a snapshot. Gives the pairs whose flags were up and that are gone.

        0.2.0 kept pairs of stations only. Raises KeyError, TypeError or ValueError for what is not
        a snapshot, and takes up nothing.
        """
        every = list(saved)
        known = [_remembered(one) for one in every if "approach" not in one]
        signals = [restored_approach(one) for one in every if "approach" in one]
        gone = []
        for name, values, (age_s, high_s, low_s), raised in known:
            if (pair := self._pairs.get(name)) is not None:
                pair.values, pair.age_s, pair.high_s = values, age_s, high_s
                pair.flag.put(raised, low_s)
            elif raised:
                gone.append(name)
        for kept in signals:
            approach = self._approaches.get(kept.name)
            gone += kept.raised if approach is None else approach.take(kept)
        return gone


def _signal_approaches(
    sites: Sequence[ApproachSite],
    lanes: Iterable[LaneSite],
    places: dict[Place, PlaceTraffic],
    limits: BlockageLimits,
) -> dict[str, SignalApproach]:
    """Those with loops near a signal; their places go into `places`."""
    found = {(lane.approach, lane.position) for lane in lanes}
    names = dict.fromkeys(lane[0] for lane in sorted(found))
    after = {site.name: site.downstream for site in sites}
    for name in names:
        for position in ORDER:
            if (name, position) in found:
                places[name, position] = PlaceTraffic()
    at = {name: {p: places[name, p] for p in ORDER if (name, p) in places} for name in names}
    return {
        name: SignalApproach(
            name,
            at[name],
            (to, next(iter(at[to].values()))) if (to := after.get(name)) in at else None,
            limits,
        )
        for name in names
    }


def _remembered(
    one: Mapping[str, Any],
) -> tuple[tuple[str, str], list[float], tuple[float, float, float], bool]:
    """The pair, its values, three times in seconds, and whether its flag is up."""
    upstream, downstream = (str(name) for name in one["pair"])
    values = [float(value) for value in one["values"]]
    times = float(one["age_s"]), float(one["high_s"]), float(one["low_s"])
    if len(values) not in (0, len(VALUES)) or not all(0.0 <= v < 1e9 for v in (*values, *times)):
        raise ValueError(f"not what a pair remembers: {one}")
    return (upstream, downstream), values, times, bool(one["raised"])


def _reason(pair: StationPair) -> str:
    if not pair.values:
        return ""
    upper, lower, flow, _ = pair.values
    clause = f"occupancy {round(100 * upper)} % upstream and {round(100 * lower)} % downstream"
    return f"{clause}, {round(60 * flow)} vehicles a minute and lane downstream"
