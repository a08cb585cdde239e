"""What the believed loops of an approach saw in one slot: a few numbers for each position."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from statistics import median
from typing import Final, NamedTuple

from edge.core.looptick import LoopTick, Stay
from edge.infer.sites import LaneSite

POSITIONS: Final = ("corridor", "advance", "mid", "stop")  # in the order in which they are trusted
MIN_OBSERVED: Final = 0.1  # of a slot: of less nothing is said
BROKEN_SCORE: Final = 0.5  # a loop with this score and above is not believed
STANDS_S: Final = 4.0  # a car on a loop for so long goes slower than 6 km/h
STANDS_NS: Final = STANDS_S * 1e9
DOUBT_S: Final = 15.0  # what stands for so long beside lanes that flow is no jam
CALM: Final = 0.3  # occupancy below which a lane flows
LONGEST_S: Final = 300.0  # longer than that is not told apart
BESIDE: Final = ("turn", "bus", "bicycle")  # roles of lanes that do not carry the road's traffic
CAR_M: Final = 4.5
PAIR_S: Final = 15.0  # a car that needs longer from lead to trail is not taken for the same

ENTRY: Final = ("mid", "corridor", "advance", "stop")
EXIT: Final = ("stop", "corridor", "advance", "mid")

Scores = Mapping[tuple[str, str], float]  # lane, part: 0 sound .. 1 broken


class PositionObservation(NamedTuple):
    """One position in one slot, over its believed lanes."""

    mean: float  # occupancy, 0..1: over lanes
    highest: float
    lowest: float
    flow: float  # vehicles a second and lane
    stay_s: float  # the middle vehicle's; by its speed where loops are paired; 0: none passed
    standing: float  # share of the time that something stood on the loops
    longest_s: float  # the longest stay, or how long the loop is occupied already
    green: float | None  # occupancy while the signal was green; None: not known, or never green
    every: float = 0.0  # occupancy over all believed lanes, also those that turn off


BLOCKS: Final = len(PositionObservation._fields) + 1  # see `model_inputs`


def model_inputs(
    observations: Mapping[str, PositionObservation],
    below: Mapping[str, PositionObservation],
    above: Mapping[str, PositionObservation],
) -> tuple[list[float], list[float]]:
    """What the model is given of an approach: blocks of one number a place, and which places speak.

    Places are the positions, then of the approach after it the loops that a queue reaches first,
    then of the one before it those that vehicles leave it by. The blocks are those of
    `PositionObservation` up to green, then whether a green phase was known, then `every`.
    """
    here = [*map(observations.get, POSITIONS), _first_position(below, ENTRY),
            _first_position(above, EXIT)]  # fmt: skip
    places = len(here)
    x, present = [0.0] * (BLOCKS * places), [0.0] * places
    for place, one in enumerate(here):
        if one is not None:  # most places have no loop
            *blocks, green, every = one
            shown = (0.0, 0.0) if green is None else (green, 1.0)
            x[place::places] = [*blocks, *shown, every]
            present[place] = 1.0
    return x, present


def _first_position(
    observations: Mapping[str, PositionObservation], order: Sequence[str]
) -> PositionObservation | None:
    if not observations:  # most approaches stand alone
        return None
    return next((observations[position] for position in order if position in observations), None)


def ticks_by_slot(ticks: Sequence[LoopTick]) -> Iterator[tuple[int, float, list[LoopTick]]]:
    """End (ns), length (s) and ticks of each slot; `ticks` are in order of time."""
    for to_ns, here in groupby(ticks, key=lambda tick: tick.to_ns):
        slot = list(here)
        yield to_ns, max(tick.length_s for tick in slot), slot


def observe(
    ticks: Iterable[LoopTick], lanes: Mapping[str, LaneSite], scores: Scores
) -> dict[str, dict[str, PositionObservation]]:
    """One slot, by approach and position. A lane is its lead loop, or the trail if that is broken.

    Loops in pulse mode give no occupancy and are left out.
    """
    by_approach: dict[str, dict[str, LoopTick]] = {}
    for tick in ticks:
        site = lanes.get(tick.lane)
        if site is None or site.mode == "pulse" or not _believed(tick, scores):
            continue
        by_approach.setdefault(tick.lane, {})[tick.part] = tick
    found: dict[tuple[str, str], list[tuple[LaneSite, _Lane]]] = {}
    for name, parts in by_approach.items():
        site = lanes[name]
        found.setdefault((site.approach, site.position), []).append((site, _lane(site, parts)))
    out: dict[str, dict[str, PositionObservation]] = {}
    for (approach, position), beside in found.items():
        here = _of_the_road(beside)
        every = _mean_of_all(beside) if len(here) < len(beside) else None
        shown = _flowing(here) if position == "corridor" else here
        out.setdefault(approach, {})[position] = _join_lanes(shown, every)
    return out


def _believed(tick: LoopTick, scores: Scores) -> bool:
    whole = tick.to_ns - tick.from_ns
    return (
        tick.seen_ns > MIN_OBSERVED * whole
        and scores.get((tick.lane, tick.part), 0.0) < BROKEN_SCORE
    )


class _Lane(NamedTuple):
    occupancy: float
    flow: float
    stays_s: list[float]
    standing: float
    longest_s: float
    green: float | None
    held: bool  # something stands on it, and whatever passed before did not


def _lane(site: LaneSite, parts: Mapping[str, LoopTick]) -> _Lane:
    tick = parts.get("lead") or parts["trail"]
    stays_s = [(stay.off_ns - stay.on_ns) / 1e9 for stay in tick.stays]
    since_s = 0.0 if tick.since_ns is None else (tick.to_ns - tick.since_ns) / 1e9
    return _Lane(
        occupancy=min(1.0, tick.on_ns / tick.seen_ns),
        flow=(len(tick.stays) + tick.stays_left_out) / (tick.seen_ns / 1e9),
        stays_s=_by_speed(site, parts) or stays_s,
        standing=min(1.0, _stood_ns(tick) / tick.seen_ns),
        longest_s=min(LONGEST_S, max([since_s, *stays_s])),
        green=tick.green_on_ns / tick.green_ns if tick.green_ns else None,
        held=since_s >= DOUBT_S and all(stay_s < STANDS_S for stay_s in stays_s),
    )


def _stood_ns(tick: LoopTick) -> int:
    spans = [stay for stay in tick.stays if stay.off_ns - stay.on_ns >= STANDS_NS]
    if tick.since_ns is not None and tick.to_ns - tick.since_ns >= STANDS_NS:
        spans.append(Stay(tick.since_ns, tick.to_ns))
    return sum([off - max(on, tick.from_ns) for on, off in spans])


def _by_speed(site: LaneSite, parts: Mapping[str, LoopTick]) -> list[float]:
    """How long cars would have stayed at the speeds between the loops; empty if most are unknown.

    A long vehicle stays longer than a car of its speed: where a speed is known it tells better.
    """
    lead, trail = parts.get("lead"), parts.get("trail")
    if lead is None or trail is None or not site.spacing_m:
        return []
    share = (CAR_M + site.loop_m) / site.spacing_m
    ons = [stay.on_ns for stay in trail.stays]
    found, at = [], 0
    for i, stay in enumerate(lead.stays):
        while at < len(ons) and ons[at] <= stay.on_ns:
            at += 1
        until = stay.on_ns + int(PAIR_S * 1e9)
        if i + 1 < len(lead.stays):
            until = min(until, lead.stays[i + 1].on_ns)
        if at < len(ons) and ons[at] < until:
            found.append((ons[at] - stay.on_ns) / 1e9 * share)
    return found if 2 * len(found) > len(lead.stays) else []


def _of_the_road(lanes: Sequence[tuple[LaneSite, _Lane]]) -> Sequence[_Lane]:
    """The lanes of a place that carry the road's traffic, if there are any: all others left out.

    An empty turn lane beside a queue halves the mean occupancy of the place, and is its lowest.
    """
    main = [lane for site, lane in lanes if site.role not in BESIDE]
    return main or [lane for _, lane in lanes]


def _mean_of_all(lanes: Sequence[tuple[LaneSite, _Lane]]) -> float:
    return sum(lane.occupancy for _, lane in lanes) / len(lanes)


def _flowing(lanes: Sequence[_Lane]) -> Sequence[_Lane]:
    """The lanes of a station without those whose loop is held while all others flow.

    What has stood on it for DOUBT_S came out of free traffic: a stuck loop or a breakdown, and loop
    health needs some minutes to tell which. A queue shows itself by the slow vehicles before. Where
    signals stop one lane and not the other it means nothing, so this is for corridors.
    """
    moving = [lane for lane in lanes if not lane.held]
    if moving and all(lane.occupancy < CALM for lane in moving):
        return moving
    return lanes


def _join_lanes(lanes: Sequence[_Lane], every: float | None) -> PositionObservation:
    """`every` None: there are no other lanes."""
    if len(lanes) == 1:  # most often
        share, flow, stays, standing, longest_s, shown, _ = lanes[0]
        stay_s = median(stays) if stays else 0.0
        return PositionObservation(
            share, share, share, flow, stay_s, standing, longest_s, shown,
            share if every is None else every,
        )  # fmt: skip
    occupancy = [lane.occupancy for lane in lanes]
    mean = sum(occupancy) / len(lanes)
    stays_s = [stay for lane in lanes for stay in lane.stays_s]
    green = [lane.green for lane in lanes if lane.green is not None]
    return PositionObservation(
        mean=mean,
        highest=max(occupancy),
        lowest=min(occupancy),
        flow=sum(lane.flow for lane in lanes) / len(lanes),
        stay_s=median(stays_s) if stays_s else 0.0,
        standing=sum(lane.standing for lane in lanes) / len(lanes),
        longest_s=max(lane.longest_s for lane in lanes),
        green=sum(green) / len(green) if green else None,
        every=mean if every is None else every,
    )
