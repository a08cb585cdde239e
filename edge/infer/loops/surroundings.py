"""Finds out of the site what lies around each loop: beside, in its pair, before and after it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Final

from edge.infer.loops.evidence import LaneGroup, LoopKey, LoopSurroundings
from edge.infer.sites import ApproachSite, LaneSite, Role

LEAD: Final = "lead"
ALONG: Final = 4  # places with which a loop is compared: each costs time in every slot
PARTS: Final = ((LEAD, "trail"), ("trail", LEAD))


def loop_surroundings(
    lanes: Iterable[LaneSite], approaches: Iterable[ApproachSite]
) -> dict[LoopKey, LoopSurroundings]:
    """Every loop of the site, in the site's order, the lead loop before the trail loop.

    Lanes of an approach and position lie beside each other in the site's order. Flows are
    compared with the approach's other positions, then with all of the approaches next to it, up
    to ALONG in all; the same lane there is the one with the same number, or else the last.
    """
    groups: dict[LaneGroup, list[LaneSite]] = {}
    for lane in lanes:
        groups.setdefault((lane.approach, lane.position), []).append(lane)
    after = {a.name: a.downstream for a in approaches if a.downstream is not None}
    surroundings: dict[LoopKey, LoopSurroundings] = {}
    for group, here in groups.items():
        there = [groups[other] for other in _next_to(group, groups, after)][:ALONG]
        for i, lane in enumerate(here):
            along = tuple((each[min(i, len(each) - 1)].name, LEAD) for each in there)
            for part, other in PARTS if lane.paired else PARTS[:1]:
                beside = tuple(
                    (here[j].name, part)
                    for j in (i - 1, i + 1)
                    if 0 <= j < len(here) and (part == LEAD or here[j].paired)
                )
                partner = (lane.name, other) if lane.paired else None
                surroundings[lane.name, part] = LoopSurroundings(
                    beside, partner, along, group, lane.mode
                )
    return surroundings


def neighbour_groups(
    lanes: Iterable[LaneSite], approaches: Iterable[ApproachSite]
) -> dict[LaneGroup, tuple[LaneGroup, ...]]:
    """With which groups of lanes, approach and position, each one's flow is compared."""
    groups = dict.fromkeys((lane.approach, lane.position) for lane in lanes)
    after = {a.name: a.downstream for a in approaches if a.downstream is not None}
    return {group: tuple(_next_to(group, groups, after)[:ALONG]) for group in groups}


def presumed_roles(
    lanes: Iterable[LaneSite], approaches: Iterable[ApproachSite]
) -> tuple[LaneSite, ...]:
    """The lanes, each with its role: where nobody said it, by how many lanes lie along it.

    A lane that is neither before nor after its place begins and ends there: it is auxiliary at a
    station of a corridor, and a turning lane at a signal. Which of the outer ones it is nobody
    knows, so that all of them may be; those in the midst are of the mainline.
    """
    sites, ways = tuple(lanes), tuple(approaches)
    groups: dict[LaneGroup, list[str]] = {}
    for lane in sites:
        if lane.judged:
            groups.setdefault((lane.approach, lane.position), []).append(lane.name)
    outer: dict[str, Role] = {}
    for group, near in neighbour_groups([s for s in sites if s.judged], ways).items():
        here = groups[group]
        more = len(here) - max((len(groups[other]) for other in near), default=len(here))
        if more > 0 and len(here) > 2 * more:
            role: Role = "auxiliary" if group[1] == "corridor" else "turn"
            outer |= dict.fromkeys([*here[:more], *here[-more:]], role)
    return tuple(
        lane if lane.role else replace(lane, role=outer.get(lane.name, "mainline"))
        for lane in sites
    )


def _next_to(
    group: LaneGroup, groups: Mapping[LaneGroup, object], after: Mapping[str, str]
) -> list[LaneGroup]:
    approach, position = group
    other = [g for g in groups if g[0] == approach and g != group]
    near = [after.get(approach), *(name for name, to in after.items() if to == approach)]
    next_to = [g for name in near for g in groups if g[0] == name]
    return other + sorted(next_to, key=lambda g: g[1] != position)
