"""The vehicles of a scenario: who comes when to which lane, and what the loops feel of it.

Pure: the same scenario and site give the same vehicles on every layer. Each lane and each table of
traffic has chances of its own, so that another lane beside it changes nothing. Headways are
exponential beyond the shortest that drivers keep; nobody drives into who is in front of him; at a
stop line with a signal traffic waits while it is not green. A `[[vehicle]]` comes exactly when its
scenario says, and traffic makes room for it. Lengths of the kinds are assumptions.
"""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import count
from typing import Final, NamedTuple

from drivers.sim.contactplay import SignalCycle
from drivers.sim.lanetraffic import LONGEST_NS, MOVE_UP_NS, QUEUE_KMH, START_NS
from drivers.sim.traffic import LEAST_GAP_S, LEAST_HEADWAY_S, SLOWEST_KMH, LoopLayout
from edge.config import Lane, Site
from edge.rig.runlog import Driven
from edge.rig.scenario import Scenario, Signal, Traffic, Vehicle

NS: Final = 1_000_000_000
SINGLE_M: Final = 4.0  # a lane with one loop has no distance
FASTEST_KMH: Final = 250.0
STOP_M: Final = 0.2  # it stands with its front so far over the last loop
DRAWBAR_M: Final = (0.6, 1.4)  # longer than the loop by so much: it is felt as two
USUAL_RED_S, USUAL_GREEN_S = 37.0, 30.0
Span = tuple[float, float]
LENGTHS: Final[dict[str, Span]] = {
    "car": (3.6, 5.2),
    "truck": (8.0, 12.0),
    "trailer": (3.6, 5.2),
    "bus": (12.0, 18.0),
    "bicycle": (1.6, 1.9),
}
TRAILERS_M: Final = (2.5, 4.5)
TRUCK_SHARE: Final = 0.1


@dataclass(frozen=True, slots=True)
class Passage:
    """One vehicle: its front reaches the first loop at `t_s`. `length_m` is from front to end, with
    `gap_m` in its middle that no loop feels; it stands on the last loop for `stops_s`.
    """

    lane: str
    t_s: float
    speed_kmh: float
    length_m: float
    gap_m: float = 0.0
    stops_s: float = 0.0


class LoopTimes(NamedTuple):
    """When one vehicle, or one part of it, is over both loops: from, to, in seconds."""

    lead: Span
    trail: Span
    length_m: float


def passages(scenario: Scenario, site: Site, exact: Sequence[Passage] = ()) -> list[Passage]:
    """All vehicles in the order in which they come. `exact` are those of recorded traffic."""
    found: list[Passage] = []
    signals = signals_of(scenario, site)
    given = [passage_of(one) for one in scenario.vehicles]
    for name, lane in site.lanes.items():
        fixed = sorted((p for p in (*given, *exact) if p.lane == name), key=_arrival)
        drawn = sorted(
            (
                passage
                for number, table in enumerate(scenario.traffic)
                if name in table.lanes
                for passage in _drawn(table, name, lane, scenario, number)
            ),
            key=_arrival,
        )
        signal = signals.get(lane.approach) if lane.position == "stop" else None
        found += _in_order(fixed, drawn, lane, signal, scenario.about.duration_s)
    return sorted(found, key=_arrival)


def passage_of(one: Vehicle) -> Passage:
    """Of a vehicle that a scenario names."""
    return Passage(one.lane, one.at_s, one.speed_kmh, one.length_m, one.gap_m, one.stops_s)


def signals_of(scenario: Scenario, site: Site) -> dict[str, Signal]:
    """Approach -> its signal; the usual one where the site has one and the scenario none."""
    shown = sorted({one.phase.approach for one in site.devices.values() if one.phase is not None})
    cycle_s = USUAL_RED_S + USUAL_GREEN_S + 3.0
    usual = {
        name: Signal(
            approach=name, red_s=USUAL_RED_S, green_s=USUAL_GREEN_S,
            offset_s=turn * cycle_s / len(shown),
        )
        for turn, name in enumerate(shown)
    }  # fmt: skip
    return {**usual, **{one.approach: one for one in scenario.signals}}


def cycle_of(signal: Signal) -> SignalCycle:
    """Its colours from the beginning of red on."""
    amber = [("amber", signal.amber_s)] if signal.amber_s else []
    return SignalCycle([("red", signal.red_s), ("green", signal.green_s), *amber])


def layout_of(lane: Lane) -> LoopLayout:
    """Where its loops lie."""
    return LoopLayout(lane.spacing_m or SINGLE_M, lane.loop_m)


def times(passage: Passage, lane: Lane) -> list[LoopTimes]:
    """When it is over the loops: one row, or two of one with a drawbar that is longer than a loop.

    A shorter one is never seen: there is always a part of it over the loop.
    """
    layout, metre_s = layout_of(lane), 3.6 / passage.speed_kmh
    last_m = layout.spacing_m if lane.trail is not None else 0.0
    stop_m = last_m + STOP_M  # where its front is when it stops

    def at(front_m: float) -> float:
        waited_s = passage.stops_s if front_m > stop_m else 0.0
        return passage.t_s + front_m * metre_s + waited_s

    def over(loop_m: float, behind_m: float, length_m: float) -> Span:
        """A part that lies so far behind the front, over the loop that begins there."""
        return at(loop_m + behind_m), at(loop_m + behind_m + length_m + layout.loop_m)

    part_m = (passage.length_m - passage.gap_m) / 2
    parts = [(0.0, part_m), (part_m + passage.gap_m, part_m)]
    if passage.gap_m <= layout.loop_m:
        parts = [(0.0, passage.length_m)]
    return [LoopTimes(over(0.0, *part), over(layout.spacing_m, *part), part[1]) for part in parts]


