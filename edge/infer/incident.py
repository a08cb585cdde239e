"""Suspects an incident between two stations: the upper one jams, the lower one runs empty.

After the California algorithms (Payne and Tignor 1978): difference of the two occupancies, that
difference relative to the upper one, and persistence. One thing is added: at the lower station the
flow must have dropped. Where more arrive than a road carries, the flow below stays as it was.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from edge.core.looptick import LoopTick
from edge.infer.hysteresis import FlagTurn, HysteresisFlag
from edge.infer.observation import PositionObservation, Scores, observe, ticks_by_slot
from edge.infer.sites import ApproachSite, LaneSite

BY: Final = "rule incident"
POSITION: Final = "corridor"  # signals empty and fill roads without any incident
STALE_S: Final = 300.0  # after so long without one of the stations nothing is known
TAU_S: Final = 60.0  # of occupancies and of the flow
USUAL_S: Final = 900.0  # of the flow that it is compared with
VALUES: Final = ("upper", "lower", "flow", "usual")


@dataclass(frozen=True, slots=True)
class IncidentLimits:
    """When two stations are suspicious, and for how long they must be."""

    difference: float = 0.12  # OCCDF: upper less lower occupancy
    relative: float = 0.5  # OCCRDF: that over the upper one
    flow: float = 0.85  # of its usual flow has the lower station at most
    persist_s: float = 60.0
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

    __slots__ = ("_limits", "age_s", "flag", "high_s", "values")

    def __init__(self, limits: IncidentLimits) -> None:
        self._limits = limits
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
        level = 1.0 if self.high_s >= self._limits.persist_s else 0.5 if self._jams() else 0.0
        return self.flag.step(level, level, dt_s)

    def _suspicious(self, now: Sequence[float], dt_s: float) -> bool:
        fast, slow = (1.0 - math.exp(-dt_s / tau_s) for tau_s in (TAU_S, USUAL_S))
        shares = (fast, fast, fast, 0.0 if self.flag.raised or self.high_s else slow)
        self.values = [
            was + share * (new - was)
            for was, new, share in zip(self.values, now, shares, strict=True)
        ]
        _, _, flow, usual = self.values
        return self._jams() and flow <= self._limits.flow * usual

    def _jams(self) -> bool:
        upper, lower, _, _ = self.values
        difference = upper - lower
        return difference >= self._limits.difference and difference >= self._limits.relative * upper


class Incidents:
    """All pairs of a site. Give it the ticks of every window, and the scores of the loops."""

    def __init__(
        self,
        sites: Iterable[ApproachSite],
        lanes: Iterable[LaneSite],
        limits: IncidentLimits | None = None,
    ) -> None:
        self._lanes = {lane.name: lane for lane in lanes if lane.position == POSITION}
        stations = {lane.approach for lane in self._lanes.values()}
        limits = limits or IncidentLimits()
        self._pairs = {
            (site.name, site.downstream): StationPair(limits)
            for site in sites
            if site.downstream is not None and {site.name, site.downstream} <= stations
        }

    def step(self, ticks: Sequence[LoopTick], scores: Scores) -> list[IncidentVerdict]:
        """What has turned in the slots that ended with a window; `ticks` are in order of time."""
        if not self._pairs:
            return []
        out = []
        for _, dt_s, slot in ticks_by_slot(ticks):
            seen = observe(slot, self._lanes, scores)
            for (upstream, downstream), pair in self._pairs.items():
                upper = seen.get(upstream, {}).get(POSITION)
                lower = seen.get(downstream, {}).get(POSITION)
                turn = pair.step(upper, lower, dt_s)
                if turn:
                    out.append(IncidentVerdict(upstream, downstream, turn, _reason(pair)))
        return out

    def missing(self, gap_s: float) -> None:
        """Nobody watched for `gap_s` seconds: flags stay as they are until it is known anew."""
        for pair in self._pairs.values():
            pair.age_s += gap_s
            if pair.age_s >= STALE_S:
                pair.forget()

    def snapshot(self) -> list[dict[str, object]]:
        """Of each pair what it remembers, JSON-like, 150 bytes: to be kept with each window."""
        return [
            {
                "pair": list(names), "values": list(pair.values), "age_s": pair.age_s,
                "high_s": pair.high_s, "raised": pair.flag.raised, "low_s": pair.flag.low_s,
            }
            for names, pair in self._pairs.items()
        ]  # fmt: skip

    def restore(self, saved: Iterable[Mapping[str, Any]]) -> list[tuple[str, str]]:
        """Take up a snapshot. Gives the pairs whose flags were up and that are gone.

        Raises KeyError, TypeError or ValueError for what is not a snapshot, and takes up nothing.
        """
        known = [_remembered(one) for one in saved]
        for name, values, (age_s, high_s, low_s), raised in known:
            if (pair := self._pairs.get(name)) is not None:
                pair.values, pair.age_s, pair.high_s = values, age_s, high_s
                pair.flag.put(raised, low_s)
        return [name for name, _, _, raised in known if raised and name not in self._pairs]


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
    upper, lower, flow, usual = pair.values
    clause = f"occupancy {round(100 * upper)} % upstream and {round(100 * lower)} % downstream"
    return (
        f"{clause}, {round(100 * flow / usual)} % of the usual flow downstream"
        if usual > 0
        else clause
    )
