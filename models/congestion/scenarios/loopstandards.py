"""Where each country lays its loops, how long they are, and how their cards answer.

Sources. What could be read when this was written is named with its document; the rest is practice
as its engineers tell it, and the ranges are wide.

- us: FHWA Traffic Detector Handbook (FHWA-HRT-06-108), chapter 4; MnDOT Traffic Control Signal
  Design Manual, chapter 4: 6 by 6 ft (1.83 m) loops, at the stop bar at 5 ft and 35 ft, or one of
  6 by 20 to 40 ft there; advance loops 80 to 400 ft before it, further where it is faster. On
  freeways pairs of 6 ft, 20 ft from leading edge to leading edge (practice).
- uk: Highways Agency MCE 0108 (vehicle actuation, system D: loops at 12, 25 and 39 m);
  Siemens Loop Detector Handbook 667/HE/20663.
- scoot: Highways Agency MCH 1352 and the Siemens handbook: 2 m long, far upstream, as a rule just
  after the junction before.
- mova: Highways Agency MCH 1542: X at 3.5 s and IN at 8 s of driving from the stop line (TRL AG44).
  Motorways (MIDAS): pairs of 2 m about 500 m apart, leading edges 4.5 m apart (practice).
- de: RiLSA: request loops at the stop line, measuring loops 30 to 50 m before it, queue loops
  further up. TLS: pairs 2.5 m from head to head, loops of 1 m (type 1) or 2.5 m.
- nl: CROW Handboek verkeerslichtenregelingen: a short loop at the stop line or a long one of 10 to
  20 m behind it, and one far away (verweglus). Motorways: 1.5 m, 2.5 m from edge to edge (MTM).
- scats: Austroads guide part 9, commentary 9: 4.5 m at the stop line (practice), advance loops
  rarely.
- lhovra: Sweden: loops 80 to 170 m before a signal outside towns.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np

from edge.infer.sites import Role
from models.congestion.scenarios.scene import LoopSense, Road
from models.congestion.scenarios.simstreet import LoopPlace, Position, Split, trail_of

FURTHEST: Final = 0.85  # of a link: a loop lies no further upstream
LEAST_M: Final = 4.0  # from a link's start


class LoopZone(NamedTuple):
    """Where a loop lies: metres before the stop line, or seconds of driving within those metres.

    With `entry` the metres are from the start of the link. `long_m` are lengths to draw from.
    """

    before_m: tuple[float, float]
    long_m: tuple[float, ...]
    ahead_s: tuple[float, float] | None = None
    entry: bool = False


class LoopStandard(NamedTuple):
    """`sites` are the combinations of positions that are built, `station` those of open roads.

    A station is a loop's length and the distance from leading edge to leading edge of a pair.
    """

    name: str
    zones: dict[Position, LoopZone]
    sites: tuple[tuple[Position, ...], ...]
    station: tuple[float, float]


STANDARDS: Final = {
    "us": LoopStandard(
        "us",
        {
            "stop": LoopZone((1.5, 3.0), (1.83, 1.83, 6.1, 12.2)),
            "advance": LoopZone((24.0, 122.0), (1.83,), (2.5, 5.0)),
            "mid": LoopZone((120.0, 260.0), (1.83,)),
        },
        (("stop", "advance"), ("stop", "advance", "mid"), ("advance",), ("stop",),
         ("advance", "mid")),
        (1.83, 6.1),
    ),
    "uk": LoopStandard(
        "uk",
        {
            "stop": LoopZone((10.0, 14.0), (1.5, 2.0)),
            "advance": LoopZone((37.0, 41.0), (1.5, 2.0)),
            "mid": LoopZone((8.0, 25.0), (2.0,), entry=True),
        },
        (("stop", "advance"), ("advance",), ("stop", "advance", "mid"), ("advance", "mid")),
        (2.0, 4.5),
    ),
    "de": LoopStandard(
        "de",
        {
            "stop": LoopZone((1.0, 2.5), (1.0, 2.0, 2.5)),
            "advance": LoopZone((30.0, 50.0), (1.0, 2.0, 2.5)),
            "mid": LoopZone((90.0, 220.0), (2.0, 2.5)),
        },
        (("stop", "advance"), ("advance",), ("stop", "advance", "mid"), ("stop",),
         ("advance", "mid")),
        (1.0, 2.5),
    ),
    "scoot": LoopStandard(
        "scoot",
        {
            "stop": LoopZone((1.0, 2.5), (2.0,)),
            "advance": LoopZone((37.0, 41.0), (2.0,)),
            "mid": LoopZone((8.0, 25.0), (2.0,), entry=True),
        },
        (("mid",), ("mid",), ("mid", "stop")),
        (2.0, 4.5),
    ),
    "nl": LoopStandard(
        "nl",
        {
            "stop": LoopZone((1.0, 6.0), (1.0, 1.5, 10.0, 15.0, 20.0)),
            "advance": LoopZone((40.0, 90.0), (1.0, 1.5), (2.5, 5.0)),
            "mid": LoopZone((110.0, 240.0), (1.0, 1.5)),
        },
        (("stop", "advance"), ("stop", "advance"), ("stop",), ("stop", "advance", "mid")),
        (1.5, 2.5),
    ),
    "mova": LoopStandard(
        "mova",
        {
            "stop": LoopZone((1.0, 2.5), (2.0,)),
            "advance": LoopZone((35.0, 90.0), (2.0,), (3.3, 3.7)),
            "mid": LoopZone((80.0, 180.0), (2.0,), (7.5, 8.5)),
        },
        (("advance", "mid"), ("advance", "mid"), ("stop", "advance", "mid")),
        (2.0, 4.5),
    ),
    "scats": LoopStandard(
        "scats",
        {
            "stop": LoopZone((1.2, 2.0), (4.5,)),
            "advance": LoopZone((35.0, 110.0), (2.0, 4.5), (3.0, 5.0)),
            "mid": LoopZone((120.0, 220.0), (2.0,)),
        },
        (("stop",), ("stop",), ("stop", "advance")),
        (2.0, 5.0),
    ),
    "lhovra": LoopStandard(
        "lhovra",
        {
            "stop": LoopZone((1.0, 3.0), (2.0,)),
            "advance": LoopZone((60.0, 110.0), (2.0,)),
            "mid": LoopZone((130.0, 170.0), (2.0,)),
        },
        (("stop", "advance", "mid"), ("advance", "mid"), ("stop", "advance")),
        (2.0, 4.0),
    ),
}  # fmt: skip

OF_SET: Final[dict[Split, tuple[str, ...]]] = {
    "training": ("us", "uk", "de", "scoot"),
    "choosing": ("us", "de", "nl", "mova"),
    "final": ("uk", "nl", "scoot", "mova", "scats", "lhovra"),
}
"""Each set has standards that the others do not have: what is learned must hold elsewhere."""


def draw_standard(random: np.random.Generator, split: Split) -> LoopStandard:
    names = OF_SET.get(split, OF_SET["training"])
    return STANDARDS[names[int(random.integers(len(names)))]]


def approach_loops(
    random: np.random.Generator,
    standard: LoopStandard,
    road: Road,
    roles: dict[int, Role] | None = None,
    *,
    paired: bool = False,
) -> list[LoopPlace]:
    """Loops of a road that ends at a stop line, in all lanes but those for bicycles.

    `paired` positions have a second loop behind the first, but for the stop line.
    """
    site = standard.sites[int(random.integers(len(standard.sites)))]
    out: list[LoopPlace] = []
    last_m = road.length_m
    for position in sorted(site, key=("stop", "advance", "mid").index):
        zone = standard.zones[position]
        long_m = zone.long_m[int(random.integers(len(zone.long_m)))]
        gap = max(standard.station[1], long_m + 1.0) if paired and position != "stop" else None
        begin = _begin(random, zone, road, long_m)
        begin = min(begin, last_m - long_m - (gap or 0.0) - 2.0)
        if begin < LEAST_M:
            continue  # the link is too short for it
        last_m = begin
        for lane in range(road.lanes):
            if road.uses and road.uses[lane] == "bicycle":
                continue
            name = f"{road.name}{position[0]}_{lane}"
            role = (roles or {}).get(lane, "mainline")
            lead = LoopPlace(
                name, road.name, position, lane, "lead", round(begin, 1), long_m, gap, role
            )
            out += [lead, *trail_of(lead)]
    return out or [
        LoopPlace(f"{road.name}s_{lane}", road.name, "stop", lane, "lead",
                  round(road.length_m - 4.0, 1), 2.0, role=(roles or {}).get(lane, "mainline"))
        for lane in range(road.lanes)
    ]  # fmt: skip


def _begin(random: np.random.Generator, zone: LoopZone, road: Road, long_m: float) -> float:
    """Where a loop begins, from the start of its link."""
    if zone.entry:
        return float(random.uniform(*zone.before_m))
    before = float(random.uniform(*zone.before_m))
    if zone.ahead_s is not None:
        driven = float(random.uniform(*zone.ahead_s)) * road.limit_ms
        before = float(np.clip(driven, *zone.before_m))
    before = min(before, FURTHEST * road.length_m)
    return road.length_m - before - long_m


def station_loops(
    random: np.random.Generator,
    standard: LoopStandard,
    roads: list[Road],
    roles: dict[tuple[str, int], Role] | None = None,
) -> list[LoopPlace]:
    """Stations of an open road, one on each watched road, in pairs or not as the street has it."""
    loop_m, spacing = standard.station
    paired = random.random() < 0.65
    out: list[LoopPlace] = []
    for road in roads:
        if not road.watched:
            continue
        at_m = round(float(random.uniform(0.3, 0.7)) * road.length_m, 1)
        for lane in range(road.lanes):
            role = (roles or {}).get((road.name, lane), "mainline")
            lead = LoopPlace(
                f"{road.name}_{lane}", road.name, "corridor", lane, "lead", at_m, loop_m,
                spacing if paired else None, role,
            )  # fmt: skip
            out += [lead, *trail_of(lead)]
    return out


def draw_senses(
    random: np.random.Generator, loops: list[LoopPlace]
) -> tuple[tuple[float, ...], tuple[LoopSense, ...]]:
    """How much longer than its wire each loop feels, and how its card answers.

    A site has cards of one make, set to one sensitivity; its loops differ a little. NEMA TS 2 asks
    for an answer within 125 ms, on and off. A more sensitive loop feels further.
    """
    field_m = float(random.uniform(-0.1, 0.9))
    on_s, off_s = random.uniform(0.005, 0.12, 2).tolist()
    missed = float(random.uniform(0.1, 1.0))
    reach = random.normal(field_m, 0.15, len(loops)).clip(-0.4, 1.4)
    # a loop that is shorter than a metre cannot lose half of it
    least = np.array([-0.3 * loop.loop_m for loop in loops])
    senses = tuple(
        LoopSense(
            round(float(max(0.0, random.normal(on_s, 0.01))), 4),
            round(float(max(0.0, random.normal(off_s, 0.015))), 4),
            round(float(np.clip(missed + random.normal(0, 0.1), 0, 1)), 3),
        )
        for _ in loops
    )
    return tuple(np.maximum(reach, least).round(3).tolist()), senses
