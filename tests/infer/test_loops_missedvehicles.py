"""A loop of a pair that misses vehicles is named; what its other loop makes up is none of them."""

import json
import random
from typing import Any

import pytest

from edge.core.looptick import LoopTick
from edge.infer.loops.evidence import LoopKey
from edge.infer.loops.missedvehicles import MissedVehicleRule
from edge.infer.loops.surroundings import loop_surroundings
from tests.infer.test_looprules import (
    HOURS,
    HURT,
    LANES,
    SITES,
    Spans,
    broken,
    ghosts,
    street,
    ticks,
)

MATE = ("m_0", "trail")


def rule_of(fault: str | None = None) -> MissedVehicleRule:
    return MissedVehicleRule(loop_surroundings(LANES, SITES), lambda key: fault)


def said(stays: dict[LoopKey, Spans], rule: MissedVehicleRule) -> dict[LoopKey, int]:
    """After how many slots each loop was first called so."""
    out: dict[LoopKey, int] = {}
    for i, slot in enumerate(ticks(stays, HOURS)):
        seen: dict[LoopKey, LoopTick] = {(t.lane, t.part): t for t in slot}
        for key in rule.step(seen, {}, None):
            out.setdefault(key, i)
    return out


def thinned(stays: Spans, share: float) -> Spans:
    chance = random.Random(4)
    return [stay for stay in stays if chance.random() >= share]


@pytest.mark.parametrize(("share", "slots"), [(0.6, 8), (0.3, 16), (0.15, 50)])
@pytest.mark.parametrize("hurt", [HURT, MATE])
def test_a_loop_that_misses_vehicles_is_named(share: float, slots: int, hurt: LoopKey) -> None:
    stays = street(HOURS)
    stays[hurt] = thinned(stays[hurt], share)
    found = said(stays, rule_of())
    assert set(found) == {hurt}
    assert found[hurt] <= slots


@pytest.mark.parametrize("gap_s", [2.5, 6.0, 30.0])
def test_a_sound_pair_misses_none(gap_s: float) -> None:
    assert said(street(HOURS, gap_s, seed=6), rule_of()) == {}


@pytest.mark.parametrize("kind", ["splashover", "crosstalk", "breakup", "stuck_on"])
def test_what_the_other_loop_makes_up_was_missed_by_nobody(kind: str) -> None:
    stays = street(HOURS)
    if kind == "breakup":
        stays[HURT] = broken(stays[HURT])
    elif kind == "stuck_on":
        stays[HURT] = [*(stay for stay in stays[HURT] if stay[1] < 100.0), (100.0, 3700.0)]
    else:
        late, length = (0.02, 0.8) if kind == "crosstalk" else (0.1, 0.5)
        stays[HURT] = ghosts(stays[HURT], stays["m_1", "lead"], 0.6, late, length)
    assert said(stays, rule_of()) == {}


def test_a_dead_loop_misses_all_and_has_another_word() -> None:
    stays = street(HOURS)
    stays[HURT] = [stay for stay in stays[HURT] if stay[1] < 900.0]
    assert said(stays, rule_of()) == {}


def test_beside_a_loop_in_doubt_nothing_is_said() -> None:
    stays = street(HOURS)
    stays[HURT] = thinned(stays[HURT], 0.6)
    assert said(stays, rule_of("mismatch")) == {}


def test_it_remembers_over_a_restart_and_a_gap_misses_nothing() -> None:
    stays = street(HOURS)
    stays[HURT] = thinned(stays[HURT], 0.3)
    one, other = rule_of(), rule_of()
    said(stays, one)
    saved = json.loads(json.dumps(one.snapshot()))
    other.restore(saved)
    assert other.snapshot() == saved
    other.missing(60.0)
    slot: dict[LoopKey, LoopTick] = {(t.lane, t.part): t for t in ticks(stays, HOURS)[10]}
    assert set(other.step(slot, {}, None)) == {HURT}
    blind = {key: tick._replace(seen_ns=0) for key, tick in slot.items()}
    before = other.snapshot()
    other.step(blind, {}, None)
    assert other.snapshot() == before


@pytest.mark.parametrize("saved", [[], [-1.0], ["x"], [1.0, 2.0]])
def test_what_is_no_snapshot_is_refused_and_nothing_has_changed(saved: Any) -> None:
    rule = rule_of()
    before = rule.snapshot()
    with pytest.raises((TypeError, ValueError)):
        rule.restore({"m_0|lead": saved})
    assert rule.snapshot() == before


def fluttering(stays: Spans, from_s: float, until_s: float, seed: int) -> Spans:
    """A contact that opens and closes by itself meanwhile."""
    chance, at = random.Random(seed), from_s
    out = [stay for stay in stays if stay[1] < from_s]
    while at < until_s:
        out.append((at, at + chance.uniform(0.05, 0.4)))
        at = out[-1][1] + chance.uniform(0.05, 0.4)
    return [*out, *(stay for stay in stays if stay[0] > at)]


def town(seed: int) -> dict[LoopKey, Spans]:
    """Two and a half minutes of 900 vehicles an hour at 50 km/h, side by side in two lanes."""
    chance, at = random.Random(seed), 0.0
    out: dict[LoopKey, Spans] = {(f"m_{i}", part): [] for i in (0, 1) for part in ("lead", "trail")}
    while at < 140.0:
        at += 2.0 + chance.expovariate(0.5)
        v, m = chance.gauss(14.0, 1.4), chance.uniform(8, 12) if chance.random() < 0.1 else 4.5
        for (_, part), spans in out.items():
            behind = 0.0 if part == "lead" else 4.0
            spans.append((at + behind / v, at + (behind + m + 2.0) / v))
    return out


@pytest.mark.parametrize("seed", [34, 75])  # of 100, those in which the other loop was called so
@pytest.mark.parametrize("part", ["lead", "trail"])
def test_what_a_loop_that_chatters_makes_up_was_missed_by_nobody(part: str, seed: int) -> None:
    """Nobody has called it so yet."""
    stays, hurt, from_s = town(seed), ("m_0", part), 60.0 + seed % 40
    assert said(stays, rule_of()) == {}
    stays[hurt] = fluttering(stays[hurt], from_s, from_s + 40.0, seed)
    assert said(stays, rule_of()) == {}


@pytest.mark.parametrize("fault", ["chatter", "stuck_on"])
def test_what_a_loop_showed_before_it_was_known_to_be_broken_is_forgotten(fault: str) -> None:
    stays = street(HOURS)
    stays[MATE] = thinned(stays[MATE], 0.3)
    found: dict[LoopKey, str] = {}
    rule = MissedVehicleRule(loop_surroundings(LANES, SITES), found.get)
    said(stays, rule)
    assert rule.snapshot()["m_0|trail"][0] >= 7.0
    found[HURT] = fault
    said(stays, rule)
    assert rule.snapshot()["m_0|trail"] == [0.0]
