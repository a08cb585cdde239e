"""A loop that misses vehicles is found by the flow balance of hours; a closed lane is none."""

import json
import random
from typing import Any

import pytest

from edge.core.looptick import LoopTick
from edge.infer.loops.evidence import LoopKey
from edge.infer.loops.flowbalance import BIN_S, FlowBalanceRule
from edge.infer.sites import ApproachSite, LaneSite

S = 1_000_000_000
LANES = tuple(LaneSite(f"{a}_{i}", a, "corridor") for a in "mno" for i in (0, 1))
WAYS = (ApproachSite("m", "n", 500.0), ApproachSite("n", "o", 500.0), ApproachSite("o"))
HURT = "n_0"
Counts = dict[str, int]


def hours(
    begin_h: float,
    end_h: float,
    seed: int = 1,
    *,
    missed: float = 0.0,
    closed: bool = False,
    shares: bool = False,
) -> list[Counts]:
    """Slots of three stations, 12 and 8 vehicles a minute. `missed` of those on HURT are not seen;

    `closed`: they pass beside it; `shares`: more and more of all drive on the other lane.
    """
    chance = random.Random(seed)
    out: list[Counts] = []
    for slot in range(int(begin_h * 120), int(end_h * 120)):
        other = 0.4 + (0.3 * slot / (end_h * 120) if shares else 0.0)
        came = [sum(chance.random() < 0.05 for _ in range(200)) for _ in range(2)]
        counts: Counts = {}
        for station in "mno":
            whole = sum(came)
            on_one = sum(chance.random() < other for _ in range(whole))
            counts |= {f"{station}_0": whole - on_one, f"{station}_1": on_one}
        lost = sum(chance.random() < missed for _ in range(counts[HURT]))
        if closed:
            counts["n_1"] += counts[HURT]
            lost = counts[HURT]
        counts[HURT] -= lost
        out.append(counts)
    return out


def slot_of(number: int, counts: Counts) -> dict[LoopKey, LoopTick]:
    begin = number * 30 * S
    return {
        (lane, "lead"): LoopTick(
            lane, "lead", begin, begin + 30 * S, 30 * S, n * S // 3, stays_left_out=n
        )
        for lane, n in counts.items()
    }


def told(slots: list[Counts], rule: FlowBalanceRule | None = None, **more: Any) -> dict[str, float]:
    """After how many hours each lane was first called so."""
    rule = rule or FlowBalanceRule(LANES, WAYS, lambda key: None)
    out: dict[str, float] = {}
    for i, counts in enumerate(slots):
        ticks = {key: tick._replace(**more) for key, tick in slot_of(i, counts).items()}
        for lane, part in rule.step(ticks, {}, None):
            assert part == "lead"
            out.setdefault(lane, i / 120)
    return out


@pytest.mark.parametrize(("missed", "within_h"), [(0.6, 1.0), (0.4, 2.0), (0.3, 4.0)])
def test_a_loop_that_misses_a_share_is_named_and_no_other(missed: float, within_h: float) -> None:
    found = told([*hours(0.0, 3.0), *hours(3.0, 8.0, 2, missed=missed)])
    assert set(found) == {HURT}
    assert 3.0 < found[HURT] < 3.0 + within_h


@pytest.mark.parametrize("more", [{}, {"shares": True}])
def test_a_sound_road_lacks_nothing_whatever_lane_is_driven_on(more: dict[str, Any]) -> None:
    assert told(hours(0.0, 12.0, **more)) == {}


def test_vehicles_of_a_closed_lane_pass_beside_it() -> None:
    assert told([*hours(0.0, 3.0), *hours(3.0, 5.0, 2, closed=True)]) == {}


def test_it_is_over_after_the_repair() -> None:
    rule = FlowBalanceRule(LANES, WAYS, lambda key: None)
    told([*hours(0.0, 3.0), *hours(3.0, 6.0, 2, missed=0.5)], rule)
    later = hours(6.0, 8.0, 3)
    last = {lane for counts in later for lane, _ in rule.step(slot_of(0, counts), {}, None)}
    assert last == {HURT}
    assert not rule.step(slot_of(0, later[0]), {}, None)


def test_what_is_in_doubt_for_another_reason_is_not_compared() -> None:
    slots = [*hours(0.0, 3.0), *hours(3.0, 6.0, 2, missed=0.6)]
    bad = FlowBalanceRule(LANES, WAYS, lambda key: "chatter" if key == (HURT, "lead") else None)
    assert told(slots, bad) == {}
    assert told(slots, seen_ns=10 * S) == {}  # nobody watched for most of the time


def test_a_loop_that_stays_on_counts_nobody_and_lacks_nothing() -> None:
    """It has a word of its own, which may take longer to be sure of."""
    rule = FlowBalanceRule(LANES, WAYS, lambda key: None)
    told(hours(0.0, 3.0), rule)
    key, begin_ns = (HURT, "lead"), 360 * 30 * S
    for i, counts in enumerate(hours(3.0, 4.0, 2, missed=1.0), 360):
        slot = slot_of(i, counts)
        slot[key] = slot[key]._replace(since_ns=begin_ns, on_ns=30 * S)
        assert rule.step(slot, {}, None) == {}


def test_without_a_place_along_nothing_is_said() -> None:
    alone = FlowBalanceRule(LANES[:2], (), lambda key: None)
    assert told(hours(0.0, 6.0, missed=0.6), alone) == {}


def test_it_remembers_over_a_restart() -> None:
    one, other = (FlowBalanceRule(LANES, WAYS, lambda key: None) for _ in range(2))
    slots = [*hours(0.0, 3.0), *hours(3.0, 6.0, 2, missed=0.6)]
    told(slots, one)
    saved = json.loads(json.dumps(one.snapshot()))
    other.restore(saved)
    assert other.snapshot() == saved
    assert told(slots[-int(BIN_S / 30) :], other).keys() == {HURT}


@pytest.mark.parametrize("kind", ["ratios", "shares", "lacks"])
@pytest.mark.parametrize("harm", [[], [-1.0, 1.0], ["x", 1.0]])
def test_what_is_no_snapshot_is_refused_and_nothing_has_changed(kind: str, harm: Any) -> None:
    rule = FlowBalanceRule(LANES, WAYS, lambda key: None)
    told(hours(0.0, 1.0), rule)
    before = rule.snapshot()
    name = next(iter(before[kind]))
    with pytest.raises((TypeError, ValueError)):
        rule.restore({**before, kind: {**before[kind], name: harm}})
    assert rule.snapshot() == before
    with pytest.raises(KeyError):
        rule.restore({})
