"""A loop over several lanes of a signal is known by vehicles that come beside each other."""

import json
import random
from typing import Any

import pytest

from edge.infer.loops.evidence import LoopKey
from edge.infer.loops.severallanes import FAULTS, SeveralLanes
from edge.infer.sites import LaneSite
from tests.infer.test_looprules import Spans, broken, ghosts, ticks

KEY: LoopKey = ("s_0", "lead")
LANE = LaneSite("s_0", "s", "stop")


def lane(seed: int, hours: float = 1.0) -> Spans:
    """Greens, in each of which some vehicles follow each other by two seconds."""
    chance, out = random.Random(seed), Spans()
    for cycle in range(int(hours * 40)):
        at = cycle * 90.0 + 45.0
        for _ in range(chance.randrange(4, 12)):
            out.append((at, at + chance.choice([0.4, 0.45, 0.5, 0.9])))
            at += 2.0 + chance.gauss(0.0, 0.2)
    return out


def found(stays: Spans, site: LaneSite = LANE) -> tuple[SeveralLanes, set[LoopKey]]:
    rule = SeveralLanes([site])
    for slot in ticks({KEY: stays}, 1.0):
        assert rule.step({(t.lane, t.part): t for t in slot}, {}, None) == {}
    return rule, rule.found()


@pytest.mark.parametrize("seed", range(3))
def test_two_lanes_on_one_loop_are_found(seed: int) -> None:
    beside = [(a + 0.9, b + 0.9) for a, b in lane(seed + 10)]
    both = ghosts(lane(seed), beside, 1.0, 0.0, 1.0)
    assert found(both)[1] == {KEY}
    assert found(both, LaneSite("s_0", "s", "corridor"))[1] == set()


@pytest.mark.parametrize("seed", range(3))
def test_one_lane_is_one_lane_and_so_are_parts_of_a_vehicle(seed: int) -> None:
    assert found(lane(seed))[1] == set()
    assert found(broken(lane(seed)))[1] == set()


@pytest.mark.parametrize("share", [0.1, 0.2])
@pytest.mark.parametrize("seed", range(3))
def test_ghosts_of_the_next_lane_make_no_second_lane(seed: int, share: float) -> None:
    """They are shorter than the vehicle that they are of."""
    assert found(ghosts(lane(seed), lane(seed + 10), share, 0.2, 0.7))[1] == set()


def test_a_fault_that_is_up_does_not_end_for_it() -> None:
    up: dict[LoopKey, str] = {}
    rule = SeveralLanes([LANE], up.get)
    both = ghosts(lane(1), [(a + 0.9, b + 0.9) for a, b in lane(11)], 1.0, 0.0, 1.0)
    for slot in ticks({KEY: both}, 1.0):
        rule.step({(t.lane, t.part): t for t in slot}, {}, None)
    assert rule.found() == {KEY}
    up[KEY] = "breakup"
    assert rule.found() == set()
    up[KEY] = "chatter"
    assert rule.found() == {KEY}


def test_it_is_known_after_a_restart_and_a_gap() -> None:
    rule, _ = found(ghosts(lane(1), [(a + 0.9, b + 0.9) for a, b in lane(11)], 1.0, 0.0, 1.0))
    other = SeveralLanes([LANE])
    other.restore(json.loads(json.dumps(rule.snapshot())))
    other.missing(3600.0)
    assert other.found() == {KEY}
    assert set(FAULTS) == {"breakup", "crosstalk", "splashover"}


@pytest.mark.parametrize("saved", [[], [-1.0] * 2, ["x"] * 2])
def test_what_is_no_snapshot_is_refused_and_nothing_has_changed(saved: Any) -> None:
    rule = SeveralLanes([LANE])
    with pytest.raises((TypeError, ValueError)):
        rule.restore({"s_0|lead": saved})
    assert rule.snapshot() == {"s_0|lead": [0.0, 0.0]}
