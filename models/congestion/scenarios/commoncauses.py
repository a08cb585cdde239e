"""Injures several loops of a street at once, as one cause does: a card, a feeder, water, paving.

The loops of a place, approach and position, have their cards, feeders and joint boxes in common.
Which of them a cause hits, with what faults, and when, is chosen here; what a fault does to the
stays is in `faulteffects`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Final, Literal, get_args

import numpy as np

from models.congestion.scenarios.loopfaults import FaultKind, LoopFault, injure_loop, neighbours
from models.congestion.scenarios.simstreet import SimStreet

CommonCause = Literal["card", "feeder", "water", "resurfacing"]
CAUSES: Final[tuple[CommonCause, ...]] = get_args(CommonCause)
CARD: Final = 4  # channels that a card has at most
APART_S: Final = 600.0  # water gets into one splice after the other
FIRST: Final = 0.1  # of the street's time it is well,
LAST: Final = 0.6  # and before this the cause sets in: so much of it is left to be found

Hit = tuple[int, FaultKind, float]  # which loop, with what, how many seconds after the first
Hits = Iterator[Hit]


def _card(street: SimStreet, loops: list[int], random: np.random.Generator) -> Hits:
    """Its channels fail together: relays that fall to presence, no power, or restarts."""
    kinds: tuple[FaultKind, ...] = ("stuck_on", "stuck_off", "chatter")
    kind = kinds[int(random.integers(len(kinds)))]
    first = int(random.integers(max(1, len(loops) - CARD + 1)))
    for i in loops[first : first + CARD]:
        yield i, kind, 0.0


def _feeder(street: SimStreet, loops: list[int], random: np.random.Generator) -> Hits:
    """One cable for all: it is cut, or its pairs are not twisted and loops hear each other."""
    cut = random.random() < 0.5
    for i in loops:
        if cut:
            yield i, "stuck_off", 0.0
        elif neighbours(street, street.loops[i]):
            yield i, "crosstalk", 0.0


def _water(street: SimStreet, loops: list[int], random: np.random.Generator) -> Hits:
    """In a joint box: insulation is lost, one splice after the other; each fails in its way."""
    kinds: tuple[FaultKind, ...] = ("chatter", "late_release", "undercount", "stuck_on")
    for i in loops:
        if random.random() < 0.7:
            yield i, kinds[int(random.integers(len(kinds)))], float(random.uniform(0.0, APART_S))


def _resurfacing(street: SimStreet, loops: list[int], random: np.random.Generator) -> Hits:
    """Wires are milled through, or lie deeper than before and feel less of high beds."""
    for i in loops:
        cut = random.random() < 0.4
        yield i, "stuck_off" if cut else "breakup" if random.random() < 0.5 else "undercount", 0.0


EFFECTS: Final[
    Mapping[CommonCause, Callable[[SimStreet, list[int], np.random.Generator], Hits]]
] = {"card": _card, "feeder": _feeder, "water": _water, "resurfacing": _resurfacing}


def inject_cause(
    street: SimStreet, seed: int, causes: tuple[CommonCause, ...] = CAUSES
) -> tuple[SimStreet, CommonCause, tuple[LoopFault, ...]]:
    """A copy in which one cause has hit the loops of a place, which cause, and the faults.

    They last to the street's end. Deterministic in `seed`.
    """
    random = np.random.default_rng([seed, street.seed, 2])
    places: dict[tuple[str, str], list[int]] = {}
    for i, loop in enumerate(street.loops):
        places.setdefault((loop.link, loop.position), []).append(i)
    several = [loops for loops in places.values() if len(loops) > 1]
    cause = causes[int(random.integers(len(causes)))]
    if not several:
        return street, cause, ()
    loops = several[int(random.integers(len(several)))]
    end_s = street.hours * 3600.0
    begin_s = float(random.uniform(FIRST, LAST)) * end_s
    stays = list(street.stays)
    faults: list[LoopFault] = []
    for i, kind, later_s in EFFECTS[cause](street, loops, random):
        when = (round(min(begin_s + later_s, 0.9 * end_s), 1), end_s)
        fault, stays[i] = injure_loop(street, i, stays[i], kind, when, random)
        faults.append(fault)
    return replace(street, stays=tuple(stays)), cause, tuple(faults)
