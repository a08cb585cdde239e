"""Counts long vehicles that fall into parts: how many are joined, and what is joined wrongly.

    python -m models.breakups --streets DIR [--logs DIR]

--streets holds simulated streets (`models.congestion.scenarios.generate`); each of their lead loops
is played alone through the engine, as it is and with every long vehicle in two to four parts
(`faulteffects`). --logs holds recorded logs of signals (`controllerlogs`): what is joined there may
be a breakup or two vehicles, nobody knows which.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from edge.core.edge import Contact
from edge.process.engine import Engine, EngineSetup
from edge.process.enginesetup import LaneSetup
from edge.wire.contract.traffic import Lane
from models.congestion.scenarios.faulteffects import CHANGES
from models.congestion.scenarios.playstreet import nanos
from models.congestion.scenarios.simstreet import Floats, SimStreet, load_streets
from models.loopfault.controllerlogs import logged_streets


class Counted(NamedTuple):
    """Presences that a loop reported, vehicles that were counted of them."""

    presences: int
    vehicles: int


def count(stays: Floats, loop_m: float, hours: float) -> Counted:
    """What the engine counts of one loop."""
    lane = LaneSetup("one", "one", loop_m=loop_m, max_presence_s=86_400)
    engine = Engine(EngineSetup((lane,)))
    engine.start(0)
    edges = [(at, i % 2 == 0) for i, at in enumerate(nanos(stays).ravel().tolist())]
    found = bool(edges) and edges[0][0] == 0  # there since nobody knows when: no vehicle
    engine.contacts([Contact(lane.lead, found, 0, initial=True)])
    engine.contacts([Contact(lane.lead, on, at) for at, on in edges[int(found) :]])
    whole = engine.close(round((hours * 3600 + 1) * 1e9))
    (body,) = (draft.body for draft in whole if isinstance(draft.body, Lane))
    joined = body.breakups or 0
    vehicles = body.volume if body.volume is not None else len(stays) - joined
    return Counted(len(stays) - found, vehicles)


def broken(stays: Floats, seed: int) -> Floats:
    """The same, where long vehicles have fallen into parts."""
    _, parts = CHANGES["breakup"](stays, (0.0, float(stays[-1, 1])), np.random.default_rng(seed))
    return parts


def street_lines(streets: Iterable[SimStreet]) -> Iterator[str]:
    """What becomes of loops that are sound, and of the same ones with breakups."""
    sound, parts = Counted(0, 0), Counted(0, 0)
    for street in streets:
        for i, (loop, stays) in enumerate(zip(street.loops, street.stays, strict=True)):
            if loop.part == "lead" and len(stays):
                sound = _sum(sound, count(stays, loop.loop_m, street.hours))
                parts = _sum(parts, count(broken(stays, i), loop.loop_m, street.hours))
    more, joined = parts.presences - sound.presences, sound.presences - sound.vehicles
    left = (parts.vehicles - sound.vehicles) / max(more, 1)
    yield f"vehicles of sound loops joined: {joined} of {sound.presences}"
    yield f"breakups: {more} presences too many, {left:.0%} of them counted as vehicles"


def log_line(streets: Iterable[SimStreet]) -> str:
    """How many actuations of recorded logs are joined."""
    found = [
        count(stays, loop.loop_m, street.hours)
        for street in streets
        for loop, stays in zip(street.loops, street.stays, strict=True)
        if len(stays)
    ]
    presences = sum(each.presences for each in found)
    joined = presences - sum(each.vehicles for each in found)
    return f"logs: {joined} of {presences} actuations joined to the one before"


def _sum(a: Counted, b: Counted) -> Counted:
    return Counted(a.presences + b.presences, a.vehicles + b.vehicles)


def main(arguments: list[str] | None = None) -> int:
    """0 when there was something to count."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--streets", type=Path, metavar="DIR")
    parser.add_argument("--logs", type=Path, metavar="DIR")
    options = parser.parse_args(arguments)
    if options.streets is None and options.logs is None:
        parser.error("--streets or --logs")
    if options.streets is not None:
        for line in street_lines(load_streets(options.streets)):
            print(line, flush=True)
    if options.logs is not None:
        print(log_line(logged_streets(options.logs)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
