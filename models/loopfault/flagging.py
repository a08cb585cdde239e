"""Runs the gateway's loop flags over whole streets at once: what `LoopFlag` does, in numpy."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge.infer.loops.evidence import LoopKey
from edge.infer.loops.loopflag import DEAD_FAULT, LEARNED_FAULTS, QUIET_S, SMOOTH_S
from edge.infer.loops.loopjudge import OFF, OPEN
from edge.infer.loops.looprules import ALWAYS, SURE_SCORE
from models.loopfault.flagscores import FlagAlarm
from models.loopfault.playedstreets import CLASSES, PlayedStreet

Probabilities = NDArray[np.float32]  # [slots, loops, classes]
Alarms = dict[LoopKey, list[FlagAlarm]]


def flag_alarms(
    some: Sequence[PlayedStreet],
    probabilities: Sequence[Probabilities],
    on: float,
    off: float,
    *,
    at_once: bool = False,
) -> list[Alarms]:
    """The flags of every loop of every street, in order of time."""
    first = np.cumsum([0, *(len(p.keys) for p in some)])
    p = pad_streets(probabilities)
    ends = _pad([np.repeat(each.ends_s[:, None], len(each.keys), 1) for each in some])
    lengths = np.diff(ends, axis=0, prepend=0.0).clip(0.0)  # 0 where a street is over
    traffic = _pad([each.traffic for each in some])
    out: list[Alarms] = [{key: [] for key in each.keys} for each in some]
    for loop, begin, end, kind in _raised(p, ends, lengths, traffic, on, off, at_once):
        street = int(np.searchsorted(first, loop, side="right")) - 1
        key = some[street].keys[loop - first[street]]
        out[street][key].append(FlagAlarm(begin, end, LEARNED_FAULTS[kind - 1]))
    return out


def pad_streets(probabilities: Sequence[Probabilities]) -> Probabilities:
    """All streets' answers beside each other, the shorter ones filled up."""
    return np.asarray(_pad(probabilities), np.float32)


def _pad(parts: Sequence[NDArray[Any]]) -> NDArray[Any]:
    longest = max(len(part) for part in parts)
    padded = [
        np.pad(part, [(0, longest - len(part))] + [(0, 0)] * (part.ndim - 1)) for part in parts
    ]
    return np.concatenate(padded, axis=1)


def _raised(
    p: Probabilities,
    ends: NDArray[np.float64],
    lengths: NDArray[np.float64],
    traffic: NDArray[np.bool_],
    on: float,
    off: float,
    at_once: bool,
) -> list[tuple[int, float, float, int]]:
    """(loop, begin, end, kind) of every flag; of a loop in order of time."""
    loops = p.shape[1]
    smooth = np.zeros((loops, p.shape[2]), np.float32)
    smooth[:, 0] = 1.0
    fault = np.zeros(loops, np.int64)  # 0: none
    since, low = np.zeros(loops), np.zeros(loops)
    out: list[tuple[int, float, float, int]] = []
    dead = 1 + LEARNED_FAULTS.index(DEAD_FAULT)
    for now, end, length, came in zip(p, ends, lengths, traffic, strict=True):
        share = (length > 0) * 1.0 if at_once else 1.0 - np.exp(-length / SMOOTH_S)
        smooth += share[:, None].astype(np.float32) * (now - smooth)
        low = np.where(1.0 - smooth[:, 0] > off, 0.0, low + length * came)
        falls = (fault > 0) & (low >= QUIET_S)
        free = fault == 0  # what falls now may rise in the next slot at the earliest
        for k in np.flatnonzero(falls):
            out.append((int(k), float(since[k]), float(end[k]), int(fault[k])))
        fault[falls] = 0
        most = smooth[:, 1:].argmax(axis=1) + 1
        free |= (most == dead) & (fault != dead) & ~falls  # takes the place of another one
        rises = np.flatnonzero(free & (smooth[:, 1:].max(axis=1) >= on) & (length > 0))
        for k in rises[fault[rises] > 0]:
            out.append((int(k), float(since[k]), float(end[k]), int(fault[k])))
        fault[rises] = most[rises]
        since[rises], low[rises] = end[rises], 0.0
    last = ends.max(axis=0)
    for k in np.flatnonzero(fault):
        out.append((int(k), float(since[k]), float(last[k]), int(fault[k])))
    return out


def add_bias(p: Probabilities, bias: Sequence[float]) -> Probabilities:
    """With `bias` added to the log odds of each class."""
    weighted = p * np.exp(np.asarray(bias, np.float32))
    return np.asarray(weighted / weighted.sum(axis=-1, keepdims=True), np.float32)


def rule_answers(ruled: NDArray[np.int8]) -> Probabilities:
    """What the rules said, as the model would give it."""
    out = np.zeros((*ruled.shape, len(CLASSES)), np.float32)
    for kind in range(1, len(CLASSES)):
        out[..., kind] = np.where(ruled == kind, SURE_SCORE, 0.0)
    out[..., 0] = 1.0 - out[..., 1:].sum(axis=-1)
    return out


def without_unproven_silence(p: Probabilities, silent: NDArray[np.bool_]) -> Probabilities:
    """What the model says of dead loops counts only where one is silent as no sound loop is."""
    out, off = p.copy(), CLASSES.index("stuck_off")
    out[..., 0] += np.where(silent, 0.0, p[..., off])
    out[..., off] = np.where(silent, p[..., off], 0.0)
    return out


def without_standing(p: Probabilities, held: NDArray[np.bool_]) -> Probabilities:
    """What the model says of loops that are stuck on counts only where others move."""
    out, on = p.copy(), CLASSES.index("stuck_on")
    free = ~held & (p[..., on] > OFF)
    out[..., 0] += np.where(free, p[..., on], 0.0)
    out[..., on] = np.where(free, 0.0, p[..., on])
    return out


def floor_by_rule(p: Probabilities, ruled: NDArray[np.int8]) -> Probabilities:
    """The model's answer, but of some kinds the rule's where the model finds nothing."""
    theirs = np.isin(ruled, [CLASSES.index(kind) for kind in ALWAYS]) & (p[..., 0] >= OPEN)
    return np.where(theirs[..., None], rule_answers(ruled), p)
