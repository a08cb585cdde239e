"""Loops that answer together are told from vehicles that start side by side at a stop line."""

import json
import random
from typing import Any

import pytest

from edge.core.looptick import LoopTick
from edge.infer.loops.crosstalk import CrosstalkRule
from edge.infer.loops.evidence import LoopKey
from edge.infer.loops.loopflag import FAULTS, without_faults
from edge.infer.loops.surroundings import loop_surroundings
from edge.infer.sites import LaneSite
from tests.infer.test_looprules import Spans, ghosts, ticks

ONE, TWO = ("s_0", "lead"), ("s_1", "lead")
LANES = tuple(LaneSite(name, "s", "stop") for name, _ in (ONE, TWO))
PAIRS: tuple[LoopKey, ...] = tuple(
    (name, part) for name, _ in (ONE, TWO) for part in ("lead", "trail")
)
HOURS = 1.0


def discharge(hours: float, spread_s: float, seed: int = 1) -> dict[LoopKey, Spans]:
    """Two lanes start at each green; vehicles of a row drive over their loops at about one time."""
    chance = random.Random(seed)
    out: dict[LoopKey, Spans] = {ONE: [], TWO: []}
    for cycle in range(int(hours * 40)):
        for stays in out.values():
            at = cycle * 90.0 + 45.0
            for _ in range(chance.randrange(4, 12)):
                at += 1.9 + chance.gauss(0.0, spread_s)
                stays.append((at, at + chance.uniform(0.5, 0.9)))
    return out


def played(
    stays: dict[LoopKey, Spans], fault: str | None = None
) -> tuple[CrosstalkRule, dict[LoopKey, int]]:
    """The rule after an hour, and how many slots of it spoke of each loop."""
    rule = CrosstalkRule(loop_surroundings(LANES, ()), lambda key: fault)
    said: dict[LoopKey, int] = {}
    for slot in ticks(stays, HOURS):
        seen: dict[LoopKey, LoopTick] = {(t.lane, t.part): t for t in slot}
        for key in rule.step(seen, {}, None):
            said[key] = said.get(key, 0) + 1
    return rule, said


@pytest.mark.parametrize("spread_s", [0.1, 0.15, 0.3])
@pytest.mark.parametrize("seed", range(4))
def test_vehicles_that_start_side_by_side_are_no_crosstalk(spread_s: float, seed: int) -> None:
    rule, said = played(discharge(HOURS, spread_s, seed))
    assert said == {}
    assert rule.unproven() == {ONE, TWO}


@pytest.mark.parametrize("share", [0.3, 0.6])
def test_a_loop_that_answers_for_the_one_beside_it_is_named(share: float) -> None:
    stays = discharge(HOURS, 0.3)
    stays[TWO] = ghosts(stays[TWO], stays[ONE], share, 0.015, 0.85)
    rule, said = played(stays)
    assert set(said) == {TWO}
    assert said[TWO] > 50  # of 120 slots: a single loop must have answered some times
    assert rule.unproven() == {ONE}
    assert played(stays, "chatter")[1] == {}


def test_a_loop_that_feels_the_next_lane_is_no_crosstalk() -> None:
    stays, chance = discharge(HOURS, 0.3), random.Random(5)
    felt = [(a + chance.uniform(0.05, 0.25), b - 0.1) for a, b in stays[ONE]]
    stays[TWO] = ghosts(stays[TWO], felt, 0.4, 0.0, 1.0)
    assert played(stays)[1] == {}


def paired(hours: float, by_s: float) -> dict[LoopKey, Spans]:
    """Two lanes with pairs; each vehicle of the second comes `by_s` after one of the first."""
    chance, out = random.Random(9), {key: Spans() for key in PAIRS}
    at = 0.0
    while at < hours * 3600 - 10:
        at += chance.uniform(2.0, 9.0)
        for key in PAIRS:
            first = at + (by_s if key[0] == "s_1" else 0.0) + (0.2 if key[1] == "trail" else 0.0)
            out[key].append((first, first + (0.3 if key[0] == "s_1" else 0.35)))
    return out


def said_of_pairs(stays: dict[LoopKey, Spans]) -> set[LoopKey]:
    lanes = tuple(LaneSite(name, "s", "corridor", paired=True) for name in ("s_0", "s_1"))
    rule = CrosstalkRule(loop_surroundings(lanes, ()), lambda key: None)
    return {
        key
        for slot in ticks(stays, HOURS)
        for key in rule.step({(t.lane, t.part): t for t in slot}, {}, None)
    }


def test_who_is_on_both_loops_of_a_pair_is_a_vehicle() -> None:
    assert said_of_pairs(paired(HOURS, 0.015)) == set()  # whatever chance says


def test_a_ghost_is_on_one_loop_of_a_pair() -> None:
    stays = paired(HOURS, 1.0)
    lead = ("s_1", "lead")
    stays[lead] = ghosts(stays[lead], stays["s_0", "lead"], 0.2, 0.015, 0.85)
    assert said_of_pairs(stays) == {lead}


def test_what_is_unproven_counts_as_sound() -> None:
    p = [0.1] * (1 + len(FAULTS))
    out = without_faults(p, ("crosstalk",))
    assert sum(out) == pytest.approx(sum(p))
    assert out[1 + FAULTS.index("crosstalk")] == 0.0


def test_it_remembers_over_a_restart_and_forgets_in_a_gap() -> None:
    stays = discharge(HOURS, 0.3)
    stays[TWO] = ghosts(stays[TWO], stays[ONE], 0.6, 0.015, 0.85)
    rule, _ = played(stays)
    saved = json.loads(json.dumps(rule.snapshot()))
    other = CrosstalkRule(loop_surroundings(LANES, ()), lambda key: None)
    other.restore(saved)
    assert other.snapshot() == saved
    assert other.unproven() == {ONE}
    other.missing(7200.0)
    assert other.unproven() == {ONE, TWO}


@pytest.mark.parametrize("saved", [[], [1.0] * 6, [-1.0] * 5, ["x"] * 5])
def test_what_is_no_snapshot_is_refused_and_nothing_has_changed(saved: Any) -> None:
    rule = CrosstalkRule(loop_surroundings(LANES, ()), lambda key: None)
    before = rule.snapshot()
    with pytest.raises((TypeError, ValueError)):
        rule.restore({"s_0|lead|s_1|lead": saved})
    assert rule.snapshot() == before
