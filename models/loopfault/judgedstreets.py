"""Judges streets as the gateway does it: the model, the rules beside it, and those of the site."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from edge.infer.loops.evidence import LoopKey
from edge.infer.loops.loopjudge import LoopJudge
from edge.infer.modelguard import ModelGuard
from models.congestion.scenarios.playstreet import play_ticks
from models.congestion.scenarios.simstreet import SimStreet
from models.loopfault.flagscores import FlagAlarm
from models.loopfault.playedstreets import site_of_street

SAME: Final = {"never_active": "stuck_off"}
"""The words of a loop that is dead from the start, and of one that dies: one fault is put in."""

Alarms = dict[LoopKey, list[FlagAlarm]]


def judge_of_street(street: SimStreet, bundle: Path | None) -> LoopJudge:
    """`bundle` None: the rules alone."""
    guard = ModelGuard("loopfault", bundle or Path("/none"), hurry=False)
    if bundle is not None and not guard.load():
        raise ValueError(f"{bundle}: {guard.why}")
    return LoopJudge(*site_of_street(street), guard)


def judged_alarms(street: SimStreet, bundle: Path | None, period_s: float = 60.0) -> Alarms:
    """The flags of every loop of a street, in order of time."""
    judge = judge_of_street(street, bundle)
    up: dict[LoopKey, tuple[float, str]] = {}
    out: Alarms = {key: [] for key in judge.weights()}
    end_s = 0.0
    for end_s, ticks in play_ticks(street, period_s):
        for v in judge.step(round(end_s * 1e9), ticks):
            key: LoopKey = (v.lane, v.part)
            if v.change is None:
                continue
            if key in up:
                out[key].append(FlagAlarm(up[key][0], end_s, up.pop(key)[1]))
            if v.fault is not None and v.since_ns is not None:
                up[key] = v.since_ns / 1e9, SAME.get(v.fault, v.fault)
    for key, (from_s, word) in up.items():
        out[key].append(FlagAlarm(from_s, end_s, word))
    return out
