"""What stands beside the model in its tables: rules as an agency publishes them, and trees alone.

The rules are those by which MnDOT IRIS fails a detector on its own (`edge.infer.loops.published`):
it chatters, is locked on, or has no hits for hours. Each is asked every 30 s, of one loop, and its
flag goes off when it does not hold any more. `TreesAlone` is gradient boosting on the features
and no more: the graph that ships, with its thresholds, but without any rule and without what the
loops of a site know of each other.
"""

from __future__ import annotations

import json
from itertools import groupby
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from edge.infer.loops.published import (
    CHATTER,
    LOCKED_ON_QUEUE_S,
    LOCKED_ON_S,
    NO_HITS_QUEUE_S,
    NO_HITS_S,
)
from models.congestion.scenarios.simstreet import Floats, LoopPlace, SimStreet
from models.loopfault.flagging import Alarms, flag_alarms
from models.loopfault.flagscores import FlagAlarm
from models.loopfault.graphrunner import GraphRunner
from models.loopfault.playedstreets import play_street

ASKED_S: Final = 30.0  # samples of IRIS


def published_alarms(street: SimStreet) -> Alarms:
    """The flags of every loop of a street, in order of time."""
    ends = np.arange(ASKED_S, street.hours * 3600.0 + 1e-6, ASKED_S)
    return {
        (place.lane, place.part): _spans(_words(place, stays, ends), ends)
        for place, stays in zip(street.loops, street.stays, strict=True)
    }


def _words(place: LoopPlace, stays: Floats, ends: Floats) -> NDArray[np.str_]:
    """What is said of a loop at each end of a sample; empty for nothing."""
    begun = np.searchsorted(stays[:, 0], ends)  # stays that began before it
    last_on = np.concatenate([[0.0], stays[:, 0]])[begun]
    last_off = np.concatenate([[0.0], stays[:, 1]])[begun]
    mainline = place.position == "corridor" and place.role == "mainline"
    locked_s = LOCKED_ON_S if mainline else LOCKED_ON_QUEUE_S
    no_hits_s = NO_HITS_S.get(place.position, NO_HITS_QUEUE_S)
    words = np.full(len(ends), "", "U9")
    words[(last_off <= ends) & (ends - last_off >= no_hits_s)] = "stuck_off"
    words[(last_off > ends) & (ends - last_on >= locked_s)] = "stuck_on"
    words[np.diff(begun, prepend=0) >= CHATTER] = "chatter"
    return words


def _spans(words: NDArray[np.str_], ends: Floats) -> list[FlagAlarm]:
    out: list[FlagAlarm] = []
    for word, run in groupby(range(len(words)), key=lambda at: str(words[at])):
        places = list(run)
        if word:
            until = ends[min(places[-1] + 1, len(ends) - 1)]
            out.append(FlagAlarm(float(ends[places[0]]), float(until), word))
    return out


class TreesAlone:
    """A bundle's graph, given by its folder."""

    def __init__(self, bundle: Path) -> None:
        manifest = json.loads((bundle / "manifest.json").read_text(encoding="utf-8"))
        self._graph = GraphRunner((bundle / manifest["file"]).read_bytes())
        self._on, self._off = float(manifest["flags"]["on"]), float(manifest["flags"]["off"])

    def alarms(self, street: SimStreet) -> Alarms:
        """The flags of every loop of a street, in order of time."""
        played = play_street(street, ())
        return flag_alarms([played], [self._graph.answer(played)], self._on, self._off)[0]
