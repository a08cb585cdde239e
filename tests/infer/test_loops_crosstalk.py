"""Loops that answer together are told from vehicles that start side by side at a stop line."""

import json
import random
from typing import Any

import pytest

from edge.core.looptick import LoopTick
from edge.infer.loops.crosstalk import CrosstalkRule, without_crosstalk
from edge.infer.loops.evidence import LoopKey
from edge.infer.loops.loopflag import LEARNED_FAULTS, WIDTH
from edge.infer.loops.surroundings import loop_surroundings
from edge.infer.sites import LaneSite
from tests.infer.test_looprules import Spans, ghosts, ticks

ONE, TWO = ("s_0", "lead"), ("s_1", "lead")
LANES = tuple(LaneSite(name, "s", "stop") for name, _ in (ONE, TWO))
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
    assert said[TWO] > 60  # of 120 slots
    assert rule.unproven() == set()
    assert played(stays, "chatter")[1] == {}


def test_a_loop_that_feels_the_next_lane_is_no_crosstalk() -> None:
    stays, chance = discharge(HOURS, 0.3), random.Random(5)
    felt = [(a + chance.uniform(0.05, 0.25), b - 0.1) for a, b in stays[ONE]]
    stays[TWO] = ghosts(stays[TWO], felt, 0.4, 0.0, 1.0)
    assert played(stays)[1] == {}


def test_what_is_unproven_counts_as_sound() -> None:
    p = [0.1] * WIDTH
    out = without_crosstalk(p)
    assert sum(out) == pytest.approx(sum(p))
    assert out[1 + LEARNED_FAULTS.index("crosstalk")] == 0.0


def test_it_remembers_over_a_restart_and_forgets_in_a_gap() -> None:
    stays = discharge(HOURS, 0.3)
    stays[TWO] = ghosts(stays[TWO], stays[ONE], 0.6, 0.015, 0.85)
    rule, _ = played(stays)
    saved = json.loads(json.dumps(rule.snapshot()))
    other = CrosstalkRule(loop_surroundings(LANES, ()), lambda key: None)
    other.restore(saved)
    assert other.snapshot() == saved
    assert other.unproven() == set()
    other.missing(7200.0)
    assert other.unproven() == {ONE, TWO}


@pytest.mark.parametrize("saved", [[], [1.0] * 5, [-1.0] * 6, ["x"] * 6])
def test_what_is_no_snapshot_is_refused_and_nothing_has_changed(saved: Any) -> None:
    rule = CrosstalkRule(loop_surroundings(LANES, ()), lambda key: None)
    before = rule.snapshot()
    with pytest.raises((TypeError, ValueError)):
        rule.restore({"s_0|lead|s_1|lead": saved})
    assert rule.snapshot() == before
