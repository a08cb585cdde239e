"""What the lanes of a place carry now, and what they usually do: remembered from slot to slot."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from edge.core.looptick import LoopTick
from edge.infer.observation import BROKEN_SCORE, MIN_OBSERVED, Scores
from edge.infer.sites import LaneSite

NOW_S: Final = 150.0  # of what a lane carries now: longer than a signal's cycle
USUAL_S: Final = 1200.0  # of what it usually does
STALE_S: Final = 300.0  # after so long without a lane nothing is known of it

Place = tuple[str, str]  # approach, position


class LaneReading(NamedTuple):
    """One lane in one slot."""

    occupancy: float
    flow: float  # vehicles a second


@dataclass(slots=True)
class LaneTraffic:
    """A lane: occupancy and flow now, its usual flow, and for how long that has been learnt.

    `silent_s` is for how long no vehicle has left its loop.
    """

    occupancy: float
    flow: float
    usual: float
    learned_s: float = 0.0
    silent_s: float = 0.0
    age_s: float = 0.0  # since it was seen


class PlaceTraffic:
    """The lanes that lie beside each other. Those that were seen in the last slot are `seen`."""

    __slots__ = ("lanes", "seen")

    def __init__(self) -> None:
        self.lanes: dict[str, LaneTraffic] = {}
        self.seen: list[tuple[str, LaneTraffic]] = []

    def step(self, slot: Mapping[str, LaneReading], dt_s: float, *, learn: bool) -> None:
        """One slot. Without `learn` the usual flow stays as it is."""
        self.seen = []
        share = 1.0 - math.exp(-dt_s / NOW_S)
        for name, read in slot.items():
            lane = self.lanes.get(name)
            if lane is None:
                lane = self.lanes[name] = LaneTraffic(read.occupancy, read.flow, read.flow)
            occupancy, flow = read
            lane.age_s = 0.0
            lane.silent_s = 0.0 if flow > 0.0 else lane.silent_s + dt_s
            # The mean of all at first: the first slot of a lane may be all red.
            now = share if lane.learned_s > NOW_S else dt_s / (lane.learned_s + dt_s)
            lane.occupancy += now * (occupancy - lane.occupancy)
            lane.flow += now * (flow - lane.flow)
            if learn or lane.learned_s < NOW_S:
                lane.learned_s += dt_s
                # From what it carries now, so that what begins is not usual for a while.
                lane.usual += dt_s / min(lane.learned_s, USUAL_S) * (lane.flow - lane.usual)
            self.seen.append((name, lane))
        if len(self.seen) < len(self.lanes):
            self.miss(dt_s, slot)

    def miss(self, dt_s: float, slot: Mapping[str, LaneReading] | None = None) -> None:
        """Nobody saw the lanes that are not in `slot`."""
        gone = []
        for name, lane in self.lanes.items():
            if slot is None or name not in slot:
                lane.age_s += dt_s
                if lane.age_s >= STALE_S:
                    gone.append(name)
        for name in gone:
            del self.lanes[name]
        if slot is None:
            self.seen = []

    @property
    def occupancy(self) -> float:
        """Of the lanes that are seen; there must be one."""
        return sum(lane.occupancy for _, lane in self.seen) / len(self.seen)

    def share_of_usual(self, least_s: float) -> float | None:
        """The flow, as a share of the usual one; None before `least_s` of it were learnt."""
        usual = sum(lane.usual for _, lane in self.seen)
        if usual <= 0.0 or any(lane.learned_s < least_s for _, lane in self.seen):
            return None
        return sum(lane.flow for _, lane in self.seen) / usual

    def snapshot(self) -> list[list[Any]]:
        """Of each lane some 45 bytes: times are whole seconds, and no longer than they matter."""
        return [
            [name, one.occupancy, one.flow, one.usual, *(
                round(min(time_s, USUAL_S)) for time_s in (one.learned_s, one.silent_s, one.age_s)
            )]
            for name, one in self.lanes.items()
        ]  # fmt: skip


def restored_lanes(saved: Iterable[Any]) -> dict[str, LaneTraffic]:
    """What `snapshot` gave. Raises TypeError or ValueError for what is none."""
    out = {}
    for name, *numbers in saved:
        values = [float(value) for value in numbers]
        if not all(0.0 <= value < 1e9 for value in values):
            raise ValueError(f"not what a lane remembers: {name} {numbers}")
        out[str(name)] = LaneTraffic(*values)
    return out


def read_lanes(
    ticks: Iterable[LoopTick], lanes: Mapping[str, LaneSite], scores: Scores
) -> dict[Place, dict[str, LaneReading]]:
    """One slot, by place. A lane is its lead loop, or the trail if that is not to be believed."""
    out: dict[Place, dict[str, LaneReading]] = {}
    for tick in ticks:
        site = lanes.get(tick.lane)
        if site is None:
            continue
        seen_ns = tick.seen_ns
        if (
            seen_ns <= MIN_OBSERVED * (tick.to_ns - tick.from_ns)
            or scores.get((tick.lane, tick.part), 0.0) >= BROKEN_SCORE
        ):
            continue
        here = out.setdefault((site.approach, site.position), {})
        if tick.part == "lead" or tick.lane not in here:
            count = len(tick.stays) + tick.stays_left_out
            here[tick.lane] = LaneReading(min(1.0, tick.on_ns / seen_ns), count / (seen_ns / 1e9))
    return out
