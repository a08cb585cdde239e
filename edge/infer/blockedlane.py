"""Suspects something in the way on an approach with signals: in one lane, or in all of them.

A red light stops all lanes alike, and a queue is densest at the stop line. So two things are no
signal's doing:

- One lane has lost its vehicles, and the lanes beside it carry them: they drive around something.
- Vehicles stand at one place, and the places after it are empty: a queue that does not begin at
  the signal. Beyond the signal, that is at the next approach, the flow must have dropped, too.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from edge.infer.hysteresis import FlagTurn, HysteresisFlag
from edge.infer.lanetraffic import (
    NOW_S,
    STALE_S,
    LaneTraffic,
    PlaceTraffic,
    restored_lanes,
)
from edge.infer.sites import LaneSite

OVER: Final = "vehicles pass in all lanes, and wait at the signal only"
ORDER: Final = ("mid", "advance", "stop")  # as vehicles pass them
DOUBT: Final = 0.3  # of what raises the flag keeps it up
LASTING_S: Final = 7200.0  # what lasts longer than this is how the road is now
LONG_S: Final = 10_000.0  # as good as any longer time


def at_signal(lane: LaneSite) -> bool:
    """Whether the lane is one of those that are compared: where all lanes have the same traffic."""
    return lane.position in ORDER and lane.mode != "pulse" and lane.role not in ("bus", "bicycle")


@dataclass(frozen=True, slots=True)
class BlockageLimits:
    """When an approach with signals is suspicious, and for how long it must be."""

    lost: float = 4.5  # standard deviations that a lane's share of the vehicles is below its usual
    share: float = 0.55  # of its usual share, and of its usual flow, has such a lane at most
    alive_s: float = 90.0  # it has seen a vehicle since then: its loop is not dead; or else
    moved: float = 0.4  # of what it lost, the lanes beside carry at least
    growth: float = 2.0  # times their usual flow, all lanes carry at most: else all is new there
    stands: float = 0.65  # occupancy at and above which vehicles stand at a place
    empty: float = 0.25  # of that occupancy has an empty place after it
    slower: float = 0.85  # of its usual flow has that place at most
    beyond: float = 0.4  # the same, beyond the signal
    free: float = 0.3  # occupancy below which nothing stands beyond the signal
    learned_s: float = 600.0
    persist_s: float = 60.0
    clear_s: float = 180.0
    back: float = 0.75  # of its usual share: the lane is in use again


class Suspicion:
    """A flag, and for how long its cause has been seen."""

    __slots__ = ("age_s", "flag", "high_s", "up_s")

    def __init__(self, clear_s: float) -> None:
        self.flag = HysteresisFlag(1.0, 0.0, clear_s)
        self.age_s = self.high_s = self.up_s = 0.0

    def step(self, level: float | None, persist_s: float, dt_s: float) -> FlagTurn | None:
        """`level` 1: suspicious; 0.5: not over yet; 0: nothing; None: not known."""
        if level is None:
            self.age_s += dt_s
            if self.age_s < STALE_S:
                return None
            self.age_s = self.high_s = self.up_s = 0.0
            return self.flag.drop()
        self.age_s = 0.0
        self.high_s = self.high_s + dt_s if level >= 1.0 else 0.0
        if level >= 1.0 and self.high_s < persist_s:
            level = 0.5
        turn = self.flag.step(level, level, dt_s)
        self.up_s = self.up_s + dt_s if self.flag.raised else 0.0
        return turn


class KeptApproach(NamedTuple):
    """An approach as of the last window."""

    name: str
    places: dict[str, dict[str, LaneTraffic]]
    flags: dict[str, tuple[bool, list[float]]]  # by what is downstream

    @property
    def raised(self) -> list[tuple[str, str]]:
        return [(self.name, down) for down, (raised, _) in self.flags.items() if raised]


def restored_approach(one: Mapping[str, Any]) -> KeptApproach:
    """What `snapshot` gave. Raises KeyError, TypeError or ValueError for what is none."""
    flags = {}
    for downstream, raised, *numbers in one["flags"]:
        times = [float(number) for number in numbers]
        if len(times) != 4 or not all(0.0 <= time < 1e9 for time in times):
            raise ValueError(f"not what an approach remembers: {one}")
        flags[str(downstream)] = bool(raised), times
    places = {str(position): restored_lanes(lanes) for position, lanes in one["places"]}
    return KeptApproach(str(one["approach"]), places, flags)


class SignalApproach:
    """The places of one approach, and the first place of the next one."""

    def __init__(
        self,
        name: str,
        places: Mapping[str, PlaceTraffic],
        after: tuple[str, PlaceTraffic] | None,
        limits: BlockageLimits,
    ) -> None:
        self.name = name
        self._by_position, self._places = places, tuple(places.values())
        self._after, self._limits = after, limits
        self.here = Suspicion(limits.clear_s)
        self.suspicions = {(name, name): self.here}
        if after is not None:
            self.suspicions[name, after[0]] = Suspicion(limits.clear_s)

    @property
    def learns(self) -> bool:
        """Whether what is seen now is usual; what has lasted for hours is."""
        here = self.here
        return not (here.high_s or here.flag.raised) or here.up_s > LASTING_S

    def step(self, dt_s: float) -> list[tuple[tuple[str, str], FlagTurn, str]]:
        """After its places have taken up the slot: what has turned, and what was seen."""
        out = []
        for pair, suspicion in self.suspicions.items():
            level, reason = self._here() if suspicion is self.here else self._beyond()
            turn = suspicion.step(level, self._limits.persist_s, dt_s)
            if turn:
                out.append((pair, turn, "" if level is None else reason or OVER))
        return out

    def _here(self) -> tuple[float | None, str]:
        found = [seen for place in self._places if (seen := _lost_lane(place, self._limits))]
        found += [seen for i in range(len(self._places) - 1) if (seen := self._queue(i))]
        return max(found, key=lambda one: one[0], default=(None, ""))

    def _queue(self, i: int) -> tuple[float, str] | None:
        """Vehicles stand at a place and not at any after it."""
        place, limits = self._places[i], self._limits
        after = [one for one in self._places[i + 1 :] if one.seen]
        if not place.seen or not after:
            return None
        stands = place.occupancy
        highest = max(one.occupancy for one in after)
        if stands < limits.stands or highest > 2 * limits.empty * stands:
            return 0.0, ""
        reason = f"occupancy {_percent(stands)} and after that {_percent(highest)}"
        if highest > limits.empty * stands:
            return 0.5, reason
        flows = [one.share_of_usual(limits.learned_s) for one in after]
        low = all(flow is not None and flow <= limits.slower for flow in flows)
        return 1.0 if low else 0.5, reason

    def _beyond(self) -> tuple[float | None, str]:
        """Vehicles stand before the signal, and hardly any arrive beyond it."""
        assert self._after is not None
        (_, after), limits = self._after, self._limits
        last = next((one for one in reversed(self._places) if one.seen), None)
        if last is None or not after.seen:
            return None, ""
        stands, free = last.occupancy, after.occupancy
        flow = after.share_of_usual(limits.learned_s)
        if flow is None or stands < limits.stands or free > limits.free:
            return 0.0, ""
        reason = (
            f"occupancy {_percent(stands)} upstream and {_percent(free)} downstream, "
            f"{_percent(flow)} of the usual flow downstream"
        )
        return 1.0 if flow <= limits.beyond else 0.5 if flow <= 2 * limits.beyond else 0.0, reason

    def missing(self, gap_s: float) -> None:
        """Nobody watched for `gap_s` seconds."""
        for suspicion in self.suspicions.values():
            suspicion.age_s += gap_s
            if suspicion.age_s >= STALE_S:
                suspicion.high_s = 0.0
        for place in self._places:
            place.miss(gap_s)

    @property
    def raised(self) -> list[tuple[str, str]]:
        """The pairs of approaches whose flag is up."""
        return [pair for pair, one in self.suspicions.items() if one.flag.raised]

    def snapshot(self) -> dict[str, object]:
        return {
            "approach": self.name,
            "places": [[position, one.snapshot()] for position, one in self._by_position.items()],
            "flags": [
                [pair[1], one.flag.raised, *(
                    round(min(time_s, LONG_S))
                    for time_s in (one.flag.low_s, one.high_s, one.age_s, one.up_s)
                )]
                for pair, one in self.suspicions.items()
            ],
        }  # fmt: skip

    def take(self, kept: KeptApproach) -> list[tuple[str, str]]:
        """Go on with what was kept; gives the flags that were up and that nobody judges now."""
        for position, place in self._by_position.items():
            place.lanes = kept.places.get(position, {})
        for (_, downstream), one in self.suspicions.items():
            raised, times = kept.flags.get(downstream, (False, [0.0] * 4))
            low_s, one.high_s, one.age_s, one.up_s = times
            one.flag.put(raised, low_s)
        return [pair for pair in kept.raised if pair not in self.suspicions]


def _lost_lane(place: PlaceTraffic, limits: BlockageLimits) -> tuple[float, str] | None:
    """One lane has lost its vehicles, and those beside it have them."""
    if len(place.seen) < 2:
        return None
    flow = usual = 0.0
    for _, lane in place.seen:
        if lane.learned_s < limits.learned_s:
            return None
        flow += lane.flow
        usual += lane.usual
    if flow <= 0.0 or usual <= 0.0:
        return 0.0, ""
    found = 0.0, ""
    for name, lane in place.seen:
        if lane.usual > 0.0 and lane.flow * usual < limits.back * lane.usual * flow:
            level = _lost(lane, flow, usual, limits)
            if level > found[0]:
                now = _percent(lane.flow / flow)
                found = (
                    level,
                    f"{name} has {now} of the vehicles, usually {_percent(lane.usual / usual)}",
                )
    return found


def _lost(lane: LaneTraffic, flow: float, usual: float, limits: BlockageLimits) -> float:
    beside, beside_usual = flow - lane.flow, usual - lane.usual
    share = lane.usual / usual
    if beside_usual <= 0.0 or flow > limits.growth * usual:
        return 0.0
    # An exponential mean knows as much as one over twice its time constant.
    count = flow * 2 * NOW_S
    sigma = (count * share * (1 - share) + 1.0) ** 0.5
    lost = (share * flow - lane.flow) * 2 * NOW_S / sigma
    clear = (
        lost >= limits.lost
        and lane.flow <= limits.share * min(lane.usual, share * flow)
        and (
            lane.silent_s <= limits.alive_s
            or beside - beside_usual >= limits.moved * (lane.usual - lane.flow)
        )
    )
    return 1.0 if clear else 0.5 if lost >= DOUBT * limits.lost else 0.0


def _percent(share: float) -> str:
    return f"{round(100 * share)} %"
