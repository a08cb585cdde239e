"""Plays streets with injured loops through the features that the gateway computes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from edge.core.looptick import LoopTick
from edge.infer.loops.evidence import LoopKey
from edge.infer.loops.loopfeatures import WIDTH, LoopFeatures
from edge.infer.loops.loopflag import LEARNED_FAULTS
from edge.infer.loops.looprules import LoopRule
from edge.infer.loops.presence import is_held
from edge.infer.sites import ApproachSite, LaneSite
from models.congestion.scenarios.loopfaults import LoopFault
from models.congestion.scenarios.playstreet import play_ticks
from models.congestion.scenarios.simstreet import SimStreet

CLASSES: Final = ("sound", *LEARNED_FAULTS)  # columns of the model's answer
UNNAMED: Final = -1  # of a loop with a fault for which the model has no word
SHARE: Final = 0.3  # of the loops that get faults, in a street that has some
Rows = NDArray[np.float32]


@dataclass(frozen=True)
class PlayedStreet:
    """One street as the gateway saw it. `rows` is [slots, loops, features], `kinds` [slots, loops].

    `kinds` are indices into CLASSES, UNNAMED where a fault is none of these, as are `ruled`,
    what the rules said; `ends_s` are the slots' ends; `traffic` says where vehicles came, `silent`
    where `stuck_off` counts, `held` where `stuck_on` does.
    """

    name: str
    hours: float
    keys: tuple[LoopKey, ...]
    faults: tuple[LoopFault, ...]
    ends_s: NDArray[np.float64]
    rows: Rows
    kinds: NDArray[np.int8]
    traffic: NDArray[np.bool_]
    ruled: NDArray[np.int8]
    silent: NDArray[np.bool_]
    held: NDArray[np.bool_]


def site_of_street(street: SimStreet) -> tuple[list[LaneSite], list[ApproachSite]]:
    """The street as a site's configuration tells it."""
    limits = {link.name: link.limit_kmh for link in street.links}
    pairs = {loop.lane for loop in street.loops if loop.part == "trail"}
    leads = sorted(
        (loop for loop in street.loops if loop.part == "lead"),
        key=lambda loop: (loop.link, loop.position, loop.index),
    )
    lanes = [
        LaneSite(
            name=loop.lane,
            approach=loop.link,
            position=loop.position,
            paired=loop.lane in pairs,
            spacing_m=loop.spacing_m,
            loop_m=loop.loop_m,
            limit_kmh=limits[loop.link],
            role=loop.role,
        )
        for loop in leads
    ]
    return lanes, [ApproachSite(k.name, k.downstream, k.distance_m) for k in street.links]


def ticks_by_slot(ticks: Sequence[LoopTick]) -> list[list[LoopTick]]:
    """Ticks of one or more slots, slot by slot."""
    out: list[list[LoopTick]] = []
    for tick in ticks:
        if not out or out[-1][0].to_ns != tick.to_ns:
            out.append([])
        out[-1].append(tick)
    return out


def fault_truth(faults: Sequence[LoopFault], keys: Sequence[LoopKey],
ends_s: NDArray[np.float64]) -> (
    NDArray[np.int8]
):  # fmt: skip
    """[slots, loops]: the kind of fault that held for the better part of the slot."""
    kinds = np.zeros((len(ends_s), len(keys)), np.int8)
    middle = ends_s - np.diff(ends_s, prepend=0.0) / 2
    for fault in faults:
        column = keys.index((fault.lane, fault.part))
        kind = CLASSES.index(fault.kind) if fault.kind in CLASSES else UNNAMED
        kinds[(middle >= fault.from_s) & (middle < fault.to_s), column] = kind
    return kinds


def play_street(
    street: SimStreet, faults: Sequence[LoopFault], period_s: float = 60.0
) -> PlayedStreet:
    """Every slot of every loop as a row."""
    lanes, approaches = site_of_street(street)
    watch = LoopFeatures(lanes, approaches)
    keys = tuple(watch.places)
    by_name = {lane.name: lane for lane in lanes}
    rules = {
        key: LoopRule(
            by_name[key[0]].position,
            by_name[key[0]].mode,
            along=bool(place.along),
            role=by_name[key[0]].role,
        )
        for key, place in watch.places.items()
    }
    ends: list[float] = []
    rows: list[Rows] = []
    came: list[list[bool]] = []
    ruled: list[list[int]] = []
    silent: list[list[bool]] = []
    held: list[list[bool]] = []
    for _, ticks in play_ticks(street, period_s):
        for slot in ticks_by_slot(ticks):
            slot_rows = watch.step(slot)
            at: dict[LoopKey, LoopTick] = {(tick.lane, tick.part): tick for tick in slot}
            ends.append(slot[0].to_ns / 1e9)
            rows.append(np.array([slot_rows[key] for key in keys], np.float32))
            came.append([bool(at[key].stays) or at[key].stays_left_out > 0 for key in keys])
            rulings = [rules[key].step(slot_rows[key], at[key]) for key in keys]
            ruled.append([CLASSES.index(ruling.fault or "sound") for ruling in rulings])
            silent.append([ruling.silent for ruling in rulings])
            held.append([is_held(slot_rows[key]) for key in keys])
    when = np.array(ends)
    whole = np.stack(rows) if rows else np.zeros((0, len(keys), WIDTH), np.float32)
    return PlayedStreet(
        street.name,
        street.hours,
        keys,
        tuple(faults),
        when,
        whole,
        fault_truth(faults, keys, when),
        np.array(came, bool).reshape(-1, len(keys)),
        np.array(ruled, np.int8).reshape(-1, len(keys)),
        np.array(silent, bool).reshape(-1, len(keys)),
        np.array(held, bool).reshape(-1, len(keys)),
    )