def driven(passage: Passage, lane: Lane) -> Driven:
    """What was true of it."""
    rows = times(passage, lane)
    off_s = rows[-1].trail[1] if lane.trail is not None else rows[-1].lead[1]
    return Driven(
        lane=passage.lane, on_s=passage.t_s, off_s=off_s, speed_kmh=passage.speed_kmh,
        length_m=passage.length_m - passage.gap_m,
    )  # fmt: skip


def following(before: Passage, made: Passage, lane: Lane) -> Passage:
    """Behind who is in front of it, at its own speed: as late as it has to be."""
    layout, ahead = layout_of(lane), times(before, lane)[-1]
    t_s = max(made.t_s, ahead.lead[1] + LEAST_GAP_S)
    if lane.trail is not None:
        t_s = max(t_s, ahead.trail[1] + LEAST_GAP_S - layout.spacing_m * 3.6 / made.speed_kmh)
    return replace(made, t_s=t_s)


def _drawn(
    table: Traffic, name: str, lane: Lane, scenario: Scenario, number: int
) -> Iterator[Passage]:
    chance = random.Random(f"{scenario.about.seed}/{number}/{name}")
    end_s = scenario.about.duration_s
    until_s = end_s if table.until_s is None else min(table.until_s, end_s)
    mean_s = 3600.0 / table.per_hour
    t_s = table.from_s
    for turn in count():
        if table.arrivals == "even":
            t_s = table.from_s + turn * mean_s
        elif mean_s <= LEAST_HEADWAY_S:
            t_s += mean_s
        else:
            t_s += LEAST_HEADWAY_S + chance.expovariate(1 / (mean_s - LEAST_HEADWAY_S))
        if t_s >= until_s:
            return
        speed_kmh = chance.gauss(table.speed_kmh, table.spread_kmh)
        length_m, gap_m = _length(table.kind, chance, lane.loop_m)
        speed_kmh = min(FASTEST_KMH, max(SLOWEST_KMH, speed_kmh))
        yield Passage(name, t_s, speed_kmh, length_m, gap_m)


def _length(kind: str, chance: random.Random, loop_m: float) -> tuple[float, float]:
    """From front to end, and the drawbar in it."""
    if kind == "mixed":
        kind = "truck" if chance.random() < TRUCK_SHARE else "car"
    length_m = chance.uniform(*LENGTHS[kind])
    if kind != "trailer":
        return length_m, 0.0
    gap_m = loop_m + chance.uniform(*DRAWBAR_M)
    return length_m + gap_m + chance.uniform(*TRAILERS_M), gap_m


def _in_order(
    fixed: Sequence[Passage], drawn: Sequence[Passage], lane: Lane, signal: Signal | None,
    end_s: float,
) -> Iterator[Passage]:  # fmt: skip
    """One behind the other. Traffic that would drive into a fixed one takes another road."""
    coming = [*fixed]
    before: Passage | None = None
    for wanted in drawn:
        while coming and coming[0].t_s <= wanted.t_s:
            before = coming.pop(0)
            yield before
        made = wanted if before is None else _behind(before, wanted, lane)
        if signal is not None:
            made = _waiting(made, wanted, signal)
        while coming and coming[0].t_s <= made.t_s:
            before = coming.pop(0)
            yield before
            made = _behind(before, made, lane)
        late_s = made.t_s + made.stops_s - wanted.t_s
        if made.t_s >= end_s or late_s * NS > LONGEST_NS:
            continue
        if coming and _free_s(made, lane) > coming[0].t_s:
            continue
        before = made
        yield made
    yield from coming


def _behind(before: Passage, made: Passage, lane: Lane) -> Passage:
    """It comes to neither loop before the one in front has left it."""
    layout = layout_of(lane)
    t_s = max(made.t_s, times(before, lane)[-1].lead[1] + LEAST_GAP_S)
    speed_kmh = made.speed_kmh
    if lane.trail is not None:
        way_s = times(before, lane)[-1].trail[1] + LEAST_GAP_S - t_s
        if way_s > 0:
            speed_kmh = min(speed_kmh, max(SLOWEST_KMH, layout.spacing_m * 3.6 / way_s))
            t_s = max(t_s, t_s + way_s - layout.spacing_m * 3.6 / speed_kmh)
    return replace(made, t_s=t_s, speed_kmh=speed_kmh)


def _waiting(made: Passage, wanted: Passage, signal: Signal) -> Passage:
    """At the stop line: it stands until green, and who has queued goes on slowly."""
    cycle, offset_ns = cycle_of(signal), round(signal.offset_s * NS)
    at_ns = round(made.t_s * NS)
    if made.t_s > wanted.t_s:
        at_ns += MOVE_UP_NS - round(LEAST_GAP_S * NS)
    colour, left_ns = cycle.colour(at_ns - offset_ns)
    until_ns = at_ns
    while colour != "green":
        until_ns += left_ns
        colour, left_ns = cycle.colour(until_ns - offset_ns)
    stands_s = (until_ns + START_NS - at_ns) / NS if until_ns > at_ns else 0.0
    slow = stands_s > 0 or made.t_s > wanted.t_s
    speed_kmh = min(made.speed_kmh, QUEUE_KMH) if slow else made.speed_kmh
    return replace(made, t_s=at_ns / NS, speed_kmh=speed_kmh, stops_s=made.stops_s + stands_s)


def _free_s(passage: Passage, lane: Lane) -> float:
    """From then on the next one may come to the first loop."""
    return times(passage, lane)[-1].lead[1] + LEAST_GAP_S


def _arrival(passage: Passage) -> float:
    return passage.t_s
